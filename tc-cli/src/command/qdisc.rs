//! The words of `tc qdisc`.

use tc_core::units::parse_u32;
use tc_core::words::{WordError, Words, is_prefix};
use tc_core::{Handle, Stab, TcType, Verb};

use super::Command;
use super::change::{Change, class_id, device_name, qdisc_handle};
use super::list::List;
use super::object::Object;
use super::usage;
use crate::context::failure::Failure;
use crate::context::session::ParseContext;

pub(crate) const QDISC: Object = Object {
    name: "qdisc",
    // `l` is `link`.
    verbs: &[
        ("add", Verb::Add),
        ("change", Verb::Change),
        ("replace", Verb::Replace),
        ("link", Verb::Link),
        ("delete", Verb::Delete),
    ],
    change,
    list,
    usage: usage::QDISC,
    change_words: &[
        "dev",
        "handle",
        "root",
        "clsact",
        "ingress",
        "parent",
        "estimator",
        "stab",
        "ingress_block",
        "egress_block",
        "help",
    ],
    show_words: &["dev", "root", "ingress", "clsact", "parent", "handle", "help", "invisible"],
};

fn change<'a>(verb: Verb, mut words: Words<'a>, context: ParseContext<'_>) -> Result<Command<'a>, Failure> {
    let mut change = Change::new(TcType::Qdisc, verb);
    while let Some(word) = words.next() {
        match word {
            "dev" => change.take_dev(&mut words)?,
            "handle" => {
                if !change.handle.is_unspec() {
                    // tc names the word instead of its second value.
                    return Err(WordError::duplicate("handle", word).into());
                }
                change.handle = qdisc_handle(words.value()?, "invalid qdisc ID")?;
            }
            "root" => {
                no_parent_yet(&change, "\"root\" is duplicate parent ID")?;
                change.parent = Handle::ROOT;
            }
            "clsact" | "ingress" => {
                no_parent_yet(&change, &format!("\"{word}\" is a duplicate parent ID"))?;
                change.parent = Handle::INGRESS;
                change.handle = Handle::INGRESS.qdisc_of();
                change.take_kind(word, words, context)?;
                break;
            }
            "parent" => change.take_parent(&mut words)?,
            _ if is_prefix(word, "estimator") => change.take_estimator(&mut words)?,
            _ if is_prefix(word, "stab") => change.stab = Some(stab(&mut words)?),
            _ if is_prefix(word, "ingress_block") => {
                change.ingress_block = Some(block(&mut words, "invalid ingress block index value")?);
            }
            _ if is_prefix(word, "egress_block") => {
                change.egress_block = Some(block(&mut words, "invalid egress block index value")?);
            }
            _ if is_prefix(word, "help") => return Ok(Command::Help(usage::QDISC.to_owned())),
            kind => {
                change.take_kind(kind, words, context)?;
                break;
            }
        }
    }
    Ok(Command::Change(change))
}

fn no_parent_yet(change: &Change<'_>, text: &str) -> Result<(), Failure> {
    if change.parent.is_unspec() { Ok(()) } else { Err(Failure::Words(format!("Error: {text}"))) }
}

fn stab(words: &mut Words<'_>) -> Result<Stab, Failure> {
    let stab = Stab::parse_words(words)?;
    if !stab.has_effect() {
        // tc fails without a word.
        return Err(Failure::Words("Error: stab needs a linklayer, an overhead or an mpu".into()));
    }
    Ok(stab)
}

fn block(words: &mut Words<'_>, wrong: &str) -> Result<u32, WordError> {
    let word = words.value()?;
    match parse_u32(word) {
        Ok(block) if block != 0 => Ok(block),
        _ => Err(WordError::invalid(wrong, word)),
    }
}

fn list<'a>(mut words: Words<'a>) -> Result<Command<'a>, Failure> {
    let mut list = List::new(TcType::Qdisc);
    while let Some(word) = words.next() {
        match word {
            "dev" => list.dev = device_name(words.value()?),
            "root" => {
                no_filter_yet(&list, word)?;
                list.parent = Handle::ROOT;
            }
            "ingress" | "clsact" => {
                no_filter_yet(&list, word)?;
                list.parent = Handle::INGRESS;
            }
            _ if is_prefix(word, "parent") => {
                no_filter_yet(&list, word)?;
                list.parent = class_id(words.value()?, "invalid parent ID")?;
            }
            _ if is_prefix(word, "handle") => {
                no_filter_yet(&list, word)?;
                list.handle = qdisc_handle(words.value()?, "invalid handle ID")?;
            }
            _ if is_prefix(word, "help") => return Ok(Command::Help(usage::QDISC.to_owned())),
            "invisible" => list.invisible = true,
            _ => {
                return Err(Failure::Words(format!("What is \"{word}\"? Try \"tc qdisc help\".")));
            }
        }
    }
    Ok(Command::List(list))
}

fn no_filter_yet(list: &List<'_>, word: &str) -> Result<(), WordError> {
    if !list.parent.is_unspec() {
        Err(WordError::invalid("parent is already specified", word))
    } else if !list.handle.is_unspec() {
        Err(WordError::invalid("handle is already specified", word))
    } else {
        Ok(())
    }
}
