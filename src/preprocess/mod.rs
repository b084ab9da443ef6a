//! From counts to absorbance, and the search of the rotation axis, as functions on arrays.
