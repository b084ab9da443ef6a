//! Checked, defaulted parameter values of one stage.

use super::stage::{ParamInfo, ParamKind, ParamValue, StageInfo};
use crate::error::{Error, Result};
use std::borrow::Cow;

/// Values in the order in which the stage declares them.
#[derive(Clone, Debug)]
pub struct Params {
    info: &'static StageInfo,
    values: Vec<ParamValue>,
}

impl Params {
    /// All defaults.
    pub fn defaults(info: &'static StageInfo) -> Self {
        Params { info, values: info.params.iter().map(|p| p.default.clone()).collect() }
    }
    /// The stage that these belong to.
    pub fn info(&self) -> &'static StageInfo {
        self.info
    }
    /// Values beside their descriptions.
    pub fn iter(&self) -> impl Iterator<Item = (&'static ParamInfo, &ParamValue)> {
        self.info.params.iter().zip(&self.values)
    }
    /// Those that are not at their default.
    pub fn changed(&self) -> impl Iterator<Item = (&'static ParamInfo, &ParamValue)> {
        self.iter().filter(|(info, value)| info.default != **value)
    }
    /// Sets a parameter from text, as it stands in a chain, a dialog or on a command line.
    pub fn set_text(&mut self, name: &str, text: &str) -> Result<()> {
        let index = self.index(name)?;
        self.values[index] = parse(self.info.id, &self.info.params[index], text)?;
        Ok(())
    }
    /// Sets a parameter from a value that already has its type.
    pub fn set(&mut self, name: &str, value: ParamValue) -> Result<()> {
        self.set_text(name, &value.to_string())
    }
    fn index(&self, name: &str) -> Result<usize> {
        self.info.params.iter().position(|p| p.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.info.params.iter().map(|p| p.name).collect();
            let hint = nearest(name, &names).map_or(String::new(), |n| format!("; did you mean '{n}'?"));
            let known =
                if names.is_empty() { "it takes none".into() } else { format!("it takes {}", names.join(", ")) };
            Error::not_found(self.info.id, format!("unknown parameter '{name}'{hint} ({known})"))
        })
    }
    /// Value of a declared parameter.
    ///
    /// # Panics
    /// If the stage did not declare it: a defect of the stage, not of its user.
    pub fn get(&self, name: &str) -> &ParamValue {
        let index = self.info.params.iter().position(|p| p.name == name);
        &self.values[index.unwrap_or_else(|| panic!("{} declares no parameter {name}", self.info.id))]
    }
    /// Number, or `None` for `auto`. Panics like [`Params::get`].
    pub fn float(&self, name: &str) -> Option<f64> {
        match self.get(name) {
            ParamValue::Float(v) => Some(*v),
            ParamValue::Int(v) => Some(*v as f64),
            _ => None,
        }
    }
    /// Whole number, or `None` for `auto`. Panics like [`Params::get`].
    pub fn int(&self, name: &str) -> Option<i64> {
        if let ParamValue::Int(v) = self.get(name) { Some(*v) } else { None }
    }
    /// Flag. Panics like [`Params::get`].
    pub fn bool(&self, name: &str) -> bool {
        matches!(self.get(name), ParamValue::Bool(true))
    }
    /// Word or text, or `None` for `auto`. Panics like [`Params::get`].
    pub fn text(&self, name: &str) -> Option<&str> {
        if let ParamValue::Text(v) = self.get(name) { Some(v) } else { None }
    }
}

/// The value that `text` stands for, if the description accepts it.
pub(crate) fn parse(stage: &str, info: &ParamInfo, text: &str) -> Result<ParamValue> {
    if info.auto && text.eq_ignore_ascii_case("auto") {
        return Ok(ParamValue::Auto);
    }
    let or_auto = if info.auto { " or auto" } else { "" };
    let range = info.range.map_or(String::new(), |(lo, hi)| match (lo.is_finite(), hi.is_finite()) {
        (true, true) => format!(" from {lo} to {hi}"),
        (true, false) => format!(" of at least {lo}"),
        (false, true) => format!(" of at most {hi}"),
        (false, false) => String::new(),
    });
    let bad = |accepted: String| {
        Error::invalid(stage, format!("{}: expected {accepted}{or_auto}", info.name)).with("value", format!("'{text}'"))
    };
    let in_range = |v: f64| v.is_finite() && info.range.is_none_or(|(lo, hi)| v >= lo && v <= hi);
    match info.kind {
        ParamKind::Int => match text.parse::<i64>() {
            Ok(v) if in_range(v as f64) => Ok(ParamValue::Int(v)),
            _ => Err(bad(format!("a whole number{range}"))),
        },
        ParamKind::Float => match text.parse::<f64>() {
            // -0 becomes 0, so that a chain that is written down and read again is the same.
            Ok(v) if in_range(v) => Ok(ParamValue::Float(v + 0.0)),
            _ => Err(bad(format!("a number{range}"))),
        },
        ParamKind::Bool => match text {
            "true" | "yes" | "on" | "1" => Ok(ParamValue::Bool(true)),
            "false" | "no" | "off" | "0" => Ok(ParamValue::Bool(false)),
            _ => Err(bad("true or false".into())),
        },
        ParamKind::Choice(words) => match words.iter().find(|w| **w == text) {
            Some(word) => Ok(ParamValue::Text(Cow::Borrowed(word))),
            None => Err(bad(format!("one of {}", words.join(", ")))),
        },
        ParamKind::Text => Ok(ParamValue::Text(Cow::Owned(text.to_owned()))),
    }
}

impl std::fmt::Display for ParamValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ParamValue::Auto => f.write_str("auto"),
            ParamValue::Int(v) => write!(f, "{v}"),
            ParamValue::Float(v) => write!(f, "{v}"),
            ParamValue::Bool(v) => write!(f, "{v}"),
            ParamValue::Text(v) => f.write_str(v),
        }
    }
}

/// The candidate closest to a mistyped word, if any is close (edit distance at most 2, or a third of the word), or else the
/// first of which the word is a part: `size` for `size_px`, `fbp` for `recon.fbp`.
pub fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let best = candidates.iter().map(|c| (edit_distance(word, c), *c)).min()?;
    if best.0 <= 2.max(word.chars().count() / 3) {
        return Some(best.1);
    }
    let is_part = |c: &&&str| c.split(['.', '_', '-']).any(|part| part == word) || c.starts_with(word);
    candidates.iter().find(is_part).copied().filter(|_| word.len() > 2)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let replace = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::Domain;

    static INFO: StageInfo = StageInfo {
        id: "ring.sort",
        summary: "",
        input: Domain::Sinogram,
        output: Domain::Sinogram,
        params: &[
            ParamInfo::new("kernel_px", ParamKind::Int, "px", ParamValue::Int(5), "").range(0.0, 1001.0),
            ParamInfo::choice("mode", &["fast", "good"], "fast", "").or_auto(),
        ],
    };

    #[test]
    fn values_are_checked_against_their_description() {
        let mut p = Params::defaults(&INFO);
        assert_eq!(p.int("kernel_px"), Some(5));
        p.set_text("kernel_px", "11").unwrap();
        p.set_text("mode", "good").unwrap();
        assert_eq!((p.int("kernel_px"), p.text("mode")), (Some(11), Some("good")));
        p.set_text("mode", "auto").unwrap();
        assert_eq!(p.text("mode"), None);
        let e = p.set_text("kernel_px", "-1").unwrap_err().to_string();
        assert_eq!(e, "ring.sort: kernel_px: expected a whole number from 0 to 1001 (value = '-1')");
        let e = p.set_text("mode", "bad").unwrap_err().to_string();
        assert_eq!(e, "ring.sort: mode: expected one of fast, good or auto (value = 'bad')");
        let e = p.set_text("kernal_px", "5").unwrap_err().to_string();
        assert!(e.contains("did you mean 'kernel_px'?"), "{e}");
        let e = p.set_text("kernel", "5").unwrap_err().to_string();
        assert!(e.contains("did you mean 'kernel_px'?"), "{e}");
        assert_eq!(nearest("fbp", &["ring.sort", "recon.fbp"]), Some("recon.fbp"));
        assert_eq!(nearest("banana", &["ring.sort", "recon.fbp"]), None);
    }
}
