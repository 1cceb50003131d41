//! Commands from a file or from standard input, one a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader};

use crate::failure::{Failure, reason};
use crate::report::Line;
use crate::session::Session;

/// Runs the commands of a file; `-` is standard input, where each is answered
/// before the next is read.
///
/// The first failure ends it, unless `-force` was given. All commands share one
/// connection, and one line is in memory at a time.
pub(crate) fn run(file: &str, session: &mut Session<'_>) -> Result<(), Failure> {
    let interactive = file == "-";
    let mut lines = Lines::new(open(file)?);
    let mut failed = false;
    loop {
        let done = match lines.read() {
            Ok(false) => break,
            Ok(true) => split(&lines.line).and_then(|words| line(&words, session)),
            Err(failure) => Err(failure),
        };
        if interactive || done.is_err() {
            session.output.flush()?;
        } else {
            session.output.flush_piece()?;
        }
        match done {
            Ok(()) => {}
            Err(failure @ Failure::Output(_)) => return Err(failure),
            Err(failure) => {
                failed = true;
                session.report.failure_at(&failure, Some(Line { file, number: lines.number }));
                if !session.globals.force || lines.ended {
                    break;
                }
            }
        }
    }
    if failed { Err(Failure::Batch) } else { Ok(()) }
}

fn line(words: &[&str], session: &mut Session<'_>) -> Result<(), Failure> {
    if words.is_empty() {
        return Ok(());
    }
    // Options of our own hold for their line.
    let before = (session.globals.dry_run, session.globals.as_tc);
    let words = session.globals.without_own(words);
    let done = session.command(&words);
    (session.globals.dry_run, session.globals.as_tc) = before;
    done
}

fn open(file: &str) -> Result<Box<dyn BufRead>, Failure> {
    if file == "-" {
        return Ok(Box::new(io::stdin().lock()));
    }
    match File::open(file) {
        Ok(opened) => Ok(Box::new(BufReader::with_capacity(64 * 1024, opened))),
        Err(error) => {
            Err(Failure::System(format!("Cannot open file \"{file}\" for reading: {}", reason(&error))))
        }
    }
}

/// The words of a command, behind the number of its last line.
pub(crate) type Numbered = (u64, Vec<String>);

/// A failure, and the number of the line that it is in; 0 for none.
pub(crate) type At = (Failure, u64);

/// Commands, joined from lines that end with `\`, without comments.
pub(crate) struct Lines {
    source: Box<dyn BufRead>,
    line: String,
    /// The number of the last line that was read.
    number: u64,
    ended: bool,
    bytes: Vec<u8>,
}

impl Lines {
    /// Those of a file; `-` is standard input.
    pub(crate) fn open(file: &str) -> Result<Self, Failure> {
        open(file).map(Self::new)
    }

    /// The words of the next command, with the number of its last line; `None`
    /// at the end. An empty line has none.
    pub(crate) fn next_words(&mut self) -> Result<Option<Numbered>, At> {
        let at = |lines: &Self, failure: Failure| (failure, lines.number);
        match self.read() {
            Ok(false) => Ok(None),
            Ok(true) => match split(&self.line) {
                Ok(words) => Ok(Some((self.number, words.into_iter().map(str::to_owned).collect()))),
                Err(failure) => Err(at(self, failure)),
            },
            Err(failure) => Err(at(self, failure)),
        }
    }

    fn new(source: Box<dyn BufRead>) -> Self {
        Self { source, line: String::new(), number: 0, ended: false, bytes: Vec::new() }
    }

    /// Reads the next command into `line`; `false` at the end.
    fn read(&mut self) -> Result<bool, Failure> {
        self.line.clear();
        if !self.append()? {
            return Ok(false);
        }
        while self.line.ends_with("\\\n") {
            self.line.truncate(self.line.len() - 2);
            if !self.append()? {
                return Err(Failure::Words("Missing continuation line".into()));
            }
        }
        Ok(true)
    }

    /// Appends the next line. A `#` starts a comment, between quotes too, and
    /// takes the end of the line with it.
    fn append(&mut self) -> Result<bool, Failure> {
        self.bytes.clear();
        let read = self.source.read_until(b'\n', &mut self.bytes);
        if read.map_err(|error| self.broken(&error))? == 0 {
            self.ended = true;
            return Ok(false);
        }
        self.number += 1;
        let command = self.bytes.split(|byte| *byte == b'#').next().unwrap_or_default();
        let text = std::str::from_utf8(command);
        self.line.push_str(text.map_err(|_| Failure::Words("Error: the line is not UTF-8".into()))?);
        Ok(true)
    }

    fn broken(&mut self, error: &io::Error) -> Failure {
        self.ended = true;
        Failure::System(format!("Cannot read: {}", reason(error)))
    }
}

/// Splits a command at white space. A word that begins with a quote goes on to
/// the next such quote.
fn split(line: &str) -> Result<Vec<&str>, Failure> {
    let mut words = Vec::new();
    let mut rest = line.trim_start_matches(SPACE);
    while let Some(first) = rest.chars().next() {
        let (word, behind) = match first {
            '\'' | '"' => rest[1..]
                .split_once(first)
                .ok_or_else(|| Failure::Words("Unterminated quoted string".into()))?,
            _ => rest.split_once(SPACE).unwrap_or((rest, "")),
        };
        words.push(word);
        rest = behind.trim_start_matches(SPACE);
    }
    Ok(words)
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &'static str) -> Vec<(u64, Vec<String>)> {
        let mut lines = Lines::new(Box::new(text.as_bytes()));
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
    fn quotes_hold_words_together() {
        assert_eq!(split("a 'b  c' \"d'e\" ''f g'h").unwrap(), ["a", "b  c", "d'e", "", "f", "g'h"]);
        assert!(split("'a").is_err());
        assert_eq!(split(" \t\r\n").unwrap(), [""; 0]);
    }

    #[test]
    fn a_line_that_shall_go_on_and_does_not_is_an_error() {
        let mut lines = Lines::new(Box::new("a \\\n".as_bytes()));
        assert_eq!(lines.read().unwrap_err().to_string(), "Missing continuation line");
        assert!(lines.ended);
    }
}
