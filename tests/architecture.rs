//! Keeps the dependency rules of `docs/structure.md` by reading the sources: which module may use which, where foreign
//! crates, `unsafe`, environment variables and printing are allowed, how long a file may be, and that no file names a
//! folder of somebody's machine. Test modules (`#[cfg(test)] mod`, `tests.rs`) may use more.

use std::fs;
use std::path::Path;

/// Module of `src/` → modules it may use beside itself. `bin` sees only the public crate.
const ALLOWED: &[(&str, &str)] = &[
    ("error", ""),
    ("geometry", "error"),
    ("progress", "error"),
    ("memory", ""),
    ("simd", ""),
    ("slab", "error"),
    ("scan", "error geometry memory progress slab"),
    // Writing 8 and 16 bits converts at the very end, by a function of `post`.
    ("io", "error geometry progress slab scan post"),
    ("preprocess", "error geometry progress simd slab"),
    ("rings", "error geometry progress simd slab"),
    ("recon", "error geometry memory progress simd slab"),
    ("post", "error geometry progress simd slab"),
    ("denoise", "error progress memory simd"),
    ("chain", "error geometry memory progress slab scan io preprocess rings recon denoise post context host"),
    ("host", "error geometry progress slab scan chain context"),
    ("context", "error chain denoise host"),
    ("capi", "error geometry progress slab scan io preprocess rings recon denoise post chain context host"),
    ("jni", "error geometry progress slab scan io preprocess rings recon denoise post chain context host"),
];

/// Crate → the one module that may name it.
const CRATES: &[(&str, &str)] = &[
    ("jni", "jni"),
    ("libloading", "host"),
    ("slice_tools", "host"),
    ("tiff", "io"),
    ("hdf5_reader", "io"),
    ("wagiri_burn", "denoise"),
];
/// Beginnings of paths in `src/`.
const UNSAFE_IN: &[&str] = &[
    "capi/",
    "denoise/burn/cuda.rs",
    "denoise/cpu/isa.rs",
    "denoise/cpu/kernels.rs",
    "denoise/cpu/vector.rs",
    "host/",
    "jni/",
    "memory.rs",
    "recon/direct/avx",
    "recon/direct/isa.rs",
    "recon/direct/neon.rs",
    "recon/direct/tile.rs",
    "recon/direct/vector.rs",
    "recon/fourier/avx",
    "recon/fourier/isa.rs",
    "simd.rs",
];
const ENVIRONMENT_IN: &[&str] = &["bin", "context"];
const PRINTERS: &[&str] = &["print", "println", "eprint", "eprintln", "dbg"];
const MAX_LINES: usize = 450;

/// Words and punctuation of Rust source without comments, strings and anything after `#[cfg(test)] mod`.
fn tokens(text: &str) -> Vec<String> {
    let (mut out, mut rest) = (Vec::new(), text);
    while let Some(c) = rest.chars().next() {
        let end_of = |mark: &str, from: usize| rest[from..].find(mark).map_or(rest.len(), |i| from + i + mark.len());
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let len = if rest.starts_with("//") {
            end_of("\n", 2)
        } else if rest.starts_with("/*") {
            end_of("*/", 2)
        } else if rest.starts_with("r#\"") {
            end_of("\"#", 3)
        } else if c == '"' {
            let mut escaped = false;
            let close = rest[1..].find(|c| {
                let closes = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                closes
            });
            close.map_or(rest.len(), |i| i + 2)
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\") {
            end_of("'", 2)
        } else if word > 0 {
            out.push(rest[..word].to_string());
            word
        } else if rest.starts_with("::") {
            out.push("::".to_string());
            2
        } else {
            if !c.is_whitespace() {
                out.push(c.to_string());
            }
            c.len_utf8()
        };
        rest = &rest[len..];
        if out.ends_with(&["#", "[", "cfg", "(", "test", ")", "]", "mod"].map(String::from)) {
            break;
        }
    }
    out
}

/// First names of the path that goes on at `i`, one or several: `a::B` or `{a::B, c}`.
fn names_at(tokens: &[String], mut i: usize) -> Vec<&str> {
    if tokens.get(i).is_none_or(|t| t != "{") {
        return tokens.get(i).map(String::as_str).into_iter().collect();
    }
    let (mut depth, mut names) = (1, Vec::new());
    while depth > 0 && i + 1 < tokens.len() {
        i += 1;
        match tokens[i].as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            name if depth == 1 && (tokens[i - 1] == "{" || tokens[i - 1] == ",") => names.push(name),
            _ => {}
        }
    }
    names
}

/// Names at the crate root → their module, from the `pub use module::{...}` lines of `lib.rs`.
fn reexports(lib: &str) -> Vec<(String, String)> {
    let tokens = tokens(lib);
    let mut out = Vec::new();
    for (i, three) in tokens.windows(3).enumerate() {
        if three[0] == "use" && three[2] == "::" {
            out.extend(names_at(&tokens, i + 3).iter().map(|name| (name.to_string(), three[1].clone())));
        }
    }
    out
}

/// Everything wrong with one source file. `path` is relative to the repository, with `/`.
fn problems(path: &str, text: &str, root: &[(String, String)]) -> Vec<String> {
    let mut out = Vec::new();
    let lines = text.lines().count();
    if lines > MAX_LINES {
        out.push(format!("{path}: {lines} lines; split it, at most {MAX_LINES}"));
    }
    let is_ruled = |inner: &&str| *inner != "lib.rs" && !inner.ends_with("/tests.rs");
    let Some(inner) = path.strip_prefix("src/").filter(is_ruled) else { return out };
    let module = inner.split(['/', '.']).next().unwrap_or_default();
    let allowed = |name: &str| ALLOWED.iter().find(|(m, _)| *m == name).map(|(_, to)| *to);
    if module != "bin" && allowed(module).is_none() {
        out.push(format!("{path}: new module '{module}'; say in tests/architecture.rs what it may use"));
    }
    // Levels below the crate root: src/a.rs and src/a/mod.rs 1, src/a/b.rs 2.
    let level = inner.matches('/').count() + usize::from(!inner.ends_with("/mod.rs"));
    let tokens = tokens(text);
    let at = |i: usize| tokens.get(i).map_or("", String::as_str);
    for i in 0..tokens.len() {
        let before = if i > 0 { at(i - 1) } else { "" };
        let supers = tokens[i..].chunks(2).take_while(|c| *c == ["super", "::"]).count();
        let start = match at(i) {
            "crate" if at(i + 1) == "::" => Some(i + 2),
            "super" if before != "::" && supers == level => Some(i + 2 * supers),
            _ => None,
        };
        for name in start.map_or(Vec::new(), |start| names_at(&tokens, start)) {
            let used = root.iter().find(|(n, _)| n == name).map_or(name, |(_, m)| m);
            let lawful = allowed(module).is_some_and(|to| to.split(' ').any(|m| m == used));
            if used != module && allowed(used).is_some() && !lawful {
                out.push(format!("{path}: '{module}' must not use '{used}' (crate::{name})"));
            }
        }
        let heads_path = before == "use" || before != "::" && at(i + 1) == "::";
        if let Some((name, home)) = CRATES.iter().find(|(name, home)| *name == at(i) && *home != module)
            && heads_path
        {
            out.push(format!("{path}: the crate '{name}' may be used only in src/{home}"));
        }
        if at(i) == "unsafe" && !UNSAFE_IN.iter().any(|place| inner.starts_with(place)) {
            out.push(format!("{path}: 'unsafe' outside {UNSAFE_IN:?}"));
        }
        if at(i) == "env" && at(i + 1) == "::" && at(i + 2).starts_with("var") && !ENVIRONMENT_IN.contains(&module) {
            out.push(format!("{path}: reads the environment; only {ENVIRONMENT_IN:?} may"));
        }
        if PRINTERS.contains(&at(i)) && at(i + 1) == "!" && module != "bin" {
            out.push(format!("{path}: {}! in the library; use the log crate", at(i)));
        }
    }
    out
}

/// The first line with a path below somebody's home or build folder, where the path starts a word.
fn machine_path(text: &str) -> Option<&str> {
    let roots = ["/ho#me/", "/ro#ot/", "/wo#rk/", "/Us#ers/", r"C:\Us#ers"].map(|s| s.replace('#', ""));
    let inside_word = |before: &str| before.ends_with(|c: char| c.is_alphanumeric() || "/})>.-_~*".contains(c));
    let names = |line: &str, root: &String| line.match_indices(root).any(|(i, _)| !inside_word(&line[..i]));
    text.lines().find(|line| roots.iter().any(|root| names(line, root)))
}

/// All text files below `dir` as (path relative to the repository, text), without build output and test data.
fn sources(dir: &str, out: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(dir)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name == ".git" {
            continue;
        }
        let path = if dir.is_empty() { name.clone() } else { format!("{dir}/{name}") };
        let (kind, bytes) = (entry.file_type().unwrap(), entry.metadata().unwrap().len());
        if kind.is_dir() && !["target", "out"].contains(&name.as_str()) && path != "tests/data" {
            sources(&path, out);
        } else if kind.is_file()
            && bytes < 1 << 20
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            out.push((path, text));
        }
    }
}

#[test]
fn the_tree_keeps_the_rules() {
    let mut files = Vec::new();
    sources("", &mut files);
    let lib = &files.iter().find(|(path, _)| path == "src/lib.rs").unwrap().1;
    let root = reexports(lib);
    assert!(root.contains(&("Scan".into(), "scan".into())), "the re-exports of lib.rs were not understood: {root:?}");
    assert!(files.iter().filter(|(path, _)| path.starts_with("src/")).count() > 20, "src was not read");
    let mut found = Vec::new();
    for (path, text) in &files {
        if [".rs", ".java", ".c"].iter().any(|end| path.ends_with(end)) {
            found.extend(problems(path, text, &root));
        }
        if let Some(line) = machine_path(text) {
            found.push(format!("{path}: names a folder of one machine: {}", line.trim()));
        }
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_dependency_has_its_sentence() {
    let read = |path| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let (manifest, decision) = (read("Cargo.toml"), read("docs/decisions/0001-dependencies.md"));
    let mut section = "";
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if ["[dependencies]", "[dev-dependencies]"].contains(&section)
            && let Some((name, _)) = line.split_once(" = ")
        {
            names.push(name);
        }
    }
    assert!(names.contains(&"ndarray") && names.contains(&"tempfile"), "Cargo.toml was not understood: {names:?}");
    names.retain(|name| !decision.contains(&format!("| `{name}` ")));
    assert!(names.is_empty(), "docs/decisions/0001-dependencies.md says nothing of {names:?}");
}

/// The checker itself: each kind of breach is seen, and lawful look-alikes are not.
#[test]
fn the_checker_sees_each_breach() {
    let root = reexports("pub use error::{Error, Result};\npub use scan::Scan;\n");
    let breaches = [
        ("src/rings/sort.rs", "use crate::recon::Fbp;", "must not use 'recon'"),
        ("src/rings/sort.rs", "use crate::{error::Error, io::{self, x}};", "must not use 'io'"),
        ("src/recon/mod.rs", "fn f(s: &crate::Scan) {}", "must not use 'scan'"),
        ("src/recon/mod.rs", "use super::{io};", "must not use 'io'"),
        ("src/recon/direct/fast.rs", "use super::super::super::io::open;", "must not use 'io'"),
        ("src/io/mod.rs", "use crate::chain;", "must not use 'chain'"),
        ("src/capi/mod.rs", "crate::jni::x();", "must not use 'jni'"),
        ("src/scan/mod.rs", "use tiff::decoder::Decoder;", "crate 'tiff'"),
        ("src/chain/run.rs", "let r = hdf5_reader::File::open(p);", "crate 'hdf5_reader'"),
        ("src/capi/mod.rs", "use jni;", "crate 'jni'"),
        ("src/rings/sort.rs", "let x = unsafe { *p };", "'unsafe' outside"),
        ("src/recon/direct/mod.rs", "let x = unsafe { *p };", "'unsafe' outside"),
        ("src/io/mod.rs", "std::env::var_os(NAME)", "reads the environment"),
        ("src/io/mod.rs", "println!(\"{x}\")", "println!"),
        ("src/other/mod.rs", "", "new module 'other'"),
        ("plugins/x/src/lib.rs", &"\n".repeat(MAX_LINES + 1), "lines; split it"),
    ];
    for (path, text, expected) in breaches {
        let found = problems(path, text, &root);
        assert!(found.iter().any(|p| p.contains(expected)), "{path} {text}: {found:?}");
    }
    let lawful = [
        ("src/rings/sort.rs", "use crate::{Error, rings::median, slab::Slab}; use super::median;"),
        ("src/rings/sort.rs", "// unsafe crate::io\n/* println! */ const S: &str = \"\\\" crate::io unsafe\";"),
        ("src/rings/sort.rs", "fn f() {}\n#[cfg(test)]\nmod tests { use crate::io; use super::super::io; }"),
        ("src/rings/tests.rs", "use crate::io; println!(\"{:?}\", std::env::var(NAME));"),
        ("src/recon/mod.rs", "#![deny(unsafe_code)] let q = '\"'; let v = env!(\"X\"); super::super_fast();"),
        ("src/jni/mod.rs", "use jni::JavaVM; use crate::chain::Chain; unsafe { f() }"),
        ("src/recon/direct/avx2.rs", "unsafe { f() }"),
        ("src/chain/run.rs", "let s = crate::io::tiff::open(p);"),
        ("src/bin/wagiri/main.rs", "println!(\"{:?}\", std::env::var(\"WAGIRI_PLUGIN_PATH\"));"),
    ];
    for (path, text) in lawful {
        assert_eq!(problems(path, text, &root), [""; 0], "{path} {text}");
    }
    let home = ["/ho", "me/anna/scan"].concat();
    assert!(machine_path(&format!("one\nopen=[{home}]\n")).is_some());
    assert!(machine_path(&home).is_some());
    assert!(machine_path(&format!("https://host{home} and $x{home}\n")).is_none());
}
