//! The stages by id: built-ins and plugins alike.

use super::params::nearest;
use super::stage::{StageFactory, StageInfo};
use crate::error::{Error, Result};
use crate::host::Plugin;
use std::sync::Arc;

/// Stages by id. Cloning is cheap.
#[derive(Clone, Default)]
pub struct Registry {
    own: Vec<Arc<dyn StageFactory>>,
    /// Plugins that are part of wagiri.
    bundled: Vec<Plugin>,
    added: Vec<Arc<dyn StageFactory>>,
}

impl Registry {
    /// Every stage that is part of wagiri.
    pub fn built_in() -> Self {
        Registry { own: super::builtin::factories(), bundled: crate::host::bundled(), added: Vec::new() }
    }
    /// Adds a plugin that was loaded. It takes the place of a bundled one with the same id, all of its stages: what the user
    /// names is what runs, and never parts of two versions.
    pub(crate) fn add_plugin(&mut self, plugin: Plugin) -> Result<()> {
        let mut with = self.clone();
        with.bundled.retain(|bundled| bundled.id != plugin.id);
        with.add_all(plugin.stages)?;
        *self = with;
        Ok(())
    }
    /// Adds stages of a plugin; all or none, since ids must be unique.
    pub fn add_all(&mut self, factories: Vec<Arc<dyn StageFactory>>) -> Result<()> {
        for (i, new) in factories.iter().enumerate() {
            let id = new.info().id;
            let taken = self.ends().any(|info| info.id == id);
            if taken || self.stages().chain(&factories[..i]).any(|f| f.info().id == id) {
                return Err(Error::plugin(id, "a stage with this id exists already"));
            }
        }
        self.added.extend(factories);
        Ok(())
    }
    /// What stands between source and end.
    fn stages(&self) -> impl Iterator<Item = &Arc<dyn StageFactory>> {
        self.own.iter().chain(self.bundled.iter().flat_map(|plugin| &plugin.stages)).chain(&self.added)
    }
    /// What chains start and end with.
    fn ends(&self) -> impl Iterator<Item = &'static StageInfo> {
        super::SOURCES.into_iter().chain(super::ENDS)
    }
    /// Everything that may stand in a chain: sources, stages in order of registration, ends.
    pub fn all(&self) -> impl Iterator<Item = &'static StageInfo> {
        super::SOURCES.into_iter().chain(self.infos()).chain(super::ENDS)
    }
    /// Descriptions in order of registration.
    pub fn infos(&self) -> impl Iterator<Item = &'static StageInfo> {
        self.stages().map(|f| f.info())
    }
    /// The stage `id`, or an error that names the nearest one.
    pub fn find(&self, id: &str) -> Result<Arc<dyn StageFactory>> {
        self.stages().find(|f| f.info().id == id).cloned().ok_or_else(|| {
            let ids: Vec<&str> = self.all().map(|i| i.id).collect();
            let hint = nearest(id, &ids).map_or(String::new(), |n| format!("; did you mean '{n}'?"));
            Error::not_found("chain", format!("unknown stage '{id}'{hint} (known: {})", ids.join(", ")))
        })
    }
}
