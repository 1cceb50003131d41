//! A kind, its sample commands, and the checks of every test.

use bytes::BytesMut;
use tc_core::print::{Form, Printer, Style};
use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, EncodeError, Fill, FillContext, FilterPlace, OptionWords, Options, Registered, TcOps, Verb,
};
use tests::captures::{self, Capture};

/// Words that no capture has.
const MORE_WORDS: &[(&str, &str)] =
    &[("plug", ""), ("plug", "release_indefinite"), ("plug", "limit 9 block"), ("pfifo", "")];

const FORMS: [Form; 3] = [Form::Text, Form::Json, Form::PrettyJson];

/// A kind under test, and its sample commands.
pub(crate) struct Tested {
    pub(crate) ops: &'static dyn TcOps,
    pub(crate) package: &'static str,
    pub(crate) captures: Vec<&'static Capture>,
    /// Payloads of `TCA_OPTIONS` that are right.
    pub(crate) payloads: Vec<Vec<u8>>,
    pub(crate) xstats: Vec<Vec<u8>>,
    pub(crate) vocabulary: Vec<String>,
    /// The places of the captures, and an unknown one.
    places: Vec<FilterPlace<'static>>,
}

/// Words with their verb, at the place of a filter.
pub(crate) struct Command {
    pub(crate) words: String,
    pub(crate) verb: Verb,
    pub(crate) place: FilterPlace<'static>,
}

impl Tested {
    pub(crate) fn new(entry: &'static Registered) -> Self {
        let ops = entry.ops();
        let mut new = Self {
            ops,
            package: entry.origin().package,
            captures: captures::of(ops.tc_type(), ops.kind()).collect(),
            payloads: Vec::new(),
            xstats: Vec::new(),
            vocabulary: Vec::new(),
            places: vec![FilterPlace::default()],
        };
        new.places.extend(new.captures.iter().map(|capture| capture.place()));
        new.places.dedup();
        new.payloads = new.find_payloads();
        new.xstats = new.captures.iter().filter_map(|c| Some(c.entry().xstats().ok()??.to_vec())).collect();
        new.vocabulary = new.find_words();
        new
    }

    pub(crate) fn parse(&self, command: &Command) -> Result<Option<Box<dyn Options>>, WordError> {
        let words = tests::words::split(&command.words);
        let context = context(command.verb);
        let read = self.ops.parse_words_at(&mut Words::new(&words), &context, &command.place);
        read.map(|(options, _)| options)
    }

    /// Writes options into a buffer.
    pub(crate) fn fill(
        &self,
        options: Option<&dyn Options>,
        context: FillContext,
    ) -> Result<(Fill, Vec<u8>), EncodeError> {
        let mut buffer = BytesMut::new();
        let mut out = AttrWriter::new(&mut buffer);
        let fill = self.ops.msg_fill(options, &context, &mut out)?;
        out.finish()?;
        Ok((fill, buffer.to_vec()))
    }

    pub(crate) fn check_round_trip(&self, options: Option<&dyn Options>, context: FillContext) {
        let Ok((first, bytes)) = self.fill(options, context) else { return };
        if first == Fill::Absent {
            assert!(bytes.is_empty(), "absent, and yet {bytes:02x?}");
            return;
        }
        let read = self.ops.msg_parse(&bytes);
        let read = read.unwrap_or_else(|error| panic!("{options:?} as {bytes:02x?}: {error}"));
        let again = self.fill(Some(&*read), context);
        assert_eq!(again, Ok((first, bytes)), "{options:?} was read back as {read:?}");
    }

    /// Words of captures and others, with their verbs.
    pub(crate) fn commands(&self) -> Vec<Command> {
        let captured = self.captures.iter().map(|capture| Command {
            words: tests::words::join(&capture.words()),
            verb: capture.verb(),
            place: capture.place(),
        });
        let more = MORE_WORDS.iter().filter(|(kind, _)| *kind == self.ops.kind());
        let more = more.map(|(_, words)| Command {
            words: (*words).to_owned(),
            verb: Verb::Change,
            place: FilterPlace::default(),
        });
        captured.chain(more).collect()
    }

    pub(crate) fn some_options(&self) -> Vec<Box<dyn Options>> {
        self.commands().iter().filter_map(|command| self.parse(command).unwrap()).collect()
    }

    fn find_payloads(&self) -> Vec<Vec<u8>> {
        let captured = self.captures.iter().filter_map(|capture| Some(capture.options()?.payload.to_vec()));
        let mut payloads: Vec<_> = captured.collect();
        for command in self.commands() {
            let Ok(options) = self.parse(&command) else { continue };
            let context = FillContext { verb: command.verb, as_tc: true };
            if let Ok((fill, bytes)) = self.fill(options.as_deref(), context)
                && fill != Fill::Absent
            {
                payloads.push(bytes);
            }
        }
        payloads
    }

    /// Every word of the usage text and of the captures.
    fn find_words(&self) -> Vec<String> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '/');
        let commands = self.commands();
        let texts = commands.iter().flat_map(|command| command.words.split_whitespace());
        let usage = self.ops.usage().split(|c| !is_word(c)).filter(|word| !word.is_empty());
        usage.chain(texts).map(str::to_owned).collect()
    }

    /// Prints in one style and all forms; the JSON has to parse.
    pub(crate) fn print(&self, style: Style, print: impl Fn(&mut Printer)) {
        for form in FORMS {
            let mut out = Printer::new(form, style);
            out.object("", &print);
            if form != Form::Text {
                let value: Result<serde_json::Value, _> = serde_json::from_slice(out.bytes());
                assert!(value.is_ok(), "{value:?}: {}", out.as_str());
            }
        }
    }

    pub(crate) fn check_any_payload(&self, payload: &[u8]) {
        let Ok(options) = self.ops.msg_parse(payload) else {
            let mut out = Printer::new(Form::Text, Style::default());
            assert!(self.ops.print(payload, &mut out).is_err() && out.bytes().is_empty());
            return;
        };
        for style in [Style::default(), Style { stats: true, details: true, raw: true, ..Style::default() }] {
            self.print(style, |out| self.ops.print(payload, out).unwrap());
        }
        for as_tc in [true, false] {
            let _written = self.fill(Some(&*options), FillContext { verb: Verb::Change, as_tc });
        }
        for told in [&*options, &*options.as_dumped(&captures::Machine)] {
            let mut words = OptionWords::with_names(&captures::Machine);
            self.ops.to_words(told, &mut words);
            let is_tidy = |line: &String| !line.contains("  ") && line.trim() == line;
            assert!(!words.unsayable().is_empty() || words.lines().iter().all(is_tidy), "{words:?}");
        }
    }

    pub(crate) fn check_any_xstats(&self, payload: &[u8]) {
        self.print(Style { stats: true, ..Style::default() }, |out| {
            let depth = out.depth();
            // An error half way leaves valid JSON, once it is closed.
            if self.ops.print_xstats(payload, out).is_err() {
                out.close_to(depth);
            }
        });
    }

    pub(crate) fn check_any_words(&self, words: &[&str], verb: Verb) {
        for place in &self.places {
            let read = self.ops.parse_words_at(&mut Words::new(words), &context(verb), place);
            for as_tc in [true, false] {
                if let Ok((options, _)) = &read {
                    self.check_round_trip(options.as_deref(), FillContext { verb, as_tc });
                }
            }
        }
    }
}

fn context(verb: Verb) -> WordsContext<'static> {
    WordsContext { environment: &captures::Machine, ..WordsContext::new(verb) }
}
