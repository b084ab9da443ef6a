//! File names of slices that are written.
//!
//! Must not know: what is in the files.

use super::stack::is_tiff;
use crate::error::{Error, Result};

/// Name of the file of each slice.
#[derive(Clone, Debug, PartialEq)]
pub struct FileNames(Kind);

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// `head`, slice number + `first` in at least `digits` digits, `tail`.
    Numbered { head: String, digits: usize, tail: String, first: usize },
    /// One for each slice.
    Listed(Vec<String>),
}

impl FileNames {
    /// `rec00000.tif`: `prefix`, slice number + `first` in five digits.
    pub fn numbered(prefix: &str, first: usize) -> Self {
        FileNames(Kind::Numbered { head: prefix.to_owned(), digits: 5, tail: ".tif".to_owned(), first })
    }
    /// A pattern with one place for the number, as C's printf: `a%05d.tif` has five digits, `a%d.tif` as many as are needed,
    /// `a%0*d.tif` as many as the last of `count` slices needs. `%%` is a percent sign.
    ///
    /// Errors: `INVALID` for another number of places, a name that is in another folder or that of no TIFF file.
    pub fn pattern(text: &str, first: usize, count: usize) -> Result<Self> {
        let bad = |what: &str| {
            let accepted = "expected one place for the number, such as a%05d.tif, %d.tif or %0*d.tif";
            Err(Error::invalid("names", format!("{what}; {accepted}")).with("names", format!("'{text}'")))
        };
        if text.contains(['/', '\\']) || !is_tiff(text) || text.starts_with('.') {
            return bad("not the name of a TIFF file");
        }
        let (mut head, mut tail, mut digits) = (String::new(), String::new(), None);
        let mut rest = text.chars();
        while let Some(c) = rest.next() {
            let out = if digits.is_some() { &mut tail } else { &mut head };
            if c != '%' {
                out.push(c);
                continue;
            }
            if let Some(after) = rest.as_str().strip_prefix('%') {
                out.push('%');
                rest = after.chars();
                continue;
            }
            let Some((width, after)) = rest.as_str().split_once('d') else { return bad("a % without d") };
            let wide = match width {
                "" => Some(1),
                "0*" => Some((first + count.saturating_sub(1)).to_string().len()),
                _ => width.strip_prefix('0').and_then(|w| w.parse().ok()).filter(|w| (1..=20).contains(w)),
            };
            match (wide, digits) {
                (Some(wide), None) => digits = Some(wide),
                (None, _) => return bad("a width that is not understood"),
                (_, Some(_)) => return bad("two places for the number"),
            }
            rest = after.chars();
        }
        let Some(digits) = digits else { return bad("no place for the number") };
        Ok(FileNames(Kind::Numbered { head, digits, tail, first }))
    }
    /// The names of `names`, one for each slice.
    ///
    /// Errors: `INVALID` if one occurs twice.
    pub fn listed(names: &[String]) -> Result<Self> {
        let mut sorted: Vec<&String> = names.iter().collect();
        sorted.sort();
        if let Some(twice) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            let message = format!("names=keep: {} occurs twice among the slices that are read", twice[0]);
            return Err(Error::invalid("names", message));
        }
        Ok(FileNames(Kind::Listed(names.to_vec())))
    }
    /// Name of the file of slice `z`.
    pub fn name(&self, z: usize) -> String {
        match &self.0 {
            Kind::Numbered { head, digits, tail, first } => format!("{head}{:0digits$}{tail}", z + first),
            // As many as there are slices.
            Kind::Listed(names) => names.get(z).cloned().unwrap_or_else(|| format!("{z:05}.tif")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_that_of_printf() {
        let name = |text: &str, first, z| FileNames::pattern(text, first, 128).unwrap().name(z);
        assert_eq!(name("a%05d.tif", 1, 0), "a00001.tif");
        assert_eq!(name("%d.tif", 0, 12), "12.tif");
        assert_eq!(name("%0*d.tif", 0, 7), "007.tif");
        assert_eq!(name("x%%%03d_%%.tiff", 900, 127), "x%1027_%.tiff");
        for bad in ["a.tif", "%d%d.tif", "%5d.tif", "%x.tif", "../%d.tif", "%d.png", "%0*d", "%.tif", ".%d.tif"] {
            let e = FileNames::pattern(bad, 0, 9).unwrap_err().to_string();
            assert!(e.contains("expected one place") && e.contains(bad), "{e}");
        }
        let twice = ["a.tif", "b.tif", "a.tif"].map(String::from);
        assert!(FileNames::listed(&twice).unwrap_err().to_string().contains("a.tif occurs twice"));
        assert_eq!(FileNames::listed(&twice[..2]).unwrap().name(1), "b.tif");
    }
}
