//! The fields of a packet that flow knows.

use std::ops::BitOr;

use tc_core::words::is_prefix;

/// Fields of a packet, as a set (`FLOW_KEY_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowKeys(u32);

macro_rules! keys {
    ($($constant:ident = $bit:literal, $name:literal, $doc:literal;)*) => {
        impl FlowKeys {
            $(
                #[doc = $doc]
                pub const $constant: Self = Self(1 << $bit);
            )*
        }

        const NAMES: &[&str] = &[$($name),*];
    };
}

keys! {
    SRC = 0, "src", "The source address.";
    DST = 1, "dst", "The destination address.";
    PROTO = 2, "proto", "The IP protocol.";
    PROTO_SRC = 3, "proto-src", "The source port.";
    PROTO_DST = 4, "proto-dst", "The destination port.";
    IIF = 5, "iif", "The index of the device that the packet came in from.";
    PRIORITY = 6, "priority", "The packet's priority.";
    MARK = 7, "mark", "The packet's mark.";
    NFCT = 8, "nfct", "The packet's connection in connection tracking.";
    NFCT_SRC = 9, "nfct-src", "The source address of that connection.";
    NFCT_DST = 10, "nfct-dst", "The destination address of that connection.";
    NFCT_PROTO_SRC = 11, "nfct-proto-src", "The source port of that connection.";
    NFCT_PROTO_DST = 12, "nfct-proto-dst", "The destination port of that connection.";
    RT_CLASSID = 13, "rt-classid", "The realm of the packet's route.";
    SK_UID = 14, "sk-uid", "The user of the packet's socket.";
    SK_GID = 15, "sk-gid", "The group of the packet's socket.";
    VLAN_TAG = 16, "vlan-tag", "The VLAN identifier.";
    RXHASH = 17, "rxhash", "The hash that the device or the kernel computed of the packet.";
}

impl FlowKeys {
    /// A set by its bits (`1 << FLOW_KEY_*`).
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits of the set.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether the set has all fields of the other one.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The names of the fields in their order. Unknown fields have none.
    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().enumerate().filter(move |(bit, _)| self.0 & 1 << bit != 0).map(|(_, name)| *name)
    }

    /// Whether all fields have names.
    pub(super) fn is_known(self) -> bool {
        self.0 >> NAMES.len() == 0
    }

    /// The field whose name begins with this, the first of several.
    pub(super) fn from_name(word: &str) -> Option<Self> {
        NAMES.iter().position(|name| is_prefix(word, name)).map(|bit| Self(1 << bit))
    }
}

impl BitOr for FlowKeys {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}
