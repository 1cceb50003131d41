//! Standard error: failures, warnings and usage texts, as text or as JSON.

use std::io::{self, Write as _};

use serde_json::{Map, Value, json};
use tc_core::KernelError;
use tc_core::lossless::to_bytes;

use super::failure::Failure;
use super::progress;

/// Where in a batch a command stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    /// The file's name as it was given.
    pub(crate) file: &'a str,
    /// The number of the command's last line.
    pub(crate) number: u64,
}

/// Writes to standard error. A failure to do so is nobody's to hear.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    json: bool,
}

impl Report {
    pub(crate) const fn new() -> Self {
        Self { json: false }
    }

    /// Prints failures and warnings as JSON objects, one a line.
    pub(crate) const fn set_json(&mut self, json: bool) {
        self.json = json;
    }

    /// Text as it stands, in both forms: usage texts. It can be [lossless](tc_core::lossless).
    pub(crate) fn text(&self, text: &str) {
        progress::hide();
        let _nobody = io::stderr().write_all(&to_bytes(text));
    }

    /// Something that did not stop the command.
    pub(crate) fn warning(&self, message: &str) {
        if self.json {
            self.text(&format!("{}\n", json!({ "warning": message })));
        } else {
            self.text(&format!("{message}\n"));
        }
    }

    /// Why a command failed.
    pub(crate) fn failure(&self, failure: &Failure) {
        self.failure_at(failure, None);
    }

    /// Why a command of a batch failed.
    pub(crate) fn failure_at(&self, failure: &Failure, line: Option<Line<'_>>) {
        if matches!(failure, Failure::Batch | Failure::Status(_)) || is_closed_pipe(failure) {
            return;
        }
        if self.json {
            return self.text(&format!("{}\n", self.object(failure, line)));
        }
        let mut text = failure.to_string();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        if let Some(advice) = failure.advice() {
            text = text + &advice + "\n";
        }
        if let Some(Line { file, number }) = line {
            text += &format!("Command failed {file}:{number}\n");
        }
        self.text(&text);
    }

    fn object(&self, failure: &Failure, line: Option<Line<'_>>) -> Value {
        let mut object = Map::new();
        object.insert("error".into(), failure.to_string().trim_end().into());
        object.insert("exit_code".into(), failure.exit_code().into());
        if let Some(advice) = failure.advice() {
            object.insert("advice".into(), advice.into());
        }
        if let Some(error) = failure.error() {
            object.insert("operation".into(), error.operation().into());
            object.insert("object".into(), error.object().into());
        }
        if let Some(kernel) = failure.kernel() {
            object.insert("kernel".into(), kernel_object(kernel));
        }
        if let Some(Line { file, number }) = line {
            object.insert("file".into(), file.into());
            object.insert("line".into(), number.into());
        }
        object.into()
    }
}

fn kernel_object(kernel: &KernelError) -> Value {
    let mut object = Map::new();
    object.insert("errno".into(), kernel.errno.into());
    object.insert("strerror".into(), kernel.strerror().into());
    let ext_ack = &kernel.ext_ack;
    if let Some(message) = &ext_ack.message {
        object.insert("message".into(), message.as_str().into());
    }
    for (key, value) in [
        ("offset", ext_ack.offset),
        ("missing_attribute", ext_ack.missing_attribute),
        ("missing_in", ext_ack.missing_in),
    ] {
        if let Some(value) = value {
            object.insert(key.into(), value.into());
        }
    }
    if let Some(attribute) = &ext_ack.attribute {
        object.insert("attribute".into(), attribute.as_str().into());
    }
    if let Some(policy) = &ext_ack.policy {
        object.insert("policy".into(), policy.to_string().into());
    }
    object.into()
}

/// A closed pipe is not reported.
fn is_closed_pipe(failure: &Failure) -> bool {
    matches!(failure, Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
}
