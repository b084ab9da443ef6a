//! The table behind the ids that Java holds.

use crate::error::{Error, Result};
use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

type Shared = Arc<dyn Any + Send + Sync>;

#[derive(Default)]
struct Table {
    /// The last id given; ids are never used twice.
    last: i64,
    objects: HashMap<i64, Shared>,
}

static TABLE: LazyLock<Mutex<Table>> = LazyLock::new(Mutex::default);

fn table() -> MutexGuard<'static, Table> {
    // Nothing panics while it is held; a poisoned table is still whole.
    TABLE.lock().unwrap_or_else(|e| e.into_inner())
}

/// Keeps `object` until [`remove`] and returns its id.
pub fn put<T: Any + Send + Sync>(object: T) -> i64 {
    let mut table = table();
    table.last += 1;
    let id = table.last;
    table.objects.insert(id, Arc::new(object));
    id
}

/// The object `id`; it lives as long as the caller holds it, even if it is removed meanwhile.
pub fn get<T: Any + Send + Sync>(id: i64, what: &str) -> Result<Arc<T>> {
    let object = table().objects.get(&id).cloned();
    object
        .and_then(|object| object.downcast::<T>().ok())
        .ok_or_else(|| Error::invalid(what, "this object is closed or of another kind").with("id", id))
}

/// Forgets the object `id`, if it is there.
pub fn remove(id: i64) {
    // Dropped after the lock is gone: a context waits for its threads.
    let object = table().objects.remove(&id);
    drop(object);
}

/// Objects in the table.
pub fn count() -> usize {
    table().objects.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_id_is_an_error_and_a_held_object_lives_on() {
        let id = put(String::from("kept"));
        let held = get::<String>(id, "text").unwrap();
        assert!(get::<u32>(id, "number").is_err());
        remove(id);
        remove(id);
        assert_eq!(held.as_str(), "kept");
        let e = get::<String>(id, "text").unwrap_err().to_string();
        assert!(e.starts_with("text: this object is closed or of another kind (id = "), "{e}");
        assert!(put(1u8) > id);
    }
}
