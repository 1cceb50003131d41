//! The facts that meta knows.

use std::fmt;

/// A fact about the packet, shifted and masked before it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// Its number.
    pub id: FieldId,
    /// A number is shifted right by so many bits. A text loses so many bytes at its end.
    pub shift: u8,
    /// The bits of a number that count, after the shift; `None` means all.
    pub mask: Option<u32>,
}

impl Field {
    /// The whole fact.
    pub const fn new(id: FieldId) -> Self {
        Self { id, shift: 0, mask: None }
    }

    /// The fact, shifted.
    #[must_use]
    pub const fn shift(self, shift: u8) -> Self {
        Self { shift, ..self }
    }

    /// The fact, masked.
    #[must_use]
    pub const fn mask(self, mask: u32) -> Self {
        Self { mask: Some(mask), ..self }
    }
}

/// As words, and as `tc` prints it.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id.name() {
            Some(name) => f.write_str(name)?,
            None => write!(f, "[unknown meta id {}]", self.id.0)?,
        }
        if self.shift != 0 {
            write!(f, " shift {}", self.shift)?;
        }
        match self.mask.filter(|mask| *mask != 0) {
            Some(mask) => write!(f, " mask {mask:#010x}"),
            None => Ok(()),
        }
    }
}

/// The number of a fact (`TCF_META_ID_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldId(pub u16);

macro_rules! fields {
    ($($constant:ident = $id:literal, $name:literal, $doc:literal;)*) => {
        impl Field {
            $(
                #[doc = $doc]
                pub const $constant: Self = Self::new(FieldId($id));
            )*
        }

        const NAMES: &[(u16, &str)] = &[$(($id, $name)),*];
    };
}

fields! {
    RANDOM = 1, "random", "A random number.";
    LOADAVG_1 = 2, "loadavg_1", "The load average of the last minute, in hundredths.";
    LOADAVG_5 = 3, "loadavg_5", "The load average of the last 5 minutes, in hundredths.";
    LOADAVG_15 = 4, "loadavg_15", "The load average of the last 15 minutes, in hundredths.";
    DEV = 5, "dev", "The packet's device: its index, or its name in a comparison of texts.";
    PRIORITY = 6, "priority", "The packet's priority.";
    PROTOCOL = 7, "protocol", "The Ethernet protocol, in the machine's byte order.";
    PKT_TYPE = 8, "pkt_type", "The packet's type (`PACKET_HOST` and its like).";
    PKT_LEN = 9, "pkt_len", "The packet's length in bytes.";
    DATA_LEN = 10, "data_len", "The length of the data outside the packet's linear buffer, in bytes.";
    MAC_LEN = 11, "mac_len", "The length of the link layer's header in bytes.";
    NF_MARK = 12, "nf_mark", "The mark of the packet.";
    TC_INDEX = 13, "tc_index", "The number that dsmark and qdiscs after it use.";
    RT_CLASSID = 14, "rt_classid", "The realm of the packet's route.";
    RT_IIF = 15, "rt_iif", "The index of the device that the packet came in from, by its route.";
    SK_FAMILY = 16, "sk_family", "The socket's address family.";
    SK_STATE = 17, "sk_state", "The socket's state (`TCP_*`).";
    SK_REUSE = 18, "sk_reuse", "Whether the socket has `SO_REUSEADDR`.";
    SK_BIND_IF = 19, "sk_bind_if", "The device that the socket is bound to: its index, or its name in a comparison of texts.";
    SK_REFCNT = 20, "sk_refcnt", "The number of references to the socket.";
    SK_SHUTDOWN = 21, "sk_shutdown", "The directions that the socket has shut down.";
    SK_PROTO = 22, "sk_proto", "The socket's IP protocol.";
    SK_TYPE = 23, "sk_type", "The socket's type (`SOCK_*`).";
    SK_RCVBUF = 24, "sk_rcvbuf", "The size of the socket's receive buffer in bytes.";
    SK_RMEM = 25, "sk_rmem", "The memory of the socket's received packets in bytes.";
    SK_WMEM = 26, "sk_wmem", "The memory of the socket's packets to send in bytes.";
    SK_OMEM = 27, "sk_omem", "The memory of the socket's options in bytes.";
    SK_WMEM_QUEUE = 28, "sk_wmem_queue", "The memory of the socket's send queue in bytes.";
    SK_SND_QUEUE = 29, "sk_snd_queue", "The number of packets in the socket's send queue.";
    SK_RCV_QUEUE = 30, "sk_rcv_queue", "The number of packets in the socket's receive queue.";
    SK_ERR_QUEUE = 31, "sk_err_queue", "The number of packets in the socket's error queue.";
    SK_FWD_ALLOC = 32, "sk_fwd_alloc", "The memory that the socket has reserved, in bytes.";
    SK_SNDBUF = 33, "sk_sndbuf", "The size of the socket's send buffer in bytes.";
    VLAN = 46, "vlan", "The VLAN tag that the device took off.";
}

/// Another name of the mark.
const FWMARK: (u16, &str) = (12, "fwmark");

impl FieldId {
    /// The fact with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        NAMES.iter().chain([&FWMARK]).find(|(_, known)| *known == name).map(|(id, _)| Self(*id))
    }

    /// The name; `None` for a fact that `tc` does not know.
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(id, _)| *id == self.0).map(|(_, name)| *name)
    }

    /// Whether the fact has a form as text: the names of devices.
    pub const fn is_text(self) -> bool {
        matches!(self.0, 5 | 19)
    }

    /// The names of all facts and their types, a line for each.
    pub(super) fn list() -> String {
        let line = |(id, name): &(u16, &str)| {
            let types = if Self(*id).is_text() { "INT,VAR" } else { "INT" };
            format!("  {name:<16} {types}\n")
        };
        let all: String = NAMES.iter().chain([&FWMARK]).map(line).collect();
        format!("  ID               Type\n{all}")
    }
}
