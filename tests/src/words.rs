//! The words of a command.

/// Splits a command at white space. A word that begins with a quote goes on to the next such quote, as in
/// a batch.
#[must_use]
pub fn split(line: &str) -> Vec<&str> {
    let (mut words, mut rest) = (Vec::new(), line.trim_start());
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '\'' | '"' => rest[1..].split_once(first).unwrap_or((&rest[1..], "")),
            _ => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        words.push(word);
        rest = after.trim_start();
    }
    words
}

/// Joins words so that [`split`] returns them.
#[must_use]
pub fn join(words: &[&str]) -> String {
    let quoted = words.iter().map(|word| match word {
        word if !word.is_empty() && !word.contains(char::is_whitespace) && !word.starts_with(['\'', '"']) => {
            (*word).to_owned()
        }
        word if word.contains('\'') => format!("\"{word}\""),
        word => format!("'{word}'"),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{join, split};

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(split(" a  'b  c' \"d'e\" '' f'g"), ["a", "b  c", "d'e", "", "f'g"]);
        let words = ["a", "b c", "\"lo\")", "", "it's so"];
        assert_eq!(split(&join(&words)), words);
    }
}
