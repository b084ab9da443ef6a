//! What the subsets of a scan were made from: `n2i.toml` in the work folder. Small, and replaced as a whole.

use super::super::spec::toml_text;
use crate::error::{Error, Result};
use crate::io::Aside;
use crate::scan::Fingerprint;
use std::fs;
use std::ops::Range;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// Name of the record.
pub const WORK_FILE: &str = "n2i.toml";
/// Of this form of the file.
const FORM: u64 = 1;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    /// The chain that was asked for.
    pub asked: String,
    /// The same with every value that was found, stages behind the reconstruction included.
    pub chain: String,
    /// Where the scan is.
    pub scan: String,
    /// Changes when the frames or their angles do.
    pub frames: String,
    pub subsets: usize,
    pub views: usize,
    pub rows: Range<usize>,
    pub pixel_um: f64,
    pub edge_over_mean: f64,
    /// Numbers of views.
    pub black_views: Vec<usize>,
    /// All slices of all subsets are there.
    pub complete: bool,
}

impl Record {
    fn text(&self) -> String {
        let Record { subsets, views, rows, pixel_um, edge_over_mean, complete, .. } = self;
        let black: Vec<String> = self.black_views.iter().map(ToString::to_string).collect();
        let mut text =
            format!("# What the subsets of views in this folder were made from (wagiri {}).\n", crate::VERSION);
        text += &format!("form = {FORM}\ncomplete = {complete}\n");
        for (name, value) in
            [("chain", &self.chain), ("asked", &self.asked), ("scan", &self.scan), ("frames", &self.frames)]
        {
            text += &format!("{name} = {}\n", toml_text(value));
        }
        text += &format!("subsets = {subsets}\nviews = {views}\nrows = \"{}..{}\"\n", rows.start, rows.end);
        text += &format!("pixel_um = {pixel_um:?}\nedge_over_mean = {edge_over_mean:?}\n");
        text + &format!("black_views = \"{}\"\n", black.join(" "))
    }
    fn parse(text: &str) -> Option<Record> {
        let table = DeTable::parse(text).ok()?;
        let value = |name: &str| table.get_ref().get(name).map(|value| value.get_ref());
        let word = |name: &str| value(name).and_then(DeValue::as_str).map(str::to_owned);
        let number = |name: &str| match value(name)? {
            DeValue::Integer(number) => number.as_str().parse::<f64>().ok(),
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => None,
        };
        let whole =
            |name: &str| number(name).filter(|v| v.fract() == 0.0 && (0.0..1e12).contains(v)).map(|v| v as usize);
        let rows = word("rows")?;
        let (first, end) = rows.split_once("..")?;
        let record = Record {
            asked: word("asked")?,
            chain: word("chain")?,
            scan: word("scan")?,
            frames: word("frames")?,
            subsets: whole("subsets").filter(|count| (2..=64).contains(count))?,
            views: whole("views")?,
            rows: first.parse().ok()?..end.parse().ok()?,
            pixel_um: number("pixel_um")?,
            edge_over_mean: number("edge_over_mean")?,
            black_views: word("black_views")?.split_whitespace().map(|n| n.parse().ok()).collect::<Option<_>>()?,
            complete: matches!(value("complete")?, DeValue::Boolean(true)),
        };
        (whole("form") == Some(FORM as usize) && record.rows.start < record.rows.end).then_some(record)
    }
    /// The record in `work`; `None` if there is none.
    pub fn read(work: &Path) -> Result<Option<Record>> {
        let path = work.join(WORK_FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(path.display(), "read", e)),
        };
        let message = "not what n2i split writes, or damaged; make the subsets again, without resume";
        Record::parse(&text).map(Some).ok_or_else(|| Error::format(path.display(), message))
    }
    pub fn write(&self, work: &Path) -> Result<()> {
        let mut file = Aside::create(&work.join(WORK_FILE))?;
        file.write(self.text().as_bytes())?;
        file.finish()
    }
    /// Changes when the volumes do.
    pub fn fingerprint(&self) -> String {
        let mut hash = Fingerprint::default();
        hash.add_bytes(Record { complete: true, ..self.clone() }.text().as_bytes());
        hash.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_and_a_damaged_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Record::read(dir.path()).unwrap(), None);
        let record = Record {
            asked: "raw | normalise | recon.fbp".into(),
            chain: "raw | normalise | recon.fbp center_px=\"0:3,9:4\"".into(),
            scan: "C:\\scan \"1\"".into(),
            frames: "two lines\nof text".into(),
            subsets: 4,
            views: 123,
            rows: 3..40,
            pixel_um: 1.0,
            edge_over_mean: 0.1 + 0.2,
            black_views: vec![5, 17],
            complete: true,
        };
        record.write(dir.path()).unwrap();
        assert_eq!(Record::read(dir.path()).unwrap().as_ref(), Some(&record));
        let text = record.text();
        for (old, new) in [
            ("subsets = 4", "subsets = 1"),
            ("rows = \"3..40\"", "rows = \"3..3\""),
            ("form = 1", "form = 2"),
            ("\nviews = ", "\nv = "),
        ] {
            fs::write(dir.path().join(WORK_FILE), text.replacen(old, new, 1)).unwrap();
            assert!(Record::read(dir.path()).is_err_and(|e| e.to_string().contains("n2i.toml: not what")), "{new}");
        }
        assert_eq!(record.fingerprint(), Record { complete: false, ..record.clone() }.fingerprint());
        assert_ne!(record.fingerprint(), Record { pixel_um: 2.0, ..record.clone() }.fingerprint());
    }
}
