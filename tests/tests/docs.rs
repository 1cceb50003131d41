//! The pages name tests and examples that exist.
#![expect(clippy::unwrap_used, reason = "a test stops at an unexpected error")]

use std::fs;
use std::path::{Path, PathBuf};

const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|other| other == extension) {
            found.push(path);
        }
    }
}

/// Words in backquotes that have the form of a test's name: at least four words with underscores between. Three dots
/// stand for the rest of a name.
fn names(page: &str) -> impl Iterator<Item = &str> {
    let quoted = page.split('`').skip(1).step_by(2);
    quoted.filter(|word| {
        let name = word.trim_end_matches("...");
        name.matches('_').count() >= 3
            && !name.starts_with('_')
            && name.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
    })
}

#[test]
fn tests_that_pages_name_exist() {
    let (mut pages, mut sources) = (Vec::new(), Vec::new());
    for crate_ in ["tc-core", "tc-qdiscs", "tc-cli", "tests"] {
        let folder = Path::new(TOP).join(crate_);
        files(&folder, "md", &mut pages);
        files(&folder, "rs", &mut sources);
    }
    let code: String = sources.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let (mut known, mut missing) = (0, Vec::new());
    for path in &pages {
        let page = fs::read_to_string(path).unwrap();
        for name in names(&page) {
            let is_there = match name.strip_suffix("...") {
                Some(start) => code.contains(&format!("fn {start}")),
                None => code.contains(&format!("fn {name}(")) || code.contains(&format!(" {name}")),
            };
            match is_there {
                true => known += 1,
                false => missing.push(format!("{}: {name}", path.display())),
            }
        }
    }
    assert!(known > 20, "only {known} names were found");
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn examples_are_in_readme_and_each_is_run_by_a_test() {
    let [readme, test] = ["README.md", "tests/tests/examples.rs"]
        .map(|path| fs::read_to_string(Path::new(TOP).join(path)).unwrap());
    let mut seen = 0;
    for crate_ in ["tc-core", "tc-qdiscs", "tc-cli"] {
        let Ok(folder) = fs::read_dir(Path::new(TOP).join(crate_).join("examples")) else { continue };
        for entry in folder {
            let path = format!("{crate_}/examples/{}", entry.unwrap().file_name().display());
            assert!(readme.contains(&format!("({path})")), "{path} is not in README.md");
            assert!(test.contains(&format!("../../{path}")), "{path} is not run");
            seen += 1;
        }
    }
    assert!(seen >= 8, "only {seen} examples were found");
}
