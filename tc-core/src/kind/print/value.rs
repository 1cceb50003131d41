//! Values that are printed, and quantities with their units.

use std::fmt;
use std::io::Write as _;

use super::Style;
use crate::wire::device::DeviceName;
use crate::wire::handle::Handle;
use crate::wire::stack_str::StackStr;
use crate::wire::units::{PrintG, PrintRate, PrintSize, PrintTime, PrintTimeNs};

/// A value that can be printed in both forms.
pub trait Item {
    /// Appends the value as text.
    fn text(&self, out: &mut Vec<u8>, style: &Style);
    /// Appends the value as JSON.
    fn json(&self, out: &mut Vec<u8>);
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Item for $type {
            fn text(&self, out: &mut Vec<u8>, _: &Style) {
                digits(*self, out);
            }
            fn json(&self, out: &mut Vec<u8>) {
                digits(*self, out);
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, usize, i8, i16, i32, i64);

/// Most counters have one digit.
fn digits<N: itoa::Integer + TryInto<u8>>(number: N, out: &mut Vec<u8>) {
    match number.try_into() {
        Ok(digit @ 0..=9) => out.push(b'0' + digit),
        _ => out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes()),
    }
}

fn shown(out: &mut Vec<u8>, value: impl fmt::Display) {
    // Writing to memory cannot fail.
    let _written = write!(out, "{value}");
}

impl Item for bool {
    fn text(&self, out: &mut Vec<u8>, _: &Style) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
    fn json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

/// Bytes that stand in a JSON string as they are.
const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut byte = 0;
    while byte < b' ' {
        plain[byte as usize] = false;
        byte += 1;
    }
    plain[0x7f] = false;
    plain[b'"' as usize] = false;
    plain[b'\\' as usize] = false;
    plain
};

/// Whether a text stands in a JSON string as it is.
pub(super) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| PLAIN[usize::from(byte)])
}

/// Appends what stands between the quotes of a JSON string. As in `tc`, bytes from 0x80 stay.
fn escaped(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| !PLAIN[usize::from(*byte)]) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            byte => shown(out, format_args!("\\u{byte:04x}")),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Writes into a JSON string.
struct Escaped<'a>(&'a mut Vec<u8>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escaped(text.as_bytes(), self.0);
        Ok(())
    }
}

/// Text that need not be UTF-8: a device's name. In JSON, too, its bytes stay.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl Item for Bytes<'_> {
    fn text(&self, out: &mut Vec<u8>, _: &Style) {
        out.extend_from_slice(self.0);
    }
    fn json(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        escaped(self.0, out);
        out.push(b'"');
    }
}

impl Item for DeviceName {
    fn text(&self, out: &mut Vec<u8>, style: &Style) {
        Bytes(self.as_bytes()).text(out, style);
    }
    fn json(&self, out: &mut Vec<u8>) {
        Bytes(self.as_bytes()).json(out);
    }
}

impl Item for str {
    fn text(&self, out: &mut Vec<u8>, _: &Style) {
        out.extend_from_slice(self.as_bytes());
    }
    fn json(&self, out: &mut Vec<u8>) {
        Bytes(self.as_bytes()).json(out);
    }
}

impl<T: Item + ?Sized> Item for &T {
    fn text(&self, out: &mut Vec<u8>, style: &Style) {
        (**self).text(out, style);
    }
    fn json(&self, out: &mut Vec<u8>) {
        (**self).json(out);
    }
}

impl Item for String {
    fn text(&self, out: &mut Vec<u8>, style: &Style) {
        self.as_str().text(out, style);
    }
    fn json(&self, out: &mut Vec<u8>) {
        self.as_str().json(out);
    }
}

impl Item for Handle {
    fn text(&self, out: &mut Vec<u8>, style: &Style) {
        Quoted(self.short()).text(out, style);
    }
    fn json(&self, out: &mut Vec<u8>) {
        Quoted(self.short()).json(out);
    }
}

/// `null` in JSON, the text in text.
#[derive(Clone, Copy, Debug)]
pub struct Null<'a>(pub &'a str);

impl Item for Null<'_> {
    fn text(&self, out: &mut Vec<u8>, style: &Style) {
        self.0.text(out, style);
    }
    fn json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"null");
    }
}

macro_rules! quantities {
    ($($(#[$doc:meta])* $name:ident($type:ty): $text:expr, $json:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name(pub $type);

        impl Item for $name {
            fn text(&self, out: &mut Vec<u8>, style: &Style) {
                let text: fn($type, &Style) -> StackStr = $text;
                out.extend_from_slice(text(self.0, style).bytes());
            }
            fn json(&self, out: &mut Vec<u8>) {
                let json: fn($type) -> _ = $json;
                json(self.0).json(out);
            }
        }
    )*};
}

quantities! {
    /// A rate in bytes per second: `8Kbit`; in JSON the bytes.
    Rate(u64): |bytes, style| PrintRate { bytes, iec: style.iec }.short(), |bytes| bytes;
    /// A size in bytes: `1Kb`; in JSON the bytes.
    Size(u32): |bytes, _| PrintSize(bytes.into()).short(), |bytes| bytes;
    /// As [`Size`], beyond 4 GiB too.
    Size64(u64): |bytes, _| PrintSize(bytes).short(), |bytes| bytes;
    /// A time in microseconds: `5ms`; in JSON the microseconds.
    Time(u32): |us, _| PrintTime(us).short(), |us| us;
    /// A time in nanoseconds: `5ms`; in JSON the nanoseconds.
    TimeNs(i64): |ns, _| PrintTimeNs(ns).short(), |ns| ns;
    /// A hexadecimal number without prefix: `1f`; in JSON a string.
    Hex(u32): |number, _| StackStr::new().hex(number.into()), |number| Quoted(StackStr::new().hex(number.into()));
    /// A hexadecimal number with prefix: `0x1f`, but `0`, as C's `%#x` prints
    /// it; in JSON a string.
    Hex0x(u64): |number, _| prefixed(number), |number| Quoted(prefixed(number));
    /// A number as C prints it with `%g`, in both forms.
    Float(f64): |number, _| PrintG(number, 6).short(), |number| Bare(PrintG(number, 6).short());
}

fn prefixed(number: u64) -> StackStr {
    let prefix = if number == 0 { "" } else { "0x" };
    StackStr::new().str(prefix).hex(number)
}

/// A text that is a JSON token as it stands.
struct Bare(StackStr);

impl Item for Bare {
    fn text(&self, out: &mut Vec<u8>, _: &Style) {
        out.extend_from_slice(self.0.bytes());
    }
    fn json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.bytes());
    }
}

/// A text that is a JSON string with quotes around it.
struct Quoted(StackStr);

impl Item for Quoted {
    fn text(&self, out: &mut Vec<u8>, _: &Style) {
        out.extend_from_slice(self.0.bytes());
    }
    fn json(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice(self.0.bytes());
        out.push(b'"');
    }
}

/// Formatted words: `Formatted(format_args!(...))`; in JSON a string.
#[derive(Clone, Copy, Debug)]
pub struct Formatted<'a>(pub fmt::Arguments<'a>);

impl Item for Formatted<'_> {
    fn text(&self, out: &mut Vec<u8>, _: &Style) {
        shown(out, self.0);
    }
    fn json(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        let _written = fmt::Write::write_fmt(&mut Escaped(out), self.0);
        out.push(b'"');
    }
}
