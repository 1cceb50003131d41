//! `cake`: shaper, queues for flows and hosts, priorities and control of delay
//! in one, for home routers.
//!
//! UAPI: attributes (`TCA_CAKE_*`); statistics in attributes too
//! (`TCA_CAKE_STATS_*`).
//!
//! Kernel, `net/sched/sch_cake.c`: a change leaves options that it does not name.

mod print;
mod stats;
mod words;

use std::time::Duration;

use derive_setters::Setters;
use tc_core::print::Printer;
use tc_core::rate::Rate;
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax, Xstats, object,
};

use crate::common::{attr_micros_if, bool_at, micros_at, u32_at};

pub use stats::{CakeTin, CakeXstats};

tc_core::register!(Cake);

/// The options of a cake. `None` leaves an option as it is; for a new qdisc it
/// is then the kernel's default.
///
/// ```
/// use tc_core::rate::Rate;
/// use tc_qdiscs::cake::{Cake, FlowMode};
///
/// let uplink = Cake::default().bandwidth(Rate::bits_per_second(20_000_000)).flow_mode(FlowMode::DUAL_SRCHOST).nat(true);
/// # let _ = uplink;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Cake {
    /// Rate of the shaper; 0 is no shaper, the default.
    pub bandwidth: Option<Rate>,
    /// Whether the bandwidth is estimated from the arriving traffic (no).
    pub autorate_ingress: Option<bool>,
    /// How packets are sorted into tins of different priority
    /// ([`Diffserv::DIFFSERV3`]).
    pub diffserv: Option<Diffserv>,
    /// The flows that share the bandwidth ([`FlowMode::TRIPLE_ISOLATE`]).
    pub flow_mode: Option<FlowMode>,
    /// Whether hosts beyond address translation are distinguished (no).
    pub nat: Option<bool>,
    /// Whether DSCP marks are removed (no).
    pub wash: Option<bool>,
    /// Whether GSO packets are split (yes).
    pub split_gso: Option<bool>,
    /// Whether the shaper counts also packets that it drops, as an ingress shaper
    /// has to (no).
    pub ingress: Option<bool>,
    /// Whether needless TCP acknowledgements are dropped
    /// ([`AckFilter::NONE`]).
    pub ack_filter: Option<AckFilter>,
    /// Round trip time to expect, in microseconds (100000).
    pub rtt: Option<Duration>,
    /// Acceptable delay in microseconds (5000).
    pub target: Option<Duration>,
    /// Framing below ([`Framing::NONE`]).
    pub framing: Option<Framing>,
    /// Bytes added to each packet, -64 to 256.
    pub overhead: Option<i32>,
    /// Packets count as they are, without knowledge of the device's framing.
    pub raw: bool,
    /// A packet counts as at least this many bytes, 0 to 256.
    pub mpu: Option<u32>,
    /// Most bytes of memory for packets.
    pub memory_limit_bytes: Option<u32>,
    /// Which bits of a packet's firewall mark choose its tin; 0: none.
    pub fwmark: Option<u32>,
}

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $number:literal $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(pub u32);

        impl $name {
            $($(#[$value_doc])* pub const $value: Self = Self($number);)*

            /// The word for it, if this library knows the number.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$value => Some($text),)*
                    _ => None,
                }
            }

            fn by_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$value),)*
                    _ => None,
                }
            }
        }
    )*};
}

numbers! {
    /// `CAKE_DIFFSERV_*`: tins by DSCP.
    Diffserv {
        /// Three tins: bulk, best effort, voice.
        DIFFSERV3 = 0 "diffserv3",
        /// Four tins: bulk, best effort, video, voice.
        DIFFSERV4 = 1 "diffserv4",
        /// Eight tins.
        DIFFSERV8 = 2 "diffserv8",
        /// One tin.
        BESTEFFORT = 3 "besteffort",
        /// Eight tins by IP precedence.
        PRECEDENCE = 4 "precedence",
    }

/// `CAKE_FLOW_*`: the definition of a flow.
    FlowMode {
        /// Nothing.
        FLOWBLIND = 0 "flowblind",
        /// Source addresses.
        SRCHOST = 1 "srchost",
        /// Destination addresses.
        DSTHOST = 2 "dsthost",
        /// Pairs of addresses.
        HOSTS = 3 "hosts",
        /// Flows.
        FLOWS = 4 "flows",
        /// Source addresses, and flows of each.
        DUAL_SRCHOST = 5 "dual-srchost",
        /// Destination addresses, and flows of each.
        DUAL_DSTHOST = 6 "dual-dsthost",
        /// Both addresses, and flows of each.
        TRIPLE_ISOLATE = 7 "triple-isolate",
    }

    /// `CAKE_ACK_*`: which acknowledgements are dropped.
    AckFilter {
        /// None.
        NONE = 0 "no-ack-filter",
        /// Those that are surely needless.
        FILTER = 1 "ack-filter",
        /// More of them.
        AGGRESSIVE = 2 "ack-filter-aggressive",
    }

    /// `CAKE_ATM_*`: how packets are framed below.
    Framing {
        /// As they are.
        NONE = 0 "noatm",
        /// Cells of 53 bytes, 48 of them payload.
        ATM = 1 "atm",
        /// 65 bytes for each 64.
        PTM = 2 "ptm",
    }
}

impl Kind for Cake {
    type Object = object::Qdisc;
    const KIND: &'static str = "cake";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        if let Some(bandwidth) = self.bandwidth {
            out.attr_u64(BASE_RATE64, bandwidth.as_bytes_per_second());
        }
        out.attr_u32_if(DIFFSERV_MODE, self.diffserv.map(|mode| mode.0));
        out.attr_u32_if(ATM, self.framing.map(|framing| framing.0));
        out.attr_u32_if(FLOW_MODE, self.flow_mode.map(|mode| mode.0));
        out.attr_u32_if(OVERHEAD, self.overhead.map(i32::cast_unsigned));
        if self.raw {
            out.attr_u32(RAW, 0);
        }
        out.attr_u32_if(MPU, self.mpu);
        attr_micros_if(RTT, "rtt", self.rtt, out)?;
        attr_micros_if(TARGET, "target", self.target, out)?;
        out.attr_u32_if(AUTORATE, self.autorate_ingress.map(u32::from));
        out.attr_u32_if(MEMORY, self.memory_limit_bytes);
        out.attr_u32_if(FWMARK, self.fwmark);
        out.attr_u32_if(NAT, self.nat.map(u32::from));
        out.attr_u32_if(WASH, self.wash.map(u32::from));
        out.attr_u32_if(SPLIT_GSO, self.split_gso.map(u32::from));
        out.attr_u32_if(INGRESS, self.ingress.map(u32::from));
        out.attr_u32_if(ACK_FILTER, self.ack_filter.map(|filter| filter.0));
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ FWMARK as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        Ok(Self {
            bandwidth: attr(BASE_RATE64).map(|attr| attr.u64().map(Rate::bytes_per_second)).transpose()?,
            autorate_ingress: bool_at(&table, AUTORATE)?,
            diffserv: u32_at(&table, DIFFSERV_MODE)?.map(Diffserv),
            flow_mode: u32_at(&table, FLOW_MODE)?.map(FlowMode),
            nat: bool_at(&table, NAT)?,
            wash: bool_at(&table, WASH)?,
            split_gso: bool_at(&table, SPLIT_GSO)?,
            ingress: bool_at(&table, INGRESS)?,
            ack_filter: u32_at(&table, ACK_FILTER)?.map(AckFilter),
            rtt: micros_at(&table, RTT)?,
            target: micros_at(&table, TARGET)?,
            framing: u32_at(&table, ATM)?.map(Framing),
            overhead: attr(OVERHEAD).map(|attr| attr.i32()).transpose()?,
            raw: attr(RAW).is_some(),
            mpu: u32_at(&table, MPU)?,
            memory_limit_bytes: u32_at(&table, MEMORY)?,
            fwmark: u32_at(&table, FWMARK)?,
        })
    }

    fn as_dumped(&self, _: &dyn Environment) -> Self {
        // Kernel: a target and a round trip time of 0 are 1 us.
        let least = |time: Option<Duration>| time.map(|time| time.max(Duration::from_micros(1)));
        Self { rtt: least(self.rtt), target: least(self.target), ..*self }
    }
}

impl Syntax for Cake {
    const USAGE: &'static str = words::USAGE;

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        words::parse(words).map(Some)
    }

    fn print(&self, out: &mut Printer) {
        print::options(self, out);
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        words::write(self, out);
    }

    fn print_xstats(payload: &[u8], out: &mut Printer) -> Result<bool, DecodeError> {
        CakeXstats::decode(payload)?.print(out);
        Ok(true)
    }
}

const BASE_RATE64: u16 = 2;
const DIFFSERV_MODE: u16 = 3;
const ATM: u16 = 4;
const FLOW_MODE: u16 = 5;
const OVERHEAD: u16 = 6;
const RTT: u16 = 7;
const TARGET: u16 = 8;
const AUTORATE: u16 = 9;
const MEMORY: u16 = 10;
const NAT: u16 = 11;
const RAW: u16 = 12;
const WASH: u16 = 13;
const MPU: u16 = 14;
const INGRESS: u16 = 15;
const ACK_FILTER: u16 = 16;
const SPLIT_GSO: u16 = 17;
const FWMARK: u16 = 18;
