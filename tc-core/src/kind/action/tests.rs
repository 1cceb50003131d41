use bytes::BytesMut;

use super::*;
use crate::Reader;
use crate::exchange::request::Request;
use crate::kind::print::{Form, Printer, Style};
use crate::kind::words::{Environment, WordError, Words, WordsContext};
use crate::kind::{OptionWords, Syntax};
use crate::kind::{Origin, RegistryError};
use crate::wire::message::{Entry, Messages};
use crate::wire::verb::Verb;

/// An action with one number, that stops at a word that it does not know.
#[derive(Clone, Debug, PartialEq)]
struct Mark(u32);

impl Kind for Mark {
    type Object = object::Action;
    const KIND: &'static str = "mark";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        out.put_u32(self.0);
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self(Reader::new(payload).u32()?))
    }
}

impl Syntax for Mark {
    const USAGE: &'static str = "Usage: ... mark NUMBER\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        match words.value()? {
            "help" => Err(WordError::Help),
            word => {
                let bad = |_| WordError::Kind(format!("no mark: {word}"));
                Ok(Some(Self(word.parse().map_err(bad)?)))
            }
        }
    }

    fn print(&self, out: &mut Printer) {
        out.item("kind", "", "mark", " ");
        out.item("mark", "", self.0, "");
        out.newline();
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        out.text("mark", self.0.to_string());
    }
}

crate::register!(Mark);

#[derive(Debug)]
struct Own(Registry);

impl Environment for Own {
    fn registry(&self) -> Result<&Registry, RegistryError> {
        Ok(&self.0)
    }
}

fn parse(words: &[&str]) -> Result<Actions, WordError> {
    Actions::parse_words(&mut Words::new(words), &WordsContext::new(Verb::Add))
}

fn message<T>(request: &Request<'_, T>, verb: Verb) -> Vec<u8> {
    let mut buffer = BytesMut::new();
    request.encode(verb, 0, &mut buffer).unwrap();
    buffer.to_vec()
}

#[test]
fn actions_in_a_filter_are_skipped_with_it() {
    let actions = Actions::new().with(Action::new(Mark(1)));
    let flags = |of_filter: u32| {
        let dumped = actions.as_dumped_in(&crate::words::Usual, of_filter);
        dumped.iter().map(|action| action.flags).collect::<Vec<_>>()
    };
    assert_eq!(flags(TCA_CLS_FLAGS_VERBOSE), [None]);
    assert_eq!(flags(TCA_CLS_FLAGS_SKIP_HW), [Some(Bitfield32::set(TCA_ACT_FLAGS_SKIP_HW))]);
    assert_eq!(flags(TCA_CLS_FLAGS_SKIP_SW), [Some(Bitfield32::set(TCA_ACT_FLAGS_SKIP_SW))]);
}

#[test]
fn words_and_bytes_make_the_same_list() {
    let words =
        ["action", "mark", "1", "cookie", "0aff", "hw_stats", "delayed", "no_percpu", "action", "mark", "2"];
    let list = parse(&words).unwrap();
    let first = list.iter().next().unwrap();
    assert_eq!((first.options_as(), &first.cookie[..]), (Some(&Mark(1)), &[0x0a, 0xff][..]));
    assert_eq!((first.hw_stats, first.flags), (Some(Bitfield32::set(2)), Some(Bitfield32::set(1))));
    let bytes = message(&Request::actions(&list), Verb::Add);
    let entry = Entry::decode(&Messages::new(&bytes).next().unwrap().unwrap()).unwrap();
    assert_eq!(entry.actions().unwrap(), list);
    assert!(entry.kind().is_err(), "its first attribute is a list and no kind");
}

#[test]
#[cfg_attr(target_endian = "big", ignore = "its bytes are of a little-endian machine")]
fn a_request_for_actions_is_tcs() {
    // tc actions delete action mirred index 5 (iproute2 6.1)
    let list = Actions::new().with(Action::at_index("mirred", 5));
    #[rustfmt::skip]
    let expected = [
        0x30, 0, 0, 0, 0x31, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0x1c, 0, 1, 0, 0x18, 0, 1, 0, 11, 0, 1, 0, b'm', b'i', b'r', b'r', b'e', b'd', 0, 0,
        8, 0, 3, 0, 5, 0, 0, 0,
    ];
    assert_eq!(message(&Request::actions(&list), Verb::Delete), expected);
}

#[test]
fn requests_with_another_meaning_are_refused() {
    let mut buffer = BytesMut::new();
    let none = Actions::new();
    assert!(Request::actions(&none).encode(Verb::Delete, 0, &mut buffer).is_err());
    assert!(Request::all_actions("mirred").encode(Verb::Add, 0, &mut buffer).is_err());
    assert!(Request::new(TcType::Action, 1).kind("mirred").encode(Verb::Add, 0, &mut buffer).is_err());
    let many: Actions = (0..33).map(|n| Action::new(Mark(n))).collect();
    assert!(Request::actions(&many).encode(Verb::Add, 0, &mut buffer).is_err(), "the kernel would cut it");
    assert!(buffer.is_empty());
}

#[test]
fn an_unknown_kind_stays_bytes() {
    let odd = [8, 0, 2, 0, 1, 2, 3, 4];
    let mut buffer = BytesMut::new();
    let mut out = AttrWriter::new(&mut buffer);
    {
        let mut first = out.nest(1);
        first.attr_str(TCA_ACT_KIND, "odd");
        first.attr(TCA_ACT_OPTIONS | NLA_F_NESTED, &odd);
        drop(first);
        let mut second = out.nest(2);
        second.attr_str(TCA_ACT_KIND, "mark");
        second.attr(TCA_ACT_OPTIONS | NLA_F_NESTED, &[1]);
    }
    let list = Actions::decode(&Attr { kind: 2, nested: false, payload: &buffer }).unwrap();
    let raw: Vec<_> = list.iter().map(|action| (action.kind(), action.raw_options())).collect();
    assert_eq!(raw, [("odd", Some(&odd[..])), ("mark", Some(&[1][..]))], "also what is too short");
    let mut again = BytesMut::new();
    let context = FillContext { verb: Verb::Add, as_tc: false };
    list.encode(2, &context, &mut AttrWriter::new(&mut again)).unwrap();
    assert_eq!(again[4..], buffer[..], "and goes out as it came in");

    let mut out = Printer::new(Form::Text, Style::default());
    list.print(&mut out);
    assert_eq!(
        out.as_str(),
        "\n\taction order 1: odd [Unknown action, optlen=8] \
         \n\taction order 2: mark [Unknown action, optlen=1] "
    );
}

#[test]
fn bad_words_have_tcs_text() {
    for (words, text) in [
        (
            &["action", "mark", "x", "y"][..],
            "no mark: x\nbad action parsing\nparse_action: bad value (3:mark)!\nIllegal \"action\"",
        ),
        (
            &["action", "mark", "1", "action"],
            "bad action empty 1\nparse_action: bad value (0:(null))!\nIllegal \"action\"",
        ),
        (&["action", "mark"], "Command line is not complete. Try option \"help\""),
        (&[], "Illegal \"action\""),
        (&["action", "mark", "help"], "Usage: ... mark NUMBER\n"),
        (&["action", "help"], "Illegal \"action\""),
        (
            &["nix", "1"],
            "Unknown action \"nix\", hence option \"1\" is unparsable\nbad action parsing\n\
             parse_action: bad value (2:nix)!\nIllegal \"action\"",
        ),
        (&["mark", "1", "cookie", "abc"], "Error: argument \"abc\" is wrong: cookie must be a hex string\n"),
        (
            &["mark", "1", "cookie", "00112233445566778899aabbccddeeff0"],
            "Error: argument \"00112233445566778899aabbccddeeff0\" is wrong: 33 Max allowed size 32",
        ),
        (&["mark", "1", "hw_stats", "x"], "Error: argument \"x\" is wrong: value is invalid\n"),
    ] {
        assert_eq!(parse(words).unwrap_err().to_string(), text, "{words:?}");
    }
}

#[test]
fn words_after_the_list_stay() {
    for end in ["classid", "flowid", "add", "delete"] {
        let words = ["mark", "1", end, "1:1"];
        let mut cursor = Words::new(&words);
        let list = Actions::parse_words(&mut cursor, &WordsContext::new(Verb::Add)).unwrap();
        assert_eq!((list.iter().len(), cursor.peek()), (1, Some(end)));
    }
}

#[test]
fn an_application_can_bring_its_own_kinds() {
    let own = Own(Registry::empty());
    let context = WordsContext { environment: &own, ..WordsContext::new(Verb::Add) };
    let text = Actions::parse_words(&mut Words::new(&["mark", "1"]), &context).unwrap_err().to_string();
    assert!(text.starts_with("Unknown action \"mark\""), "{text}");
    let mut own = own;
    own.0.register::<Mark>(Origin { package: "test", version: "0", location: "here" }).unwrap();
    let context = WordsContext { environment: &own, ..WordsContext::new(Verb::Add) };
    assert!(Actions::parse_words(&mut Words::new(&["mark", "1"]), &context).is_ok());
}

#[test]
#[cfg_attr(target_endian = "big", ignore = "its bytes are of a little-endian machine")]
fn reported_fields_are_printed_as_tc_does() {
    let mut buffer = BytesMut::new();
    let mut out = AttrWriter::new(&mut buffer);
    {
        let mut action = out.nest(1);
        action.attr_str(TCA_ACT_KIND, "mark");
        action.attr(TCA_ACT_OPTIONS | NLA_F_NESTED, &[7, 0, 0, 0]);
        {
            let mut stats = action.nest(TCA_ACT_STATS);
            stats.attr(TCA_STATS_BASIC, &[10, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
            stats.attr(TCA_STATS_QUEUE, &[0; 20]);
        }
        action.attr(TCA_ACT_COOKIE, &[0xab]);
        Bitfield32::set(1).encode(TCA_ACT_FLAGS, &mut action);
        action.attr_u32(TCA_ACT_IN_HW_COUNT, 0);
        Bitfield32 { value: 0, selector: 3 }.encode(TCA_ACT_HW_STATS, &mut action);
    }
    let list = Actions::decode(&Attr { kind: 2, nested: false, payload: &buffer }).unwrap();
    let print = |form| {
        let mut out = Printer::new(form, Style { stats: true, ..Style::default() });
        out.object("", |out| list.print_unbound(out));
        out.as_str().to_owned()
    };
    assert_eq!(
        print(Form::Text),
        "\n\taction order 1: mark 7\n\tAction statistics:\n\tSent 10 bytes 2 pkt (dropped 0, overlimits 0 \
         requeues 0) \n\tbacklog 0b 0p requeues 0\n\tcookie ab\n\tno_percpu\tnot_in_hw\n\thw_stats disabled\n"
    );
    assert_eq!(
        print(Form::Json),
        r#"{"actions":[{"order":1,"kind":"mark","mark":7,"stats":{"bytes":10,"packets":2,"drops":0,"overlimits":0,"requeues":0,"backlog":0,"qlen":0},"cookie":"ab","no_percpu":true,"not_in_hw":true,"hw_stats":["disabled"]}]}"#
    );
}
