//! Loads plugins and makes their stages look like built-in ones. The only place with `libloading`.
//!
//! The interface is `plugins/sdk/wagiri_plugin.h`. Everything that comes from a plugin is checked before it is used;
//! what cannot be checked (a pointer to nowhere, writing beyond a buffer) is the plugin's responsibility, as with any
//! native library.
//!
//! Must not know: files of scans, chains, other stages.

mod bridge;
mod callbacks;
mod describe;
mod image;
mod loader;
mod worker;

use crate::chain::StageFactory;
use crate::error::{Error, Result};
use std::path::Path;

/// Loads the plugin library at `path` and returns its stages. The library stays loaded until the process ends:
/// unloading would run its termination code under threads that may still be in it, and gains nothing.
///
/// Every failure is an [`Error::plugin`] that begins with the path. Relative paths are relative to the current folder;
/// no other folder is searched.
pub fn load(path: &Path) -> Result<Vec<Box<dyn StageFactory>>> {
    let entry = loader::open(path).map_err(|message| Error::plugin(path.display(), message))?;
    let stages = describe::stages(entry).map_err(|message| Error::plugin(path.display(), message))?;
    log::info!("{}: loaded {} plugin stages", path.display(), stages.len());
    Ok(stages.into_iter().map(|stage| Box::new(bridge::Factory::new(stage)) as Box<dyn StageFactory>).collect())
}
