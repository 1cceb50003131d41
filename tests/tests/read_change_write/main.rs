//! Read, change one field, write, read: no other field changes. In process, with `as_dumped` as the kernel's
//! rounding, and on the kernel.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot go on says so and stops")]

mod fields;
mod kernel;
mod vary;

use std::collections::BTreeSet;
use std::fs;

use bytes::BytesMut;
use tc_core::words::{Words, WordsContext};
use tc_core::{AttrWriter, FillContext, FilterPlace, Options, Registry, TcOps, TcType, Verb};
use tc_qdiscs as _;
use tests::captures::Machine;
use tests::lab::count;

use fields::{NO_FIELDS, cases};

type Boxed = Box<dyn Options>;

/// The options with other values of a field.
type Vary = Box<dyn Fn(&dyn Options) -> Vec<Boxed>>;

/// A field's value as text.
type Show = Box<dyn Fn(&dyn Options) -> String>;

/// A kind with words that set most of its fields.
pub(crate) struct Case {
    ops: &'static dyn TcOps,
    /// The qdisc of a class, in words.
    root: &'static str,
    words: &'static str,
    /// The place of a filter.
    place: FilterPlace<'static>,
    fields: Vec<Field>,
}

/// A public field.
struct Field {
    name: String,
    vary: Vary,
    shown: Show,
}

macro_rules! case {
    ($kind:ty, $root:literal, $words:literal, [$($field:ident $(. $inner:ident)*),*]) => {
        $crate::Case {
            ops: tc_core::ops_of::<$kind>(),
            root: $root,
            words: $words,
            place: tc_core::FilterPlace::default(),
            fields: vec![$($crate::Field {
                name: [stringify!($field) $(, stringify!($inner))*].join("."),
                vary: Box::new(|options| {
                    let options = options.downcast_ref::<$kind>().unwrap();
                    let change = |value| {
                        let mut changed = options.clone();
                        changed.$field$(.$inner)* = value;
                        Box::new(changed) as Box<dyn tc_core::Options>
                    };
                    $crate::vary::Vary::others(&options.$field$(.$inner)*).into_iter().map(change).collect()
                }),
                shown: Box::new(|options| {
                    let options = options.downcast_ref::<$kind>().unwrap();
                    $crate::vary::Vary::shown(&options.$field$(.$inner)*)
                }),
            }),*],
        }
    };
}
pub(crate) use case;

/// Fields that follow from another one, for `tc` as well: the kind, the changed field, the other fields, and why.
const COUPLED: &[(&str, &str, &[&str], &str)] = &[
    ("action ct", "clear", &["commit", "zone", "mark", "label", "nat", "helper"], "clear stands alone"),
    (
        "action ife",
        "encodes",
        &["ethertype", "dst", "src", "mark", "prio", "tcindex"],
        "a decoder has nothing else",
    ),
    ("qdisc ets", "bands", &["quanta_bytes"], "a band more has the device's MTU"),
    ("qdisc ets", "strict", &["quanta_bytes"], "a strict band less has the device's MTU"),
    ("qdisc sfq", "limit_packets", &["flows"], "the kernel bounds the flows by the limit"),
    ("qdisc sfq", "flows", &["limit_packets"], "the kernel bounds the limit by flows and depth"),
    ("qdisc sfq", "divisor", &["flows", "limit_packets"], "the kernel bounds the flows by the divisor"),
];

/// Fields that no request sends, or that no dump has.
const ONE_WAY: &[(&str, &[&str])] = &[
    ("filter bpf", &["flags"]),
    ("filter flower", &["reported"]),
    ("filter matchall", &["flags", "hits"]),
    ("filter u32", &["flags"]),
    ("qdisc plug", &["action"]),
];

impl Case {
    fn name(&self) -> String {
        format!("{} {}", self.ops.tc_type(), self.ops.kind())
    }

    /// A filter with this protocol.
    fn with_protocol(mut self, protocol: u16) -> Self {
        self.place.protocol = Some(protocol);
        self
    }

    fn parse(&self) -> Boxed {
        let words: Vec<_> = self.words.split_whitespace().collect();
        let context = WordsContext { environment: &Machine, ..WordsContext::new(Verb::Add) };
        let read = self.ops.parse_words_at(&mut Words::new(&words), &context, &self.place);
        let (options, _) = read.unwrap_or_else(|error| panic!("{} {}: {error}", self.name(), self.words));
        options.unwrap()
    }

    /// The dump of these options; an error if they are refused.
    fn dumped(&self, options: &dyn Options) -> Result<Boxed, String> {
        let mut buffer = BytesMut::new();
        let mut out = AttrWriter::new(&mut buffer);
        let context = FillContext { verb: Verb::Change, as_tc: false };
        self.ops.msg_fill(Some(options), &context, &mut out).map_err(|error| error.to_string())?;
        out.finish().map_err(|error| error.to_string())?;
        Ok(self.ops.msg_parse(&buffer).map_err(|error| error.to_string())?.as_dumped(&Machine).as_request())
    }

    /// Fields other than the one at `at` that differ between the two.
    fn others_changed(&self, at: usize, before: &dyn Options, after: &dyn Options) -> Vec<String> {
        let name = self.name();
        let coupled = |changed: &str, other: &str| {
            COUPLED
                .iter()
                .any(|(kind, from, to, _)| (*kind, *from) == (&name, changed) && to.contains(&other))
        };
        let others = self.fields.iter().enumerate().filter(|(other, _)| *other != at);
        others
            .filter(|(_, other)| !coupled(&self.fields[at].name, &other.name))
            .filter_map(|(_, other)| {
                let (was, is) = ((other.shown)(before), (other.shown)(after));
                (was != is).then(|| {
                    format!(
                        "{name}: a change of {} changes {} from {was} to {is}",
                        self.fields[at].name, other.name
                    )
                })
            })
            .collect()
    }
}

#[test]
fn other_fields_stay_when_one_is_changed() {
    let (mut tried, mut fields, mut wrong) = (0, 0, Vec::new());
    for case in cases() {
        let before = match case.dumped(&*case.parse()) {
            Ok(before) => before,
            Err(error) => {
                wrong.push(format!("{} {}: {error}", case.name(), case.words));
                continue;
            }
        };
        let one_way =
            ONE_WAY.iter().find(|(kind, _)| *kind == case.name()).map_or(&[][..], |(_, fields)| fields);
        for (at, field) in case.fields.iter().enumerate() {
            fields += 1;
            for changed in (field.vary)(&*before) {
                let Ok(after) = case.dumped(&*changed) else { continue };
                tried += 1;
                wrong.extend(case.others_changed(at, &*before, &*after));
                let (asked, is) =
                    ((field.shown)(&*changed.as_dumped(&Machine).as_request()), (field.shown)(&*after));
                if asked != is && !one_way.contains(&&*field.name) {
                    wrong.push(format!("{}: {} is {is} after {asked}", case.name(), field.name));
                }
            }
        }
    }
    count(&format!(
        "read, change, write in process: {tried} changes of {fields} fields of {} kinds",
        cases().len()
    ));
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_field_is_listed() {
    let api = concat!(env!("CARGO_MANIFEST_DIR"), "/../tc-qdiscs/api.txt");
    let api = fs::read_to_string(api).unwrap();
    let mut missing = Vec::new();
    let listed: BTreeSet<_> = cases().iter().map(Case::name).collect();
    for registered in Registry::global().unwrap().iter() {
        let name = format!("{} {}", registered.ops().tc_type(), registered.ops().kind());
        if !listed.contains(&name) && !NO_FIELDS.iter().any(|(kind, _)| *kind == name) {
            missing.push(name);
        }
    }
    for case in cases() {
        let of_class = if case.ops.tc_type() == TcType::Class { "Class" } else { "" };
        let plain = case.ops.kind().replace('_', "") + of_class;
        for line in api.lines() {
            let Some((path, _)) = line.strip_prefix("pub tc_qdiscs::").and_then(|line| line.split_once(": "))
            else {
                continue;
            };
            let Some((kind, field)) = path.rsplit_once("::") else { continue };
            let room = match case.ops.tc_type() {
                TcType::Action => kind.starts_with("action::"),
                TcType::Filter => kind.starts_with("filter::"),
                _ => !["act::", "action::", "cls::", "filter::", "ematch::"]
                    .iter()
                    .any(|room| kind.starts_with(room)),
            };
            if !room {
                continue;
            }
            let of_kind =
                kind.rsplit("::").next().is_some_and(|last| last.to_lowercase() == plain.to_lowercase());
            let is_listed = |listed: &Field| listed.name.split('.').next() == Some(field);
            if of_kind && !case.fields.iter().any(is_listed) {
                missing.push(format!("{}: {field}", case.name()));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}
