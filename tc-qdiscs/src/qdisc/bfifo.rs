//! `bfifo`: first in, first out, up to a number of bytes.
//!
//! UAPI: `struct tc_fifo_qopt { __u32 limit; }`, bare.
//!
//! Kernel, `net/sched/sch_fifo.c`: without options the limit is the device's
//! `txqueuelen` times its MTU; a change without options is refused.

use derive_setters::Setters;
use tc_core::print::{Printer, Size};
use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Reader, Syntax, object,
};

use crate::qdisc::pfifo::{USAGE, parse_limit};

tc_core::register!(Bfifo);

/// The options of a bfifo.
///
/// ```
/// use tc_qdiscs::bfifo::Bfifo;
///
/// let ten_large_packets = Bfifo::new(15_140);
/// # let _ = ten_large_packets;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Bfifo {
    /// Most bytes in the queue; a packet that goes above it is dropped.
    pub limit_bytes: u32,
}

impl Bfifo {
    /// A queue of at most this many bytes.
    pub const fn new(limit_bytes: u32) -> Self {
        Self { limit_bytes }
    }
}

impl Kind for Bfifo {
    type Object = object::Qdisc;
    const KIND: &'static str = "bfifo";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        out.put_u32(self.limit_bytes);
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self { limit_bytes: Reader::new(payload).u32()? })
    }
}

impl Syntax for Bfifo {
    const USAGE: &'static str = USAGE;

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        Ok(parse_limit(Self::KIND, words)?.map(|limit_bytes| Self { limit_bytes }))
    }

    fn print(&self, out: &mut Printer) {
        out.item("limit", "limit ", Size(self.limit_bytes), "");
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        out.say_size("limit", self.limit_bytes);
    }
}
