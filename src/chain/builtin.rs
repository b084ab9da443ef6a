//! One thin adapter per algorithm.

use super::stage::StageFactory;
use std::sync::Arc;

pub(super) fn factories() -> Vec<Arc<dyn StageFactory>> {
    Vec::new()
}
