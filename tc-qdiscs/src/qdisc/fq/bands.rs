//! Bands: the band of each priority, and the weight of each band.

use derive_setters::Setters;
use tc_core::print::Printer;
use tc_core::units::parse_decimal;
use tc_core::words::{WordError, Words};
use tc_core::{AttrWriter, DecodeError, Reader};

/// How many bands there are (`FQ_BANDS`).
pub const BANDS: usize = 3;
/// `FQ_MIN_WEIGHT`.
const LEAST_WEIGHT: i32 = 16384;

/// The bands of the priorities: `struct tc_prio_qopt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Bands {
    /// How many there are; the kernel takes 3 alone.
    pub count: u32,
    /// The band of each priority (`TC_PRIO_*`), counted from 0, which is served
    /// best.
    pub priomap: [u8; 16],
}

impl Bands {
    /// Three bands, and the band of each priority.
    pub const fn new(priomap: [u8; 16]) -> Self {
        Self { count: BANDS as u32, priomap }
    }

    pub(super) fn parse(words: &mut Words<'_>) -> Result<Self, WordError> {
        let count: i32 = words.parse(parse_decimal, |_| "Illegal \"bands\"".into())?;
        if usize::try_from(count) != Ok(BANDS) {
            return Err(WordError::Kind("\"bands\" must be 3".into()));
        }
        if words.value()? != "priomap" {
            return Err(WordError::Kind("\"priomap\" expected".into()));
        }
        let mut bands = Self { count: count.cast_unsigned(), priomap: [0; 16] };
        for slot in &mut bands.priomap {
            let illegal =
                |_: &str| format!("Illegal \"priomap\" element, number in [0..{}] expected", BANDS - 1);
            let band = next(words, "priomap")?.parse(parse_decimal::<u32>, illegal)?;
            *slot = u8::try_from(band)
                .ok()
                .filter(|band| usize::from(*band) < BANDS)
                .ok_or_else(|| WordError::Kind(format!("\"priomap\" element {band} too big")))?;
        }
        Ok(bands)
    }

    /// The words after `bands`.
    pub(super) fn words(&self) -> String {
        format!("{} priomap {}", self.count, self.priomap.map(|band| band.to_string()).join(" "))
    }

    pub(super) fn encode(&self, out: &mut AttrWriter<'_>) {
        out.put_u32(self.count);
        out.put(&self.priomap);
    }

    pub(super) fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        Ok(Self { count: reader.u32()?, priomap: reader.array()? })
    }
}

pub(super) fn parse_weights(words: &mut Words<'_>) -> Result<[u32; BANDS], WordError> {
    let mut weights = [0; BANDS];
    for slot in &mut weights {
        let illegal = |_: &str| "Illegal \"weights\" element, positive number expected".to_owned();
        let weight: i32 = next(words, "weights")?.parse(parse_decimal, illegal)?;
        if weight < LEAST_WEIGHT {
            return Err(WordError::Kind(format!("\"weight\" element {weight} too small")));
        }
        *slot = weight.cast_unsigned();
    }
    Ok(weights)
}

pub(super) fn decode_weights(payload: &[u8]) -> Result<[u32; BANDS], DecodeError> {
    let mut reader = Reader::new(payload);
    Ok([reader.u32()?, reader.u32()?, reader.u32()?])
}

/// The words, if one is left for the list `key`.
fn next<'w, 'a>(words: &'w mut Words<'a>, key: &str) -> Result<&'w mut Words<'a>, WordError> {
    if words.is_empty() {
        return Err(WordError::Kind(format!("Not enough elements in {key}")));
    }
    Ok(words)
}

pub(super) fn duplicate(key: &str) -> WordError {
    WordError::Kind(format!("Duplicate \"{key}\""))
}

/// As tc: the keys end with a space in JSON too.
pub(super) fn print(bands: Option<&Bands>, weights: Option<&[u32; BANDS]>, out: &mut Printer) {
    if let Some(bands) = bands {
        out.item("bands", "bands ", bands.count, " ");
        print_list("priomap ", &bands.priomap.map(u32::from), out);
    }
    if let Some(weights) = weights {
        print_list("weights ", weights, out);
    }
}

fn print_list(key: &str, list: &[u32], out: &mut Printer) {
    out.text(key);
    out.array(key, |out| {
        for number in list {
            out.item("", "", *number, " ");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "priomap 1 2 2 2 1 2 0 0 1 1 1 1 1 1 1 1";

    fn read<T>(parse: fn(&mut Words<'_>) -> Result<T, WordError>, words: &str) -> Result<T, WordError> {
        let words: Vec<_> = words.split_whitespace().collect();
        parse(&mut Words::new(&words))
    }

    #[test]
    fn bad_bands_have_tcs_text() {
        assert_eq!(read(Bands::parse, &format!("3 {MAP}")).unwrap().priomap[..3], [1, 2, 2]);
        for (words, text) in [
            ("x", "Illegal \"bands\""),
            ("4", "\"bands\" must be 3"),
            ("3 map", "\"priomap\" expected"),
            ("3 priomap 1 2", "Not enough elements in priomap"),
            ("3 priomap -1", "Illegal \"priomap\" element, number in [0..2] expected"),
            ("3 priomap 300", "\"priomap\" element 300 too big"),
        ] {
            assert_eq!(read(Bands::parse, words).unwrap_err().to_string(), text, "{words}");
        }
        assert_eq!(read(Bands::parse, "3"), Err(WordError::Incomplete));
    }

    #[test]
    fn bad_weights_have_tcs_text() {
        assert_eq!(read(parse_weights, "16384 16385 2147483647"), Ok([16384, 16385, 2_147_483_647]));
        for (words, text) in [
            ("16384 20000", "Not enough elements in weights"),
            ("16384 20000 2147483648", "Illegal \"weights\" element, positive number expected"),
            ("16383", "\"weight\" element 16383 too small"),
            ("-5", "\"weight\" element -5 too small"),
        ] {
            assert_eq!(read(parse_weights, words).unwrap_err().to_string(), text, "{words}");
        }
    }

    #[test]
    fn short_bytes_are_an_error() {
        assert!(Bands::decode(&[0; 19]).is_err() && decode_weights(&[0; 11]).is_err());
    }
}
