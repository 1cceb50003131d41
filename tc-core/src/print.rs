//! Output in two forms from one description: `tc`'s text, and JSON.
//!
//! A kind says once what it prints: a JSON key, the text before the value, the
//! value, the text behind it. The two forms cannot drift apart.

mod pretty;

use std::fmt;
use std::io::Write as _;

use serde_json::ser::{CompactFormatter, Formatter};

use self::pretty::Pretty;
use crate::handle::Handle;
use crate::link::{DeviceName, DeviceNames};
use crate::short::Short;
use crate::units::{PrintG, PrintRate, PrintSize, PrintTime, PrintTimeNs};

/// What the output shall look like: `tc`'s global options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// `-s`: counters too.
    pub stats: bool,
    /// `-d`: more details.
    pub details: bool,
    /// `-r`: raw handles and ticks too.
    pub raw: bool,
    /// `-iec`: rates in units of 1024.
    pub iec: bool,
    /// `-N`: numbers in place of names.
    pub numeric: bool,
    /// `-o`: one line for each object; inner line ends become `\`.
    pub oneline: bool,
    /// `-c`: device names in colour.
    pub color: Option<Color>,
}

/// The palette for a dark or for a light terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// For a light background.
    Light,
    /// For a dark background (`COLORFGBG` says so).
    Dark,
}

/// The two forms of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// `tc`'s text.
    #[default]
    Text,
    /// JSON on one line.
    Json,
    /// JSON with line ends and indentation.
    PrettyJson,
}

/// Collects output in memory, as text or as JSON.
///
/// ```
/// use tc_core::print::{Form, Printer, Style};
///
/// fn describe(out: &mut Printer) {
///     out.item("limit", "limit ", 1000, "p ");
/// }
/// let mut text = Printer::new(Form::Text, Style::default());
/// describe(&mut text);
/// assert_eq!(text.as_str(), "limit 1000p ");
///
/// let mut json = Printer::new(Form::Json, Style::default());
/// json.object("", describe);
/// assert_eq!(json.as_str(), r#"{"limit":1000}"#);
/// ```
#[derive(Debug)]
pub struct Printer {
    out: Vec<u8>,
    style: Style,
    json: Option<Json>,
    names: Option<Names>,
}

/// Names of devices, each asked for once.
#[derive(Debug)]
struct Names {
    source: Box<dyn DeviceNames>,
    known: Vec<(i32, DeviceName)>,
}

#[derive(Debug)]
struct Json {
    layout: Layout,
    /// For each open object or array, innermost last: whether nothing stands
    /// in it yet, and whether it is an array.
    open: Vec<(bool, bool)>,
}

#[derive(Debug)]
enum Layout {
    Compact(CompactFormatter),
    Pretty(Pretty),
}

/// Calls one of serde_json's layout methods. Writing to memory cannot fail.
macro_rules! layout {
    ($printer:expr, $method:ident $(, $argument:expr)*) => {
        if let Some(json) = &mut $printer.json {
            let _written = match &mut json.layout {
                Layout::Compact(layout) => layout.$method(&mut $printer.out $(, $argument)*),
                Layout::Pretty(layout) => layout.$method(&mut $printer.out $(, $argument)*),
            };
        }
    };
}

impl Printer {
    /// An empty printer.
    pub fn new(form: Form, style: Style) -> Self {
        let layout = match form {
            Form::Text => None,
            Form::Json => Some(Layout::Compact(CompactFormatter)),
            Form::PrettyJson => Some(Layout::Pretty(Pretty::default())),
        };
        Self {
            out: Vec::new(),
            style,
            json: layout.map(|layout| Json { layout, open: Vec::new() }),
            names: None,
        }
    }

    /// Where the names of devices come from. Each is asked for once.
    pub fn set_names(&mut self, names: Box<dyn DeviceNames>) {
        self.names = Some(Names { source: names, known: Vec::new() });
    }

    /// The name of a device; `if7` for one of which nothing is known, and `*`
    /// for none (index 0).
    pub fn device_name(&mut self, ifindex: i32) -> DeviceName {
        if ifindex == 0 {
            return DeviceName::of("*");
        }
        let unknown = || DeviceName::of(&format!("if{}", ifindex.cast_unsigned()));
        let Some(names) = &mut self.names else { return unknown() };
        if let Some((_, name)) = names.known.iter().find(|(known, _)| *known == ifindex) {
            return *name;
        }
        let Ok(name) = names.source.device_name(ifindex) else { return unknown() };
        names.known.push((ifindex, name));
        name
    }

    /// What the output shall look like.
    pub const fn style(&self) -> &Style {
        &self.style
    }

    /// Whether the form is JSON.
    pub const fn is_json(&self) -> bool {
        self.json.is_some()
    }

    /// One value: in JSON under its key, in text between `before` and `after`.
    pub fn item(&mut self, key: &str, before: &str, value: impl Item, after: &str) {
        if self.is_json() {
            self.json(key, value);
        } else {
            self.text_item(before, value, after);
        }
    }

    /// One value, if there is one.
    pub fn item_if(&mut self, key: &str, before: &str, value: Option<impl Item>, after: &str) {
        if let Some(value) = value {
            self.item(key, before, value, after);
        }
    }

    /// One value in JSON alone.
    pub fn json(&mut self, key: &str, value: impl Item) {
        if self.is_json() {
            self.begin_value(key);
            value.json(&mut self.out);
            self.end_value();
        }
    }

    /// One value in text alone.
    pub fn text_item(&mut self, before: &str, value: impl Item, after: &str) {
        if !self.is_json() {
            self.out.extend_from_slice(before.as_bytes());
            value.text(&mut self.out, &self.style);
            self.out.extend_from_slice(after.as_bytes());
        }
    }

    /// Something that is there or not: in JSON `true` under its key, in text
    /// `text`.
    pub fn flag(&mut self, key: &str, text: &str) {
        self.json(key, true);
        self.text(text);
    }

    /// Something that is there or not, as JSON says it in both cases: `true` or
    /// `false` under its key; in text `text`, or nothing.
    pub fn switch(&mut self, key: &str, on: bool, text: &str) {
        self.json(key, on);
        if on {
            self.text(text);
        }
    }

    /// Words in text alone.
    pub fn text(&mut self, text: &str) {
        if !self.is_json() {
            self.out.extend_from_slice(text.as_bytes());
        }
    }

    /// The end of a line in text: `\` when there shall be one line an object.
    pub fn newline(&mut self) {
        self.text(if self.style.oneline { "\\" } else { "\n" });
    }

    /// An object in JSON (`key` is empty inside an array and at the top); in
    /// text just what is in it.
    pub fn object(&mut self, key: &str, inside: impl FnOnce(&mut Self)) {
        self.begin_object(key);
        inside(self);
        self.end_object();
    }

    /// An array in JSON; in text just what is in it.
    pub fn array(&mut self, key: &str, inside: impl FnOnce(&mut Self)) {
        self.begin_array(key);
        inside(self);
        self.end_array();
    }

    /// Starts an object; [`Printer::end_object`] ends it.
    pub fn begin_object(&mut self, key: &str) {
        if self.is_json() {
            self.begin_value(key);
            layout!(self, begin_object);
            self.enter(false);
        }
    }

    /// Ends an object.
    pub fn end_object(&mut self) {
        if self.is_json() {
            self.leave();
            layout!(self, end_object);
            self.end_value();
        }
    }

    /// Starts an array; [`Printer::end_array`] ends it.
    pub fn begin_array(&mut self, key: &str) {
        if self.is_json() {
            self.begin_value(key);
            layout!(self, begin_array);
            self.enter(true);
        }
    }

    /// Ends an array.
    pub fn end_array(&mut self) {
        if self.is_json() {
            self.leave();
            layout!(self, end_array);
            self.end_value();
        }
    }

    /// Ends a whole JSON document, with a line end.
    pub fn end_document(&mut self) {
        if self.is_json() {
            self.out.push(b'\n');
        }
    }

    /// Ends what a caller left open down to `depth` (see [`Printer::depth`]),
    /// so that the JSON stays valid when something failed half way.
    pub fn close_to(&mut self, depth: usize) {
        while let Some((_, array)) =
            self.json.as_ref().filter(|j| j.open.len() > depth).and_then(|j| j.open.last())
        {
            if *array { self.end_array() } else { self.end_object() }
        }
    }

    /// How many objects and arrays are open.
    pub fn depth(&self) -> usize {
        self.json.as_ref().map_or(0, |json| json.open.len())
    }

    /// A device's name, in colour if the style says so.
    pub fn device(&mut self, key: &str, before: &str, name: &str, after: &str) {
        // The palettes of iproute2: cyan, bold where the background is dark.
        let (on, off) = match self.style.color.filter(|_| !self.is_json()) {
            None => ("", ""),
            Some(Color::Light) => ("\x1b[36m", "\x1b[0m"),
            Some(Color::Dark) => ("\x1b[1;36m", "\x1b[0m"),
        };
        self.text(before);
        self.text(on);
        self.item(key, "", name, after);
        self.text(off);
    }

    /// What was printed so far.
    pub fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// What was printed so far, as text.
    pub fn as_str(&self) -> &str {
        // Only str and formatted numbers are ever written.
        std::str::from_utf8(&self.out).unwrap_or_default()
    }

    /// Forgets what was printed (it was written out); what is open stays open.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    /// Forgets what was printed behind the first `length` bytes, in text.
    pub fn truncate(&mut self, length: usize) {
        self.out.truncate(length);
    }

    fn begin_value(&mut self, key: &str) {
        let Some((empty, array)) = self.json.as_mut().and_then(|json| json.open.last_mut()) else { return };
        let (first, array) = (std::mem::replace(empty, false), *array);
        if array {
            layout!(self, begin_array_value, first);
        } else {
            layout!(self, begin_object_key, first);
            key.json(&mut self.out);
            layout!(self, end_object_key);
            layout!(self, begin_object_value);
        }
    }

    fn end_value(&mut self) {
        match self.json.as_ref().and_then(|json| json.open.last()) {
            Some((_, true)) => layout!(self, end_array_value),
            Some((_, false)) => layout!(self, end_object_value),
            None => {}
        }
    }

    fn enter(&mut self, array: bool) {
        if let Some(json) = &mut self.json {
            json.open.push((true, array));
        }
    }

    fn leave(&mut self) {
        if let Some(json) = &mut self.json {
            json.open.pop();
        }
    }
}

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
                out.extend_from_slice(itoa::Buffer::new().format(*self).as_bytes());
            }
            fn json(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(itoa::Buffer::new().format(*self).as_bytes());
            }
        }
    )*};
}

integers!(u8, u16, u32, u64, usize, i8, i16, i32, i64);

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
    plain[b'"' as usize] = false;
    plain[b'\\' as usize] = false;
    plain
};

impl Item for str {
    fn text(&self, out: &mut Vec<u8>, _: &Style) {
        out.extend_from_slice(self.as_bytes());
    }
    fn json(&self, out: &mut Vec<u8>) {
        if self.bytes().all(|byte| PLAIN[usize::from(byte)]) {
            out.push(b'"');
            out.extend_from_slice(self.as_bytes());
            out.push(b'"');
        } else {
            let _written = serde_json::to_writer(out, self);
        }
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
                let text: fn($type, &Style) -> Short = $text;
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
    Size(u32): |bytes, _| PrintSize(bytes).short(), |bytes| bytes;
    /// A time in microseconds: `5ms`; in JSON the microseconds.
    Time(u32): |us, _| PrintTime(us).short(), |us| us;
    /// A time in nanoseconds: `5ms`; in JSON the nanoseconds.
    TimeNs(i64): |ns, _| PrintTimeNs(ns).short(), |ns| ns;
    /// A hexadecimal number without prefix: `1f`; in JSON a string.
    Hex(u32): |number, _| Short::new().hex(number.into()), |number| Quoted(Short::new().hex(number.into()));
    /// A hexadecimal number with prefix: `0x1f`, but `0`, as C's `%#x` prints
    /// it; in JSON a string.
    Hex0x(u64): |number, _| prefixed(number), |number| Quoted(prefixed(number));
    /// A number as C prints it with `%g`, in both forms.
    Float(f64): |number, _| PrintG(number, 6).short(), |number| Bare(PrintG(number, 6).short());
}

fn prefixed(number: u64) -> Short {
    let prefix = if number == 0 { "" } else { "0x" };
    Short::new().str(prefix).hex(number)
}

/// A text that is a JSON token as it stands.
struct Bare(Short);

impl Item for Bare {
    fn text(&self, out: &mut Vec<u8>, _: &Style) {
        out.extend_from_slice(self.0.bytes());
    }
    fn json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.bytes());
    }
}

/// A text that is a JSON string with quotes around it.
struct Quoted(Short);

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
        self.0.to_string().json(out);
    }
}

#[cfg(test)]
mod tests;
