//! StackStr texts on the stack, through which numbers with units are printed.

use std::fmt;

/// Room for the longest of them: 17 digits with sign, point, zeros before them
/// and an exponent; or a rate's 20 digits and its unit.
const ROOM: usize = 40;

/// A short text. Longer input is truncated.
#[derive(Clone, Copy)]
pub(crate) struct StackStr {
    bytes: [u8; ROOM],
    length: usize,
}

impl StackStr {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; ROOM], length: 0 }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap_or_default()
    }

    #[must_use]
    pub(crate) fn str(mut self, text: &str) -> Self {
        self.push(text.as_bytes());
        self
    }

    #[must_use]
    pub(crate) fn number(mut self, number: impl itoa::Integer) -> Self {
        self.push(itoa::Buffer::new().format(number).as_bytes());
        self
    }

    /// A number in hexadecimal digits.
    #[must_use]
    pub(crate) fn hex(mut self, number: u64) -> Self {
        let digits = (u64::BITS - number.leading_zeros()).div_ceil(4).max(1);
        for digit in (0..digits).rev() {
            let digit = (number >> (4 * digit)) as u8 & 0xf;
            self.push(&[if digit < 10 { b'0' + digit } else { b'a' - 10 + digit }]);
        }
        self
    }

    /// A number as C prints it with `%.Ng`; N is at most 17.
    #[must_use]
    pub(crate) fn g(mut self, number: f64, precision: usize) -> Self {
        let precision = precision.clamp(1, MOST_DIGITS);
        if number.abs() < POWERS[precision] && number as i64 as f64 == number && number != 0.0 {
            return self.number(number as i64);
        }
        let mut scientific = Self::new();
        // Every such number fits.
        let _written = fmt::Write::write_fmt(&mut scientific, format_args!("{number:.*e}", precision - 1));
        if number == 0.0 || !number.is_finite() {
            let _written = fmt::Write::write_fmt(&mut self, format_args!("{number}"));
            return self;
        }
        self.push_g(scientific.bytes(), precision as i32);
        self
    }

    /// Appends a number that is written as `-1.25e-3`, as `%g` does: without the
    /// zeros at its end, and without the exponent where that is not shorter.
    fn push_g(&mut self, scientific: &[u8], precision: i32) {
        let (sign, rest) = match scientific {
            [b'-', rest @ ..] => ("-", rest),
            rest => ("", rest),
        };
        let mut parts = rest.split(|byte| *byte == b'e');
        let mantissa = parts.next().unwrap_or_default();
        let exponent = parts.next().and_then(|text| std::str::from_utf8(text).ok());
        let exponent: i32 = exponent.and_then(|text| text.parse().ok()).unwrap_or(0);

        let mut digits = Self::new();
        mantissa.iter().filter(|byte| **byte != b'.').for_each(|digit| digits.push(&[*digit]));
        let end = digits.bytes().iter().rposition(|digit| *digit != b'0').map_or(1, |last| last + 1);
        let digits = &digits.bytes()[..end];

        self.push(sign.as_bytes());
        if exponent < -4 || exponent >= precision {
            self.push_with_point(digits, 1);
            self.push(if exponent < 0 { b"e-" } else { b"e+" });
            self.push(if exponent.abs() < 10 { b"0" } else { b"" });
            self.push(itoa::Buffer::new().format(exponent.unsigned_abs()).as_bytes());
        } else if exponent < 0 {
            self.push(b"0.");
            self.push(&b"000"[..(-exponent - 1) as usize]);
            self.push(digits);
        } else {
            self.push_with_point(digits, exponent as usize + 1);
        }
    }

    /// Appends digits, the first `whole` of them before the point.
    fn push_with_point(&mut self, digits: &[u8], whole: usize) {
        match digits.split_at_checked(whole) {
            Some((digits, [])) => self.push(digits),
            Some((before, behind)) => {
                self.push(before);
                self.push(b".");
                self.push(behind);
            }
            None => {
                self.push(digits);
                (digits.len()..whole).for_each(|_| self.push(b"0"));
            }
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if let Some(place) = self.bytes.get_mut(self.length..end) {
            place.copy_from_slice(bytes);
            self.length = end;
        }
    }
}

impl fmt::Write for StackStr {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

const MOST_DIGITS: usize = 17;

/// Powers of ten; up to 2^53 a whole number in a double is exact.
const POWERS: [f64; MOST_DIGITS + 1] =
    [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e15, 1e15];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `%.Ng` by two roundings of std's.
    fn reference(number: f64, precision: usize) -> String {
        if number == 0.0 || !number.is_finite() {
            return number.to_string();
        }
        let scientific = format!("{number:.*e}", precision - 1);
        let (mantissa, exponent) = scientific.split_once('e').unwrap();
        let exponent: i32 = exponent.parse().unwrap();
        let trim = |digits: &str| match digits.contains('.') {
            true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => digits.to_owned(),
        };
        if exponent < -4 || exponent >= precision as i32 {
            let sign = if exponent < 0 { '-' } else { '+' };
            return format!("{}e{sign}{:02}", trim(mantissa), exponent.abs());
        }
        trim(&format!("{number:.*}", (precision as i32 - 1 - exponent) as usize))
    }

    fn assert_same(number: f64, precision: usize) {
        assert_eq!(StackStr::new().g(number, precision).as_str(), reference(number, precision), "{number:e}");
    }

    #[test]
    fn numbers_print_as_the_reference_does() {
        let odd = [
            0.0,
            -0.0,
            f64::INFINITY,
            f64::NAN,
            f64::MAX,
            f64::MIN_POSITIVE,
            1e15,
            123_456_789_012_345_680.0,
        ];
        for precision in 1..=17 {
            odd.into_iter().for_each(|number| assert_same(number, precision));
            for power in -6..18 {
                for digits in [1.0, 9.0, 9.5, 99.95, 9.999_999_5, 12.34, -5.0] {
                    assert_same(digits * 10f64.powi(power), precision);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_number_prints_as_the_reference_does(bits: u64, small in -1e7..1e7f64, precision in 1usize..=17) {
            assert_same(f64::from_bits(bits), precision);
            assert_same(small, precision);
            assert_same(small.trunc(), precision);
        }

        #[test]
        fn hexadecimal_digits_are_those_of_std(number: u64, shift in 0u32..64) {
            let number = number >> shift;
            let short = StackStr::new().hex(number);
            prop_assert_eq!(short.as_str(), format!("{number:x}"));
        }
    }
}
