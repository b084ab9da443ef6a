//! slice-tools as a library that wagiri loads from a file: `cargo build --release -p slice-tools --example slice-tools-plugin`.

wagiri_plugin::export!(slice_tools::PLUGIN);
