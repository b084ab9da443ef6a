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

/// Plugins known so far, by the address of their entry: descriptions live as long as the process, so each library is
/// described once.
static KNOWN: Mutex<BTreeMap<usize, describe::Plugin>> = Mutex::new(BTreeMap::new());

/// The bundled plugin. It is held by its description and called through the interface like one from a file.
static SLICE_TOOLS: wagiri_plugin::abi::PluginEntry = slice_tools::PLUGIN;

/// What a plugin brings.
#[derive(Clone)]
pub(crate) struct Plugin {
    /// `org.example.filters`, whichever file it comes from.
    pub id: &'static str,
    pub stages: Vec<Arc<dyn StageFactory>>,
}

/// Plugins that are part of wagiri.
pub(crate) fn bundled() -> Vec<Plugin> {
    match known((&raw const SLICE_TOOLS).addr(), SLICE_TOOLS) {
        Ok((plugin, _)) => vec![plugin],
        Err(message) => {
            // Only a defect of wagiri can be the reason; it goes on without these stages.
            log::error!("slice-tools: {message}");
            Vec::new()
        }
    }
}

/// The plugin whose entry is at `address`, and whether it is new.
fn known(address: usize, entry: wagiri_plugin::abi::PluginEntry) -> std::result::Result<(Plugin, bool), String> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let (plugin, new) = match known.entry(address) {
        Entry::Occupied(known) => (known.into_mut(), false),
        Entry::Vacant(new) => (new.insert(describe::plugin(entry)?), true),
    };
    let factory =
        |stage: &Arc<describe::Described>| Arc::new(bridge::Factory::new(stage.clone())) as Arc<dyn StageFactory>;
    Ok((Plugin { id: plugin.id, stages: plugin.stages.iter().map(factory).collect() }, new))
}

/// Loads the plugin library at `path`. The library stays loaded until the process ends:
/// unloading would run its termination code under threads that may still be in it, and gains nothing.
///
/// Every failure is an [`Error::plugin`] that begins with the path. Relative paths are relative to the current folder;
/// no other folder is searched.
pub(crate) fn load(path: &Path) -> Result<Plugin> {
    let refused = |message| Error::plugin(path.display(), message);
    let (address, entry) = loader::open(path).map_err(refused)?;
    let (plugin, new) = known(address, entry).map_err(refused)?;
    if new {
        let ids: Vec<&str> = plugin.stages.iter().map(|s| s.info().id).collect();
        log::info!("{}: loaded a plugin, stages: {}", path.display(), ids.join(", "));
    }
    Ok(plugin)
}
