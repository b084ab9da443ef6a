//! Operations on finished slices, as functions on arrays.
