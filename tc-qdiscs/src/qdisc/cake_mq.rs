//! `cake_mq`: a [`cake`](crate::qdisc::cake) for each transmit queue of a device, which
//! share one bandwidth.
//!
//! UAPI: the attributes of cake (`TCA_CAKE_*`).
//!
//! Kernel, `net/sched/sch_cake.c`, since Linux 7.0: only as root, of a device with
//! several transmit queues. Changes go to the cake_mq; its cakes refuse them.

use tc_core::print::Printer;
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{AttrWriter, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax, object};

use crate::qdisc::cake::Cake;

tc_core::register!(CakeMq);

/// The options of a cake_mq: those of each of its cakes.
///
/// ```
/// use tc_core::rate::Rate;
/// use tc_qdiscs::cake::Cake;
/// use tc_qdiscs::cake_mq::CakeMq;
///
/// // 5 Gbit/s over all queues.
/// let shaped = CakeMq(Cake::default().bandwidth(Rate::bits_per_second(5_000_000_000)));
/// # let _ = shaped;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CakeMq(pub Cake);

impl Kind for CakeMq {
    type Object = object::Qdisc;
    const KIND: &'static str = "cake_mq";

    fn encode(&self, context: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        self.0.encode(context, out)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        Cake::decode(payload).map(Self)
    }

    fn as_dumped(&self, environment: &dyn Environment) -> Self {
        Self(self.0.as_dumped(environment))
    }
}

impl Syntax for CakeMq {
    const USAGE: &'static str = Cake::USAGE;

    fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        Ok(Cake::parse_words(words, context)?.map(Self))
    }

    fn print(&self, out: &mut Printer) {
        self.0.print(out);
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        self.0.to_words(out);
    }

    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        Cake::print_xstats(payload, out)
    }
}
