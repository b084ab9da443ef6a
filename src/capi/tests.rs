//! What C cannot see from outside: views in all layouts, versioned structs.
