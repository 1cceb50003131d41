//! Places of a hold: the device's egress or ingress through an IFB, its root qdisc, or a
//! class of an existing tree.
//!
//! A [`Redirect`] makes the IFB and leads the packets of a device through it. The
//! device keeps its root qdisc: released packets return to it after the filter and
//! pass its own shaping. A caller prepares the redirect, puts its qdisc on the IFB,
//! and connects:
//!
//! ```no_run
//! use tc_core::{Connection, Handle, Request};
//! use tc_qdiscs::plug::Plug;
//! use tc_qdiscs::plug::place::{Clsact, Redirect, RedirectSetup, Side};
//!
//! let mut tc = Connection::open()?;
//! let device = tc.ifindex("eth0")?;
//! let mut redirect = Redirect::prepare(&mut tc, device, Side::Egress, &RedirectSetup::default())?;
//! let root = Request::qdisc(redirect.ifindex()).parent(Handle::ROOT).handle(Handle::qdisc(1));
//! tc.add(&root.options(&Plug::set_limit(1 << 20)))?;
//! redirect.connect(&mut tc)?;
//! redirect.remove(&mut tc, Clsact::Keep)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Packets that escape
//!
//! - those that the kernel had passed on before the filter existed;
//! - of egress: sockets with `PACKET_QDISC_BYPASS`, AF_XDP, and BPF programs (tcx)
//!   before the filter;
//! - of ingress: packets that an XDP program on the device forwards, AF_XDP, and
//!   copies for sniffers: AF_PACKET sockets on the device receive a packet before the
//!   filter does, and not again when it comes from the IFB;
//! - packets moved by hardware switches (SR-IOV, eSwitch), vhost-user and DPDK,
//!   which the kernel never sees; of a macvtap, packets that leave by the device
//!   below it.
//!
//! Filters of the same side after ours do not see redirected packets, not even when
//! they return from the IFB (`tc_skip_classify`).
//!
//! Kernel: while the IFB is down or gone, redirected packets are dropped and do not
//! escape (`net/sched/act_mirred.c`). A change of the IFB's `txqueuelen`, and
//! setting it down, drop the held packets.

mod error;
mod filters;
mod mark;
mod matching;
mod redirect;

use tc_core::Handle;

pub use error::{MatchError, PlaceError};
pub use matching::Match;
pub use redirect::{Clsact, Redirect, RedirectSetup};

/// A side of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The packets that it is about to send, before its root qdisc.
    Egress,
    /// The packets that it has received: the output of a guest behind a tap or vif.
    Ingress,
}

/// Where a ring stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Place {
    /// On an IFB that the session makes, for the packets that the device is about to send. The
    /// device's root qdisc stays.
    #[default]
    Egress,
    /// On such an IFB, for the packets that the device has received.
    Ingress,
    /// Instead of the device's root qdisc, which must be the kernel's default.
    Root,
    /// Below this class of the device's tree, instead of the class's default qdisc.
    Class(Handle),
}

impl Place {
    /// The side whose packets go through an IFB.
    pub const fn side(self) -> Option<Side> {
        match self {
            Self::Egress => Some(Side::Egress),
            Self::Ingress => Some(Side::Ingress),
            Self::Root | Self::Class(_) => None,
        }
    }
}

impl Side {
    /// The word in names and aliases.
    const fn word(self) -> &'static str {
        match self {
            Self::Egress => "egress",
            Self::Ingress => "ingress",
        }
    }

    /// The parent of its filters.
    const fn hook(self) -> Handle {
        match self {
            Self::Egress => Handle::FILTER_EGRESS,
            Self::Ingress => Handle::FILTER_INGRESS,
        }
    }
}
