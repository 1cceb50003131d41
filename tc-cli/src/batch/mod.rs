//! Commands from a file or from standard input, one a line.

mod pipelined;

use std::fs::{File, Metadata};
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read};
use std::os::fd::AsFd as _;

use memchr::memchr;
use tc_core::lossless::into_text;

use crate::command;
use crate::context::environment::path;
use crate::context::failure::{Failure, reason};
use crate::context::output::wait_for_input;
use crate::context::progress::Progress;
use crate::context::report::Line;
use crate::context::session::Session;

/// How much of a file is read at once.
const PIECE: usize = 64 * 1024;

/// Room for the words of a usual line.
const USUAL: usize = 24;

/// Runs the commands of a file; `-` is standard input.
///
/// The first failure ends it, unless `-force` or `--pipelined` was given. All
/// commands share one connection, and the lines that were read and not yet
/// carried out are never more than one piece of the file. The output
/// of a command is written before a wait for input, and with standard input before
/// the next command.
pub(crate) fn run(file: &str, session: &mut Session<'_>) -> Result<(), Failure> {
    let opened = open(file)?;
    // A user who types the lines needs no progress line.
    let mut progress = Progress::new(opened.metadata().ok().filter(Metadata::is_file), !opened.is_terminal());
    let mut lines = Lines::new(opened);
    let (mut failed, force) = (false, session.globals.force || session.globals.pipelined);
    if session.globals.pipelined {
        session.kernel()?;
    }
    loop {
        let read = match session.globals.pipelined {
            true => pipelined::read(&mut lines, file, &mut failed, &mut progress, session)?,
            false => read(&mut lines, &mut progress, session, || ())?,
        };
        let done = match read {
            Ok(false) => break,
            Ok(true) => split(&lines.line).and_then(|words| line(words, session)),
            Err(failure) => Err(failure),
        };
        match done {
            Ok(()) if file == "-" => session.output.flush()?,
            Ok(()) => session.output.flush_piece()?,
            Err(failure @ Failure::Output(_)) => return Err(failure),
            Err(failure) => {
                failed = true;
                session.forget_recent();
                session.output.flush()?;
                session.report.failure_at(&failure, Some(Line { file, number: lines.number }));
                if !force || lines.ended {
                    break;
                }
            }
        }
    }
    if failed { Err(Failure::Batch) } else { Ok(()) }
}

/// Reads the next command; `before_waiting` comes before a wait for more. The
/// failure inside is one of the line, the other one the end.
pub(crate) fn read<R: Read>(
    lines: &mut Lines<R>,
    progress: &mut Progress,
    session: &mut Session<'_>,
    before_waiting: impl FnOnce(),
) -> Result<Result<bool, Failure>, Failure> {
    if !lines.is_at_hand() {
        before_waiting();
        session.before_waiting()?;
    }
    progress.tick(lines.number, lines.bytes);
    Ok(lines.read())
}

fn line(mut words: Vec<&str>, session: &mut Session<'_>) -> Result<(), Failure> {
    if words.is_empty() {
        return Ok(());
    }
    // Additional options apply to their line.
    let before = (session.globals.dry_run, session.globals.as_tc, session.globals.pipelined);
    session.globals.take_extensions(&mut words);
    let done = command::run(&words, session);
    (session.globals.dry_run, session.globals.as_tc, session.globals.pipelined) = before;
    done
}

fn open(file: &str) -> Result<File, Failure> {
    let opened = match file {
        // Without std's buffer, whose contents cannot be queried.
        "-" => io::stdin().as_fd().try_clone_to_owned().map(File::from),
        file => File::open(path(file)),
    };
    opened.map_err(|error| {
        Failure::System(format!("Cannot open file \"{file}\" for reading: {}", reason(&error)))
    })
}

/// The words of a command, with the number of its last line.
pub(crate) type Numbered = (u64, Vec<String>);

/// A failure, and the number of the line that it is in; 0 for none.
pub(crate) type At = (Failure, u64);

/// Commands, joined from lines that end with `\`, without comments.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    source: BufReader<R>,
    /// The command that was read last.
    pub(crate) line: String,
    /// The number of the last line that was read.
    pub(crate) number: u64,
    /// How many bytes were read.
    bytes: u64,
    ended: bool,
    /// A line that begins so is no comment.
    mark: Option<&'static str>,
}

impl Lines<File> {
    /// Those of a file; `-` is standard input.
    pub(crate) fn open(file: &str) -> Result<Self, Failure> {
        open(file).map(Self::new)
    }

    /// Reads a file, and lines that begin with `mark`, which are comments to a batch.
    pub(crate) fn open_with(file: &str, mark: &'static str) -> Result<Self, Failure> {
        Ok(Self { mark: Some(mark), ..Self::open(file)? })
    }

    /// The words of the next command, with the number of its last line; `None`
    /// at the end. An empty line has none.
    pub(crate) fn next_words(&mut self) -> Result<Option<Numbered>, At> {
        let at = |lines: &Self, failure: Failure| (failure, lines.number);
        match self.read() {
            Ok(false) => Ok(None),
            // Its words can hold quotes.
            Ok(true) if self.mark.is_some_and(|mark| self.line.starts_with(mark)) => {
                Ok(Some((self.number, self.line.split_whitespace().map(str::to_owned).collect())))
            }
            Ok(true) => match split(&self.line) {
                Ok(words) => Ok(Some((self.number, words.into_iter().map(str::to_owned).collect()))),
                Err(failure) => Err(at(self, failure)),
            },
            Err(failure) => Err(at(self, failure)),
        }
    }
}

impl<R: Read> Lines<R> {
    fn new(source: R) -> Self {
        let source = BufReader::with_capacity(PIECE, source);
        Self { source, line: String::new(), number: 0, bytes: 0, ended: false, mark: None }
    }

    /// Whether the next command is in memory already: a line with its end that
    /// does not go on.
    pub(crate) fn is_at_hand(&self) -> bool {
        let buffer = self.source.buffer();
        memchr(b'\n', buffer).is_some_and(|end| !buffer[..end].ends_with(b"\\"))
    }

    /// Reads the next command into `line`; `false` at the end.
    pub(crate) fn read(&mut self) -> Result<bool, Failure> {
        let mut command = std::mem::take(&mut self.line).into_bytes();
        command.clear();
        let mut more = self.append(&mut command)?;
        let any = more;
        while more && command.ends_with(b"\\\n") {
            command.truncate(command.len() - 2);
            more = self.append(&mut command)?;
        }
        self.line = into_text(command);
        match any && !more {
            true => Err(Failure::Words("Missing continuation line".into())),
            false => Ok(any),
        }
    }

    /// Appends the next line; `false` at the end. A `#` starts a comment,
    /// between quotes too, and takes the end of the line with it.
    fn append(&mut self, command: &mut Vec<u8>) -> Result<bool, Failure> {
        let start = command.len();
        // Not read_until(), whose search takes longer than the crate's.
        loop {
            let buffer = match self.source.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // Standard input that another program made non-blocking.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait_for_input().map_err(|error| {
                        self.ended = true;
                        Failure::System(format!("Cannot read: {}", reason(&error)))
                    })?;
                    continue;
                }
                buffer => buffer.map_err(|error| {
                    self.ended = true;
                    Failure::System(format!("Cannot read: {}", reason(&error)))
                })?,
            };
            let end = memchr(b'\n', buffer).map(|end| end + 1);
            let piece = &buffer[..end.unwrap_or(buffer.len())];
            command.extend_from_slice(piece);
            let length = piece.len();
            self.source.consume(length);
            self.bytes += length as u64;
            if end.is_some() || length == 0 {
                break;
            }
        }
        if command.len() == start {
            self.ended = true;
            return Ok(false);
        }
        self.number += 1;
        // Not one that continues a command.
        if start == 0 && self.mark.is_some_and(|mark| command.starts_with(mark.as_bytes())) {
            return Ok(true);
        }
        if let Some(comment) = memchr(b'#', &command[start..]) {
            command.truncate(start + comment);
        }
        Ok(true)
    }
}

/// Splits a command at white space. A word that begins with a quote goes on to
/// the next such quote.
pub(crate) fn split(line: &str) -> Result<Vec<&str>, Failure> {
    let (bytes, mut words, mut at) = (line.as_bytes(), Vec::with_capacity(USUAL), 0);
    while let Some(first) = bytes.get(at) {
        let start = at;
        if let quote @ (b'\'' | b'"') = *first {
            let length = line[at + 1..].find(char::from(quote));
            let length = length.ok_or_else(|| Failure::Words("Unterminated quoted string".into()))?;
            words.push(&line[start + 1..][..length]);
            at += length + 2;
            continue;
        }
        while bytes.get(at).is_some_and(|byte| !is_space(*byte)) {
            at += 1;
        }
        if start < at {
            words.push(&line[start..at]);
        }
        at += 1;
    }
    Ok(words)
}

const fn is_space(byte: u8) -> bool {
    byte <= b' ' && matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &'static str) -> Vec<(u64, Vec<String>)> {
        let mut lines = Lines::new(text.as_bytes());
        let mut all = Vec::new();
        while lines.read().unwrap() {
            let words = split(&lines.line).unwrap().into_iter().map(str::to_owned).collect();
            all.push((lines.number, words));
        }
        all
    }

    #[test]
    fn lines_are_joined_and_comments_dropped() {
        let read = lines("a b # c\n\n x \\\n y\\\nz\nd # \\\ne");
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(read[..3], [(1, words(&["a", "b"])), (2, words(&[])), (5, words(&["x", "yz"]))]);
        assert_eq!(read[3..], [(6, words(&["d"])), (7, words(&["e"]))], "a comment is not continued");
    }

    #[test]
    fn a_command_is_at_hand_when_it_is_whole() {
        // A pipe in three pieces.
        let pieces = b"a\nb \\\n".chain(&b"c\nd"[..]).chain(&b"\n"[..]);
        let mut lines = Lines::new(pieces);
        for (at_hand, line) in [(false, "a\n"), (false, "b c\n"), (false, "d\n")] {
            assert_eq!(lines.is_at_hand(), at_hand, "{line}");
            assert!(lines.read().unwrap());
            assert_eq!(lines.line, line);
        }
        let mut lines = Lines::new(&b"a\nb\n"[..]);
        assert!(lines.read().unwrap() && lines.is_at_hand());
        assert!(lines.read().unwrap() && !lines.is_at_hand());
    }

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(split("a 'b  c' \"d'e\" ''f g'h").unwrap(), ["a", "b  c", "d'e", "", "f", "g'h"]);
        assert!(split("'a").is_err());
        assert_eq!(split(" \t\r\n").unwrap(), [""; 0]);
    }

    #[test]
    fn a_line_that_shall_go_on_and_does_not_is_an_error() {
        let mut lines = Lines::new("a \\\n".as_bytes());
        assert_eq!(lines.read().unwrap_err().to_string(), "Missing continuation line");
        assert!(lines.ended);
    }
}
