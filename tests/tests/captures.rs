//! Every capture, byte for byte and text for text: words make tc's message, the kernel's message
//! makes tc's text and JSON.
#![expect(clippy::unwrap_used, reason = "a test stops at an unexpected error")]

use std::cell::RefCell;
use std::collections::BTreeSet;

use bytes::BytesMut;
use serde_json::Value;
use tc_core::print::{Form, Printer};
use tc_core::uapi::{TCA_KIND, TCA_OPTIONS};
use tc_core::words::{Words, WordsContext};
use tc_core::{
    Actions, AttrWriter, Attrs, FillContext, FilterPlace, Options, Registry, Request, TcOps, TcType, Verb,
    message::Entry,
};
use tc_qdiscs::{
    cake, choke, codel, drr, dualpi2, fq, fq_codel, fq_pie, hfsc, hhf, htb, netem, pie, qfq, red, sfb, sfq,
    taprio,
};
use tests::captures::{Capture, Machine, Printed, all};
use tests::{newer_tc, repeated};

/// Runs a check over captures, and reports all failures at once.
fn check(
    captures: impl Iterator<Item = &'static Capture>,
    check: impl Fn(&Capture, &dyn TcOps) -> Result<(), String>,
) {
    let registry = Registry::of_program().unwrap();
    let mut checked = 0;
    let mut wrong = Vec::new();
    for capture in captures {
        let checks = match registry.get(capture.tc_type, &capture.kind) {
            Some(ops) => check(capture, ops),
            None => Err(format!("{} {} is not registered", capture.tc_type, capture.kind)),
        };
        wrong.extend(checks.err().map(|error| format!("{}: {error}", capture.name)));
        checked += 1;
    }
    assert_ne!(checked, 0, "no captures");
    assert!(wrong.is_empty(), "{} of {checked} captures:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn options_of_every_message_are_read() {
    check(all().iter(), |capture, ops| match capture.options() {
        Some(attr) => ops.msg_parse(attr.payload).map(drop).map_err(|error| error.to_string()),
        None => Ok(()),
    });
}

#[test]
fn words_make_the_message_that_tc_sends() {
    check(all().iter().filter(|capture| !capture.is_dump), |capture, ops| {
        let words = capture.words();
        let context = context(capture.verb());
        let read = ops.parse_words_at(&mut Words::new(&words), &context, &capture.place());
        let (options, _) = read.map_err(|error| error.to_string())?;
        same_as_captured(capture, ops, options.as_deref())
    });
}

#[test]
fn requests_decode_and_encode_to_the_same_bytes() {
    check(all().iter().filter(|capture| !capture.is_dump), |capture, ops| {
        let payload = capture.options().map(|attr| attr.payload);
        let options = payload.map(|payload| ops.msg_parse(payload)).transpose();
        same_as_captured(capture, ops, options.map_err(|error| error.to_string())?.as_deref())
    });
}

#[test]
fn dumps_print_as_tc_prints_them() {
    check(all().iter().filter(|capture| capture.is_dump), |capture, ops| {
        let mut wrong = String::new();
        for printed in &capture.printed {
            let ours = print(capture, ops, printed)?;
            let theirs = match capture.iproute2 > (6, 1) {
                true => newer_tc::with_numbers(&printed.value),
                false => printed.value.clone(),
            };
            if ours != theirs {
                wrong +=
                    &format!("\n {} {:?}\n  tc {}\n  us {ours}", printed.what, printed.style, printed.value);
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    });
}

#[test]
fn words_make_the_list_of_actions_that_tc_sends() {
    let requests = all().iter().filter(|capture| !capture.is_dump && capture.tc_type == TcType::Action);
    check(requests, |capture, _| {
        let words = capture.action_words();
        let list = Actions::parse_words(&mut Words::new(&words), &context(capture.verb()));
        let list = list.map_err(|error| error.to_string())?;
        let mut ours = BytesMut::new();
        let written = Request::actions(&list).as_tc(true).encode(capture.verb(), 0, &mut ours);
        written.map_err(|error| error.to_string())?;
        if ours == capture.bytes {
            return Ok(());
        }
        Err(format!("tc {:02x?}\nus {:02x?}", capture.bytes, &ours[..]))
    });
}

fn context(verb: Verb) -> WordsContext<'static> {
    WordsContext { environment: &Machine, ..WordsContext::new(verb) }
}

/// Compares the message of these options with the captured one.
fn same_as_captured(capture: &Capture, ops: &dyn TcOps, options: Option<&dyn Options>) -> Result<(), String> {
    if capture.tc_type == TcType::Action {
        return same_options(capture, ops, options);
    }
    let header = capture.entry().header;
    let request = Request::new(capture.tc_type, header.ifindex)
        .handle(header.handle)
        .parent(header.parent)
        .info(header.info)
        .as_tc(true)
        .options_of(ops, options);
    let mut buffer = BytesMut::new();
    request.encode(capture.verb(), 0, &mut buffer).map_err(|error| error.to_string())?;
    let ours = Capture { bytes: buffer.to_vec(), ..capture.clone() };
    let same = if has_kind_and_options_alone(capture) {
        ours.bytes == capture.bytes
    } else {
        ours.options() == capture.options()
    };
    match (same, &capture.differs) {
        (true, None) | (false, Some(_)) => Ok(()),
        (true, Some(reason)) => Err(format!("does not differ, yet it says: {reason}")),
        (false, None) => Err(format!("tc {:02x?}\nus {:02x?}", capture.bytes, ours.bytes)),
    }
}

/// Of an action the options alone: its list is another test's.
fn same_options(capture: &Capture, ops: &dyn TcOps, options: Option<&dyn Options>) -> Result<(), String> {
    let mut ours = BytesMut::new();
    let fill = FillContext { verb: capture.verb(), as_tc: true };
    ops.msg_fill(options, &fill, &mut AttrWriter::new(&mut ours)).map_err(|error| error.to_string())?;
    let captured = capture.options().map(|attr| attr.payload).unwrap_or_default();
    if ours == captured { Ok(()) } else { Err(format!("tc {captured:02x?}\nus {:02x?}", &ours[..])) }
}

/// Size tables, estimators and blocks are not the kind's business.
fn has_kind_and_options_alone(capture: &Capture) -> bool {
    let attrs: Attrs<'_> = capture.entry().attrs();
    attrs.flatten().all(|attr| matches!(attr.kind, TCA_KIND | TCA_OPTIONS))
}

/// The output of tc-cli in the form of tc's `printed`: a string, or an object.
fn print(capture: &Capture, ops: &dyn TcOps, printed: &Printed) -> Result<Value, String> {
    let json = printed.what.ends_with("-json");
    let mut out = Printer::new(if json { Form::Json } else { Form::Text }, printed.style);
    out.set_names(Box::new(Machine));
    out.begin_object("");
    let entry = capture.entry();
    let said = if printed.what.starts_with("actions") {
        entry.actions().map(|actions| actions.print_unbound(&mut out))
    } else if printed.what.starts_with("options") {
        let place = FilterPlace::of(&entry);
        entry.options().map_or(Ok(()), |payload| ops.print_at(payload, &place, &mut out))
    } else {
        let xstats = entry.xstats().map_err(|error| error.to_string())?.ok_or("no counters of its own")?;
        ops.print_xstats(xstats, &mut out).map(drop)
    };
    said.map_err(|error| error.to_string())?;
    out.end_object();
    if json {
        let ours = serde_json::from_str(out.as_str()).map_err(|error| format!("{error}: {}", out.as_str()));
        ours.map(repeated::as_tc)
    } else {
        Ok(out.as_str().into())
    }
}

/// A reader of each type of counters: whether it is the entry's, and read.
macro_rules! counters {
    ($($counters:ty),+ $(,)?) => {
        [$(|entry: &Entry<'_>| match entry.xstats_as::<$counters>() {
            Ok(counters) => counters.is_some(),
            Err(_) => false,
        }),+]
    };
}

#[test]
fn counters_of_every_kind_have_a_type() {
    let readers: [fn(&Entry<'_>) -> bool; 18] = counters![
        cake::CakeXstats,
        choke::ChokeXstats,
        codel::CodelXstats,
        drr::DrrXstats,
        dualpi2::Dualpi2Xstats,
        fq::FqXstats,
        fq_codel::FqCodelXstats,
        fq_pie::FqPieXstats,
        hfsc::HfscXstats,
        hhf::HhfXstats,
        htb::HtbXstats,
        netem::NetemXstats,
        pie::PieXstats,
        qfq::QfqXstats,
        red::RedXstats,
        sfb::SfbXstats,
        sfq::SfqFlowXstats,
        taprio::TaprioXstats,
    ];
    let read = RefCell::new(BTreeSet::new());
    check(all().iter().filter(|capture| capture.is_dump), |capture, _| {
        let entry = capture.entry();
        if entry.xstats().map_err(|error| error.to_string())?.is_none() {
            return Ok(());
        }
        let types = readers.iter().filter(|reader| reader(&entry)).count();
        read.borrow_mut().insert(format!("{} {}", capture.tc_type, capture.kind));
        if types == 1 { Ok(()) } else { Err(format!("{types} types read its counters")) }
    });
    let read = read.into_inner();
    assert!(read.len() >= 15, "{read:?}");
}
