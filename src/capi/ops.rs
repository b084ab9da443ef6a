//! Array functions on the caller's memory.
