//! The words of flow.

use std::net::IpAddr;
use std::time::Duration;

use tc_core::action::Actions;
use tc_core::ematch::Ematches;
use tc_core::units::parse_u32;
use tc_core::words::{WordError, Words, WordsContext, is_prefix};
use tc_core::{Handle, OptionWords};

use super::{Flow, FlowKeys, FlowMode};
use crate::action::police::Police;
use crate::filter::police_or_actions;

pub(super) const fn mode(mode: FlowMode) -> &'static str {
    match mode {
        FlowMode::Map => "map",
        FlowMode::Hash => "hash",
    }
}

/// The words in the order in which `tc` tries prefixes.
const WORDS: [&str; 15] = [
    "map",
    "hash",
    "keys",
    "and",
    "or",
    "xor",
    "rshift",
    "addend",
    "divisor",
    "baseclass",
    "perturb",
    "police",
    "action",
    "match",
    "help",
];

pub(super) fn parse(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Flow, WordError> {
    let mut flow = Flow::default();
    let mut count = 0;
    while let Some(word) = words.next() {
        let number = |words: &mut Words<'_>, name: &str| {
            let illegal = format!("Illegal \"{name}\"");
            words.parse(parse_u32, |_| illegal)
        };
        let name = WORDS.into_iter().find(|name| is_prefix(word, name));
        match name.ok_or_else(|| WordError::what_is(word))? {
            "map" => flow.mode = FlowMode::Map,
            "hash" => flow.mode = FlowMode::Hash,
            "keys" => (flow.keys, count) = parse_keys(words.value()?)?,
            "and" => operate(&mut flow, number(words, "mask")?, 0),
            "or" => {
                let or = number(words, "or")?;
                operate(&mut flow, !or, or);
            }
            "xor" => operate(&mut flow, u32::MAX, number(words, "xor")?),
            "rshift" => flow.rshift = Some(number(words, "rshift")?),
            "addend" => {
                let addend = parse_addend(words.value()?, flow.keys);
                flow.addend = Some(addend.ok_or_else(|| WordError::Kind("Illegal \"addend\"".into()))?);
            }
            "divisor" => flow.divisor = Some(number(words, "divisor")?),
            "baseclass" => {
                let class = words.value()?.parse::<Handle>().ok().filter(|class| class.minor() != 0);
                flow.base_class = Some(class.ok_or_else(|| WordError::Kind("Illegal \"baseclass\"".into()))?);
            }
            "perturb" => flow.perturb = Some(Duration::from_secs(number(words, "perturb")?.into())),
            "police" => flow.police = Some(Police::parse_in_filter(words)?),
            "action" => {
                if words.is_empty() {
                    return Err(WordError::Incomplete);
                }
                flow.actions = Actions::parse_words(words, context)?;
            }
            "match" => flow.ematches = Ematches::parse_words(words, context)?,
            _ => return Err(WordError::Help),
        }
    }
    if count > 1 && flow.mode != FlowMode::Hash {
        return Err(WordError::Kind("Invalid mode \"map\" for multiple keys".into()));
    }
    police_or_actions(flow.police.as_ref(), &flow.actions).map_err(WordError::Kind)?;
    // As in tc, bits without effect are not sent.
    let bits = flow.bits();
    (flow.mask, flow.xor) = (bits.map(|(mask, _)| mask), bits.map(|(_, xor)| xor));
    Ok(flow)
}

/// Reads names with commas between them; as in `tc`, counts repeated ones twice.
fn parse_keys(word: &str) -> Result<(FlowKeys, usize), WordError> {
    let key = |name: &str| {
        FlowKeys::from_name(name).ok_or_else(|| WordError::Kind(format!("Unknown flow key \"{name}\"")))
    };
    let keys = word.split(',').map(key).collect::<Result<Vec<_>, _>>()?;
    Ok((keys.iter().fold(FlowKeys::default(), |all, key| all | *key), keys.len()))
}

/// Appends an operation on bits to those before it.
fn operate(flow: &mut Flow, mask: u32, xor: u32) {
    flow.xor = Some(xor ^ (flow.xor.unwrap_or_default() & mask));
    flow.mask = Some(flow.mask.unwrap_or(u32::MAX) & mask);
}

/// Reads a number, or an address after keys that are addresses; either of them can be negative.
fn parse_addend(word: &str, keys: FlowKeys) -> Option<u32> {
    let addresses = [FlowKeys::SRC, FlowKeys::DST, FlowKeys::NFCT_SRC, FlowKeys::NFCT_DST];
    let (is_negative, text) = word.strip_prefix('-').map_or((false, word), |text| (true, text));
    let address = || {
        let address = text.parse().ok().filter(|_| addresses.into_iter().any(|key| keys.contains(key)));
        address.map(|address| match address {
            IpAddr::V4(address) => address.to_bits(),
            // The kernel's key is the last part of the address.
            IpAddr::V6(address) => address.to_bits() as u32,
        })
    };
    let addend = parse_u32(text).ok().or_else(address)?;
    Some(if is_negative { addend.wrapping_neg() } else { addend })
}

pub(super) fn write(flow: &Flow, out: &mut OptionWords<'_>) {
    if !flow.keys.is_known() {
        out.cannot_say(&format!("keys of flow {:#x}", flow.keys.bits()));
    }
    // Before the others: tc expects a word after them, and neither `and` nor `or`.
    flow.ematches.to_words(out);
    let keys: Vec<_> = flow.keys.names().collect();
    let keys = if keys.is_empty() { String::new() } else { format!(" keys {}", keys.join(",")) };
    out.text("keys", format!("{}{keys}", mode(flow.mode)));
    let bits = flow.bits().map(|(mask, xor)| {
        let words = [("and", mask, u32::MAX), ("xor", mask & xor, 0), ("or", !mask & xor, 0)];
        let words = words.into_iter().filter(|(_, number, without)| number != without);
        words.map(|(word, number, _)| format!("{word} {number:#x}")).collect::<Vec<_>>().join(" ")
    });
    // Kernel: a change without these keeps them.
    out.sticky_text("bits", bits.unwrap_or_default());
    out.say_sticky("rshift", flow.rshift);
    out.say_sticky("addend", flow.addend.map(|addend| format!("{addend:#x}")));
    out.say_sticky("divisor", flow.divisor);
    // The kernel has a default, which depends on the qdisc.
    out.say_if("baseclass", flow.base_class);
    let perturb = flow.perturb.map(|time| time.as_secs());
    out.say_sticky("perturb", perturb);
    match &flow.police {
        Some(police) => police.to_words_in_filter(out),
        None => flow.actions.to_words(out),
    }
}
