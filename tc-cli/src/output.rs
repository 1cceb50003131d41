//! Standard output, written in large pieces.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;

use tc_core::print::{Form, Printer, Style};

use crate::failure::Failure;
use crate::progress;

/// How much is collected before it is written.
const PIECE: usize = 64 * 1024;

/// Collects what is printed and writes it in one call a piece.
#[derive(Debug)]
pub(crate) struct Output {
    /// Where to print.
    pub(crate) printer: Printer,
    stdout: Option<File>,
}

impl Output {
    pub(crate) fn new(form: Form, style: Style) -> Self {
        Self { printer: Printer::new(form, style), stdout: None }
    }

    /// Writes what was printed, if it is enough for one call.
    pub(crate) fn flush_piece(&mut self) -> Result<(), Failure> {
        if self.printer.bytes().len() >= PIECE { self.flush() } else { Ok(()) }
    }

    /// Writes what was printed.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        if self.printer.bytes().is_empty() {
            return Ok(());
        }
        let stdout = match &mut self.stdout {
            Some(stdout) => stdout,
            // Past std's own buffer, which would write line by line.
            None => self.stdout.insert(File::from(io::stdout().as_fd().try_clone_to_owned()?)),
        };
        progress::hide();
        let written = stdout.write_all(self.printer.bytes());
        self.printer.clear();
        Ok(written?)
    }
}

/// Writes one text.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    io::stdout().write_all(text.as_bytes())?;
    Ok(io::stdout().flush()?)
}

/// Writes what was done. It was done all the same where that fails, and then the
/// failure says so, also to who closed the pipe.
pub(crate) fn say_done(text: &str) -> Result<(), Failure> {
    say(text).map_err(|failure| Failure::Own(format!("{failure}; this was done: {}", text.trim_end())))
}
