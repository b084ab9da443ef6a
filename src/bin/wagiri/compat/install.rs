//! `wagiri compat install DIR`: links of the old names to this program.

use super::programs;
use std::path::Path;
use wagiri::{Error, Result};

/// Makes `folder` and in it a link for each name; how many. What is there already and is no link of ours stays, and is an
/// error before anything is made.
pub fn install(folder: &Path) -> Result<usize> {
    let program = std::env::current_exe().map_err(|e| Error::io("wagiri", "find its own file", e))?;
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder.display(), "make the folder", e))?;
    let names: Vec<_> = programs().flat_map(super::Program::names).collect();
    let ending = std::env::consts::EXE_SUFFIX;
    let links: Vec<_> = names.iter().map(|name| folder.join(format!("{name}{ending}"))).collect();
    if let Some(other) = links.iter().find(|link| link.symlink_metadata().is_ok() && !is_ours(link, &program)) {
        return Err(Error::invalid(other.display(), "another file of this name exists; choose a folder without it"));
    }
    for link in &links {
        if link.symlink_metadata().is_ok() {
            std::fs::remove_file(link).map_err(|e| Error::io(link.display(), "replace the link", e))?;
        }
        make(&program, link).map_err(|e| Error::io(link.display(), "make the link", e))?;
    }
    Ok(links.len())
}

/// A link to a file named as this program, or a copy of its size.
fn is_ours(link: &Path, program: &Path) -> bool {
    match std::fs::read_link(link) {
        Ok(target) => target.file_name() == program.file_name(),
        Err(_) => {
            let size = |path: &Path| path.metadata().map(|m| m.len()).ok();
            size(link) == size(program)
        }
    }
}

#[cfg(unix)]
fn make(program: &Path, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(program, link)
}

/// Symbolic links need rights that users of Windows seldom have; hard links do not, but must stay on one drive.
#[cfg(not(unix))]
fn make(program: &Path, link: &Path) -> std::io::Result<()> {
    std::fs::hard_link(program, link).or_else(|_| std::fs::copy(program, link).map(drop))
}
