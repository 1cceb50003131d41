//! `pfifo_head_drop`: first in, first out, up to a number of packets; when it
//! is full, the oldest packet makes room for the new one.
//!
//! UAPI: `struct tc_fifo_qopt { __u32 limit; }`, bare.
//!
//! Kernel, `net/sched/sch_fifo.c`: without options the limit is the device's
//! `txqueuelen`; a change without options is refused.

use derive_setters::Setters;
use tc_core::print::Printer;
use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Reader, Syntax, object,
};

use crate::qdisc::pfifo::{USAGE, parse_limit};

tc_core::register!(PfifoHeadDrop);

/// The options of a pfifo_head_drop.
///
/// ```
/// use tc_qdiscs::pfifo_head_drop::PfifoHeadDrop;
///
/// let newest_hundred = PfifoHeadDrop::new(100);
/// # let _ = newest_hundred;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct PfifoHeadDrop {
    /// Most packets in the queue; above it the oldest is dropped.
    pub limit_packets: u32,
}

impl PfifoHeadDrop {
    /// A queue of at most this many packets.
    pub const fn new(limit_packets: u32) -> Self {
        Self { limit_packets }
    }
}

impl Kind for PfifoHeadDrop {
    type Object = object::Qdisc;
    const KIND: &'static str = "pfifo_head_drop";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        out.put_u32(self.limit_packets);
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self { limit_packets: Reader::new(payload).u32()? })
    }
}

impl Syntax for PfifoHeadDrop {
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
