//! `mirred`: sends a packet, or a copy of it, to another device, or to all of a shared block.
//!
//! UAPI: `struct tc_mirred` in `TCA_MIRRED_PARMS`, `struct tcf_t` in
//! `TCA_MIRRED_TM` (`linux/tc_act/tc_mirred.h`).
//!
//! Kernel, `net/sched/act_mirred.c`: where the device is down or gone a
//! redirected packet is dropped, and a mirrored one goes its way without a copy.

use std::num::NonZero;

use derive_setters::Setters;
use tc_core::action::Control;
use tc_core::print::Printer;
use tc_core::units::parse_u32;
use tc_core::words::{WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax, object,
};

use super::Reported;
use super::generic::{self, Generic};

tc_core::register!(Mirred);

/// The operation: `TCA_EGRESS_REDIR` and its like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Eaction {
    /// Unspecified: the index names an existing action.
    #[default]
    Unsaid,
    /// It leaves through the device.
    EgressRedirect,
    /// A copy leaves through the device.
    EgressMirror,
    /// It is taken as received from the device.
    IngressRedirect,
    /// A copy is taken as received from the device.
    IngressMirror,
    /// Another number.
    Other(i32),
}

/// The options of a mirred action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Mirred {
    /// The action's own number; 0 lets the kernel choose one.
    pub index: u32,
    /// The fate of the original packet: [`Control::Stolen`] for a redirect,
    /// [`Control::Pipe`] for a mirror.
    pub control: Control,
    /// The operation and direction.
    pub eaction: Eaction,
    /// The device's index; 0 for none.
    pub ifindex: i32,
    /// The shared block to whose devices packets go, instead of one device. Since
    /// Linux 6.8; older kernels ignore it.
    pub block: Option<NonZero<u32>>,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: Reported,
}

impl Mirred {
    /// To the device with this index, with the usual control action.
    pub const fn to(eaction: Eaction, ifindex: i32) -> Self {
        let control = match eaction {
            Eaction::EgressRedirect | Eaction::IngressRedirect => Control::Stolen,
            Eaction::EgressMirror | Eaction::IngressMirror => Control::Pipe,
            Eaction::Unsaid | Eaction::Other(_) => Control::Pass,
        };
        Self { index: 0, control, eaction, ifindex, block: None, reported: Reported::NONE }
    }

    /// The one that is there with this index.
    pub const fn at_index(index: u32) -> Self {
        let mut mirred = Self::to(Eaction::Unsaid, 0);
        mirred.index = index;
        mirred
    }
}

impl Kind for Mirred {
    type Object = object::Action;
    const KIND: &'static str = "mirred";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let mut parms = out.nest(PARMS);
        generic::put(self.index, self.control, &mut parms);
        parms.put_i32(self.eaction.raw());
        parms.put_i32(self.ifindex);
        drop(parms);
        if let Some(block) = self.block {
            out.attr_u32(BLOCKID, block.get());
        }
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ BLOCKID as usize + 1 }>()?;
        let parms = table[usize::from(PARMS)].ok_or(DecodeError::Missing { what: "mirred parameters" })?;
        let block = table[usize::from(BLOCKID)].map(|attr| attr.u32()).transpose()?;
        let mut reader = parms.reader();
        let Generic { index, control, reported } = Generic::read(&mut reader, table[usize::from(TM)])?;
        Ok(Self {
            index,
            control,
            eaction: Eaction::from_raw(reader.i32()?),
            ifindex: reader.i32()?,
            block: block.and_then(NonZero::new),
            reported,
        })
    }

    fn action_index(&self) -> u32 {
        self.index
    }

    fn stands_alone(&self) -> Option<bool> {
        Some(self.reported.stands_alone())
    }
}

impl Syntax for Mirred {
    const USAGE: &'static str = "\
Usage: mirred <DIRECTION> <ACTION> [index INDEX] <dev DEVICENAME>
where:
\tDIRECTION := <ingress | egress>
\tACTION := <mirror | redirect>
\tINDEX  is the specific policy instance id
\tDEVICENAME is the devicename
\tblockid BLOCKID stands for dev DEVICENAME: the devices of a shared block
";

    fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let first = words.peek().ok_or(WordError::Incomplete)?;
        if !["egress", "ingress", "index"].iter().any(|name| is_prefix(first, name)) {
            return Err(match first {
                first if is_prefix(first, "help") => WordError::Help,
                first => error(format!("mirred option not supported {first}")),
            });
        }
        let mut read = Read { mirred: Self::to(Eaction::Unsaid, 0), ..Read::default() };
        read.read_target(words)?;
        let mut mirred = read.mirred;
        if let Some(dev) = read.dev {
            mirred.ifindex = context.environment.ifindex(dev).map_err(error)?;
        }
        let mirrors = matches!(mirred.eaction, Eaction::EgressMirror | Eaction::IngressMirror);
        if mirrors && words.peek().is_some_and(Control::is_word) {
            mirred.control = Control::parse_words(words)?;
        }
        if words.peek().is_some_and(|word| is_prefix(word, "index")) {
            words.next();
            if read.has_index {
                return Err(error("mirred: Illegal double index"));
            }
            mirred.index = parse_index(words.value()?, "mirred: Illegal \"index\"")?;
        }
        Ok(Some(mirred))
    }

    fn print(&self, out: &mut Printer) {
        out.item("kind", "", Self::KIND, " ");
        let (long, action, direction) = self.eaction.names();
        out.text(&format!("({long}"));
        out.json("mirred_action", action);
        out.json("direction", direction);
        if let Some(block) = self.block {
            out.item("to_blockid", " to blockid ", block.get(), ")");
        } else {
            let name = out.device_name(self.ifindex);
            out.item("to_dev", " to device ", name, ")");
        }
        self.control.print(" ", out);
        out.newline();
        out.item("index", "\tindex ", self.index, "");
        out.item("ref", " ref ", self.reported.refcnt, "");
        out.item("bind", " bind ", self.reported.bindcnt, "");
        if let Some(times) = self.reported.times.filter(|_| out.style().stats) {
            times.print(out);
        }
        out.newline();
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        let Some((direction, action)) = self.eaction.words() else {
            out.cannot_say(&format!("mirred action {}", self.eaction.raw()));
            return out.say_if("index", Some(self.index).filter(|index| *index != 0));
        };
        match self.block {
            Some(block) => out.text("target", format!("{direction} {action} blockid {block}")),
            None => {
                let dev = out.device_name(self.ifindex);
                out.text("target", format!("{direction} {action} dev {dev}"));
            }
        }
        match Self::to(self.eaction, 0).control == self.control {
            true => out.text("control", ""),
            false => match self.control.words() {
                Some(words) if action == "mirror" => out.text("control", words),
                _ => out.cannot_say(&format!("the control action {}", self.control.raw())),
            },
        }
        out.say_if("index", Some(self.index).filter(|index| *index != 0));
    }
}

/// The parameters read so far.
#[derive(Default)]
struct Read<'a> {
    mirred: Mirred,
    dev: Option<&'a str>,
    has_index: bool,
}

impl Default for Mirred {
    fn default() -> Self {
        Self::to(Eaction::Unsaid, 0)
    }
}

impl<'a> Read<'a> {
    /// Reads up to the device or block, which ends it. Like `tc`, it skips unknown
    /// words here.
    fn read_target(&mut self, words: &mut Words<'a>) -> Result<(), WordError> {
        let (mut egress, mut ingress) = (false, false);
        let (mut mirror, mut redirect) = (false, false);
        loop {
            let word = words.value()?;
            let is = |name| is_prefix(word, name);
            if is("action") {
                // Another action begins, and this one has no device.
                return if words.is_empty() { Err(WordError::Incomplete) } else { Ok(()) };
            } else if !egress && is("egress") {
                egress = true;
                if ingress {
                    return Err(error("Can't have both egress and ingress"));
                }
            } else if !ingress && is("ingress") {
                ingress = true;
                if egress {
                    return Err(error("Can't have both ingress and egress"));
                }
            } else if is("index") {
                self.mirred.index = parse_index(words.value()?, "Illegal \"index\"")?;
                self.has_index = true;
                if !egress && !ingress {
                    return Ok(());
                }
            } else if (!mirror && is("mirror")) || (!redirect && is("redirect")) {
                mirror |= is("mirror");
                redirect |= is("redirect");
                if mirror && redirect {
                    return Err(error("Can't have both mirror and redir"));
                }
                let eaction = match (egress, mirror) {
                    (true, true) => Eaction::EgressMirror,
                    (true, false) => Eaction::EgressRedirect,
                    (false, true) => Eaction::IngressMirror,
                    (false, false) => Eaction::IngressRedirect,
                };
                self.mirred = Mirred { index: self.mirred.index, ..Mirred::to(eaction, 0) };
            } else if (mirror || redirect) && word == "blockid" {
                let block = words.value()?;
                let block = parse_u32(block).map_err(|_| error("invalid block ID"))?;
                self.mirred.block = Some(NonZero::new(block).ok_or_else(|| error("invalid block ID"))?);
                return match words.peek() {
                    Some(word) if is_prefix(word, "dev") => {
                        Err(error("blockid and device are mutually exclusive."))
                    }
                    _ => Ok(()),
                };
            } else if (mirror || redirect) && is("dev") {
                self.dev = Some(words.value()?);
                return Ok(());
            }
            if words.is_empty() {
                return Err(WordError::Incomplete);
            }
        }
    }
}

impl Eaction {
    const fn from_raw(raw: i32) -> Self {
        match raw {
            0 => Self::Unsaid,
            1 => Self::EgressRedirect,
            2 => Self::EgressMirror,
            3 => Self::IngressRedirect,
            4 => Self::IngressMirror,
            other => Self::Other(other),
        }
    }

    const fn raw(self) -> i32 {
        match self {
            Self::Unsaid => 0,
            Self::EgressRedirect => 1,
            Self::EgressMirror => 2,
            Self::IngressRedirect => 3,
            Self::IngressMirror => 4,
            Self::Other(other) => other,
        }
    }

    /// The direction and the action.
    const fn words(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Unsaid | Self::Other(_) => None,
            known => {
                let (_, action, direction) = known.names();
                Some((direction, action))
            }
        }
    }

    /// As text, and in JSON the action and the direction.
    const fn names(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::EgressRedirect => ("Egress Redirect", "redirect", "egress"),
            Self::EgressMirror => ("Egress Mirror", "mirror", "egress"),
            Self::IngressRedirect => ("Ingress Redirect", "redirect", "ingress"),
            Self::IngressMirror => ("Ingress Mirror", "mirror", "ingress"),
            Self::Unsaid | Self::Other(_) => ("unknown", "unknown", "unknown"),
        }
    }
}

const TM: u16 = 1;
const PARMS: u16 = 2;
const BLOCKID: u16 = 4;

fn error(text: impl Into<String>) -> WordError {
    WordError::Kind(text.into())
}

/// Decimal, as tc reads it.
fn parse_index(word: &str, wrong: &str) -> Result<u32, WordError> {
    word.parse().map_err(|_| error(wrong))
}

#[cfg(test)]
mod tests;
