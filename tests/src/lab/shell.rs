//! A program that reads commands line by line, kept running: a start costs more than a command.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::PATIENCE;

/// The reply to a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Said {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// The exit status, if the line ended the program.
    pub ended: Option<i32>,
}

/// `tc -force -batch -` or the like.
///
/// A command with an unknown object follows each line; its error on standard error ends the reply. The
/// program must therefore flush its output; tc does after each object.
#[derive(Debug)]
pub struct Shell {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
}

const NO_OBJECT: &str = "no-such-object";

impl Shell {
    /// Starts `command` in the namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// Those of starting a program.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let piped = Stdio::piped;
        let command = command.args(["-force", "-batch", "-"]).env("LC_ALL", "C");
        let mut child = command.stdin(piped()).stdout(piped()).stderr(piped()).spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = child.stdout.take().ok_or_else(missing)?;
        let stderr = child.stderr.take().ok_or_else(missing)?;
        for pipe in [stdout.as_fd(), stderr.as_fd()] {
            fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        Ok(Self { child, stdin, stdout, stderr })
    }

    /// Returns the program's reply to `line`.
    ///
    /// # Errors
    ///
    /// Those of the pipes, and a time-out if no answer comes.
    pub fn say(&mut self, line: &str) -> io::Result<Said> {
        // It may have ended with the line before; the read below finds out.
        let _ = writeln!(self.stdin, "{line}\n{NO_OBJECT}");
        let start = Instant::now();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        loop {
            let open = read_all(&mut self.stderr, &mut err)?;
            let text = String::from_utf8_lossy(&err);
            let ended = if open { None } else { self.child.wait()?.code() };
            let answer = end_of_answer(&text);
            if answer.is_some() || ended.is_some() {
                read_all(&mut self.stdout, &mut out)?;
                let stderr = text[..answer.unwrap_or(text.len())].to_owned();
                return Ok(Said { stdout: String::from_utf8_lossy(&out).into_owned(), stderr, ended });
            }
            read_all(&mut self.stdout, &mut out)?;
            if start.elapsed() > PATIENCE {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer to {line}")));
            }
            wait([self.stdout.as_fd(), self.stderr.as_fd()])?;
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the available bytes; returns whether more may come.
fn read_all(pipe: &mut impl Read, into: &mut Vec<u8>) -> io::Result<bool> {
    match pipe.read_to_end(into) {
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(error),
    }
}

/// Where the report of the line that is no command begins, once it is complete. Under `-j` tc-cli
/// reports in one line.
fn end_of_answer(stderr: &str) -> Option<usize> {
    let start = stderr[..stderr.find(NO_OBJECT)?].rfind('\n').map_or(0, |end| end + 1);
    let report = &stderr[start..];
    let is_complete = report.starts_with('{') || report.contains("\nCommand failed ");
    (is_complete && report.ends_with('\n')).then_some(start)
}

fn wait(pipes: [BorrowedFd<'_>; 2]) -> io::Result<()> {
    let mut polled = pipes.map(|pipe| PollFd::new(pipe, PollFlags::POLLIN));
    poll(&mut polled, PollTimeout::from(100_u8))?;
    Ok(())
}
