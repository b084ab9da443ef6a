//! `docs/stages.md` is what the stages say of themselves. `UPDATE=1 cargo test --test docs` rewrites it.

use std::fmt::Write;
use std::path::Path;
use wagiri::chain::{ParamInfo, ParamKind, Registry, StageInfo};

const HEAD: &str = "# Stages

Written from the descriptions of the stages themselves; do not edit. `wagiri stages ID` prints the same. A chain is a line
`stage param=value ... | stage ...` or a [chain file](chain-file.md); [plugins](plugin-guide.md) add stages of their own.

";

fn kind(info: &ParamInfo) -> String {
    let kind = match info.kind {
        ParamKind::Int => "whole number".to_owned(),
        ParamKind::Float => "number".to_owned(),
        ParamKind::Bool => "`true` or `false`".to_owned(),
        ParamKind::Choice(words) => words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", "),
        ParamKind::Text => "text".to_owned(),
    };
    let range = info.range.map_or(String::new(), |(low, high)| format!(", {low} to {high}"));
    format!("{kind}{range}{}", if info.auto { ", or `auto`" } else { "" })
}

fn describe(info: &StageInfo, out: &mut String) {
    let way = match (info.input.name(), info.output.name()) {
        (a, b) if a == b => a.to_owned(),
        (a, b) => format!("{a} to {b}"),
    };
    writeln!(out, "## {}\n\n{}. *{way}*\n", info.id, info.summary).unwrap();
    if info.params.is_empty() {
        return;
    }
    out.push_str("| parameter | unit | value | default | |\n| --- | --- | --- | --- | --- |\n");
    for p in info.params {
        let (kind, help) = (kind(p).replace('|', "\\|"), p.help.replace('|', "\\|"));
        writeln!(out, "| `{}` | {} | {kind} | `{}` | {help} |", p.name, p.unit, p.default).unwrap();
    }
    out.push('\n');
}

#[test]
fn the_list_of_stages_is_current() {
    let mut made = HEAD.to_owned();
    let registry = Registry::built_in();
    for info in registry.all() {
        describe(info, &mut made);
    }
    made.truncate(made.trim_end().len());
    made.push('\n');
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/stages.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(kept == made, "docs/stages.md is not current: run UPDATE=1 cargo test --test docs, and look at the diff");
}

#[test]
fn every_stage_says_enough_of_itself() {
    let registry = Registry::built_in();
    for info in registry.all() {
        assert!(info.summary.len() > 20 && !info.summary.ends_with('.'), "{}: {}", info.id, info.summary);
        for p in info.params {
            assert!(p.help.len() > 10 && !p.help.ends_with('.'), "{} {}: {}", info.id, p.name, p.help);
            let number = matches!(p.kind, ParamKind::Int | ParamKind::Float);
            // A number without a range would have to be checked by everyone who uses it.
            let bounded = p.range.is_some() || info.id == "write.tiff";
            assert!(!number || bounded, "{} {} has no range", info.id, p.name);
        }
    }
}

/// The tables of `docs/ct-rec.md` are what the programs say of themselves.
#[test]
fn the_tables_of_old_programs_are_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ct-rec.md");
    let read = || std::fs::read_to_string(&path).unwrap().replace("\r\n", "\n");
    let kept = read();
    let output =
        std::process::Command::new(env!("CARGO_BIN_EXE_wagiri")).args(["compat", "list", "--markdown"]).output();
    let tables = String::from_utf8(output.unwrap().stdout).unwrap().replace("\r\n", "\n");
    let (head, rest) = kept.split_once("<!-- programs -->").expect("a mark before the tables");
    let (_, tail) = rest.split_once("<!-- end -->").expect("a mark behind the tables");
    let made = format!("{head}<!-- programs -->\n{tables}<!-- end -->{tail}");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    assert!(read() == made, "docs/ct-rec.md is not current: run UPDATE=1 cargo test --test docs, and look at the diff");
}
