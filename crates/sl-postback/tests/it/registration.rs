//! A platform is its own files and a line here and there: nothing else knows which there are.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sl_core::catalog::PlatformKind;

/// Where kinds may be named beside the files of platforms themselves.
const ALLOWED: [&str; 2] = [
    // A sample is somebody's.
    "crates/sl-store/src/suite/sample.rs",
    // Stands for one that was not understood, in a pixel that is refused.
    "crates/sl-api/src/pixels/mod.rs",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_platform_has_its_files_and_is_named_nowhere_else() {
    let root = root().canonicalize().unwrap();
    let mut own = Vec::new();
    let schema = fs::read_to_string(root.join("schemas/openapi.json")).unwrap();
    for word in PlatformKind::ALL.map(PlatformKind::as_str) {
        for folder in ["sl-core/src/platforms", "sl-sim/src/ads"] {
            let file = format!("crates/{folder}/{word}.rs");
            assert!(root.join(&file).is_file(), "{file}");
            own.push(file);
        }
        assert!(root.join("schemas/ad-platforms").join(word).is_dir(), "goldens of {word}");
        assert_eq!(schema.matches(&format!("\"{word}\"")).count(), 2, "{word} in schemas/openapi.json");
    }
    let mut files = Vec::new();
    for krate in fs::read_dir(root.join("crates")).unwrap() {
        sources(&krate.unwrap().path().join("src"), &mut files);
    }
    assert!(files.len() > 300);
    let kinds = PlatformKind::ALL.map(|kind| format!("PlatformKind::{kind:?}"));
    for file in files {
        let name = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        if own.contains(&name) || ALLOWED.contains(&name.as_str()) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        // What follows is test code.
        let code = text.split("#[cfg(test)]").next().unwrap();
        for kind in &kinds {
            assert!(!code.contains(kind.as_str()), "{name} decides by {kind}: say it in its facts");
        }
    }
}
