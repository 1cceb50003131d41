//! The words of an ets.

use tc_core::units::parse_decimal;
use tc_core::words::{WordError, Words};

use super::Ets;

/// Reads the words of the qdisc.
pub(super) fn read(words: &mut Words<'_>) -> Result<Ets, WordError> {
    let mut ets = Ets::default();
    let mut list = List::None;
    while let Some(word) = words.next() {
        match word {
            "bands" | "strict" => {
                let (name, bands) = match word {
                    "bands" => ("bands", &mut ets.bands),
                    _ => ("strict", &mut ets.strict),
                };
                refuse_second(name, *bands != 0)?;
                *bands = parse_bands(name, words.value()?)?;
                list = List::None;
            }
            "quanta" => {
                refuse_second("quanta", !ets.quanta_bytes.is_empty())?;
                list = List::Quanta;
                list.push(&mut ets, words.value()?)?;
            }
            "priomap" => {
                refuse_second("priomap", !ets.priomap.is_empty())?;
                list = List::Priomap;
                list.push(&mut ets, words.value()?)?;
            }
            "help" => return Err(WordError::Help),
            word => list.push(&mut ets, word)?,
        }
    }
    if ets.bands == 0 {
        ets.bands = Ets::new(ets.strict, ets.quanta_bytes.as_slice()).bands;
    }
    check(&ets)?;
    Ok(ets)
}

/// Checks that the options fit together, with the texts of `tc`.
fn check(ets: &Ets) -> Result<(), WordError> {
    if ets.bands == 0 {
        let text = "One of \"bands\", \"quanta\" or \"strict\" needs to be specified";
        return Err(WordError::KindUsage(text.into()));
    }
    if usize::from(ets.strict) + ets.quanta_bytes.len() > usize::from(ets.bands) {
        let text = "Not enough total bands to cover all the strict bands and quanta";
        return Err(WordError::KindUsage(text.into()));
    }
    if ets.priomap.iter().any(|band| *band >= ets.bands) {
        return error("\"priomap\" element is out of bounds");
    }
    Ok(())
}

/// Which list the words that follow belong to.
enum List {
    None,
    Quanta,
    Priomap,
}

impl List {
    fn push(&self, ets: &mut Ets, word: &str) -> Result<(), WordError> {
        match self {
            Self::None => return Err(WordError::what_is(word)),
            Self::Quanta => {
                let quantum = parse_quantum(word)?;
                // tc writes past its table of 16, and sends all; the kernel refuses them.
                if ets.quanta_bytes.len() == usize::from(u8::MAX) {
                    return error(&format!("The number of \"quanta\" must be <= {MAX_BANDS}"));
                }
                ets.quanta_bytes.push(quantum);
            }
            Self::Priomap => {
                let illegal = |_| WordError::Kind("Illegal \"priomap\" element".into());
                let band: u32 = parse_decimal(word).map_err(illegal)?;
                if ets.priomap.len() > MAX_PRIORITY {
                    return error(&format!("\"priomap\" index cannot be higher than {MAX_PRIORITY}"));
                }
                // Numbers over 255 are as wrong as 255; tc cuts them to 8 bits.
                ets.priomap.push(u8::try_from(band).unwrap_or(u8::MAX));
            }
        }
        Ok(())
    }
}

/// Reads a quantum, of the qdisc's list or of a class.
pub(super) fn parse_quantum(word: &str) -> Result<u32, WordError> {
    match parse_decimal(word) {
        Ok(0) => error("\"quanta\" must be > 0"),
        Ok(quantum) => Ok(quantum),
        Err(_) => error("Illegal \"quanta\" element"),
    }
}

fn parse_bands(name: &str, word: &str) -> Result<u8, WordError> {
    let number: u32 = parse_decimal(word).map_err(|_| WordError::Kind(format!("Illegal \"{name}\"")))?;
    match u8::try_from(number) {
        Ok(bands) if bands <= MAX_BANDS => Ok(bands),
        _ => error(&format!("The number of \"{name}\" must be <= {MAX_BANDS}")),
    }
}

/// As in tc, 0 bands do not count as given.
pub(super) fn refuse_second(name: &str, given: bool) -> Result<(), WordError> {
    if given { error(&format!("Duplicate \"{name}\"")) } else { Ok(()) }
}

fn error<T>(text: &str) -> Result<T, WordError> {
    Err(WordError::Kind(text.into()))
}

/// `TCQ_ETS_MAX_BANDS`.
const MAX_BANDS: u8 = 16;
/// `TC_PRIO_MAX`.
const MAX_PRIORITY: usize = 15;

#[cfg(test)]
mod tests {
    use super::super::EtsClass;
    use super::*;
    use tc_core::words::WordsContext;
    use tc_core::{Syntax, Verb};

    fn parse(words: &str) -> Result<Ets, WordError> {
        let words: Vec<_> = words.split_whitespace().collect();
        Ets::parse_words(&mut Words::new(&words), &WordsContext::new(Verb::Add)).map(Option::unwrap)
    }

    #[test]
    fn a_list_ends_at_the_next_parameter() {
        let ets = Ets::new(2, [4500, 1500]).priomap([3, 0]);
        assert_eq!(parse("quanta 4500 1500 strict 2 priomap 3 0"), Ok(ets.clone()));
        assert_eq!(
            parse("bands 0 bands 9 strict 2 quanta 4500 1500 priomap 3 0"),
            Ok(Ets { bands: 9, ..ets })
        );
    }

    #[test]
    fn bad_words_have_tcs_text() {
        let text = |words: &str| parse(words).unwrap_err().to_string();
        for (words, expected) in [
            ("", "One of \"bands\", \"quanta\" or \"strict\" needs to be specified"),
            ("bands 17", "The number of \"bands\" must be <= 16"),
            ("strict x", "Illegal \"strict\""),
            ("bands 2 bands 2", "Duplicate \"bands\""),
            ("quanta 1 bands 2 quanta 1", "Duplicate \"quanta\""),
            ("quanta 1 0", "\"quanta\" must be > 0"),
            ("quanta strict", "Illegal \"quanta\" element"),
            ("bands 2 priomap 0 x", "Illegal \"priomap\" element"),
            ("bands 2 priomap 0 2", "\"priomap\" element is out of bounds"),
            ("bands 2 priomap 256", "\"priomap\" element is out of bounds"),
            ("priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0", "\"priomap\" index cannot be higher than 15"),
            ("strict 2 quanta 5 bands 2", "Not enough total bands to cover all the strict bands and quanta"),
            ("bands 2 3", "What is \"3\"?"),
        ] {
            assert_eq!(text(words), expected, "{words}");
        }
        assert_eq!(text(&format!("quanta{}", " 1".repeat(256))), "The number of \"quanta\" must be <= 16");
        let seventeen = parse(&format!("quanta{}", " 1".repeat(17)));
        assert_eq!(seventeen.unwrap().bands, 17, "for the kernel to refuse");
        assert_eq!(parse("quanta"), Err(WordError::Incomplete));
        let class =
            |words: &[&str]| EtsClass::parse_words(&mut Words::new(words), &WordsContext::new(Verb::Change));
        assert_eq!(class(&["quantum", "9"]), Ok(Some(EtsClass { quantum_bytes: Some(9) })));
        assert_eq!(
            class(&["quantum", "9", "quantum", "8"]).unwrap_err().to_string(),
            "Duplicate \"quantum\""
        );
    }
}
