//! The one error type, and the one table that maps its kinds to C statuses, Java codes and exit codes.
//!
//! Must not know: anything else of the crate.

use std::fmt::{self, Display, Write as _};

/// Result of every fallible function in the crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong, for programs. People read the message.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// An argument, option or parameter is outside what is accepted.
    Invalid,
    /// A file, folder, frame, stage or parameter that was named does not exist.
    NotFound,
    /// The input is valid, but of a kind that this version does not handle.
    Unsupported,
    /// A file is malformed or truncated, or its parts contradict each other.
    Format,
    /// The operating system refused to read or write.
    Io,
    /// A memory budget, disk space or size limit does not suffice.
    Limit,
    /// A device, driver or optional component is not there.
    Unavailable,
    /// The caller asked to stop.
    Cancelled,
    /// A plugin could not be loaded, broke its contract, or failed.
    Plugin,
    /// A defect of wagiri itself; please report it.
    Internal,
}

/// One row per kind: kind, C status, name (C suffix and Java constant), process exit code.
///
/// Exit code 2 for wrong arguments and 130 for a cancelled run follow the conventions of Unix shells.
pub const ERROR_TABLE: &[(ErrorKind, i32, &str, u8)] = &[
    (ErrorKind::Invalid, 1, "INVALID", 2),
    (ErrorKind::NotFound, 2, "NOT_FOUND", 3),
    (ErrorKind::Unsupported, 3, "UNSUPPORTED", 4),
    (ErrorKind::Format, 4, "FORMAT", 5),
    (ErrorKind::Io, 5, "IO", 6),
    (ErrorKind::Limit, 6, "LIMIT", 7),
    (ErrorKind::Unavailable, 7, "UNAVAILABLE", 8),
    (ErrorKind::Cancelled, 8, "CANCELLED", 130),
    (ErrorKind::Plugin, 9, "PLUGIN", 9),
    (ErrorKind::Internal, 10, "INTERNAL", 70),
];

impl ErrorKind {
    fn row(self) -> &'static (ErrorKind, i32, &'static str, u8) {
        ERROR_TABLE.iter().find(|row| row.0 == self).unwrap_or(&ERROR_TABLE[ERROR_TABLE.len() - 1])
    }
    /// Value of `wagiri_status` in the C ABI; 0 is success and never an error.
    pub fn status(self) -> i32 {
        self.row().1
    }
    /// `NOT_FOUND`, ...: the C constant without its prefix, and the Java enum constant.
    pub fn name(self) -> &'static str {
        self.row().2
    }
    /// Exit code of the command line programs.
    pub fn exit_code(self) -> u8 {
        self.row().3
    }
}

/// An error: a kind for programs, and one sentence for people that says where, what, and what would be accepted.
///
/// Shown as `place: message (name = value, ...)`.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    place: String,
    message: String,
    values: Vec<(&'static str, String)>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {
        $($(#[$doc])* pub fn $name(place: impl Display, message: impl Display) -> Self {
            Self::new(ErrorKind::$kind, place, message)
        })*
    };
}

impl Error {
    /// `place` is a stage id, a file, or an option; `message` says what is wrong and what would be accepted.
    pub fn new(kind: ErrorKind, place: impl Display, message: impl Display) -> Self {
        Error { kind, place: place.to_string(), message: message.to_string(), values: Vec::new(), source: None }
    }
    constructors! {
        /// An argument outside what is accepted.
        invalid => Invalid;
        /// Something named does not exist.
        not_found => NotFound;
        /// Valid, but not handled.
        unsupported => Unsupported;
        /// Malformed or truncated file.
        format => Format;
        /// Memory, disk or size limit.
        limit => Limit;
        /// A device or component that is not there.
        unavailable => Unavailable;
        /// A plugin failed.
        plugin => Plugin;
        /// A defect of wagiri.
        internal => Internal;
    }
    /// An operating system error while doing `action` ("open", "write", ...) at `place` (usually a path).
    ///
    /// A missing file becomes [`ErrorKind::NotFound`], a full disk [`ErrorKind::Limit`], an early end of file
    /// [`ErrorKind::Format`].
    pub fn io(place: impl Display, action: &str, source: std::io::Error) -> Self {
        use std::io::ErrorKind as Os;
        let (kind, message) = match source.kind() {
            Os::NotFound => (ErrorKind::NotFound, format!("cannot {action}: no such file or folder")),
            Os::UnexpectedEof => (ErrorKind::Format, format!("cannot {action}: the file ends too early (truncated?)")),
            Os::StorageFull | Os::QuotaExceeded => (ErrorKind::Limit, format!("cannot {action}: the disk is full")),
            Os::PermissionDenied => (ErrorKind::Io, format!("cannot {action}: permission denied")),
            Os::ReadOnlyFilesystem => (ErrorKind::Io, format!("cannot {action}: the file system is read-only")),
            _ => (ErrorKind::Io, format!("cannot {action}: {source}")),
        };
        Error { source: Some(Box::new(source)), ..Self::new(kind, place, message) }
    }
    /// The caller asked to stop.
    pub fn cancelled(place: impl Display) -> Self {
        Self::new(ErrorKind::Cancelled, place, "cancelled on request")
    }
    /// Adds the offending value: shown as `(name = value)`.
    pub fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.values.push((name, value.to_string()));
        self
    }
    /// Keeps the underlying error for programs that walk `source()`.
    pub fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
    /// Puts an outer place in front: `outer: place: message`.
    pub fn at(mut self, outer: impl Display) -> Self {
        self.place = if self.place.is_empty() { outer.to_string() } else { format!("{outer}: {}", self.place) };
        self
    }
    /// What went wrong, for programs.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// A message is one line, whatever was quoted in it: line ends and the like are written as in source code.
struct OneLine<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl fmt::Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let (mut rest, control) = (text, |c: char| c.is_control());
        while let Some(at) = rest.find(control) {
            let (before, after) = rest.split_at(at);
            self.0.write_str(before)?;
            let mut after = after.chars();
            after.next().into_iter().flat_map(char::escape_debug).try_for_each(|c| self.0.write_char(c))?;
            rest = after.as_str();
        }
        self.0.write_str(rest)
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = OneLine(f);
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.message)?;
        for (i, (name, value)) in self.values.iter().enumerate() {
            write!(f, "{}{name} = {value}", if i == 0 { " (" } else { ", " })?;
        }
        if self.values.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|e| e.as_ref() as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_names_place_value_and_what_is_accepted() {
        let e = Error::invalid("ring.sort", "median window must be odd").with("kernel_px", 4);
        assert_eq!(e.to_string(), "ring.sort: median window must be odd (kernel_px = 4)");
        assert_eq!(e.at("chain").to_string(), "chain: ring.sort: median window must be odd (kernel_px = 4)");
        let e = Error::invalid("a\nb", "輪\t\u{7}").with("text", "'c\r\n'");
        assert_eq!(e.to_string(), "a\\nb: 輪\\t\\u{7} (text = 'c\\r\\n')");
    }

    #[test]
    fn codes_are_distinct_and_never_success() {
        for (i, a) in ERROR_TABLE.iter().enumerate() {
            assert!(a.1 != 0 && a.3 != 0);
            for b in &ERROR_TABLE[i + 1..] {
                assert!(a.0 != b.0 && a.1 != b.1 && a.2 != b.2 && a.3 != b.3);
            }
        }
    }
}
