//! `--dry-run`: prints a message, decoded and as bytes, instead of sending it.

use bytes::BytesMut;
use tc_core::lossless::to_bytes;
use tc_core::message::{Entry, Messages};
use tc_core::print::{Bytes, Formatted, Printer};
use tc_core::uapi::*;
use tc_core::{Attr, DecodeError, EncodeError, Request, Stab, TcType, Verb};

/// Prints the message of a request, and of what follows it.
pub(crate) fn show(
    verb: Verb,
    request: &Request<'_>,
    device: &str,
    out: &mut Printer,
) -> Result<(), EncodeError> {
    one(verb, request, device, out)?;
    let second_request = request.get_options().and_then(|options| options.second_request(verb));
    if let (Some(ops), Some(options)) = (request.ops(), second_request) {
        let second = request.clone().options_of(ops, Some(&*options));
        one(Verb::Change, &second, device, out)?;
    }
    Ok(())
}

fn one(verb: Verb, request: &Request<'_>, device: &str, out: &mut Printer) -> Result<(), EncodeError> {
    let mut bytes = BytesMut::new();
    request.encode(verb, 0, &mut bytes)?;
    out.begin_object("");
    out.item("verb", "", verb.name(), " ");
    out.item("request", "", request.describe().as_str(), "\n");
    if let Err(error) = message(&bytes, request, device, out) {
        out.item("undecoded", "", error.to_string(), "\n");
    }
    hex(&bytes, out);
    out.end_object();
    Ok(())
}

fn message(bytes: &[u8], request: &Request<'_>, device: &str, out: &mut Printer) -> Result<(), DecodeError> {
    let missing = DecodeError::Missing { what: "message" };
    let message = Messages::new(bytes).next().ok_or(missing)??;
    let entry = Entry::decode(&message)?;
    let type_name = TYPES.iter().find(|(number, _)| *number == message.kind).map_or("?", |(_, name)| name);
    let flags: Vec<&str> =
        FLAGS.iter().filter(|(flag, _)| message.flags & flag != 0).map(|(_, name)| *name).collect();
    out.object("header", |out| {
        out.item("length", "nlmsghdr  length ", bytes.len(), "");
        out.item("type", "  type ", type_name, "");
        out.text_item(" (", message.kind, ")");
        out.item("flags", "  flags ", flags.join("|"), "");
        out.text_item(" (", Formatted(format_args!("{:#x}", message.flags)), ")\n");
    });
    if entry.tc_type() == TcType::Action {
        out.begin_array("attributes");
        for attr in entry.attrs() {
            out.begin_object("");
            let attr = attr?;
            let value = match attr.kind {
                TCA_ACT_TAB => format!("{:?}", entry.actions()?),
                _ => digits(attr.payload),
            };
            named_attribute(&attr, ROOT_ATTRIBUTES, value, out);
            out.end_object();
        }
        out.end_array();
        return Ok(());
    }
    let header = entry.header;
    out.object("tcmsg", |out| {
        out.item("ifindex", "tcmsg     ifindex ", header.ifindex, "");
        if !device.is_empty() {
            out.item("dev", " (", Bytes(&to_bytes(device)), ")");
        }
        for (key, before, handle) in
            [("handle", "  handle ", header.handle), ("parent", "  parent ", header.parent)]
        {
            out.item(key, before, handle, "");
            out.text_item(" (", Formatted(format_args!("{:#010x}", handle.raw())), ")");
        }
        out.item("info", "  info ", header.info, "\n");
    });
    out.begin_array("attributes");
    for attr in entry.attrs() {
        out.begin_object("");
        attribute(&attr?, request, out);
        out.end_object();
    }
    out.end_array();
    Ok(())
}

fn attribute(attr: &Attr<'_>, request: &Request<'_>, out: &mut Printer) {
    named_attribute(attr, ATTRIBUTES, value(attr, request), out);
}

fn named_attribute(attr: &Attr<'_>, names: &[(u16, &str)], value: String, out: &mut Printer) {
    let name = names.iter().find(|(number, _)| *number == attr.kind).map_or("?", |(_, name)| name);
    let length = attr.payload.len();
    out.item("name", "", name, "");
    out.text_item(" (", attr.kind, ")");
    out.item("length", "  ", length, " bytes");
    if attr.nested {
        out.flag("nested", "  nested");
    }
    out.item("value", "  ", value, "\n");
}

/// The value in words where that is known, and else in hexadecimal.
fn value(attr: &Attr<'_>, request: &Request<'_>) -> String {
    let known = match attr.kind {
        TCA_KIND => attr.str().ok().map(|kind| format!("{kind:?}")),
        TCA_INGRESS_BLOCK | TCA_EGRESS_BLOCK | TCA_CHAIN => attr.u32().ok().map(|block| block.to_string()),
        TCA_OPTIONS => {
            let options = request.ops().and_then(|ops| ops.msg_parse(attr.payload).ok());
            options.map(|options| format!("{options:?}"))
        }
        TCA_STAB => Stab::decode(attr).ok().map(|stab| format!("{stab:?}")),
        TCA_RATE => attr
            .payload
            .first_chunk()
            .map(|[interval, ewma_log]| format!("interval {} ewma_log {ewma_log}", interval.cast_signed())),
        _ => None,
    };
    known.unwrap_or_else(|| digits(attr.payload))
}

/// The whole message, in words of 4 bytes.
fn hex(bytes: &[u8], out: &mut Printer) {
    out.json("hex", digits(bytes));
    for line in bytes.chunks(16) {
        let words: Vec<_> = line.chunks(4).map(digits).collect();
        out.text_item("", words.join(" "), "\n");
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

macro_rules! named {
    ($($name:ident),* $(,)?) => { &[$(($name, stringify!($name))),*] };
}

const TYPES: &[(u16, &str)] = named![
    RTM_NEWQDISC,
    RTM_DELQDISC,
    RTM_NEWTCLASS,
    RTM_DELTCLASS,
    RTM_NEWTFILTER,
    RTM_DELTFILTER,
    RTM_GETTFILTER,
    RTM_NEWACTION,
    RTM_DELACTION
];

const FLAGS: &[(u16, &str)] =
    named![NLM_F_REQUEST, NLM_F_ACK, NLM_F_ECHO, NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_ROOT];

const ATTRIBUTES: &[(u16, &str)] =
    named![TCA_KIND, TCA_OPTIONS, TCA_RATE, TCA_STAB, TCA_INGRESS_BLOCK, TCA_EGRESS_BLOCK, TCA_CHAIN];

const ROOT_ATTRIBUTES: &[(u16, &str)] = named![TCA_ACT_TAB, TCA_ROOT_FLAGS, TCA_ROOT_TIME_DELTA];
