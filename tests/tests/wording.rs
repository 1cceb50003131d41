//! Both ways, for every kind: a dump is put into words, the words are read, and the kernel would dump the
//! result identically.
//!
//! The dumps are those of the captures. Options missing from dumps are listed in `Kind::CHANGE`, and in
//! `docs/both-ways.md` of tc-core.
#![expect(clippy::unwrap_used, reason = "a test stops at an unexpected error")]

use bytes::BytesMut;
use tc_core::words::{Words, WordsContext};
use tc_core::{
    AttrWriter, Difference, Fill, FillContext, FilterPlace, OptionWords, Options, Registry, TcOps, TcType,
    Verb,
};
use tc_qdiscs as _;
use tests::captures::{Capture, Machine, all};

/// Runs a check over the options of all dumps, and reports all failures at once.
fn check(check: impl Fn(&Capture, &dyn TcOps, &dyn Options) -> Result<(), String>) {
    let registry = Registry::global().unwrap();
    let mut kinds = std::collections::BTreeSet::new();
    let mut wrong = Vec::new();
    for capture in all().iter().filter(|capture| capture.is_dump) {
        let ops = registry.get(capture.tc_type, &capture.kind).unwrap();
        let Some(payload) = capture.options().map(|attr| attr.payload) else { continue };
        let options = ops.msg_parse(payload).unwrap();
        wrong.extend(check(capture, ops, &*options).err().map(|error| format!("{}: {error}", capture.name)));
        kinds.insert((capture.tc_type, capture.kind.as_str()));
    }
    assert!(kinds.len() > 30, "{} kinds with options", kinds.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn wording(ops: &dyn TcOps, options: &dyn Options, place: &FilterPlace<'_>) -> OptionWords<'static> {
    let mut words = OptionWords::with_names(&Machine);
    ops.to_words_at(options, place, &mut words);
    words
}

fn read(
    ops: &dyn TcOps,
    line: &str,
    verb: Verb,
    place: &FilterPlace<'_>,
) -> Result<Option<Box<dyn Options>>, String> {
    let words = tests::words::split(line);
    let mut words = Words::new(&words);
    let context = WordsContext { environment: &Machine, ..WordsContext::new(verb) };
    let read = ops.parse_words_at(&mut words, &context, place);
    let (options, _) = read.map_err(|error| format!("{line}: {error}"))?;
    match words.is_empty() {
        true => Ok(options),
        false => Err(format!("{line}: {:?} is left", words.rest())),
    }
}

/// The kernel's dump of the objects that these lines create.
fn told(ops: &dyn TcOps, lines: &[String], place: &FilterPlace<'_>) -> Result<OptionWords<'static>, String> {
    let mut all = OptionWords::new();
    for (number, line) in lines.iter().enumerate() {
        let verb = if number == 0 { Verb::Add } else { Verb::Change };
        if let Some(options) = read(ops, line, verb, place)? {
            all.amend(&wording(ops, &*options.as_dumped(&Machine), place));
        }
    }
    Ok(all)
}

#[test]
fn words_say_all_that_a_dump_tells() {
    check(|capture, ops, options| {
        let place = capture.place();
        let words = wording(ops, options, &place);
        if capture.name == "netem/dump-slot-distribution.hex" {
            // Its samples are not dumped: see netem's CHANGE.
            assert_eq!(words.unsayable().len(), 1);
            return Ok(());
        }
        if !words.unsayable().is_empty() {
            return Err(format!("no words for {:?}", words.unsayable()));
        }
        let again = told(ops, &words.lines(), &place)?;
        let difference = words.difference(&again, ops.change_semantics());
        let reverse = again.difference(&words, ops.change_semantics());
        match (difference, reverse) {
            (Difference::None, Difference::None) => Ok(()),
            differences => Err(format!("{differences:?}\n  {:?}\n  {again:?}", words)),
        }
    });
}

/// Dumps that do not follow from the last command, and why.
const MORE_TO_IT: &[(&str, &str)] = &[
    ("gred/", "it takes several commands"),
    ("hhf/dump-all.hex", "Linux 6.1 passes over the hh_limit of a new one"),
    ("matchall/dump-actions.hex", "tc 6.1 sends the cookie of the first action with the second too"),
];

/// `Kind::as_dumped` predicts the kernel: the sent words lead to its dump.
#[test]
fn what_was_asked_for_is_what_the_dump_tells() {
    check(|capture, ops, options| {
        if MORE_TO_IT.iter().any(|(name, _)| capture.name.starts_with(name)) {
            return Ok(());
        }
        // The words of all actions follow an action's own words.
        let words: Vec<_> = capture.words().into_iter().take_while(|word| *word != "cookie").collect();
        let place = capture.place();
        let Some(asked) = read(ops, &tests::words::join(&words), capture.verb(), &place)? else {
            return Ok(());
        };
        let dumped = wording(ops, &*asked.as_dumped(&Machine), &place);
        let told = wording(ops, options, &place);
        match dumped.difference(&told, ops.change_semantics()) {
            Difference::None => {
                let not_taken =
                    wording(ops, &*asked, &place).not_taken(&dumped, &told, ops.change_semantics());
                match not_taken.is_empty() {
                    true => Ok(()),
                    false => Err(format!("not taken: {not_taken:?}")),
                }
            }
            difference => Err(format!("{difference:?}\n  asked {asked:?}\n   told {options:?}")),
        }
    });
}

/// Kinds whose dumps are never sent as they are, and why.
const NOT_SENT: &[(TcType, &str, &str)] = &[
    (TcType::Qdisc, "gred", "the setup and each virtual queue go in requests of their own"),
    (TcType::Qdisc, "htb", "a dump has another version, and a counter"),
    (TcType::Qdisc, "taprio", "a schedule that waits is sent as the one to come"),
    (TcType::Qdisc, "pfifo_fast", "options are never sent"),
];

/// Dumps that lack the type of the outer header, which is the filter's protocol.
const WITHOUT_TYPE: &[&str] = &["flower/dump-vlan.hex", "flower/dump-qinq.hex", "flower/dump-pppoe.hex"];

#[test]
fn dump_when_written_and_read_has_the_same_value() {
    check(|capture, ops, options| {
        let is_kind = |kind: &str, tc_type: TcType| (tc_type, kind) == (capture.tc_type, &*capture.kind);
        if NOT_SENT.iter().any(|(tc_type, kind, _)| is_kind(kind, *tc_type))
            || WITHOUT_TYPE.contains(&&*capture.name)
        {
            return Ok(());
        }
        let mut buffer = BytesMut::new();
        let mut out = AttrWriter::new(&mut buffer);
        let context = FillContext { verb: Verb::Add, as_tc: false };
        let fill = ops.msg_fill(Some(options), &context, &mut out).map_err(|error| error.to_string())?;
        if fill == Fill::Absent {
            return Ok(());
        }
        let again = ops.msg_parse(&buffer).map_err(|error| error.to_string())?;
        let [there, again_there] = [options, &*again].map(|options| wording(ops, options, &capture.place()));
        let difference = there.difference(&again_there, ops.change_semantics());
        // A tbf sends bytes, of which many take one time.
        match options.equals(&*again) || difference == Difference::None {
            true => Ok(()),
            false => Err(format!("{options:?}\n  {again:?}")),
        }
    });
}

#[test]
fn exact_words_are_not_those_that_are_printed() {
    let registry = Registry::global().unwrap();
    for (kind, told, words) in [
        ("codel", "target 5ms interval 100ms", "target 5000us interval 100000us"),
        ("tbf", "rate 1234567bit burst 1601 limit 65535", "rate 1234560bit burst 1601b limit 65535b"),
        ("netem", "delay 100ms 10ms loss 0.3%", "limit 1000 delay 100000us 10000us loss 0.3"),
        ("fq", "maxrate 1kbit refill_delay 40ms", "maxrate 1000bit refill_delay 40000us"),
    ] {
        let ops = registry.get(TcType::Qdisc, kind).unwrap();
        let nowhere = FilterPlace::default();
        let options = read(ops, told, Verb::Add, &nowhere).unwrap().unwrap().as_dumped(&Machine);
        let line = wording(ops, &*options, &nowhere).lines().concat();
        assert!(line.starts_with(words), "{kind}: {line}");
    }
}
