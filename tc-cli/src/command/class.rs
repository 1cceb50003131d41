//! The words of `tc class`.

use tc_core::words::{WordError, Words, is_prefix};
use tc_core::{Handle, TcType, Verb};

use super::Command;
use super::change::{Change, class_id, device_name, qdisc_handle};
use super::list::List;
use super::object::Object;
use super::usage;
use crate::context::failure::Failure;
use crate::context::session::ParseContext;

pub(crate) const CLASS: Object = Object {
    name: "class",
    verbs: &[
        ("add", Verb::Add),
        ("change", Verb::Change),
        ("replace", Verb::Replace),
        ("delete", Verb::Delete),
    ],
    change,
    list,
    usage: usage::CLASS,
    change_words: &["dev", "classid", "root", "parent", "estimator", "help"],
    show_words: &["dev", "qdisc", "classid", "root", "parent", "help"],
};

fn change<'a>(verb: Verb, mut words: Words<'a>, context: ParseContext<'_>) -> Result<Command<'a>, Failure> {
    let mut change = Change::new(TcType::Class, verb);
    while let Some(word) = words.next() {
        match word {
            "dev" => change.take_dev(&mut words)?,
            "classid" => {
                let value = words.value()?;
                if !change.handle.is_unspec() {
                    return Err(WordError::duplicate("classid", value).into());
                }
                change.handle = class_id(value, "invalid class ID")?;
            }
            "handle" => {
                return Err(Failure::Words("Error: try \"classid\" instead of \"handle\"".into()));
            }
            "root" => {
                if !change.parent.is_unspec() {
                    return Err(Failure::Words("Error: \"root\" is duplicate parent ID.".into()));
                }
                change.parent = Handle::ROOT;
            }
            "parent" => change.take_parent(&mut words)?,
            _ if is_prefix(word, "estimator") => change.take_estimator(&mut words)?,
            _ if is_prefix(word, "help") => return Ok(Command::Help(usage::CLASS.to_owned())),
            kind => {
                change.take_kind(kind, words, context)?;
                break;
            }
        }
    }
    Ok(Command::Change(change))
}

fn list<'a>(mut words: Words<'a>) -> Result<Command<'a>, Failure> {
    let mut list = List::new(TcType::Class);
    while let Some(word) = words.next() {
        match word {
            "dev" => {
                let name = words.value()?;
                if list.dev.is_some() {
                    return Err(WordError::duplicate("dev", name).into());
                }
                list.dev = device_name(name);
            }
            "qdisc" => {
                let value = words.value()?;
                if !list.qdisc.is_unspec() {
                    return Err(WordError::duplicate("qdisc", value).into());
                }
                list.qdisc = qdisc_handle(value, "invalid qdisc ID")?;
            }
            "classid" => {
                let value = words.value()?;
                if !list.handle.is_unspec() {
                    return Err(WordError::duplicate("classid", value).into());
                }
                list.handle = class_id(value, "invalid class ID")?;
            }
            "root" => {
                if !list.parent.is_unspec() {
                    return Err(Failure::Words("Error: \"root\" is duplicate parent ID".into()));
                }
                list.parent = Handle::ROOT;
            }
            "parent" => {
                if !list.parent.is_unspec() {
                    // tc names the word instead of its second value.
                    return Err(WordError::duplicate("parent", word).into());
                }
                list.parent = class_id(words.value()?, "invalid parent ID")?;
            }
            _ if is_prefix(word, "help") => return Ok(Command::Help(usage::CLASS.to_owned())),
            _ => {
                return Err(Failure::Words(format!("What is \"{word}\"? Try \"tc class help\".")));
            }
        }
    }
    Ok(Command::List(list))
}
