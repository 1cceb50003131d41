//! The dependencies: licences, sources and reasons; and the place of `unsafe`.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at an unexpected error")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use serde_json::Value;

const TOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Each alone is enough; licences joined by AND are all needed.
const LICENCES: [&str; 4] = ["MIT", "Apache-2.0", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"];

/// There are two versions of these, and why is in `.deny.toml`.
const TWICE: [&str; 1] = ["syn"];

#[test]
fn licences_sources_and_versions_are_those_allowed() {
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in packages() {
        let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        let (name, licence, source) = (text("name"), text("license"), text("source"));
        assert!(is_allowed(&licence), "{name}: {licence}");
        assert!(source.is_empty() || source.starts_with("registry+"), "{name}: {source}");
        versions.entry(name).or_default().push(text("version"));
    }
    assert!(versions.len() > 20, "these are not all packages");
    for (name, versions) in versions {
        assert!(versions.len() == 1 || TWICE.contains(&&*name), "{name}: {versions:?}");
    }
}

#[test]
fn every_dependency_has_a_reason() {
    let page = fs::read_to_string(format!("{TOP}/tc-core/docs/dependencies.md")).unwrap();
    // A reason stands in the section of the first package that depends on the crate.
    let sections: Vec<BTreeSet<String>> = ["## In the library", "## In the command", "## In the tests alone"]
        .iter()
        .map(|head| {
            let section = page.split_once(head).unwrap().1;
            let section = section.split_once("\n## ").map_or(section, |(section, _)| section);
            let table = section.lines().filter(|line| line.starts_with("| `"));
            let first = table.filter_map(|line| line.split('|').nth(1));
            first.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
        })
        .collect();
    let of_tests = || BTreeSet::from(["libfuzzer-sys", "public-api"].map(str::to_owned));
    let mut used = [BTreeSet::new(), BTreeSet::new(), of_tests()];
    for package in packages().iter().filter(|package| package["source"].is_null()) {
        for dependency in package["dependencies"].as_array().unwrap() {
            let own = match package["name"].as_str().unwrap() {
                "tc-core" | "tc-qdiscs" => 0,
                "tc-cli" => 1,
                _ => 2,
            };
            let at = if dependency["kind"] == "dev" { 2 } else { own };
            if dependency["path"].is_null() {
                used[at].insert(dependency["name"].as_str().unwrap().to_owned());
            }
        }
    }
    let known = used[0].clone();
    used[1].retain(|name| !known.contains(name));
    let known: BTreeSet<_> = known.union(&used[1]).cloned().collect();
    used[2].retain(|name| !known.contains(name));
    assert_eq!(sections, used);
}

#[test]
fn unsafe_code_is_in_one_file() {
    let mut files = Vec::new();
    for crate_ in ["tc-core", "tc-qdiscs", "tc-cli", "tests"] {
        find(&Path::new(TOP).join(crate_).join("src"), &mut files);
    }
    assert!(files.len() > 100, "these are not all files");
    let is_unsafe = |path: &&PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().any(|line| {
            line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("unsafe impl")
        })
    };
    let found: Vec<_> = files.iter().filter(is_unsafe).collect();
    assert_eq!(found, [&Path::new(TOP).join("tc-core/src/connection/socket.rs")]);
}

/// The packages built for this machine, with tests and benchmarks.
fn packages() -> Vec<Value> {
    let cargo = |words: &[&str]| {
        let run = Command::new(env::var_os("CARGO").unwrap_or("cargo".into()))
            .args(words)
            .current_dir(TOP)
            .output();
        let run = run.expect("cargo is there where its tests run");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).unwrap()
    };
    let host =
        cargo(&["-vV"]).lines().find_map(|line| line.strip_prefix("host: ").map(str::to_owned)).unwrap();
    let metadata =
        cargo(&["metadata", "--format-version=1", "--locked", "--offline", "--filter-platform", &host]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let built: BTreeSet<&str> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().filter(|package| built.contains(package["id"].as_str().unwrap())).cloned().collect()
}

/// SPDX, as far as crates use it; a slash is the OR of old.
fn is_allowed(licence: &str) -> bool {
    let is_known = |one: &str| LICENCES.contains(&one.trim().trim_matches(['(', ')']));
    licence.replace('/', " OR ").split(" AND ").all(|part| part.split(" OR ").any(is_known))
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => find(&path, files),
            false => files.push(path),
        }
    }
}
