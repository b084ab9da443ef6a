//! A file beside the slices, such as a table, a picture or a surface. It has its name only when it is whole: until then it is
//! hidden, and goes away if it is not finished.

use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A file that is being written.
pub struct Aside {
    path: PathBuf,
    part: PathBuf,
    /// `None` once it is finished.
    file: Option<BufWriter<File>>,
}

impl Aside {
    /// Refuses a path that cannot become a file: no folder, or a folder itself.
    pub fn check(path: &Path) -> Result<()> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if path.file_name().is_none() || path.is_dir() || !folder.is_dir() {
            return Err(Error::invalid(path.display(), "not a file in a folder that exists; expected one"));
        }
        Ok(())
    }
    /// Begins a file, which proves that the folder can be written to.
    pub fn create(path: &Path) -> Result<Self> {
        Aside::check(path)?;
        let part = path.with_file_name(format!(".{}.part", path.file_name().unwrap_or_default().to_string_lossy()));
        let file = File::create(&part).map_err(|e| Error::io(path.display(), "create", e))?;
        Ok(Aside { path: path.to_owned(), part, file: Some(BufWriter::new(file)) })
    }
    /// Where it will be.
    pub fn path(&self) -> &Path {
        &self.path
    }
    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write_all(bytes));
        written.map_err(|e| Error::io(self.path.display(), "write", e))
    }
    /// Replaces bytes at a place that was written before.
    pub fn patch(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        let patch = |file: &mut BufWriter<File>| {
            file.seek(SeekFrom::Start(at))?;
            file.write_all(bytes)?;
            file.seek(SeekFrom::End(0)).map(|_| ())
        };
        self.file.as_mut().map_or(Ok(()), patch).map_err(|e| Error::io(self.path.display(), "write", e))
    }
    /// Gives it its name, in place of what may have had it.
    pub fn finish(mut self) -> Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let named = file.into_inner().map_err(|e| e.into_error()).and_then(|file| {
            file.sync_all()?;
            drop(file);
            fs::rename(&self.part, &self.path)
        });
        named.map_err(|e| {
            // Nothing more can be done if it cannot be removed either.
            let _ = fs::remove_file(&self.part);
            Error::io(self.path.display(), "write", e)
        })
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Nobody can be told.
            let _ = fs::remove_file(&self.part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_when_it_is_whole_and_not_before() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("table.csv");
        let names = || super::super::folder_names(dir.path()).expect("a folder");
        let mut file = Aside::create(&path).expect("a file");
        file.write(b"0000 rest").expect("bytes");
        assert_eq!(names(), [""; 0]);
        drop(file);
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 0);
        let mut file = Aside::create(&path).expect("a file");
        file.write(b"0000 rest").expect("bytes");
        file.patch(2, b"17").expect("bytes");
        file.write(b" end").expect("bytes");
        file.finish().expect("a name");
        assert_eq!(
            (fs::read(&path).expect("the file").as_slice(), names()),
            (&b"0017 rest end"[..], vec!["table.csv".into()])
        );
        for bad in [dir.path().to_owned(), dir.path().join("nowhere/x.csv"), PathBuf::from("..")] {
            let refused = Aside::create(&bad).err().expect("no file").to_string();
            assert!(refused.contains("not a file in a folder that exists"), "{refused}");
        }
    }
}
