//! `api FILE`: the public API in rustdoc's JSON, an item a line.

use std::{env, process};

fn main() {
    let files: Vec<_> = env::args_os().skip(1).collect();
    let [file] = &files[..] else {
        eprintln!("api FILE");
        process::exit(2);
    };
    // What the compiler derives by itself, and what is there for every type, says nothing.
    let listed = public_api::Builder::from_rustdoc_json(file)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build();
    match listed {
        Ok(api) => print!("{api}"),
        Err(error) => {
            eprintln!("{error}");
            process::exit(1);
        }
    }
}
