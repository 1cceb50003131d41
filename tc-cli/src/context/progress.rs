//! The progress of a long batch, on a terminal.
//!
//! One line on standard error, and only where that is a terminal. A library for
//! it would be larger than all of this and be paid for by every start.

use std::env;
use std::fs::Metadata;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A batch that ends before has no use for it.
const FIRST: Duration = Duration::from_secs(1);

/// How often it is written again.
const PAUSE: Duration = Duration::from_millis(100);

/// Whether the line stands on the terminal.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// Takes the line away, before anything else is written.
pub(crate) fn hide() {
    if SHOWN.swap(false, Ordering::Relaxed) {
        let _nobody = io::stderr().write_all(b"\r\x1b[K");
    }
}

/// The progress of one batch. When it is dropped, the line is erased.
#[derive(Debug)]
pub(crate) struct Progress {
    /// When the line is due; `None` where nobody watches.
    due: Option<Instant>,
    length: Option<u64>,
}

impl Progress {
    /// Of a file of known length, or of a stream.
    pub(crate) fn new(file: Option<Metadata>, wanted: bool) -> Self {
        let dumb = || env::var_os("TERM").is_none_or(|term| term == "dumb");
        let watched = wanted && io::stderr().is_terminal() && !dumb();
        let due = watched.then(|| Instant::now() + FIRST);
        Self { due, length: file.map(|file| file.len()).filter(|length| *length > 0) }
    }

    /// Reports the numbers of lines and bytes read.
    pub(crate) fn tick(&mut self, lines: u64, bytes: u64) {
        let Some(due) = &mut self.due else { return };
        let now = Instant::now();
        if now < *due {
            return;
        }
        *due = now + PAUSE;
        let share = self.length.map(|length| format!(" ({} %)", bytes.min(length) * 100 / length));
        let text = format!("\r{lines} lines{}\x1b[K", share.unwrap_or_default());
        SHOWN.store(io::stderr().write_all(text.as_bytes()).is_ok(), Ordering::Relaxed);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        hide();
    }
}
