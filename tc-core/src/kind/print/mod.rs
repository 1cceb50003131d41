//! Output in two forms from one description: `tc`'s text, and JSON.
//!
//! A kind describes each item once: a JSON key, the text before the value, the
//! value, the text after it. The two forms cannot drift apart.

mod json;
mod stats;
mod value;

use self::json::Json;
pub use self::value::{Bytes, Float, Formatted, Hex, Hex0x, Item, Null, Rate, Size, Size64, Time, TimeNs};
use crate::wire::device::{DeviceName, DeviceNames};

/// The style of the output: `tc`'s global options.
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
    /// `-N`: numbers instead of names.
    pub numeric: bool,
    /// `-p`: protocol fields instead of raw numbers, where a filter kind knows them.
    pub pretty: bool,
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
    /// For a dark background (from `COLORFGBG`).
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

impl Printer {
    /// An empty printer.
    pub fn new(form: Form, style: Style) -> Self {
        let json = match form {
            Form::Text => None,
            Form::Json => Some(Json::new(false)),
            Form::PrettyJson => Some(Json::new(true)),
        };
        Self { out: Vec::new(), style, json, names: None }
    }

    /// Where the names of devices come from. Each is asked for once.
    pub fn set_names(&mut self, names: Box<dyn DeviceNames>) {
        self.names = Some(Names { source: names, known: Vec::new() });
    }

    /// Where names come from, if that is known.
    pub(crate) fn names(&self) -> Option<&dyn DeviceNames> {
        self.names.as_ref().map(|names| &*names.source)
    }

    /// The name of a device; `if7` for an unknown one, and `*` for index 0.
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

    /// The name of a routing realm, or its number, which is printed without names (`-N`).
    pub fn realm_name(&self, realm: u8) -> String {
        let name = self.names.as_ref().filter(|_| !self.style.numeric);
        name.and_then(|names| names.source.realm_name(realm)).unwrap_or_else(|| realm.to_string())
    }

    /// The style of the output.
    pub const fn style(&self) -> &Style {
        &self.style
    }

    /// Whether the form is JSON.
    pub const fn is_json(&self) -> bool {
        self.json.is_some()
    }

    /// One value: in JSON under its key, in text between `before` and `after`.
    ///
    /// Inlined, here and below: keys and texts are constants where they are
    /// written, and are then copied without a call.
    #[inline(always)]
    pub fn item(&mut self, key: &str, before: &str, value: impl Item, after: &str) {
        match &mut self.json {
            Some(json) => json.item(key, value, &mut self.out),
            None => {
                self.out.extend_from_slice(before.as_bytes());
                value.text(&mut self.out, &self.style);
                self.out.extend_from_slice(after.as_bytes());
            }
        }
    }

    /// One value, if there is one.
    pub fn item_if(&mut self, key: &str, before: &str, value: Option<impl Item>, after: &str) {
        if let Some(value) = value {
            self.item(key, before, value, after);
        }
    }

    /// One value in JSON alone. A key is a word of the program's that needs no
    /// escapes; inside an array and at the top it is empty.
    #[inline(always)]
    pub fn json(&mut self, key: &str, value: impl Item) {
        if let Some(json) = &mut self.json {
            json.item(key, value, &mut self.out);
        }
    }

    /// One value in text alone.
    #[inline(always)]
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

    /// A boolean: in JSON `true` or `false` under its key; in text `text`, or nothing.
    pub fn switch(&mut self, key: &str, on: bool, text: &str) {
        self.json(key, on);
        if on {
            self.text(text);
        }
    }

    /// Words in text alone.
    #[inline(always)]
    pub fn text(&mut self, text: &str) {
        if !self.is_json() {
            self.out.extend_from_slice(text.as_bytes());
        }
    }

    /// The end of a line in text: `\` in one-line output.
    pub fn newline(&mut self) {
        self.text(if self.style.oneline { "\\" } else { "\n" });
    }

    /// An object in JSON (`key` is empty inside an array and at the top); in text only
    /// its contents.
    pub fn object(&mut self, key: &str, inside: impl FnOnce(&mut Self)) {
        self.begin_object(key);
        inside(self);
        self.end_object();
    }

    /// An array in JSON; in text only its contents.
    pub fn array(&mut self, key: &str, inside: impl FnOnce(&mut Self)) {
        self.begin_array(key);
        inside(self);
        self.end_array();
    }

    /// Starts an object; [`Printer::end_object`] ends it.
    pub fn begin_object(&mut self, key: &str) {
        if let Some(json) = &mut self.json {
            json.begin(key, false, &mut self.out);
        }
    }

    /// Ends an object.
    pub fn end_object(&mut self) {
        if let Some(json) = &mut self.json {
            json.end(&mut self.out);
        }
    }

    /// Starts an array; [`Printer::end_array`] ends it.
    pub fn begin_array(&mut self, key: &str) {
        if let Some(json) = &mut self.json {
            json.begin(key, true, &mut self.out);
        }
    }

    /// Ends an array.
    pub fn end_array(&mut self) {
        self.end_object();
    }

    /// Ends a whole JSON document, with a line end.
    pub fn end_document(&mut self) {
        if self.is_json() {
            self.out.push(b'\n');
        }
    }

    /// Closes objects and arrays down to `depth` (see [`Printer::depth`]), so that the
    /// JSON stays valid after a failure.
    pub fn close_to(&mut self, depth: usize) {
        while self.depth() > depth {
            self.end_object();
        }
    }

    /// How many objects and arrays are open.
    pub fn depth(&self) -> usize {
        self.json.as_ref().map_or(0, Json::depth)
    }

    /// A device's name, in colour if the style has it.
    pub fn device(&mut self, key: &str, before: &str, name: impl Item, after: &str) {
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

    /// The output so far.
    pub fn bytes(&self) -> &[u8] {
        &self.out
    }

    /// The output so far, as text. A device name that is not UTF-8 ends it; [`bytes`](Self::bytes) has all.
    pub fn as_str(&self) -> &str {
        self.out.utf8_chunks().next().map_or("", |chunk| chunk.valid())
    }

    /// Clears the output after it was written out. Open objects and arrays stay open.
    pub fn clear(&mut self) {
        self.out.clear();
    }

    /// Truncates the text output to the first `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        self.out.truncate(length);
    }
}

#[cfg(test)]
mod tests;
