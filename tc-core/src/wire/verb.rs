//! The types of objects, the verbs of requests, and their netlink messages.

use std::fmt;

use crate::wire::uapi::*;

/// The type of a traffic-control object (libnl's `rtnl_tc_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TcType {
    /// A queueing discipline.
    Qdisc,
    /// A class of a classful qdisc.
    Class,
    /// A filter (classifier).
    Filter,
    /// An action.
    Action,
}

impl TcType {
    /// The word for it, as in `tc qdisc`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Qdisc => "qdisc",
            Self::Class => "class",
            Self::Filter => "filter",
            Self::Action => "action",
        }
    }
}

impl fmt::Display for TcType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The operation of a request.
///
/// The netlink flags besides `NLM_F_REQUEST | NLM_F_ACK` are those of `tc`. They
/// distinguish an add from a change; the message type is one for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Make a new object; an error if it is there (`NLM_F_CREATE | NLM_F_EXCL`).
    Add,
    /// Change an object that is there (no flags; of actions as a replace).
    Change,
    /// Change the object, or replace it with a new one (`NLM_F_CREATE |
    /// NLM_F_REPLACE`; of classes and filters `NLM_F_CREATE` alone).
    Replace,
    /// Attach a qdisc that is there to another parent (`NLM_F_REPLACE`);
    /// see [`Connection::link`](crate::Connection::link).
    Link,
    /// Delete the object (`RTM_DELQDISC` and its like).
    Delete,
    /// Ask for the object (`RTM_GETQDISC` and its like).
    Get,
}

impl Verb {
    /// The word for it, as in `tc qdisc add`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Replace => "replace",
            Self::Link => "link",
            Self::Delete => "delete",
            Self::Get => "get",
        }
    }

    /// The netlink flags that `tc` sends for it.
    pub(crate) const fn flags(self, tc_type: TcType) -> u16 {
        match (self, tc_type) {
            (Self::Add, _) => NLM_F_EXCL | NLM_F_CREATE,
            (Self::Change | Self::Replace, TcType::Action) => NLM_F_CREATE | NLM_F_REPLACE,
            (Self::Replace, TcType::Qdisc) => NLM_F_CREATE | NLM_F_REPLACE,
            (Self::Replace, _) => NLM_F_CREATE,
            (Self::Link, _) => NLM_F_REPLACE,
            // Kernel: without ECHO the object goes to listeners, not to the asker.
            (Self::Get, _) => NLM_F_ECHO,
            (Self::Change | Self::Delete, _) => 0,
        }
    }
}

impl TcType {
    /// The netlink message of a verb.
    pub(crate) const fn message(self, verb: Verb) -> u16 {
        let new = match self {
            Self::Qdisc => RTM_NEWQDISC,
            Self::Class => RTM_NEWTCLASS,
            Self::Filter => RTM_NEWTFILTER,
            Self::Action => RTM_NEWACTION,
        };
        // Kernel: NEW, DEL and GET follow each other in every family.
        match verb {
            Verb::Delete => new + 1,
            Verb::Get => new + 2,
            _ => new,
        }
    }
}
