//! The layers of tc-core and tc-cli: a file imports from its own room and from those below.

#![expect(clippy::unwrap_used, reason = "a test stops at an unexpected error")]

use std::fs;
use std::path::{Path, PathBuf};

/// From the lowest to the highest.
const TC_CORE: &[&str] = &["wire", "kind", "exchange", "connection", "link", "tree", "embedded"];
const TC_CLI: &[&str] = &["context", "show", "command", "batch", "extensions"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code of a file without comments and without its unit tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Asserts that no file imports from a higher room.
fn check(folder: &str, layers: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    let mut upward = Vec::new();
    let mut imports = 0;
    for (level, layer) in layers.iter().enumerate() {
        let mut files = Vec::new();
        sources(&root.join(layer), &mut files);
        assert!(!files.is_empty(), "{layer} has no files");
        files.retain(|path| !path.strip_prefix(&root).unwrap().to_string_lossy().contains("tests"));
        for path in files {
            let code = code(&path);
            for name in code.split("crate::").skip(1) {
                let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                imports += 1;
                if layers.iter().position(|layer| **layer == name).is_some_and(|other| other > level) {
                    upward.push(format!("{}: crate::{name}", path.display()));
                }
            }
        }
    }
    assert!(imports > 100, "only {imports} imports were found");
    assert_eq!(upward, Vec::<String>::new(), "imports from a higher layer");
}

#[test]
fn rooms_of_tc_core_import_only_from_below() {
    check("tc-core/src", TC_CORE);
}

#[test]
fn rooms_of_tc_cli_import_only_from_below() {
    check("tc-cli/src", TC_CLI);
}
