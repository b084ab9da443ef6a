//! The text form of a chain: `stage param=value ... | stage ...`.
//!
//! Must not know: scans, plans, engines.

use super::params::Params;
use super::registry::Registry;
use super::stage::StageFactory;
use super::write::WRITE_TIFF;
use crate::error::{Error, Result};
use crate::slab::Domain;
use std::sync::Arc;

/// One stage with its parameters.
#[derive(Clone)]
pub(super) struct Step {
    pub factory: Arc<dyn StageFactory>,
    pub params: Params,
}

/// Checked text: stages whose domains follow one another, and how to write.
pub(super) fn parse(registry: &Registry, text: &str) -> Result<(Vec<Step>, Params)> {
    let mut steps: Vec<Step> = Vec::new();
    let mut write = Params::defaults(&WRITE_TIFF);
    let parts = split(text, |c| c == '|')?;
    let count = parts.len();
    for (i, part) in parts.iter().enumerate() {
        let place = |e: Error| e.at(format!("chain, stage {} of {count}", i + 1));
        let words = split(part, char::is_whitespace).map_err(place)?;
        let mut words = words.iter().map(|w| w.as_str()).filter(|w| !w.is_empty());
        let Some(id) = words.next() else {
            return Err(place(Error::invalid("empty", "the stage is empty; expected 'stage param=value ...'")));
        };
        if id == "raw" {
            if i > 0 || words.next().is_some() {
                return Err(place(Error::invalid("raw", "raw takes no parameter and stands at the start of a chain")));
            }
            continue;
        }
        if id == WRITE_TIFF.id {
            if i + 1 < count {
                return Err(place(Error::invalid(id, "write.tiff stands at the end of a chain")));
            }
            set_all(&mut write, words).map_err(place)?;
            continue;
        }
        let factory = registry.find(id).map_err(place)?;
        let mut params = Params::defaults(factory.info());
        set_all(&mut params, words).map_err(place)?;
        steps.push(Step { factory, params });
    }
    check_domains(&steps)?;
    Ok((steps, write))
}

fn check_domains(steps: &[Step]) -> Result<()> {
    if steps.is_empty() {
        return Err(Error::invalid("chain", "the chain has no stage; the shortest is 'normalise'"));
    }
    let mut have = Domain::Counts;
    for step in steps {
        let info = step.factory.info();
        if info.input != have {
            let message = format!("takes a {}, but here it gets {}", info.input.name(), have.name());
            return Err(Error::invalid(format!("chain: {}", info.id), message));
        }
        have = info.output;
    }
    Ok(())
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

/// Splits outside double quotes, then drops the quotes of words: `dir="my scan"` is one word, `dir=my scan`.
fn split(text: &str, is_separator: impl Fn(char) -> bool) -> Result<Vec<String>> {
    let keep_quotes = is_separator('|');
    let (mut parts, mut quoted) = (vec![String::new()], false);
    for c in text.chars() {
        if c == '"' {
            quoted = !quoted;
            if !keep_quotes {
                continue;
            }
        }
        match parts.last_mut() {
            Some(part) if quoted || !is_separator(c) => part.push(c),
            _ => parts.push(String::new()),
        }
    }
    if quoted {
        return Err(Error::invalid("chain", "a double quote is not closed"));
    }
    Ok(parts)
}

/// A word as it must stand in a chain so that it is read back as one word.
pub(super) fn quote(word: &str) -> String {
    if word.contains(|c: char| c.is_whitespace() || c == '|') { format!("\"{word}\"") } else { word.to_owned() }
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
        let (steps, write) = parse(&Registry::built_in(), line).unwrap();
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
        assert_eq!(e, "chain: ring.sort: takes a sinogram, but here it gets counts");
        assert!(error("normalise | | ring.sort").contains("stage 2 of 3: empty: the stage is empty"));
        assert!(error("").contains("the stage is empty"));
        assert!(error("write.tiff | normalise").contains("at the end"));
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
    }
}
