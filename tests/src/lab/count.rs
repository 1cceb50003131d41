//! Counts of a test's work, which `tests/run` prints.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;

/// Reports the amount of work, so that a run that tested little is noticed: one line, which begins with
/// the test's subject (`proof: 200 kills, 0 violations`).
///
/// `TC_COUNTS` names the file that lists them; without it they go to standard output.
///
/// # Panics
///
/// When that file cannot be written.
pub fn count(text: &str) {
    println!("count: {text}");
    if let Some(path) = env::var_os("TC_COUNTS") {
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .and_then(|mut file| file.write_all(format!("{text}\n").as_bytes()))
            .expect("TC_COUNTS names a file that can be written");
    }
}

/// The number that the environment's variable `name` holds.
///
/// # Panics
///
/// When it holds something else.
#[must_use]
pub fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

/// A short run tries one in `TC_FEWER`, other runs try all.
#[must_use]
pub fn one_in() -> usize {
    number("TC_FEWER").map_or(1, |fewer| fewer.max(1) as usize)
}

/// The number of random tries of a test: the variable `name` if it is set, else `many`, fewer in a short
/// run.
#[must_use]
pub fn tries(name: &str, many: usize) -> usize {
    number(name).map_or_else(|| many / one_in(), |tries| tries as usize)
}

/// How many of something a test does: `many`, and a tenth in the VM (`TC_EMULATED`), where each costs
/// far more and this machine's kernel has seen all.
#[must_use]
pub fn fewer_if_emulated(many: usize) -> usize {
    if env::var_os("TC_EMULATED").is_some() { many / 10 } else { many }
}
