//! The two forms of a chain: a line `stage param=value ... | stage ...`, and a TOML file with a table `[[stage]]` for each.
//!
//! Must not know: scans, plans, engines.

use super::Chain;
use super::params::{Params, nearest};
use super::registry::Registry;
use super::source::{self, SOURCES};
use super::stage::{ParamValue, StageFactory, StageInfo};
use super::write::{ENDS, WRITE_TIFF};
use crate::error::{Error, Result};
use crate::slab::Domain;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// One stage with its parameters.
#[derive(Clone)]
pub(super) struct Step {
    pub factory: Arc<dyn StageFactory>,
    pub params: Params,
}

/// Collects stages one after the other.
struct Builder<'r> {
    registry: &'r Registry,
    source: Option<Params>,
    steps: Vec<Step>,
    write: Option<Params>,
    /// What the stages so far make.
    have: Option<Domain>,
}

impl<'r> Builder<'r> {
    fn new(registry: &'r Registry) -> Self {
        Builder { registry, source: None, steps: Vec::new(), write: None, have: None }
    }
    /// Adds the stage `id` and lets `set` give its parameters their values.
    fn add(&mut self, id: &str, set: impl FnOnce(&mut Params) -> Result<()>) -> Result<()> {
        if let Some(end) = self.write.as_ref().map(|write| write.info().id) {
            return Err(Error::invalid(id, format!("nothing can stand behind {end}, which ends a chain")));
        }
        if let Some(info) = SOURCES.into_iter().find(|info| info.id == id) {
            if self.have.is_some() {
                return Err(Error::invalid(id, format!("{id} stands at the start of a chain")));
            }
            let mut params = Params::defaults(info);
            set(&mut params)?;
            self.source = Some(params);
            self.have = Some(info.output);
        } else if let Some(info) = ENDS.into_iter().find(|info| info.id == id) {
            let mut params = Params::defaults(info);
            set(&mut params)?;
            // write.tiff takes any images, write.projections needs views.
            if info.id != WRITE_TIFF.id {
                self.takes(info)?;
            }
            self.write = Some(params);
        } else {
            let factory = self.registry.find(id)?;
            let info = factory.info();
            self.takes(info)?;
            let mut params = Params::defaults(info);
            set(&mut params)?;
            self.have = Some(info.output);
            self.steps.push(Step { factory, params });
        }
        Ok(())
    }
    /// Refuses a stage that cannot work on what the stages before it make.
    fn takes(&self, info: &StageInfo) -> Result<()> {
        let Some(have) = self.have.filter(|have| *have != info.input) else { return Ok(()) };
        let between = self.registry.infos().find(|stage| (stage.input, stage.output) == (have, info.input));
        let hint = between.map_or(String::new(), |stage| format!("; put {} before it", stage.id));
        let article = if info.input == Domain::Counts { "" } else { "a " };
        let message = format!("takes {article}{}, but here it gets {}{hint}", info.input.name(), have.name());
        Err(Error::invalid(info.id, message))
    }
    fn finish(self) -> Result<Chain> {
        let first = self.steps.first().map(|s| s.factory.info().input);
        let source = match (self.source, first) {
            (Some(source), _) => source,
            (None, Some(domain)) => Params::defaults(source::of_domain(domain)),
            (None, None) => {
                return Err(Error::invalid("chain", "the chain has no stage; the shortest is 'normalise'"));
            }
        };
        if self.steps.is_empty() && source.info().output == Domain::Counts {
            return Err(Error::invalid("chain", "the chain has no stage; the shortest is 'normalise'"));
        }
        let write = self.write.unwrap_or_else(|| Params::defaults(&WRITE_TIFF));
        Ok(Chain { source, steps: self.steps, write })
    }
}

/// Parses either form.
pub(super) fn parse(registry: &Registry, text: &str) -> Result<Chain> {
    // Some editors put a mark in front of a file.
    let text = text.trim_start_matches('\u{feff}');
    // A line has no `[[stage]]`, which every file has, and no `=` behind its first word.
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let is_entry = |line: &str| line.split_whitespace().take(2).any(|word| word.starts_with('='));
    match first {
        Some(line) if line.starts_with('[') || is_entry(line) => parse_file(registry, text),
        None if !text.trim().is_empty() => parse_file(registry, text),
        _ => parse_line(registry, text),
    }
}

fn parse_line(registry: &Registry, text: &str) -> Result<Chain> {
    let mut builder = Builder::new(registry);
    let parts = split(text, |c| c == '|')?;
    let count = parts.len();
    for (i, part) in parts.iter().enumerate() {
        let place = |e: Error| e.at(format!("chain, stage {} of {count}", i + 1));
        let words = split(part, char::is_whitespace).map_err(place)?;
        let mut words = words.iter().map(|w| w.as_str()).filter(|w| !w.is_empty());
        let Some(id) = words.next() else {
            return Err(place(Error::invalid("empty", "the stage is empty; expected 'stage param=value ...'")));
        };
        builder.add(id, |params| set_all(params, words)).map_err(place)?;
    }
    builder.finish()
}

fn parse_file(registry: &Registry, text: &str) -> Result<Chain> {
    let line_of = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
    let place = |at: usize| move |e: Error| e.at(format!("chain file, line {}", line_of(at)));
    let table = DeTable::parse(text).map_err(|e| {
        let message = e.message().trim().replace('\n', "; ");
        place(e.span().map_or(0, |span| span.start))(Error::format("TOML", message))
    })?;
    let mut builder = Builder::new(registry);
    for (name, value) in table.get_ref() {
        let at = place(name.span().start);
        let hint = if nearest(name.get_ref(), &["stage"]).is_some() { "; did you mean 'stage'?" } else { "" };
        let stages = match (name.get_ref().as_ref(), value.get_ref()) {
            ("stage", DeValue::Array(stages)) => stages,
            ("stage", _) => {
                return Err(at(Error::invalid("stage", "expected [[stage]], with two brackets, for each stage")));
            }
            _ => {
                let message = format!("unknown entry '{}'{hint} (a chain file is a list of [[stage]])", name.get_ref());
                return Err(at(Error::invalid("chain", message)));
            }
        };
        for stage in stages {
            let at = place(stage.span().start);
            let Some(entries) = stage.get_ref().as_table() else {
                return Err(at(Error::invalid("stage", "expected a table [[stage]] with id = \"...\"")));
            };
            let id = entries.get("id").and_then(|id| id.get_ref().as_str());
            let id = id.ok_or_else(|| at(Error::invalid("stage", "the stage has no id = \"...\"")))?;
            let mut failed_at = stage.span().start;
            let set = |params: &mut Params| {
                for (name, value) in entries.iter().filter(|(name, _)| name.get_ref() != "id") {
                    failed_at = name.span().start;
                    params.set_text(name.get_ref(), &text_of(id, name.get_ref(), value.get_ref())?)?;
                }
                Ok(())
            };
            builder.add(id, set).map_err(|e| place(failed_at)(e))?;
        }
    }
    builder.finish()
}

/// A TOML value as it would stand in a line.
fn text_of(id: &str, name: &str, value: &DeValue) -> Result<String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Ok(number.as_str().to_owned()),
        DeValue::Float(number) => Ok(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Ok(flag.to_string()),
        _ => Err(Error::invalid(id, format!("{name}: expected a text, a decimal number, true or false"))),
    }
}

/// The chain as a file, with every parameter that is not at its default.
pub(super) fn to_file(chain: &Chain) -> String {
    let mut out = String::new();
    for params in chain.params() {
        out += &format!("[[stage]]\nid = \"{}\"\n", params.info().id);
        for (info, value) in params.changed() {
            let value = match value {
                ParamValue::Text(_) | ParamValue::Auto => toml_text(&value.to_string()),
                // TOML floats have a point or an exponent.
                ParamValue::Float(v) => format!("{v:?}"),
                other => other.to_string(),
            };
            out += &format!("{} = {value}\n", info.name);
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

pub(super) fn toml_text(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out += &format!("\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The line, with every parameter that is not at its default.
impl std::fmt::Display for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, params) in self.params().enumerate() {
            write!(f, "{}{}", if i > 0 { " | " } else { "" }, params.info().id)?;
            for (info, value) in params.changed() {
                write!(f, " {}={}", info.name, quote(&value.to_string()))?;
            }
        }
        Ok(())
    }
}

fn set_all<'a>(params: &mut Params, words: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen: Vec<&str> = Vec::new();
    for word in words {
        let Some((name, value)) = word.split_once('=') else {
            return Err(Error::invalid(params.info().id, "expected param=value").with("text", format!("'{word}'")));
        };
        if seen.contains(&name) {
            return Err(Error::invalid(params.info().id, format!("{name} is set twice")));
        }
        seen.push(name);
        params.set_text(name, value)?;
    }
    Ok(())
}

/// Splits outside quotes, double or single, then drops the quotes of words: `dir="my scan"` is one word, `dir=my scan`.
fn split(text: &str, is_separator: impl Fn(char) -> bool) -> Result<Vec<String>> {
    let keep_quotes = is_separator('|');
    let (mut parts, mut open) = (vec![String::new()], None);
    for c in text.chars() {
        let is_quote = match open {
            None => c == '"' || c == '\'',
            Some(quote) => c == quote,
        };
        if is_quote {
            open = if open.is_none() { Some(c) } else { None };
            if !keep_quotes {
                continue;
            }
        }
        match parts.last_mut() {
            Some(part) if open.is_some() || is_quote || !is_separator(c) => part.push(c),
            _ => parts.push(String::new()),
        }
    }
    match open {
        None => Ok(parts),
        Some(quote) => Err(Error::invalid("chain", format!("a quote ({quote}) is not closed"))),
    }
}

/// A word as it must stand in a chain so that it is read back as one word.
fn quote(word: &str) -> String {
    let is_plain = |c: char| !(c.is_whitespace() || matches!(c, '|' | '"' | '\''));
    if word.chars().all(is_plain) {
        return word.to_owned();
    }
    // Double quotes go into single ones, everything else into double ones; pieces side by side are one word.
    let mut out = String::new();
    for piece in word.split_inclusive('"') {
        let (text, has_quote) = piece.strip_suffix('"').map_or((piece, false), |text| (text, true));
        if !text.is_empty() {
            out += &format!("\"{text}\"");
        }
        if has_quote {
            out += "'\"'";
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(&Registry::built_in(), text).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_line_becomes_stages_with_checked_parameters() {
        let line = "raw | normalise air=edges | ring.sort kernel_px=7 | recon.fbp filter=ramp | write.tiff type=u16";
        let Chain { steps, write, .. } = parse(&Registry::built_in(), line).unwrap();
        let ids: Vec<&str> = steps.iter().map(|s| s.params.info().id).collect();
        assert_eq!(ids, ["normalise", "ring.sort", "recon.fbp"]);
        assert_eq!(steps[1].params.int("kernel_px"), Some(7));
        assert_eq!(write.text("type"), Some("u16"));
    }

    #[test]
    fn errors_point_at_the_place_and_name_the_nearest_word() {
        let e = error("normalise | ring.sotr");
        assert!(e.starts_with("chain, stage 2 of 2: ") && e.contains("did you mean 'ring.sort'?"), "{e}");
        let e = error("normalise | ring.sort kernel=5");
        assert!(e.contains("unknown parameter 'kernel'") && e.contains("kernel_px"), "{e}");
        let e = error("ring.sort | normalise");
        assert_eq!(e, "chain, stage 2 of 2: normalise: takes counts, but here it gets sinogram");
        assert!(
            error("raw | recon.fbp").ends_with("takes a sinogram, but here it gets counts; put normalise before it")
        );
        assert!(error("normalise | | ring.sort").contains("stage 2 of 3: empty: the stage is empty"));
        assert!(error("").contains("the stage is empty"));
        assert!(error("write.tiff | normalise").contains("normalise: nothing can stand behind write.tiff"));
        assert!(error("normalise | raw").contains("at the start"));
        assert!(error("normalise air=off air=off").contains("set twice"));
        assert!(error("normalise \"air=off").contains("not closed"));
        assert!(error("raw").contains("no stage"));
    }

    #[test]
    fn quoted_words_keep_their_spaces() {
        assert_eq!(split("a b=\"c d\" e", char::is_whitespace).unwrap(), ["a", "b=c d", "e"]);
        assert_eq!(split("a x=\"1|2\" | b", |c| c == '|').unwrap(), ["a x=\"1|2\" ", " b"]);
        assert_eq!(quote("c d"), "\"c d\"");
        for word in ["plain", "c d", "it's", "a\"b", "\"", "a | 'b' \"c\""] {
            assert_eq!(split(&format!("x={} y", quote(word)), char::is_whitespace).unwrap()[0], format!("x={word}"));
        }
    }
}
