//! Loads plugins and makes their stages look like built-in ones. The only place with `libloading`.
//!
//! The interface is `plugins/sdk/wagiri_plugin.h`. Everything that comes from a plugin is checked before it is used;
//! what cannot be checked (a pointer to nowhere, writing beyond a buffer) is the plugin's responsibility, as with any
//! native library.
//!
//! Must not know: files of scans, chains, other stages.

mod bridge;
mod callbacks;
mod calls;
mod check;
mod describe;
mod image;
mod loader;
#[cfg(test)]
mod tests;
mod worker;

pub use check::{Finding, check_plugin};

use crate::chain::StageFactory;
use crate::error::{Error, Result};
use std::collections::{BTreeMap, btree_map::Entry};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

const NOT_A_NUMBER: &str = "the plugin wrote NaN or infinity, or did not write this pixel";
const NO_REASON: &str = "gave no reason";
const NOT_ENDED: &str = "the plugin did not end this text with a zero byte";
const NOT_ASKED: &str = "stopped as if cancelled, but nobody asked";
const NO_SENSE: &str = "the plan makes no sense";
const OTHER_DIMS: &str = "the output has other dimensions than were planned";
/// In errors that no input excuses: the plugin breaks its contract. The last is what the Rust crate makes of a panic.
const BREACHES: [&str; 7] = [NOT_A_NUMBER, NO_REASON, NOT_ENDED, NOT_ASKED, NO_SENSE, OTHER_DIMS, "panicked: "];

/// Stages of the plugins loaded so far, by the address of their entry: descriptions live as long as the process, so each
/// library is described once.
static LOADED: Mutex<BTreeMap<usize, Vec<Arc<describe::Described>>>> = Mutex::new(BTreeMap::new());

/// Loads the plugin library at `path` and returns its stages. The library stays loaded until the process ends:
/// unloading would run its termination code under threads that may still be in it, and gains nothing.
///
/// Every failure is an [`Error::plugin`] that begins with the path. Relative paths are relative to the current folder;
/// no other folder is searched.
pub fn load(path: &Path) -> Result<Vec<Box<dyn StageFactory>>> {
    let refused = |message| Error::plugin(path.display(), message);
    let (address, entry) = loader::open(path).map_err(refused)?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let stages = match loaded.entry(address) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(new) => {
            let stages = describe::stages(entry).map_err(refused)?;
            log::info!(
                "{}: loaded a plugin, stages: {}",
                path.display(),
                stages.iter().map(|s| s.info.id).collect::<Vec<_>>().join(", ")
            );
            new.insert(stages.into_iter().map(Arc::new).collect())
        }
    };
    Ok(stages.iter().map(|stage| Box::new(bridge::Factory::new(stage.clone())) as Box<dyn StageFactory>).collect())
}
