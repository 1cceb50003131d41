//! A kind made outside the project's crates, with their public interface alone, and its treatment by a
//! registry.

use tc_core::print::{Form, Printer, Style};
use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{
    Action, Actions, AttrWriter, DecodeError, EncodeError, Fill, FillContext, Handle, Kind, OptionWords,
    Options, Origin, Reader, Registry, RegistryError, Request, Syntax, TcType, Verb, object, ops_of,
};
use tc_qdiscs::hfsc::{Hfsc, HfscClass};
use tests::captures;

tc_core::register!(Ours);

/// A qdisc that no kernel has.
#[derive(Clone, Debug, PartialEq)]
struct Ours {
    colour: u8,
}

impl Kind for Ours {
    type Object = object::Qdisc;
    const KIND: &'static str = "ours";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        out.put_u8(self.colour);
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self { colour: Reader::new(payload).u8()? })
    }
}

impl Syntax for Ours {
    const USAGE: &'static str = "Usage: ... ours colour NUMBER\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut colour = None;
        while let Some(word) = words.next() {
            match word {
                "colour" => {
                    colour = Some(words.parse(tc_core::units::parse_u8, |w| format!("no colour: {w}"))?)
                }
                "help" => return Err(WordError::Help),
                word => return Err(WordError::what_is(word)),
            }
        }
        Ok(colour.map(|colour| Self { colour }))
    }

    fn print(&self, out: &mut Printer) {
        out.item("colour", "colour ", self.colour, "");
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        out.say("colour", self.colour);
    }
}

const HERE: Origin = Origin { package: "plug-in", version: "9", location: "here.rs:1" };

#[test]
fn a_kind_of_another_crate_is_found_by_name_and_used() {
    let registry = Registry::of_program().unwrap();
    let entry = registry.entry(TcType::Qdisc, "ours").unwrap();
    assert_eq!((entry.origin().package, entry.ops().usage()), ("tests", Ours::USAGE));
    assert!(entry.origin().location.contains("registry.rs:"));

    let words = ["colour", "7"];
    let parsed = entry.ops().parse_words(&mut Words::new(&words), &WordsContext::new(Verb::Add));
    let options = parsed.unwrap().unwrap();
    let mut message = bytes::BytesMut::new();
    let request = Request::qdisc(1).parent(Handle::ROOT).options_of(entry.ops(), Some(&*options));
    request.encode(Verb::Add, 0, &mut message).unwrap();
    assert_eq!(message[36..], *b"\x09\0\x01\0ours\0\0\0\0\x05\0\x02\0\x07\0\0\0");

    let mut out = Printer::new(Form::Text, Style::default());
    entry.ops().print(&[7], &mut out).unwrap();
    assert_eq!(out.as_str(), "colour 7");
    assert_eq!(options.downcast_ref(), Some(&Ours { colour: 7 }));
}

fn message(request: &Request<'_>) -> Result<Vec<u8>, EncodeError> {
    let mut message = bytes::BytesMut::new();
    request.encode(Verb::Add, 0, &mut message).map(|()| message.to_vec())
}

#[test]
fn kind_of_another_object_type_is_refused_before_sending() {
    let registry = Registry::of_program().unwrap();
    let class = registry.get(TcType::Class, "hfsc").unwrap();
    let qdisc = registry.get(TcType::Qdisc, "hfsc").unwrap();
    let request = |tc_type| Request::new(tc_type, 1).parent(Handle::ROOT);
    let wrong = |expected, found| Err(EncodeError::WrongType { expected, kind: "hfsc".into(), found });
    let of_qdisc = wrong(TcType::Qdisc, TcType::Class);
    assert_eq!(message(&request(TcType::Qdisc).options_of(class, None)), of_qdisc);
    assert_eq!(message(&request(TcType::Qdisc).with_options(HfscClass::default())), of_qdisc);
    assert_eq!(of_qdisc.unwrap_err().to_string(), "class kind hfsc given to a request for a qdisc");
    let of_class = wrong(TcType::Class, TcType::Qdisc);
    assert_eq!(message(&request(TcType::Class).options_of(qdisc, None)), of_class);
    assert!(message(&request(TcType::Class).options_of(class, None)).is_ok());
}

#[test]
fn options_of_another_object_type_are_not_read() {
    let entry = |name: &str| captures::all().iter().find(|one| one.name == name).unwrap().entry();
    let (qdisc, class) = (entry("hfsc/dump.hex"), entry("hfsc/dump-class.hex"));
    assert!(qdisc.options_as::<HfscClass>().is_err() && class.options_as::<Hfsc>().is_err());
    assert!(qdisc.options_as::<Hfsc>().is_ok() && class.options_as::<HfscClass>().is_ok());
}

#[test]
fn owned_options_are_sent_like_borrowed_ones() {
    fn owned(colour: u8) -> Request<'static> {
        Request::qdisc(1).with_options(Ours { colour }).any()
    }
    let borrowed = message(&Request::qdisc(1).options(&Ours { colour: 7 }).any()).unwrap();
    assert_eq!(message(&owned(7)).unwrap(), borrowed);
    let boxed: Box<dyn Options> = Box::new(Ours { colour: 7 });
    assert_eq!(message(&Request::qdisc(1).with_boxed_options(boxed).any()).unwrap(), borrowed);
    assert_ne!(message(&owned(8)).unwrap(), borrowed);
    let actions = || Actions::new().with(Action::at_index("gact", 3));
    assert_eq!(
        message(&Request::with_actions(actions()).any()),
        message(&Request::actions(&actions()).any())
    );
}

#[test]
fn kinds_are_sorted_and_the_projects_own_are_among_them() {
    let registry = Registry::of_program().unwrap();
    let names: Vec<_> = registry.iter().map(|entry| (entry.ops().tc_type(), entry.ops().kind())).collect();
    assert!(names.is_sorted() && names.contains(&(TcType::Qdisc, "plug")), "{names:?}");
    assert_eq!(registry.entry(TcType::Qdisc, "plug").unwrap().origin().package, "tc-qdiscs");
    assert!(registry.get(TcType::Class, "plug").is_none() && registry.get(TcType::Qdisc, "plu").is_none());
}

#[test]
fn kinds_come_and_go_at_run_time() {
    let mut registry = Registry::empty();
    registry.register::<Ours>(HERE).unwrap();
    assert_eq!(registry.entry(TcType::Qdisc, "ours").unwrap().origin(), &HERE);
    let ops = registry.unregister(TcType::Qdisc, "ours").unwrap();
    assert!(registry.get(TcType::Qdisc, "ours").is_none());
    assert!(matches!(registry.unregister(TcType::Qdisc, "ours"), Err(RegistryError::NotRegistered { .. })));
    registry.register_ops(ops, HERE).unwrap();
    assert_eq!(registry.get(TcType::Qdisc, "ours").unwrap().usage(), ops_of::<Ours>().usage());
}

#[test]
fn a_second_registration_is_an_error_that_names_both() {
    let mut registry = Registry::of_program().unwrap();
    let before = registry.iter().len();
    let text = registry.register::<Ours>(HERE).unwrap_err().to_string();
    assert!(text.starts_with("qdisc ours is registered twice: by tests "), "{text}");
    assert!(text.ends_with(" and by plug-in 9 (here.rs:1)"), "{text}");
    assert_eq!(registry.iter().len(), before);
}

#[test]
fn a_linked_kind_stays() {
    let mut registry = Registry::of_program().unwrap();
    let text = registry.unregister(TcType::Qdisc, "plug").unwrap_err().to_string();
    assert!(text.starts_with("qdisc plug is linked into the program by tc-qdiscs "), "{text}");
    assert!(registry.get(TcType::Qdisc, "plug").is_some());
}
