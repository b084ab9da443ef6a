//! Programs that call others of the old programs: each in a process of its own, in the folder where it belongs, as the
//! scripts did. No shell takes part.

use super::Call;
use std::path::Path;
use std::process::{Command, Stdio};
use wagiri::{Error, ErrorKind, Result};

/// First argument that says that the next one is the name of a program.
pub const AS: &str = "--as";

/// Runs the program `words[0]` with the arguments behind it in `folder`. What it prints on standard output is not shown.
pub fn run(call: &Call, folder: &Path, words: &[&str]) -> Result<()> {
    let program = std::env::current_exe().map_err(|e| Error::io("wagiri", "find its own file", e))?;
    let mut command = Command::new(program);
    command.arg(AS).args(words).current_dir(folder).stdout(Stdio::null());
    let status = command.status().map_err(|e| Error::io(folder.display(), "start a program here", e))?;
    let line = words.join(" ");
    match status.code() {
        Some(0) => Ok(()),
        Some(code) if code == i32::from(ErrorKind::Cancelled.exit_code()) => Err(Error::cancelled(&call.name)),
        Some(code) => {
            let message = format!("'{line}' failed, for the reason above");
            Err(Error::invalid(folder.display(), message).with("exit_code", code))
        }
        None => Err(Error::cancelled(format!("{}: '{line}'", folder.display()))),
    }
}
