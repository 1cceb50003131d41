//! Links what unwinds a panic into the program: to load `libgcc_s` for it takes a
//! tenth of the time to start (see `docs/speed.md`).

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let has = |name, value: &str| env::var(name).is_ok_and(|all| all.split(',').any(|one| one == value));
    // A program without shared libraries has it anyway.
    if has("CARGO_CFG_TARGET_ENV", "gnu") && !has("CARGO_CFG_TARGET_FEATURE", "crt-static") {
        // All of it, for the library stands before it on the linker's line. LLD, the usual linker on
        // x86-64, leaves the library out then; another may load it all the same, which does no harm.
        println!("cargo::rustc-link-arg-bins=-Wl,--whole-archive,-lgcc_eh,--no-whole-archive");
    }
}
