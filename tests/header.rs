//! `src/capi/wagiri.h` is what cbindgen makes of `src/capi/*.rs`. `UPDATE=1 cargo test --test header` rewrites it.

use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn generated() -> String {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).unwrap();
    // cbindgen follows the modules from here.
    let builder = cbindgen::Builder::new().with_config(config).with_src(root().join("src/capi/mod.rs"));
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
fn every_exported_function_is_declared_once() {
    let header = generated();
    // Declarations only: comments name functions too.
    let code: Vec<&str> = header.lines().filter(|l| !l.trim_start().starts_with(['/', '*'])).collect();
    let declared = |name: &str| code.iter().filter(|l| l.contains(&format!("{name}("))).count();
    for entry in std::fs::read_dir(root().join("src/capi")).unwrap() {
        let path = entry.unwrap().path();
        let text = if path.extension().is_some_and(|e| e == "rs") {
            std::fs::read_to_string(&path).unwrap()
        } else {
            "".into()
        };
        for after in text.split("extern \"C\" fn ").skip(1) {
            let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let is_callback_type = name.is_empty();
            assert!(
                is_callback_type || name.starts_with("wagiri_") && declared(&name) == 1,
                "{name} of {}",
                path.display()
            );
        }
    }
}

#[test]
fn header_names_every_status() {
    let header = generated();
    for (_, status, name, _) in wagiri::ERROR_TABLE {
        assert!(header.contains(&format!("#define WAGIRI_{name} {status}\n")), "{name}");
    }
}
