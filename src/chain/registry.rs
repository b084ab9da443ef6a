//! The stages by id: built-ins and plugins alike.

use super::params::nearest;
use super::stage::{StageFactory, StageInfo};
use crate::error::{Error, Result};
use std::sync::Arc;

/// Stages by id. Cloning is cheap.
#[derive(Clone, Default)]
pub struct Registry {
    factories: Vec<Arc<dyn StageFactory>>,
}

impl Registry {
    /// Every stage that is part of wagiri.
    pub fn built_in() -> Self {
        Registry { factories: super::builtin::factories() }
    }
    /// Adds stages of a plugin; all or none, since ids must be unique.
    pub fn add_all(&mut self, factories: Vec<Arc<dyn StageFactory>>) -> Result<()> {
        for (i, new) in factories.iter().enumerate() {
            let id = new.info().id;
            let taken = self.ends().any(|info| info.id == id);
            if taken || self.factories.iter().chain(&factories[..i]).any(|f| f.info().id == id) {
                return Err(Error::plugin(id, "a stage with this id exists already"));
            }
        }
        self.factories.extend(factories);
        Ok(())
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
        self.factories.iter().map(|f| f.info())
    }
    /// The stage `id`, or an error that names the nearest one.
    pub fn find(&self, id: &str) -> Result<Arc<dyn StageFactory>> {
        self.factories.iter().find(|f| f.info().id == id).cloned().ok_or_else(|| {
            let ids: Vec<&str> = self.all().map(|i| i.id).collect();
            let hint = nearest(id, &ids).map_or(String::new(), |n| format!("; did you mean '{n}'?"));
            Error::not_found("chain", format!("unknown stage '{id}'{hint} (known: {})", ids.join(", ")))
        })
    }
}
