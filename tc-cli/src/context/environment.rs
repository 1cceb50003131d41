//! The machine around, as far as words refer to it.

use std::cell::{Cell, RefCell};
use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::OnceLock;

use tc_core::Connection;
use tc_core::lossless::to_bytes;
use tc_core::words::Environment;

use super::report::Report;

/// The most samples that a distribution can have (`MAX_DIST` of `tc`).
const MOST_SAMPLES: usize = 16 * 1024;

/// The most bytes of a text that a word names: bytecode of 4096 instructions has fewer.
const MOST_TEXT: u64 = 1 << 20;

/// This machine: files below `/proc`, `/sys` and `/usr/lib`, read when a word
/// refers to them.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    report: Report,
    elsewhere: bool,
    /// Opened when a word first names a device.
    connection: Rc<RefCell<Option<Connection>>>,
    silent: bool,
    warned: Cell<bool>,
}

impl Machine {
    /// `elsewhere`: the commands are for another network namespace than the one
    /// that `/sys` shows.
    pub(crate) fn new(report: Report, elsewhere: bool) -> Self {
        Self { report, elsewhere, connection: Rc::default(), silent: false, warned: Cell::default() }
    }

    /// This machine without warnings; it only records that there was one.
    pub(crate) fn silent(&self) -> Self {
        Self { silent: true, ..self.clone() }
    }

    /// Whether words were worth a warning.
    pub(crate) const fn has_warned(&self) -> bool {
        self.warned.get()
    }
}

impl Environment for Machine {
    fn psched_hz(&self) -> u32 {
        // A property of the running kernel; each command of a batch asks.
        static HZ: OnceLock<u32> = OnceLock::new();
        *HZ.get_or_init(psched_hz)
    }

    fn timer_hz(&self) -> u32 {
        // Kernel: the coarse clock goes on with the timer.
        let tick = rustix::time::clock_getres(rustix::time::ClockId::MonotonicCoarse);
        u32::try_from(1_000_000_000 / tick.tv_nsec.max(1)).unwrap_or(250)
    }

    fn warn(&self, message: &str) {
        self.warned.set(true);
        if !self.silent {
            self.report.warning(message);
        }
    }

    fn link_speed_mbit(&self, dev: &str) -> Result<u64, String> {
        if self.elsewhere {
            return Err(format!("the speed of {dev} cannot be read with -netns: use ip netns exec"));
        }
        let path = format!("/sys/class/net/{dev}/speed");
        let mut file = File::open(self::path(&path))
            .map_err(|error| format!("fopen {path}: {}", super::failure::reason(&error)))?;
        let mut text = String::new();
        // Kernel: reading fails while the link is down.
        file.read_to_string(&mut text).map_err(|_| {
            format!("property \"speed\" in file {path} is currently unknown\nFailed to parse {path}")
        })?;
        // -1 where the link has no speed, which tc takes for a speed.
        let text = text.trim();
        text.parse()
            .map_err(|_| format!("value \"{text}\" in file {path} is not a number\nFailed to parse {path}"))
    }

    fn ifindex(&self, name: &str) -> Result<i32, String> {
        let mut slot = self.connection.borrow_mut();
        let connection = match slot.take() {
            Some(connection) => connection,
            None => Connection::open().map_err(|error| error.to_string())?,
        };
        let found = slot.insert(connection).ifindex(name);
        found.map_err(|error| match error.is_not_found() || name.is_empty() {
            true => format!("Cannot find device \"{name}\""),
            false => error.to_string(),
        })
    }

    fn realm(&self, name: &str) -> Option<u8> {
        super::object_names::realm(name)
    }

    fn ipset_index(&self, name: &str) -> Result<u16, String> {
        let index = tc_core::ipset::index_of(name);
        index.map_err(|error| super::failure::reason(&error))?.ok_or_else(String::new)
    }

    fn read_text(&self, path: &str) -> Result<String, String> {
        let cause = |error| super::failure::reason(&error);
        let file = File::open(self::path(path)).map_err(cause)?;
        let mut text = String::new();
        file.take(MOST_TEXT).read_to_string(&mut text).map_err(cause)?;
        match text.len() as u64 {
            MOST_TEXT => Err(format!("more than {MOST_TEXT} bytes")),
            _ => Ok(text),
        }
    }

    fn distribution(&self, name: &str) -> Result<Vec<i16>, String> {
        let folder = env::var("TC_LIB_DIR").unwrap_or_else(|_| distributions());
        let path = format!("{folder}/{name}.dist");
        let text = fs::read_to_string(self::path(&path)).map_err(|error| {
            format!("No distribution data for {name} ({path}: {})", super::failure::reason(&error))
        })?;
        samples(&text).map_err(|wrong| format!("{path}: {wrong}"))
    }
}

/// The path that a word names.
pub(crate) fn path(word: &str) -> PathBuf {
    OsString::from_vec(to_bytes(word).into_owned()).into()
}

/// Where tc keeps its files: a matter of how it was built.
fn distributions() -> String {
    let of_machine = format!("/usr/lib/{}-linux-gnu/tc/", env::consts::ARCH);
    let folders = ["/usr/lib/tc/", &of_machine, "/usr/lib64/tc/"];
    let found = folders.into_iter().find(|folder| Path::new(folder).is_dir());
    found.unwrap_or(folders[0]).to_owned()
}

fn psched_hz() -> u32 {
    let text = fs::read_to_string("/proc/net/psched").unwrap_or_default();
    let hz = text.split_whitespace().nth(3).and_then(|hz| u32::from_str_radix(hz, 16).ok());
    // Kernels with high-resolution timers report it.
    hz.unwrap_or(1_000_000_000)
}

/// Whole numbers separated by white space; lines that begin with `#` are
/// comments.
fn samples(text: &str) -> Result<Vec<i16>, String> {
    let numbers = text.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace);
    let samples: Vec<i16> = numbers
        .map(|word| word.parse().map_err(|_| format!("\"{word}\" is no sample")))
        .collect::<Result<_, _>>()?;
    if samples.len() > MOST_SAMPLES {
        return Err("too many samples".into());
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_is_numbers_and_comments() {
        assert_eq!(samples("# comment 9\n 1 -2\n\n3 "), Ok(vec![1, -2, 3]));
        assert!(samples("1 x").is_err());
        assert!(samples(&"0 ".repeat(MOST_SAMPLES + 1)).is_err());
    }
}
