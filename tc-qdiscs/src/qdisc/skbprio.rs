//! `skbprio`: sends the packets of the highest priority first, and drops those of
//! the lowest when the queue is full. The priority is the packet's own
//! (`skb->priority`, 0 to 63).
//!
//! UAPI: `struct tc_skbprio_qopt { __u32 limit; }`, bare.
//!
//! Kernel, `net/sched/sch_skbprio.c`: without options the limit is 64.

use derive_setters::Setters;
use tc_core::print::Printer;
use tc_core::units::parse_size;
use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Reader, Syntax, object,
};

tc_core::register!(Skbprio);

/// The options of a skbprio.
///
/// ```
/// use tc_qdiscs::skbprio::Skbprio;
///
/// let short_queue = Skbprio::new(10);
/// # let _ = short_queue;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Skbprio {
    /// Most packets in the queue.
    pub limit_packets: u32,
}

impl Skbprio {
    /// A queue of at most this many packets.
    pub const fn new(limit_packets: u32) -> Self {
        Self { limit_packets }
    }
}

impl Kind for Skbprio {
    type Object = object::Qdisc;
    const KIND: &'static str = "skbprio";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        out.put_u32(self.limit_packets);
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self { limit_packets: Reader::new(payload).u32()? })
    }
}

impl Syntax for Skbprio {
    const USAGE: &'static str = "Usage: ... <skbprio> [ limit NUMBER ]\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut skbprio = None;
        while let Some(word) = words.next() {
            match word {
                // tc reads the number of packets as a size.
                "limit" => {
                    let illegal = |value: &str| format!("skbprio: Illegal \"limit\" value:\"{value}\"");
                    skbprio = Some(Self { limit_packets: words.parse(parse_size, illegal)? });
                }
                "help" => return Err(WordError::Help),
                word => return Err(WordError::KindUsage(format!("skbprio: unknown parameter \"{word}\""))),
            }
        }
        Ok(skbprio)
    }

    fn print(&self, out: &mut Printer) {
        out.item("limit", "limit ", self.limit_packets, " ");
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        out.say("limit", self.limit_packets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;

    #[test]
    fn words_have_tcs_texts() {
        let parse =
            |words: &[&str]| Skbprio::parse_words(&mut Words::new(words), &WordsContext::new(Verb::Add));
        assert_eq!(parse(&[]), Ok(None));
        assert_eq!(parse(&["limit", "1k"]), Ok(Some(Skbprio { limit_packets: 1024 })));
        let illegal = WordError::Kind("skbprio: Illegal \"limit\" value:\"x\"".into());
        assert_eq!(parse(&["limit", "x"]), Err(illegal));
        assert_eq!(parse(&["l"]), Err(WordError::KindUsage("skbprio: unknown parameter \"l\"".into())));
    }
}
