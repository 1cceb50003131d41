//! `pfifo`: first in, first out, up to a number of packets.
//!
//! UAPI: `struct tc_fifo_qopt { __u32 limit; }`, bare. bfifo and
//! pfifo_head_drop have the same words and bytes.
//!
//! Kernel, `net/sched/sch_fifo.c`: without options the limit is the device's
//! `txqueuelen`; a change without options is refused.

use derive_setters::Setters;
use tc_core::print::Printer;
use tc_core::units::parse_size;
use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Reader, Syntax, object,
};

tc_core::register!(Pfifo);

/// The options of a pfifo.
///
/// ```
/// use tc_qdiscs::pfifo::Pfifo;
///
/// let short_queue = Pfifo::new(10);
/// # let _ = short_queue;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Pfifo {
    /// Most packets in the queue; a packet above it is dropped.
    pub limit_packets: u32,
}

impl Pfifo {
    /// A queue of at most this many packets.
    pub const fn new(limit_packets: u32) -> Self {
        Self { limit_packets }
    }
}

impl Kind for Pfifo {
    type Object = object::Qdisc;
    const KIND: &'static str = "pfifo";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        out.put_u32(self.limit_packets);
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self { limit_packets: Reader::new(payload).u32()? })
    }
}

impl Syntax for Pfifo {
    const USAGE: &'static str = USAGE;

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        Ok(parse_limit(Self::KIND, words)?.map(|limit_packets| Self { limit_packets }))
    }

    fn print(&self, out: &mut Printer) {
        out.item("limit", "limit ", self.limit_packets, "p");
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        out.say("limit", self.limit_packets);
    }
}

pub(crate) const USAGE: &str = "Usage: ... <[p|b]fifo | pfifo_head_drop> [ limit NUMBER ]\n";

/// Reads the words of the three fifos. `tc` reads the limit as a size, also
/// where it counts packets.
pub(crate) fn parse_limit(kind: &str, words: &mut Words<'_>) -> Result<Option<u32>, WordError> {
    let mut limit = None;
    while let Some(word) = words.next() {
        match word {
            "limit" => {
                let illegal = |value: &str| format!("{kind}: Illegal value for \"limit\": \"{value}\"");
                limit = Some(words.parse(parse_size, illegal)?);
            }
            "help" => return Err(WordError::Help),
            word => return Err(WordError::KindUsage(format!("{kind}: unknown parameter \"{word}\""))),
        }
    }
    Ok(limit)
}
