//! `api FILE [LISTING...]`: the public API in rustdoc's JSON, an item a line. Rustdoc names an item by
//! where it is defined; here it has the path that users write. The listings are those of crates that
//! this one uses.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    let files: Vec<_> = env::args_os().skip(1).collect();
    let Some((file, others)) = files.split_first() else {
        eprintln!("api FILE [LISTING...]");
        return 2.into();
    };
    match list(file.as_ref(), others) {
        Ok(listing) => print!("{listing}"),
        Err(error) => {
            eprintln!("{error}");
            return 1.into();
        }
    }
    ExitCode::SUCCESS
}

fn list(file: &Path, others: &[impl AsRef<Path>]) -> Result<String, Box<dyn Error>> {
    // Automatic and blanket implementations carry no information.
    let api = public_api::Builder::from_rustdoc_json(file)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?
        .to_string();
    let mut modules = BTreeSet::new();
    for listing in others.iter().map(fs::read_to_string).chain([Ok(api.clone())]) {
        modules.extend(listing?.lines().filter_map(|line| line.strip_prefix("pub mod ").map(str::to_owned)));
    }
    let is_in_path = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut lines: Vec<_> = api
        .lines()
        .map(|line| {
            let parts = line.split_inclusive(|c| !is_in_path(c));
            parts.map(|part| public_path(part, &modules)).collect::<String>() + "\n"
        })
        .collect();
    lines.sort();
    lines.dedup();
    Ok(lines.concat())
}

/// A path without the modules in it that are not public; of other crates nothing is known.
fn public_path(path: &str, modules: &BTreeSet<String>) -> String {
    let mut public = String::new();
    let mut parts = path.split("::").peekable();
    let known = parts.peek().is_some_and(|first| modules.contains(*first));
    while let Some(part) = parts.next() {
        let longer = if public.is_empty() { part.to_owned() } else { format!("{public}::{part}") };
        let names_module = parts.peek().is_some() && part.starts_with(|c: char| c.is_ascii_lowercase());
        if !known || !names_module || modules.contains(&longer) {
            public = longer;
        }
    }
    public
}
