//! `src/capi/wagiri.h` is what cbindgen makes of `src/capi/*.rs`. `UPDATE=1 cargo test --test header` rewrites it.

use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn generated() -> String {
    let mut sources: Vec<PathBuf> = std::fs::read_dir(root().join("src/capi"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs"))
        .collect();
    // A folder lists its files in any order; the header has one.
    sources.sort_by_key(|path| (!path.ends_with("types.rs"), path.clone()));
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).unwrap();
    let builder = sources.iter().fold(cbindgen::Builder::new().with_config(config), |b, path| b.with_src(path));
    let mut header = Vec::new();
    builder.generate().unwrap().write(&mut header);
    String::from_utf8(header).unwrap()
}

#[test]
fn header_is_current() {
    let path = root().join("src/capi/wagiri.h");
    let made = generated();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    // A checkout on Windows may have turned the line ends.
    let kept = std::fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(
        kept == made,
        "src/capi/wagiri.h is not current: run UPDATE=1 cargo test --test header, and look at the diff"
    );
}

#[test]
fn header_names_every_status() {
    let header = generated();
    for (_, status, name, _) in wagiri::ERROR_TABLE {
        assert!(header.contains(&format!("#define WAGIRI_{name} {status}\n")), "{name}");
    }
}
