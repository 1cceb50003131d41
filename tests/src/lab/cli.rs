//! Where the workspace's own tc is.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of tc-cli: `$TC_CLI`, or else the one beside this test's executable, built first so
/// that it is never an old one.
#[must_use]
pub fn tc_cli() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| env::var_os("TC_CLI").map_or_else(build, PathBuf::from))
}

fn build() -> PathBuf {
    // TARGET/PROFILE/deps/test-0123456789abcdef
    let test = env::current_exe().expect("a test has a path");
    let profile = test.ancestors().nth(2).expect("cargo puts tests into a folder");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["build", "--quiet", "--package", "tc-cli"])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")])
        .arg("--target-dir")
        .arg(profile.parent().expect("the profile's folder is in target"));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("cargo runs");
    assert!(status.success(), "tc-cli does not build");
    profile.join("tc-cli")
}
