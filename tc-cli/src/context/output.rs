//! Standard output, written in large pieces.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use tc_core::lossless::to_bytes;
use tc_core::print::{Form, Printer, Style};

use super::failure::Failure;
use super::progress;

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
            // Without std's buffer, which would write line by line.
            None => self.stdout.insert(standard_output()?),
        };
        progress::hide();
        let written = write_all(stdout, self.printer.bytes());
        self.printer.clear();
        Ok(written?)
    }
}

/// Writes one text, which can be [lossless](tc_core::lossless).
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    Ok(write_all(&mut standard_output()?, &to_bytes(text))?)
}

/// Without std's buffer.
fn standard_output() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Writes all, also where the program before us made the pipe or terminal
/// non-blocking, which is an attribute of the open file and not of the process.
fn write_all(file: &mut File, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait(file, PollFlags::OUT)?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Waits until standard input can be read.
pub(crate) fn wait_for_input() -> io::Result<()> {
    wait(&io::stdin(), PollFlags::IN)
}

fn wait(file: &impl AsFd, what: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::new(file, what)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Writes the result of an operation. If the write fails, the failure states that
/// the operation was done, also after a closed pipe.
pub(crate) fn say_done(text: &str) -> Result<(), Failure> {
    say(text).map_err(|failure| Failure::Extension(format!("{failure}; this was done: {}", text.trim_end())))
}
