//! The record of a run in its output folder: what was asked, what was found, which slices are finished.
//!
//! One text file, `wagiri-run.txt`. Its head is written before the first slice, checked by a fingerprint and forced to the
//! disk, and never changed. After it comes one line for each file that is whole under its final name. A line is appended
//! after the file was renamed, so that a process that is killed at any moment has at most done slices that are not in the
//! record: those that were being written, and one that just got its name. They are done again, with the same bytes. A
//! power cut may lose the end of the record (the same), or files that the record names: their lengths are compared with
//! the recorded ones, and what is missing or short is done again.
//!
//! Old slices of the same name are no danger: the head replaces the old record before the first slice is written, and only
//! the record makes a slice count as finished.
//!
//! The file is rewritten in place and not renamed, because it is locked while a run is under way, and the lock belongs to
//! the file, not to its name. The system drops the lock with the process, however that ends.

use crate::error::{Error, Result};
use crate::io::Written;
use crate::scan::Fingerprint;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Name of the record in the output folder.
pub const RECORD: &str = "wagiri-run.txt";
/// First line; the number is that of this form of the file.
const TITLE: &str = "wagiri run 1";
/// A record has some tens of bytes per slice; more is another file.
const MAX_BYTES: u64 = 256 << 20;
/// How long a lock is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// What a run found out and a run that continues it must use again.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    /// The chain with every value that was found.
    pub chain: String,
    /// See [`super::survey::Survey`].
    pub edge_over_mean: f64,
    /// One per view.
    pub black_views: Arc<[bool]>,
    /// What was said before the first slab.
    pub remarks: Vec<String>,
    /// Slices are collected in 32 bits first.
    pub collects: bool,
}

/// The head of a record.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Manifest {
    /// Name and value of everything that must be the same when the run is continued.
    pub asked: Vec<(String, String)>,
    pub rows: Range<usize>,
    pub known: Known,
}

impl Manifest {
    fn text(&self) -> String {
        let mut text = format!("{TITLE}\n");
        let mut line = |name: &str, value: &str| {
            // Writing to a String does not fail.
            let _ =
                writeln!(text, "{name} = {}", value.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r"));
        };
        for (name, value) in &self.asked {
            line(&format!("asked {name}"), value);
        }
        let known = &self.known;
        line("rows", &format!("{}..{}", self.rows.start, self.rows.end));
        line("found", &known.chain);
        line("edge_over_mean", &format!("{:016x}", known.edge_over_mean.to_bits()));
        line("views", &known.black_views.len().to_string());
        let black: Vec<String> =
            known.black_views.iter().enumerate().filter(|(_, b)| **b).map(|(i, _)| i.to_string()).collect();
        line("black", &black.join(" "));
        line("collects", if known.collects { "yes" } else { "no" });
        known.remarks.iter().for_each(|remark| line("remark", remark));
        let check = fingerprint(&text);
        let _ = writeln!(text, "check = {check}");
        text
    }
    /// The head at the start of `text`, and where it ends.
    fn parse(text: &str) -> Option<(Manifest, usize)> {
        let body = text.strip_prefix(TITLE)?.strip_prefix('\n')?;
        let check_at = TITLE.len() + body.find("\ncheck = ")? + 2;
        let end = check_at + text[check_at..].find('\n')? + 1;
        if text[check_at..end].trim_end() != format!("check = {}", fingerprint(&text[..check_at])) {
            return None;
        }
        let mut asked = Vec::new();
        let (mut rows, mut chain, mut edge, mut views, mut black, mut collects) = (None, None, None, None, None, None);
        let mut remarks = Vec::new();
        for line in text[TITLE.len() + 1..check_at].lines() {
            let (name, value) = line.split_once(" = ")?;
            let value = unescape(value);
            match name {
                "rows" => rows = value.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?)),
                "found" => chain = Some(value),
                "edge_over_mean" => edge = u64::from_str_radix(&value, 16).ok().map(f64::from_bits),
                "views" => views = value.parse::<usize>().ok(),
                "black" => {
                    black = value.split_whitespace().map(|n| n.parse::<usize>().ok()).collect::<Option<Vec<_>>>()
                }
                "collects" => collects = Some(value == "yes"),
                "remark" => remarks.push(value),
                _ => asked.push((name.strip_prefix("asked ")?.to_owned(), value)),
            }
        }
        let (views, black) = (views?, black?);
        let black_views = (0..views).map(|i| black.contains(&i)).collect();
        let known = Known { chain: chain?, edge_over_mean: edge?, black_views, remarks, collects: collects? };
        Some((Manifest { asked, rows: rows?, known }, end))
    }
}

fn fingerprint(text: &str) -> Fingerprint {
    let mut hash = Fingerprint::default();
    hash.add_bytes(text.as_bytes());
    hash
}

fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some(other)) => out.push(other),
            _ => out.push(c),
        }
    }
    out
}

/// One line for each finished file: `slice 12 67108864 beb2d05e 3f99999a`; `waiting` instead of `slice` in `float32`.
fn entry(file: &Written) -> String {
    let word = if file.waiting { "waiting" } else { "slice" };
    let (low, high) = (file.range.0.to_bits(), file.range.1.to_bits());
    format!("{word} {} {} {low:08x} {high:08x}\n", file.z, file.bytes)
}

fn parse_entry(line: &str) -> Option<Written> {
    let words: Vec<&str> = line.split(' ').collect();
    let [word, z, bytes, low, high] = words[..] else { return None };
    let bits = |text: &str| (text.len() == 8).then(|| u32::from_str_radix(text, 16).ok()).flatten().map(f32::from_bits);
    let waiting = match word {
        "slice" => false,
        "waiting" => true,
        _ => return None,
    };
    Some(Written { z: z.parse().ok()?, bytes: bytes.parse().ok()?, range: (bits(low)?, bits(high)?), waiting })
}

/// What a record tells of an earlier run.
pub(super) enum Earlier {
    /// Nothing: the file is new.
    None,
    /// It cannot be read: damaged, or something else.
    Unreadable,
    /// A run, and the files that it finished, in the order of time.
    Run(Manifest, Vec<Written>),
}

/// The record of an output folder, locked for this process until it is dropped.
pub(super) struct Record {
    file: File,
    path: PathBuf,
    /// Where the lines that are understood end.
    end: u64,
}

impl Record {
    /// Opens and locks the record in `dir`; makes it if `make`, else `None` if there is none.
    pub fn open(dir: &Path, make: bool) -> Result<Option<(Record, Earlier)>> {
        let path = dir.join(RECORD);
        let failed = |action, e| Error::io(path.display(), action, e);
        let file = match OpenOptions::new().read(true).write(true).create(make).truncate(false).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && !make => return Ok(None),
            Err(e) => return Err(failed("open", e)),
        };
        let waited = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                // A process that was killed keeps its lock until the system has taken its memory back.
                Err(TryLockError::WouldBlock) if waited.elapsed() < LOCK_PATIENCE => thread::sleep(LOCK_PATIENCE / 50),
                Err(TryLockError::WouldBlock) => {
                    let message = "another run is writing to this folder; wait for its end, or choose another folder";
                    return Err(Error::invalid(dir.display(), message));
                }
                // Some network file systems have no locks; the rest works without.
                Err(TryLockError::Error(e)) => {
                    log::debug!("{}: cannot be locked: {e}", path.display());
                    break;
                }
            }
        }
        let mut record = Record { file, path, end: 0 };
        let earlier = record.read()?;
        Ok(Some((record, earlier)))
    }
    fn read(&mut self) -> Result<Earlier> {
        let failed = |e| Error::io(self.path.display(), "read", e);
        let length = self.file.metadata().map_err(failed)?.len();
        if length == 0 {
            return Ok(Earlier::None);
        }
        let mut bytes = Vec::new();
        (&self.file).take(MAX_BYTES.min(length)).read_to_end(&mut bytes).map_err(failed)?;
        // A cut-off or overwritten tail need not be text.
        let valid = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let Some((manifest, head)) = Manifest::parse(valid) else { return Ok(Earlier::Unreadable) };
        let (mut files, mut end) = (Vec::new(), head);
        for line in valid[head..].split_inclusive('\n') {
            // A line without its end was being written when the process was killed; behind it nothing is known.
            let Some(file) = line.strip_suffix('\n').and_then(parse_entry) else { break };
            files.push(file);
            end += line.len();
        }
        self.end = end as u64;
        Ok(Earlier::Run(manifest, files))
    }
    /// Replaces all that is there by the head of a new run, and waits until it is on the disk.
    pub fn begin(&mut self, manifest: &Manifest) -> Result<()> {
        let text = manifest.text();
        let mut write = || -> std::io::Result<()> {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(text.as_bytes())?;
            self.file.sync_all()
        };
        write().map_err(|e| Error::io(self.path.display(), "write", e))?;
        // Its name too, where the system lets a folder be opened and forced; others do it by themselves.
        if let Some(Ok(folder)) = self.path.parent().map(File::open) {
            let _ = folder.sync_all();
        }
        Ok(())
    }
    /// Drops what was not understood at the end, so that new lines follow whole ones.
    pub fn append(&mut self) -> Result<()> {
        let end = self.end;
        let cut = self.file.set_len(end).and_then(|()| self.file.seek(SeekFrom::Start(end)));
        cut.map(|_| ()).map_err(|e| Error::io(self.path.display(), "write", e))
    }
    /// Adds a finished file.
    pub fn add(&mut self, file: &Written) -> Result<()> {
        // One call, so that a line is rarely cut off.
        self.file.write_all(entry(file).as_bytes()).map_err(|e| Error::io(self.path.display(), "write", e))
    }
    /// Removes the record of a folder that a run without record writes to.
    pub fn forget(dir: &Path) -> Result<()> {
        let Some((record, _)) = Record::open(dir, false)? else { return Ok(()) };
        let path = record.path.clone();
        drop(record);
        std::fs::remove_file(&path).map_err(|e| Error::io(path.display(), "remove", e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let known = Known {
            chain: "raw | normalise | recon.fbp center_px=17.3 | write.tiff".into(),
            edge_over_mean: 0.1 + 0.2,
            black_views: [false, true, false].into(),
            remarks: vec!["two\nlines and a \\ \r".into()],
            collects: true,
        };
        Manifest { asked: vec![("chain".into(), "a = b".into()), ("x".into(), String::new())], rows: 3..9, known }
    }

    fn written(z: usize, waiting: bool) -> Written {
        Written { z, bytes: 1234, range: (-0.1, f32::MAX), waiting }
    }

    #[test]
    fn a_record_comes_back_as_it_was_written_and_tails_are_cut() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Record::open(dir.path(), false).unwrap().is_none());
        let (mut record, earlier) = Record::open(dir.path(), true).unwrap().unwrap();
        assert!(matches!(earlier, Earlier::None));
        record.begin(&manifest()).unwrap();
        for z in 3..6 {
            record.add(&written(z, z > 3)).unwrap();
        }
        let whole = std::fs::read(dir.path().join(RECORD)).unwrap();
        // While one has it, no other does.
        assert!(Record::open(dir.path(), true).is_err_and(|e| e.to_string().contains("another run is writing")));
        drop(record);
        let last_line = whole[..whole.len() - 1].iter().rposition(|b| *b == b'\n').unwrap() + 1;
        for cut in [whole.len(), whole.len() - 1, whole.len() - 9, last_line] {
            let mut bytes = whole[..cut].to_vec();
            bytes.extend(b"\0\0\xffslice");
            std::fs::write(dir.path().join(RECORD), bytes).unwrap();
            let (mut record, earlier) = Record::open(dir.path(), false).unwrap().unwrap();
            let Earlier::Run(read, files) = earlier else { panic!("{cut}") };
            let count = if cut == whole.len() { 3 } else { 2 };
            assert_eq!((&read, files.len(), files[1]), (&manifest(), count, written(4, true)), "{cut}");
            record.append().unwrap();
            record.add(&written(8, false)).unwrap();
            drop(record);
            let (_, earlier) = Record::open(dir.path(), false).unwrap().unwrap();
            let Earlier::Run(_, files) = earlier else { panic!("{cut}") };
            assert_eq!(files[count..], [written(8, false)]);
        }
    }

    #[test]
    fn a_damaged_head_is_never_believed() {
        let text = manifest().text();
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1;
            let damaged = String::from_utf8_lossy(&bytes).into_owned();
            assert!(Manifest::parse(&damaged).is_none(), "byte {at}: {damaged}");
            assert!(Manifest::parse(&text[..at]).is_none(), "cut at {at}");
        }
        for bad in
            ["slice 1 2 3 4", "slice x 1 00000000 00000000", "slice 1 1 00000000", "", "other 1 1 00000000 00000000"]
        {
            assert!(parse_entry(bad).is_none(), "{bad}");
        }
    }
}
