//! The record of a packet's way.

use tc_core::Handle;
use tc_core::action::Control;

use super::Packet;

/// The record of a classification, and the facts that it is given beside the packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Walk {
    /// The steps in their order.
    pub steps: Vec<Step>,
    /// The copies that left by `mirred`.
    pub copies: Vec<Copied>,
    /// Whether packets conform to every police with a rate; `None` if that is not known.
    pub conform: Option<bool>,
}

impl Walk {
    /// Sets whether packets conform to every police with a rate.
    #[must_use]
    pub fn conform(mut self, conform: Option<bool>) -> Self {
        self.conform = conform;
        self
    }

    pub(super) fn step(&mut self, step: Step) {
        self.steps.push(step);
    }
}

/// A step of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The filters of a place follow.
    Place {
        /// The place: `egress`, `qdisc 1:`, `class 1:10`.
        name: String,
    },
    /// A filter was asked.
    Filter {
        /// The chain.
        chain: u32,
        /// The priority.
        priority: u16,
        /// The protocol (`ETH_P_*`).
        protocol: u16,
        /// The kind.
        kind: String,
        /// The handle.
        handle: Handle,
        /// The result.
        outcome: Outcome,
    },
    /// An action ran.
    Action {
        /// The kind.
        kind: String,
        /// The index; 0 if it is not known.
        index: u32,
        /// Its result.
        control: Control,
        /// Its effect, in words.
        effect: String,
    },
    /// The walk goes on at the start of a chain.
    Goto {
        /// The chain.
        chain: u32,
    },
    /// The packet entered a qdisc.
    Qdisc {
        /// The handle; unspecified for a default qdisc.
        handle: Handle,
        /// The kind.
        kind: String,
    },
    /// A qdisc chose a class.
    Class {
        /// The class.
        class: Handle,
        /// The reason.
        why: String,
    },
    /// A fact that no step depends on, but what follows.
    Note {
        /// The fact.
        text: String,
    },
}

/// The result of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The packet matches. The class is unspecified if the filter has none.
    Matched {
        /// The class.
        class: Handle,
    },
    /// The packet does not match, for this reason.
    Missed(String),
    /// The result depends on a fact that is not known.
    Unknown(String),
}

/// A copy of the packet, or the packet itself, that `mirred` sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copied {
    /// The device's index.
    pub ifindex: i32,
    /// Whether the device receives it; otherwise it sends it.
    pub to_ingress: bool,
    /// Whether the packet itself went.
    pub redirected: bool,
    /// The packet as it was then.
    pub packet: Packet,
}
