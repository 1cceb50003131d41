//! The chooser of a packet's queue, and the shaper.

use tc_core::OptionWords;
use tc_core::print::Printer;
use tc_core::words::{WordError, Words, is_prefix};

/// `TCA_MQPRIO_MODE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// The device (`TC_MQPRIO_MODE_DCB`).
    Dcb,
    /// The kernel (`TC_MQPRIO_MODE_CHANNEL`).
    Channel,
    /// A number that this library does not know.
    Other(u16),
}

/// `TCA_MQPRIO_SHAPER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shaper {
    /// As DCB has it (`TC_MQPRIO_SHAPER_DCB`).
    Dcb,
    /// By the rates given here (`TC_MQPRIO_SHAPER_BW_RATE`).
    BandwidthRate,
    /// A number that this library does not know.
    Other(u16),
}

impl Mode {
    pub(super) const fn raw(self) -> u16 {
        match self {
            Self::Dcb => 0,
            Self::Channel => 1,
            Self::Other(other) => other,
        }
    }

    pub(super) const fn from_raw(raw: u16) -> Self {
        match raw {
            0 => Self::Dcb,
            1 => Self::Channel,
            other => Self::Other(other),
        }
    }

    /// As tc: DCB is not sent, unless another mode came before.
    pub(super) fn parse_words(words: &mut Words<'_>, mode: &mut Option<Self>) -> Result<(), WordError> {
        match words.value()? {
            word if is_prefix(word, "dcb") => *mode = mode.map(|_| Self::Dcb),
            word if is_prefix(word, "channel") => *mode = Some(Self::Channel),
            word => return Err(WordError::Kind(format!("Illegal mode ({word})"))),
        }
        Ok(())
    }

    pub(super) fn to_words(mode: Option<Self>, out: &mut OptionWords<'_>) {
        match mode {
            None => out.text("mode", ""),
            Some(Self::Dcb) => out.say("mode", "dcb"),
            Some(Self::Channel) => out.say("mode", "channel"),
            Some(Self::Other(mode)) => out.cannot_say(&format!("mode {mode}")),
        }
    }

    /// As tc: absent means DCB, and an unknown number prints nothing.
    pub(super) fn print(mode: Option<Self>, out: &mut Printer) {
        match mode {
            None => out.item("mode", "\n             mode:", "dcb", ""),
            Some(Self::Channel) => out.item("mode", "\n             mode:", "channel", ""),
            Some(_) => {}
        }
    }
}

impl Shaper {
    pub(super) const fn raw(self) -> u16 {
        match self {
            Self::Dcb => 0,
            Self::BandwidthRate => 1,
            Self::Other(other) => other,
        }
    }

    pub(super) const fn from_raw(raw: u16) -> Self {
        match raw {
            0 => Self::Dcb,
            1 => Self::BandwidthRate,
            other => Self::Other(other),
        }
    }

    pub(super) fn parse_words(words: &mut Words<'_>, shaper: &mut Option<Self>) -> Result<(), WordError> {
        match words.value()? {
            word if is_prefix(word, "dcb") => *shaper = shaper.map(|_| Self::Dcb),
            word if is_prefix(word, "bw_rlimit") => {
                if words.is_empty() {
                    return Err(WordError::Kind("Incomplete shaper arguments".into()));
                }
                *shaper = Some(Self::BandwidthRate);
            }
            word => return Err(WordError::Kind(format!("Illegal shaper ({word})"))),
        }
        Ok(())
    }

    pub(super) fn to_words(shaper: Option<Self>, out: &mut OptionWords<'_>) {
        match shaper {
            None => out.text("shaper", ""),
            Some(Self::Dcb) => out.say("shaper", "dcb"),
            Some(Self::BandwidthRate) => out.say("shaper", "bw_rlimit"),
            Some(Self::Other(shaper)) => out.cannot_say(&format!("shaper {shaper}")),
        }
    }

    /// As [`Mode::print`].
    pub(super) fn print(shaper: Option<Self>, out: &mut Printer) {
        match shaper {
            None => out.item("shaper", "\n             shaper:", "dcb", ""),
            Some(Self::BandwidthRate) => out.item("shaper", "\n             shaper:", "bw_rlimit", ""),
            Some(_) => {}
        }
    }
}
