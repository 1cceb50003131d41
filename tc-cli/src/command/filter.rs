//! The words of `tc filter`.

use tc_core::uapi::ETH_P_ALL;
use tc_core::units::parse_u32;
use tc_core::words::{WordError, Words, is_prefix};
use tc_core::{Handle, TcType, Verb};

use super::Command;
use super::change::{Change, class_id, device_name};
use super::list::List;
use super::object::Object;
use super::usage;
use crate::context::failure::Failure;
use crate::context::session::ParseContext;
use crate::show::Place;
use tc_core::protocol;

pub(crate) const FILTER: Object = Object {
    name: "filter",
    verbs: &[
        ("add", Verb::Add),
        ("change", Verb::Change),
        ("replace", Verb::Replace),
        ("delete", Verb::Delete),
        ("get", Verb::Get),
    ],
    change,
    list,
    usage: usage::FILTER,
    change_words: &[
        "dev",
        "block",
        "root",
        "ingress",
        "egress",
        "parent",
        "handle",
        "preference",
        "priority",
        "protocol",
        "chain",
        "estimator",
        "help",
    ],
    show_words: &[
        "dev",
        "block",
        "root",
        "ingress",
        "egress",
        "parent",
        "handle",
        "preference",
        "priority",
        "protocol",
        "chain",
        "help",
    ],
};

/// `tc chain`, whose words are those of filters.
pub(crate) const CHAIN: Object = Object {
    name: "chain",
    verbs: &[("add", Verb::Add), ("delete", Verb::Delete), ("get", Verb::Get)],
    change: |verb, words, context| change_at(Place::CHAINS, verb, words, context),
    list: |words| list_at(Place::CHAINS, words),
    usage: usage::CHAIN,
    ..FILTER
};

/// The words that requests and lists share.
struct Common<'a> {
    dev: Option<&'a str>,
    parent: Handle,
    place: Place,
    handle: Option<&'a str>,
    /// The texts that differ.
    exclusive: fn(&str, &str) -> String,
    wrong_parent: &'static str,
    wrong_priority: &'static str,
}

impl<'a> Common<'a> {
    /// Reads the value of `word`; false for other words.
    fn take(&mut self, word: &str, words: &mut Words<'a>) -> Result<bool, Failure> {
        let place = &mut self.place;
        match word {
            "dev" => {
                let value = words.value()?;
                if self.dev.is_some() {
                    return Err(WordError::duplicate("dev", value).into());
                }
                if place.block.is_some() {
                    return Err(Failure::Words((self.exclusive)("dev", "block")));
                }
                self.dev = device_name(value);
            }
            _ if is_prefix(word, "block") => {
                let value = words.value()?;
                if place.block.is_some() {
                    return Err(WordError::duplicate("block", value).into());
                }
                if self.dev.is_some() {
                    return Err(Failure::Words((self.exclusive)("block", "dev")));
                }
                let block = parse_u32(value).ok().filter(|block| *block != 0);
                place.block =
                    Some(block.ok_or_else(|| WordError::invalid("invalid block index value", value))?);
            }
            "root" | "ingress" | "egress" => {
                if !self.parent.is_unspec() {
                    return Err(Failure::Words(format!("Error: \"{word}\" is duplicate parent ID")));
                }
                self.parent = match word {
                    "root" => Handle::ROOT,
                    "ingress" => Handle::FILTER_INGRESS,
                    _ => Handle::FILTER_EGRESS,
                };
            }
            "parent" => {
                let value = words.value()?;
                if !self.parent.is_unspec() {
                    return Err(WordError::duplicate("parent", value).into());
                }
                self.parent = class_id(value, self.wrong_parent)?;
            }
            "handle" => {
                let value = words.value()?;
                if self.handle.is_some() {
                    return Err(WordError::duplicate("handle", value).into());
                }
                self.handle = Some(value);
            }
            _ if is_prefix(word, "preference") || is_prefix(word, "priority") => {
                let value = words.value()?;
                if place.priority != 0 {
                    return Err(WordError::duplicate("priority", value).into());
                }
                let priority = parse_u32(value).ok().and_then(|number| u16::try_from(number).ok());
                place.priority = priority.ok_or_else(|| WordError::invalid(self.wrong_priority, value))?;
            }
            _ if is_prefix(word, "protocol") => {
                let value = words.value()?;
                if place.protocol.is_some() {
                    return Err(WordError::duplicate("protocol", value).into());
                }
                let number = protocol::parse(value);
                place.protocol = Some(number.ok_or_else(|| WordError::invalid("invalid protocol", value))?);
            }
            _ if is_prefix(word, "chain") => {
                let value = words.value()?;
                if place.chain.is_some() {
                    return Err(WordError::duplicate("chain", value).into());
                }
                let wrong = |_| WordError::invalid("invalid chain index value", value);
                place.chain = Some(parse_u32(value).map_err(wrong)?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn change<'a>(verb: Verb, words: Words<'a>, context: ParseContext<'_>) -> Result<Command<'a>, Failure> {
    change_at(Place::NONE, verb, words, context)
}

fn change_at<'a>(
    place: Place,
    verb: Verb,
    mut words: Words<'a>,
    context: ParseContext<'_>,
) -> Result<Command<'a>, Failure> {
    let mut change = Change::new(TcType::Filter, verb);
    let mut common = Common {
        dev: None,
        parent: Handle::UNSPEC,
        place,
        handle: None,
        exclusive: |_, _| "Error: \"dev\" and \"block\" are mutually exclusive".into(),
        wrong_parent: "Invalid parent ID",
        wrong_priority: "invalid priority value",
    };
    let mut kind = None;
    while let Some(word) = words.next() {
        if common.take(word, &mut words)? {
            continue;
        }
        match word {
            _ if verb != Verb::Get && is_prefix(word, "estimator") => change.take_estimator(&mut words)?,
            _ if is_prefix(word, "help") => return Ok(Command::Help(usage::FILTER.to_owned())),
            "" if verb == Verb::Get => return Err(WordError::invalid("invalid filter name", word).into()),
            word => {
                kind = Some(word);
                break;
            }
        }
    }
    if verb == Verb::Get {
        check_get(&common, kind)?;
    }
    if matches!(verb, Verb::Add | Verb::Replace) && !place.chains {
        common.place.protocol.get_or_insert(ETH_P_ALL);
    }
    (change.dev, change.parent, change.place) = (common.dev, common.parent, common.place);
    match (kind, common.handle) {
        (Some(kind), handle) => {
            if context.registry.get(TcType::Filter, kind).is_none() && handle.is_some() {
                return Err(handle_of_unknown(kind, &words));
            }
            let place = change.place.of_filter(change.parent, handle);
            change.handle = change.take_kind_at(&place, kind, words, context)?.unwrap_or(Handle::UNSPEC);
        }
        (None, Some(_)) => {
            return Err(Failure::Words("Must specify filter type when using \"handle\"".into()));
        }
        (None, None) => {}
    }
    if verb == Verb::Get && common.handle.is_none() && !place.chains {
        return Err(Failure::Words("Must specify filter \"handle\"".into()));
    }
    Ok(Command::Change(change))
}

/// Checks the words that a get requires, in `tc`'s order.
fn check_get(common: &Common<'_>, kind: Option<&str>) -> Result<(), Failure> {
    let of_chain = common.place.chains;
    let needs = [
        (common.place.protocol.is_some() || of_chain, "Must specify filter protocol"),
        (common.place.priority != 0 || of_chain, "Must specify filter priority"),
        (!common.parent.is_unspec() || common.place.block.is_some(), "Must specify filter parent"),
        (kind.is_some() || of_chain, "Must specify filter type"),
        (
            common.dev.is_some() || common.place.block.is_some(),
            "Must specify netdevice \"dev\" or block index \"block\"",
        ),
    ];
    match needs.into_iter().find(|(met, _)| !met) {
        Some((_, text)) => Err(Failure::Words(text.into())),
        None => Ok(()),
    }
}

/// A handle of a filter of an unknown kind. Each kind reads numbers in its own way (fw and u32 in different
/// bases), so that a guess hits another filter.
fn handle_of_unknown(kind: &str, options: &Words<'_>) -> Failure {
    let word = options.peek().unwrap_or("handle").to_owned();
    Failure::UnknownKind { tc_type: TcType::Filter, kind: kind.to_owned(), word }
}

fn list<'a>(words: Words<'a>) -> Result<Command<'a>, Failure> {
    list_at(Place::NONE, words)
}

fn list_at<'a>(place: Place, mut words: Words<'a>) -> Result<Command<'a>, Failure> {
    let mut common = Common {
        dev: None,
        parent: Handle::UNSPEC,
        place,
        handle: None,
        exclusive: |one, other| format!("Error: \"{one}\" cannot be used in the same time as \"{other}\""),
        wrong_parent: "invalid parent ID",
        wrong_priority: "invalid preference",
    };
    while let Some(word) = words.next() {
        if common.take(word, &mut words)? {
            continue;
        }
        if is_prefix(word, "help") {
            return Ok(Command::Help(usage::FILTER.to_owned()));
        }
        return Err(Failure::Words(format!(" What is \"{word}\"? Try \"tc filter help\"")));
    }
    let mut list = List::new(TcType::Filter);
    (list.dev, list.parent, list.place) = (common.dev, common.parent, common.place);
    Ok(Command::List(list))
}
