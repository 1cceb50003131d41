//! The tokens of an expression, taken from the words of a command one by one.

use super::args::Arg;
use crate::kind::words::Words;
use crate::wire::lossless::to_bytes;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    And,
    Or,
    Not,
    Open,
    Close,
    Arg(Arg),
}

/// Reads tokens. A token ends with its word; only text in quotes goes on in the next one.
pub(super) struct Lexer<'w, 'a> {
    words: &'w mut Words<'a>,
    start: &'a [&'a str],
    /// The word that was taken last, and a blank.
    word: Vec<u8>,
    at: usize,
}

impl<'w, 'a> Lexer<'w, 'a> {
    pub(super) fn new(words: &'w mut Words<'a>) -> Self {
        let start = words.rest();
        Self { words, start, word: Vec::new(), at: 0 }
    }

    /// The words that were taken.
    pub(super) fn taken(&self) -> &'a [&'a str] {
        &self.start[..self.start.len() - self.words.rest().len()]
    }

    /// The next token, also from the next words; `None` at their end. The error is a line for
    /// the user, or empty.
    pub(super) fn token(&mut self) -> Result<Option<Token>, &'static str> {
        loop {
            if let Some(token) = self.token_in_word()? {
                return Ok(Some(token));
            }
            if !self.next_word() {
                return Ok(None);
            }
        }
    }

    /// The next token after a whole expression. A next word that does not start with `and` or `or` stays.
    pub(super) fn token_after_expression(&mut self) -> Result<Option<Token>, &'static str> {
        if let Some(token) = self.token_in_word()? {
            return Ok(Some(token));
        }
        let mut words = self.words.clone();
        let mut ahead = Lexer::new(&mut words);
        match ahead.token() {
            Ok(Some(Token::And | Token::Or)) => self.token(),
            _ => Ok(None),
        }
    }

    fn next_word(&mut self) -> bool {
        let Some(word) = self.words.next() else { return false };
        self.word.clear();
        self.word.extend_from_slice(&to_bytes(word));
        self.word.push(b' ');
        self.at = 0;
        true
    }

    fn token_in_word(&mut self) -> Result<Option<Token>, &'static str> {
        while self.word.get(self.at).is_some_and(|byte| is_space(*byte)) {
            self.at += 1;
        }
        let Some(first) = self.word.get(self.at) else { return Ok(None) };
        match first {
            b'(' | b')' => {
                self.at += 1;
                let token = if self.word[self.at - 1] == b'(' { Token::Open } else { Token::Close };
                Ok(Some(token))
            }
            b'"' => {
                self.at += 1;
                let bytes = self.quoted()?;
                Ok(Some(Token::Arg(Arg { bytes, quoted: true })))
            }
            _ => {
                let rest = &self.word[self.at..];
                let end = rest.iter().position(|byte| is_space(*byte) || matches!(byte, b'(' | b')'));
                let bytes = rest[..end.unwrap_or(rest.len())].to_vec();
                self.at += bytes.len();
                Ok(Some(match () {
                    () if bytes.eq_ignore_ascii_case(b"and") => Token::And,
                    () if bytes.eq_ignore_ascii_case(b"or") => Token::Or,
                    () if bytes.eq_ignore_ascii_case(b"not") => Token::Not,
                    () => Token::Arg(Arg { bytes, quoted: false }),
                }))
            }
        }
    }

    /// The text up to the closing quote, with C's escapes resolved.
    fn quoted(&mut self) -> Result<Vec<u8>, &'static str> {
        let mut text = Vec::new();
        loop {
            match self.byte()? {
                b'"' => return Ok(text),
                b'\\' => {
                    let escaped = self.escape()?;
                    text.push(escaped);
                }
                byte => text.push(byte),
            }
        }
    }

    fn byte(&mut self) -> Result<u8, &'static str> {
        loop {
            if let Some(byte) = self.word.get(self.at) {
                self.at += 1;
                return Ok(*byte);
            }
            if !self.next_word() {
                return Err("");
            }
        }
    }

    /// The byte that an escape stands for; the backslash is read already.
    fn escape(&mut self) -> Result<u8, &'static str> {
        let rest = &self.word[self.at..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 {
            let number = std::str::from_utf8(&rest[..digits]).unwrap_or_default();
            let number = Some(number).filter(|_| digits <= 3);
            let number = number.and_then(|number| u32::from_str_radix(number, 8).ok());
            self.at += digits;
            let number = number.ok_or("error: invalid octale escape sequence")?;
            return u8::try_from(number).map_err(|_| "error: octal escape sequence out of range");
        }
        let hex = |byte: &u8| char::from(*byte).to_digit(16);
        if let [b'x', first, rest @ ..] = rest
            && let Some(first) = hex(first)
        {
            let second = rest.first().and_then(hex);
            self.at += 2 + usize::from(second.is_some());
            return Ok(second.map_or(first, |second| first << 4 | second) as u8);
        }
        Ok(match self.byte()? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'a' => 0x07,
            byte => byte,
        })
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Bytes as an argument in quotes that is read as these bytes, also from the line of a batch: without `#`,
/// blanks and quotes inside.
///
/// ```
/// assert_eq!(tc_core::ematch::quote(b"a b#\n"), r#""a\x20b\x23\x0a""#);
/// ```
pub fn quote(bytes: &[u8]) -> String {
    let mut text = String::from('"');
    for byte in bytes {
        match byte {
            b'"' | b'\'' | b'\\' | b'#' => text.push_str(&format!("\\x{byte:02x}")),
            b'!'..=b'~' => text.push(char::from(*byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text.push('"');
    text
}
