//! The words of a command.

pub use tc_core::words::split;

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
