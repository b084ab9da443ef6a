//! Opens a library and finds the entry of the plugin. Errors are sentences; the caller puts the path in front.

use super::image;
use std::io::Read;
use std::path::Path;
use wagiri_plugin::abi;

type Outcome<T> = std::result::Result<T, String>;

/// Larger than any struct of this or a later interface; beyond it a size is nonsense.
pub(super) const MAX_STRUCT: u32 = 1 << 12;

/// The entry of the plugin at `path`, with the interface version and the size already checked, and its address, which is
/// the same however often the library is opened.
pub(super) fn open(path: &Path) -> Outcome<(usize, abi::PluginEntry)> {
    look_at(path)?;
    // A bare file name would be searched in the system's folders; a plugin is loaded from where the user says.
    let path = std::path::absolute(path).map_err(|e| format!("cannot find the file: {e}"))?;
    let library = open_library(&path).map_err(|e| format!("the library cannot be loaded: {}", explain(&e)))?;
    // Stays loaded even if it is refused below: its start-up code has run, and may have started threads.
    let library = std::mem::ManuallyDrop::new(library);
    // SAFETY: only the address is taken; what it points to is checked below.
    let entry: libloading::Symbol<*const abi::PluginEntry> = unsafe { library.get(abi::ENTRY_SYMBOL) }
        .map_err(|_| format!("the library is not a wagiri plugin: it does not export {}", abi::ENTRY_SYMBOL))?;
    let entry = *entry;
    // SAFETY: what the symbol is the address of stays where it is while the library is loaded.
    Ok((entry.addr(), unsafe { read_entry(entry) }?))
}

/// The entry at `entry`, once version and size are right.
///
/// # Safety
/// A pointer that is not null and aligned must lead to two numbers at least, and to as many bytes as they say if they are
/// right.
pub(super) unsafe fn read_entry(entry: *const abi::PluginEntry) -> Outcome<abi::PluginEntry> {
    if entry.is_null() || !entry.is_aligned() {
        return Err(format!("{} is not a plugin entry", abi::ENTRY_SYMBOL));
    }
    // SAFETY: two numbers can be read; the rest only once they are right.
    let (struct_size, version) = unsafe { ((*entry).struct_size, (*entry).abi) };
    if version >> 16 != abi::ABI >> 16 {
        return Err(format!(
            "the plugin uses plugin interface {}.{}; this wagiri accepts {}.x",
            version >> 16,
            version & 0xffff,
            abi::ABI >> 16
        ));
    }
    check_size("the plugin entry", struct_size, size_of::<abi::PluginEntry>())?;
    // SAFETY: the plugin says that it is at least this long.
    Ok(unsafe { *entry })
}

/// Refuses a struct that is too short for interface 1.0 or absurdly long.
pub(super) fn check_size(what: &str, size: u32, least: usize) -> Outcome<()> {
    if (size as usize) < least || size > MAX_STRUCT {
        return Err(format!("{what} has struct_size {size}; expected {least} to {MAX_STRUCT}"));
    }
    Ok(())
}

fn look_at(path: &Path) -> Outcome<()> {
    let reason = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "the file may not be read: permission denied".to_owned(),
        _ => format!("the file cannot be read: {e}"),
    };
    let meta = std::fs::metadata(path).map_err(reason)?;
    if !meta.is_file() {
        return Err("this is not a file; expected a shared library".into());
    }
    let mut head = Vec::new();
    std::fs::File::open(path).and_then(|f| f.take(image::HEAD_BYTES).read_to_end(&mut head)).map_err(reason)?;
    image::check(&head, meta.len(), std::env::consts::OS, std::env::consts::ARCH)
}

#[cfg(unix)]
fn open_library(path: &Path) -> std::result::Result<libloading::Library, libloading::Error> {
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
    // NOW: a missing symbol is an error here, not a crash in the middle of a run.
    // SAFETY: runs the library's start-up code; that the user names the file is the consent.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map(Into::into)
}

#[cfg(not(unix))]
fn open_library(path: &Path) -> std::result::Result<libloading::Library, libloading::Error> {
    // SAFETY: as above.
    unsafe { libloading::Library::new(path) }
}

/// The `Display` of libloading's error says only which call failed; its source says why.
fn explain(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), |source| source.to_string())
}
