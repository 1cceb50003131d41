//! `gred`: up to 16 virtual queues in one, each with its own red. The low bits of
//! `skb->tc_index` select the queue of a packet.
//!
//! UAPI: attributes (`TCA_GRED_*`). A gred is set up first
//! (`struct tc_gred_sopt`); then changes give its virtual queues their
//! parameters, one at a time (`struct tc_gred_qopt`). A dump has all of it.
//!
//! Kernel, `net/sched/sch_gred.c`: before all virtual queues are set up, packets
//! of the others follow the default one.

mod wire;
mod words;

use derive_setters::Setters;
use tc_core::print::{Printer, Size};
use tc_core::units::words_of_size;
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax,
    object,
};

use crate::qdisc::red::math::{Curve, Kept};
use crate::qdisc::red::{Damping, Flags, print_logs};

tc_core::register!(Gred);

/// `MAX_DPs`: most virtual queues of a gred.
pub const MAX_QUEUES: usize = 16;

/// The options of a gred: a request, or the reported state.
///
/// ```
/// use tc_qdiscs::gred::{Gred, Setup};
///
/// let three = Gred::Setup(Setup::default().queues(3).default_queue(2));
/// # let _ = three;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gred {
    /// The first request.
    Setup(Setup),
    /// The parameters of one virtual queue: all further requests.
    Queue(Box<Queue>),
    /// The reported state. It cannot be sent.
    State(Box<State>),
}

/// `struct tc_gred_sopt`, and the attributes beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Setup {
    /// Number of virtual queues, 1 to 16.
    pub queues: u32,
    /// The virtual queue for packets that name none, counted from 0.
    pub default_queue: u32,
    /// Whether queues of higher priority go first into the average of others.
    pub grio: bool,
    /// Flags; only [`Flags::ecn`] and [`Flags::harddrop`] count.
    pub flags: Flags,
    /// Most bytes in the qdisc. `None`: the device's `txqueuelen` in packets of
    /// its MTU.
    pub limit_bytes: Option<u32>,
}

/// `struct tc_gred_qopt` and the attributes beside it: one virtual queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Queue {
    /// Which one, counted from 0.
    pub queue: u32,
    /// Its priority with [`Setup::grio`], 1 to 16; lower goes first.
    pub prio: u8,
    /// Most bytes in it.
    pub limit_bytes: u32,
    /// Average length in bytes from which packets are dropped or marked.
    pub min_bytes: u32,
    /// Average length in bytes from which all packets are.
    pub max_bytes: u32,
    /// Weight of a packet in the average, as a negative logarithm to base 2.
    pub average_log: u8,
    /// Logarithm to base 2 for kernels that do not know `max_probability`.
    pub probability_log: u8,
    /// Size of the damping table's steps, as a logarithm to base 2 of ticks.
    pub cell_log: u8,
    /// How fast the average falls while the queue is idle. Never in a dump; a
    /// request without it has one that fits `average_log` and `cell_log`.
    pub damping: Option<Damping>,
    /// Probability at `max_bytes`, in parts of 2^32.
    pub max_probability: Option<u32>,
    /// Flags of this queue, which override those of the setup.
    pub flags: Option<Flags>,
}

/// The reported state of a gred.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct State {
    /// How it was set up.
    pub setup: Setup,
    /// The virtual queues that have parameters.
    pub queues: Vec<(Queue, Counters)>,
}

/// Counters of a virtual queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Average length in bytes.
    pub average_bytes: u32,
    /// Length in bytes now.
    pub backlog_bytes: u32,
    /// Packets dropped above `max_bytes`.
    pub forced_drops: u32,
    /// Packets dropped below `max_bytes`.
    pub early_drops: u32,
    /// Packets dropped at the limit.
    pub limit_drops: u32,
    /// Packets dropped for other reasons.
    pub other_drops: u32,
    /// Packets marked above and below `max_bytes`; absent from older kernels.
    pub marks: Option<Marks>,
    /// Packets.
    pub packets: u32,
    /// Bytes, modulo 2^32.
    pub bytes: u32,
}

/// Packets marked instead of dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Marks {
    /// Above `max_bytes`.
    pub forced: u32,
    /// Below `max_bytes`.
    pub early: u32,
}

impl Kind for Gred {
    type Object = object::Qdisc;
    const KIND: &'static str = "gred";
    const CHANGE: ChangeSemantics = ChangeSemantics::USUAL.not_dumped(&crate::qdisc::red::math::NOT_DUMPED);

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        match self {
            Self::Setup(setup) => wire::encode_setup(setup, out),
            Self::Queue(queue) => wire::encode_queue(queue, out),
            Self::State(_) => return Err(EncodeError::Invalid("a gred's state is told, not sent".into())),
        }
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        wire::decode(payload)
    }

    fn as_dumped(&self, _: &dyn Environment) -> Self {
        match self {
            Self::Queue(queue) => Self::Queue(Box::new(Queue { damping: None, ..**queue })),
            other => other.clone(),
        }
    }

    fn requests(&self) -> Vec<Self> {
        let Self::State(state) = self else { return vec![self.clone()] };
        let queues = state.queues.iter().map(|(queue, _)| Self::Queue(Box::new(*queue)));
        std::iter::once(Self::Setup(state.setup)).chain(queues).collect()
    }
}

impl Syntax for Gred {
    const USAGE: &'static str = words::USAGE;

    fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        words::parse(words, context).map(Some)
    }

    fn print(&self, out: &mut Printer) {
        // tc prints dumps alone.
        let Self::State(state) = self else { return };
        let setup = &state.setup;
        out.item("dp_cnt", "vqs ", setup.queues, " ");
        out.item("dp_default", "default ", setup.default_queue, " ");
        out.switch("grio", setup.grio, "grio ");
        out.item_if("limit", "limit ", setup.limit_bytes.map(Size), " ");
        setup.flags.print(out);
        out.array("vqs", |out| {
            for (queue, counters) in &state.queues {
                out.object("", |out| print_queue(queue, counters, out));
            }
        });
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        match self {
            Self::Setup(setup) => setup.to_words(out),
            Self::Queue(queue) => queue.to_words(out),
            Self::State(state) => {
                state.setup.to_words(out);
                for (queue, _) in &state.queues {
                    out.next_line();
                    queue.to_words(out);
                }
            }
        }
    }
}

impl Setup {
    fn to_words(self, out: &mut OptionWords<'_>) {
        out.say("setup vqs", self.queues);
        out.say("default", self.default_queue);
        out.flag("grio", self.grio);
        out.say_if("limit", self.limit_bytes.map(words_of_size));
        out.flag("ecn", self.flags.ecn);
        out.flag("harddrop", self.flags.harddrop);
    }
}

impl Queue {
    const fn as_kept(&self) -> Kept {
        Kept {
            average_log: self.average_log,
            probability_log: self.probability_log,
            cell_log: Some(self.cell_log),
            max_probability: self.max_probability,
            adaptive: false,
        }
    }

    fn curve(&self, packet: u32) -> Curve {
        Curve::between(self.min_bytes, self.max_bytes, packet)
    }

    fn to_words(self, out: &mut OptionWords<'_>) {
        out.group(&format!("vq {}", self.queue), |out| {
            out.say("vq", self.queue);
            out.say_if("prio", Some(self.prio).filter(|prio| *prio != 0));
            out.say_size("limit", self.limit_bytes);
            out.say_size("min", self.min_bytes);
            out.say_size("max", self.max_bytes);
            self.as_kept().to_words(|packet| self.curve(packet), out);
            let flags = self.flags.unwrap_or_default();
            out.flag("ecn", flags.ecn);
            out.flag("harddrop", flags.harddrop);
        });
    }
}

fn print_queue(queue: &Queue, counters: &Counters, out: &mut Printer) {
    // tc ends these lines also with -oneline.
    out.item("vq", "\n vq ", queue.queue, " ");
    out.item("prio", "prio ", queue.prio, " ");
    out.item("limit", "limit ", Size(queue.limit_bytes), " ");
    out.item("min", "min ", Size(queue.min_bytes), " ");
    out.item("max", "max ", Size(queue.max_bytes), " ");
    if let Some(flags) = queue.flags {
        flags.print(out);
    }
    if out.style().details {
        match queue.max_probability {
            // Here, and not in red, tc prints a probability of 0.
            Some(probability) => {
                out.item("ewma", "ewma ", queue.average_log, " ");
                crate::qdisc::red::print_probability(probability, out);
            }
            None => print_logs(queue.average_log, None, queue.probability_log, out),
        }
        out.item("Scell_log", "Scell_log ", queue.cell_log, " ");
    }
    if out.style().stats {
        print_counters(counters, out);
    }
}

fn print_counters(counters: &Counters, out: &mut Printer) {
    out.text("\n  Queue size: ");
    out.item("qave", "average ", Size(counters.average_bytes), " ");
    out.item("backlog", "current ", Size(counters.backlog_bytes), " ");
    out.text("\n  Dropped packets: ");
    out.item("forced_drop", "forced ", counters.forced_drops, " ");
    out.item("prob_drop", "early ", counters.early_drops, " ");
    out.item("pdrop", "pdrop ", counters.limit_drops, " ");
    out.item("other", "other ", counters.other_drops, " ");
    if let Some(marks) = counters.marks {
        out.text("\n  Marked packets: ");
        out.item("forced_mark", "forced ", marks.forced, " ");
        out.item("prob_mark", "early ", marks.early, " ");
    }
    out.text("\n  Total packets: ");
    out.item("packets", "", counters.packets, " ");
    out.item("bytes", "(", Size(counters.bytes), ") ");
}
