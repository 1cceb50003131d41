//! Other values for a field, and the text by which two values of a field are compared.

use std::fmt::Debug;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZero;
use std::time::Duration;

use tc_core::action::Control;
use tc_core::ematch::Ematches;
use tc_core::rate::{Burst, LinkLayer, Rate, RateSpec};
use tc_core::{Actions, Handle};
use tc_qdiscs::act::gact::Random;
use tc_qdiscs::act::mirred::Eaction;
use tc_qdiscs::action::Reported;
use tc_qdiscs::action::ct::{Helper, Masked, Nat, NatRange};
use tc_qdiscs::action::ctinfo::CtinfoCounters;
use tc_qdiscs::action::gate::GateEntry;
use tc_qdiscs::action::ife::Metadata;
use tc_qdiscs::action::mpls::MplsOperation;
use tc_qdiscs::action::pedit::{Command, Header, Key};
use tc_qdiscs::action::police::{PacketRate, Police};
use tc_qdiscs::action::skbedit::PacketType;
use tc_qdiscs::action::tunnel_key::{Erspan, TunnelOperation, TunnelOptions};
use tc_qdiscs::action::vlan::VlanOperation;
use tc_qdiscs::bpf::{Instruction, Program};
use tc_qdiscs::cake::{AckFilter, Diffserv, FlowMode, Framing};
use tc_qdiscs::dualpi2::{EcnMask, Tuning};
use tc_qdiscs::ematch::Operand;
use tc_qdiscs::ematch::cmp::{Align, Cmp};
use tc_qdiscs::ematch::meta::{Field, Meta};
use tc_qdiscs::filter::basic::BasicReported;
use tc_qdiscs::filter::flow::FlowKeys;
use tc_qdiscs::filter::flower::{self, Cfm, FlowerReported, MaskedIp, MplsLse, PortRange};
use tc_qdiscs::filter::u32::{self, Mark};
use tc_qdiscs::fq::Bands;
use tc_qdiscs::fq_codel::Selector;
use tc_qdiscs::hfsc::ServiceCurve;
use tc_qdiscs::htb::HtbReported;
use tc_qdiscs::mqprio::{Mode, Preemption, Queues, Shaper, TrafficClasses};
use tc_qdiscs::netem::{Chance, Correlations, LossModel, Share, Slot};
use tc_qdiscs::plug::Action as PlugAction;
use tc_qdiscs::red::{Damping, Flags};
use tc_qdiscs::sfq::FlowRed;
use tc_qdiscs::taprio::{Classes, Clock, Entry, Schedule};
use tc_qdiscs::tbf::Peak;

/// A field's type.
pub(crate) trait Vary: Sized + Debug {
    /// Values that differ from this one, those that fit most kinds first.
    fn others(&self) -> Vec<Self>;

    /// Values for a field that is not set.
    fn fresh() -> Vec<Self> {
        Vec::new()
    }

    fn shown(&self) -> String {
        format!("{self:?}")
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Vary for $number {
            fn others(&self) -> Vec<Self> {
                let near = [self.saturating_add(1), self.saturating_sub(1)];
                let far = [self / 2, self.saturating_mul(2), 1, 0, 16, 100];
                [near.as_slice(), far.as_slice()].concat().into_iter().filter(|other| other != self).collect()
            }

            fn fresh() -> Vec<Self> {
                vec![100, 1, 0]
            }
        }
    )*};
}

numbers!(u8, u16, u32, u64, i32, i64);

/// Types of a few values, and numbers as a type.
macro_rules! values {
    ($($type:ty: [$($value:expr),*];)*) => {$(
        impl Vary for $type {
            fn others(&self) -> Vec<Self> {
                Self::fresh().into_iter().filter(|other| other != self).collect()
            }

            fn fresh() -> Vec<Self> {
                vec![$($value),*]
            }
        }
    )*};
}

values! {
    bool: [true, false];
    LinkLayer: [LinkLayer::Ethernet, LinkLayer::Atm];
    Mode: [Mode::Dcb, Mode::Channel];
    Shaper: [Shaper::Dcb, Shaper::BandwidthRate];
    Preemption: [Preemption::Express, Preemption::Preemptible];
    PlugAction: [PlugAction::Buffer, PlugAction::ReleaseOne, PlugAction::ReleaseIndefinite];
    tc_qdiscs::etf::Clock: [tc_qdiscs::etf::Clock::Tai, tc_qdiscs::etf::Clock::Realtime];
    Clock: [Clock::TAI, Clock::REALTIME, Clock::BOOTTIME];
    Diffserv: [Diffserv(0), Diffserv(1), Diffserv(2)];
    FlowMode: [FlowMode(0), FlowMode(1), FlowMode(2)];
    AckFilter: [AckFilter(0), AckFilter(1), AckFilter(2)];
    Framing: [Framing(0), Framing(1), Framing(2)];
    EcnMask: [EcnMask::ANY, EcnMask::L4S];
    Share: [Share::percent(3.0), Share::percent(50.0), Share::NONE];
    Control: [Control::Pass, Control::Drop, Control::Pipe];
    Random: [Random::new(2, 3, Control::Pass)];
    Eaction: [Eaction::EgressRedirect, Eaction::EgressMirror];
    NonZero<u32>: [NonZero::<u32>::MIN];
    Ipv4Addr: [Ipv4Addr::new(10, 1, 2, 3), Ipv4Addr::new(255, 0, 0, 0)];
    String: ["one".to_owned(), "two".to_owned()];
    PacketType: [PacketType::Host, PacketType::OtherHost];
    VlanOperation: [VlanOperation::Pop, VlanOperation::Modify];
    MplsOperation: [MplsOperation::Pop, MplsOperation::Modify];
    Handle: [Handle::class(1, 1), Handle::class(1, 2)];
    PacketRate: [PacketRate::new(100, 10).unwrap(), PacketRate::new(5000, 10).unwrap()];
    Mark: [Mark::default().value(1).mask(0xff), Mark::default().value(2).mask(0xf)];
    Duration: [Duration::from_secs(1), Duration::from_secs(600), Duration::from_micros(700)];
    FlowKeys: [FlowKeys::MARK, FlowKeys::SRC | FlowKeys::PROTO];
    tc_qdiscs::filter::flow::FlowMode:
        [tc_qdiscs::filter::flow::FlowMode::Map, tc_qdiscs::filter::flow::FlowMode::Hash];
    Ematches: [
        Ematches::new(Cmp::new(Align::U8, 9, Operand::Eq, 17)).or(Meta::new(Field::DEV, Operand::Eq, "lo")),
        Ematches::new(!Ematches::new(Cmp::new(Align::U16, 0, Operand::Gt, 5))),
        Ematches::default()
    ];
    Command: [Command::Set, Command::Add];
    Header: [Header::Ip6, Header::Tcp];
    IpAddr: [IpAddr::from([10, 1, 2, 3]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
    TunnelOperation: [TunnelOperation::Set];
    Metadata<u32>: [Metadata::Allow, Metadata::Use(9)];
    Metadata<u16>: [Metadata::Allow, Metadata::Use(9)];
    Program: [Program::Bytecode(vec![Instruction { code: 6, jt: 0, jf: 0, k: 9 }])];
    Nat: [Nat::Restore, Nat::Dst(NatRange::default().with_ports(8, 9))];
    Helper: [Helper::ipv6(17, "sip")];
    Masked<u32>: [Masked::from(7)];
    Masked<[u8; 16]>: [Masked::from([7; 16])];
    TunnelOptions: [TunnelOptions::None, TunnelOptions::Erspan(Erspan::v2(1, 5)), TunnelOptions::Vxlan { gbp: 9 }];
    MaskedIp: [MaskedIp::prefix(Ipv4Addr::new(10, 0, 0, 0), 9), MaskedIp::prefix(Ipv6Addr::LOCALHOST, 128)];
    MplsLse: [MplsLse::at(1).label(5), MplsLse::at(2).ttl(9)];
    Cfm: [Cfm::default().md_level(5), Cfm::default().opcode(7)];
    flower::TunnelOptions: [
        flower::TunnelOptions::Vxlan { gbp: flower::Masked::new(7, 0xffff) },
        flower::TunnelOptions::Gtp { pdu_type: 1.into(), qfi: 8.into() }
    ];
    LossModel: [
        LossModel::GilbertElliott {
            p: Share::percent(1.0), r: Share::percent(2.0), h: Share::percent(3.0), k1: Share::percent(4.0)
        },
        LossModel::State {
            p13: Share::percent(1.0), p31: Share::percent(2.0), p32: Share::percent(3.0),
            p23: Share::percent(4.0), p14: Share::percent(5.0)
        }
    ];
}

/// Structs: one field of theirs is another.
macro_rules! structs {
    ($($type:ty { $($field:ident),* })*) => {$(
        impl Vary for $type {
            fn others(&self) -> Vec<Self> {
                let mut all = Vec::new();
                $(for other in self.$field.others().into_iter().take(2) {
                    let mut changed = self.clone();
                    changed.$field = other;
                    all.push(changed);
                })*
                all
            }

            fn shown(&self) -> String {
                [$(format!("{}: {}", stringify!($field), self.$field.shown())),*].join(", ")
            }
        }
    )*};
}

structs! {
    RateSpec { rate, overhead, mpu, linklayer }
    Peak { rate, mtu }
    ServiceCurve { m1, d, m2 }
    Selector { value, mask }
    Tuning { target, tupdate, alpha_256th_hz, beta_256th_hz }
    Bands { count, priomap }
    TrafficClasses { count, map, hw, queues }
    Queues { count, offset }
    Chance { probability, correlation }
    Correlations { delay, loss, duplicate }
    Slot { min_delay_ns, max_delay_ns, max_packets, max_bytes, distribution_delay_ns, distribution_jitter_ns }
    tc_qdiscs::netem::NetemRate { rate, packet_overhead, cell_size, cell_overhead }
    Flags { ecn, harddrop, adaptive, nodrop }
    FlowRed { limit_bytes, min_bytes, max_bytes, average_log, probability_log, cell_log, flags, max_probability }
    Classes { max_sdu_bytes, preemption }
    PortRange { start, end }
    Schedule { base_time_ns, cycle_time_ns, cycle_time_extension_ns, entries }
    Entry { command, gate_mask, interval }
    GateEntry { open, interval, ipv, max_octets }
    Key { header, command, offset, mask, value, at, offset_mask, shift }
}

impl Vary for Rate {
    fn others(&self) -> Vec<Self> {
        let rate = self.as_bytes_per_second();
        [rate / 100, rate * 3, 125_000, 5_000_000_000]
            .into_iter()
            .filter(|other| *other != rate && *other != 0)
            .map(Self::bytes_per_second)
            .collect()
    }

    fn fresh() -> Vec<Self> {
        [125_000, 1000, 0].map(Self::bytes_per_second).to_vec()
    }
}

impl Vary for Burst {
    fn others(&self) -> Vec<Self> {
        vec![Self::bytes(self.as_bytes() + 100), Self::bytes(20_000)]
    }

    fn shown(&self) -> String {
        self.as_bytes().to_string()
    }
}

impl<T: Vary + Clone> Vary for flower::Masked<T> {
    fn others(&self) -> Vec<Self> {
        let value = |value| Self { value, mask: self.mask.clone() };
        let mask = |mask| Self { value: self.value.clone(), mask };
        let masks = self.mask.others().into_iter().map(mask);
        self.value.others().into_iter().map(value).chain(masks).collect()
    }

    fn fresh() -> Vec<Self> {
        T::fresh().into_iter().map(|value| Self { mask: value.clone(), value }).collect()
    }
}

impl<T: Vary> Vary for Option<T> {
    fn others(&self) -> Vec<Self> {
        match self {
            Some(value) => value.others().into_iter().map(Some).collect(),
            None => T::fresh().into_iter().map(Some).collect(),
        }
    }

    fn shown(&self) -> String {
        self.as_ref().map(T::shown).unwrap_or_default()
    }
}

impl<T: Vary + Copy, const N: usize> Vary for [T; N] {
    fn fresh() -> Vec<Self> {
        T::fresh().into_iter().map(|value| [value; N]).collect()
    }

    fn others(&self) -> Vec<Self> {
        let change = |other| {
            let mut changed = *self;
            changed[0] = other;
            changed
        };
        self[0].others().into_iter().map(change).collect()
    }
}

impl<T: Vary + Clone> Vary for Vec<T> {
    fn others(&self) -> Vec<Self> {
        match self.first() {
            None => T::fresh().into_iter().map(|value| vec![value]).collect(),
            Some(first) => {
                let change = |other| [&[other], &self[1..]].concat();
                first.others().into_iter().map(change).collect()
            }
        }
    }
}

impl Vary for i16 {
    fn others(&self) -> Vec<Self> {
        vec![self.saturating_add(1)]
    }
}

/// Types of which no request has another value here: reported by the kernel, or tried as another kind.
macro_rules! unvaried {
    ($($type:ty),*) => {$(impl Vary for $type {
        fn others(&self) -> Vec<Self> {
            Vec::new()
        }
    })*};
}

unvaried!(
    Damping,
    Actions,
    Reported,
    CtinfoCounters,
    HtbReported,
    BasicReported,
    FlowerReported,
    Police,
    u32::Selector,
    u32::Counters
);
