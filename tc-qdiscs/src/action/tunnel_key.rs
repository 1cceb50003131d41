//! `tunnel_key`: sets the outer header for a tunnel device after it, or removes that of one before it.
//!
//! UAPI: `struct tc_tunnel_key` in `TCA_TUNNEL_KEY_PARMS`, attributes `TCA_TUNNEL_KEY_*`
//! (`linux/tc_act/tc_tunnel_key.h`). The device (vxlan, geneve, gre and others) is in external mode.
//!
//! Kernel, `net/sched/act_tunnel_key.c`: to set needs source and destination of one family. Zero as
//! type of service, time to live or port is left out of dumps.

mod options;
mod words;

use std::net::IpAddr;

use derive_setters::Setters;
use tc_core::action::Control;
use tc_core::print::{Hex0x, Printer};
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    Attr, AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax, object,
};

pub use self::options::{Erspan, GeneveOption, TunnelOptions};
use super::Reported;
use super::generic::{self, Generic};

tc_core::register!(TunnelKey);

/// The options of a tunnel_key action.
///
/// ```
/// use std::net::Ipv4Addr;
/// use tc_core::action::{Action, Actions};
/// use tc_qdiscs::action::tunnel_key::{TunnelKey, TunnelOptions};
///
/// // Network 7 behind a VTEP, with a group for the policy there.
/// let (here, there) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
/// let key = TunnelKey::set(here.into(), there.into())
///     .key_id(7)
///     .dst_port(4789)
///     .options(TunnelOptions::Vxlan { gbp: 257 });
/// let actions = Actions::new().with(Action::new(key));
/// # let _ = actions;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct TunnelKey {
    /// The action's own number; 0 lets the kernel choose one.
    pub index: u32,
    /// The fate of the packet.
    pub control: Control,
    /// The operation.
    pub operation: TunnelOperation,
    /// The outer source address.
    pub src: Option<IpAddr>,
    /// The outer destination address.
    pub dst: Option<IpAddr>,
    /// The tunnel's key: the VNI of vxlan and geneve, the key of gre.
    pub key_id: Option<u32>,
    /// The outer UDP destination port; the device's own by default.
    pub dst_port: Option<u16>,
    /// The options of the tunnel's protocol.
    pub options: TunnelOptions,
    /// The outer type of service; 0 by default.
    pub tos: Option<u8>,
    /// The outer time to live; the device's own by default.
    pub ttl: Option<u8>,
    /// Without a checksum in the outer UDP header, which IPv4 allows.
    pub no_csum: bool,
    /// "Do not fragment" in the outer header. Since Linux 6.4.
    pub no_frag: bool,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: Reported,
}

/// The operation of a tunnel_key action (`TCA_TUNNEL_KEY_ACT_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TunnelOperation {
    /// Unspecified: the index names an existing action.
    Unspecified,
    /// Sets the outer header.
    Set,
    /// Removes the outer header.
    Unset,
    /// Another number.
    Other(i32),
}

impl TunnelKey {
    /// Sets an outer header, after which the next action follows.
    pub const fn set(src: IpAddr, dst: IpAddr) -> Self {
        let mut key = Self::of(TunnelOperation::Set);
        key.src = Some(src);
        key.dst = Some(dst);
        key
    }

    /// Removes the outer header, after which the next action follows.
    pub const fn unset() -> Self {
        Self::of(TunnelOperation::Unset)
    }

    /// The existing action with this index.
    pub const fn at_index(index: u32) -> Self {
        let mut key = Self::of(TunnelOperation::Unspecified);
        key.index = index;
        key
    }

    const fn of(operation: TunnelOperation) -> Self {
        Self {
            index: 0,
            control: Control::Pipe,
            operation,
            src: None,
            dst: None,
            key_id: None,
            dst_port: None,
            options: TunnelOptions::None,
            tos: None,
            ttl: None,
            no_csum: false,
            no_frag: false,
            reported: Reported { refcnt: 0, bindcnt: 0, times: None },
        }
    }
}

impl Kind for TunnelKey {
    type Object = object::Action;
    const KIND: &'static str = "tunnel_key";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        for (address, ipv4, ipv6) in [(self.src, IPV4_SRC, IPV6_SRC), (self.dst, IPV4_DST, IPV6_DST)] {
            match address {
                Some(IpAddr::V4(address)) => out.attr(ipv4, &address.octets()),
                Some(IpAddr::V6(address)) => out.attr(ipv6, &address.octets()),
                None => {}
            }
        }
        out.attr_u32_if(KEY_ID, self.key_id.map(u32::to_be));
        if let Some(port) = self.dst_port {
            out.attr_u16(DST_PORT, port.to_be());
        }
        self.options.encode(OPTS, out);
        for (kind, value) in [(TOS, self.tos), (TTL, self.ttl)] {
            if let Some(value) = value {
                out.attr_u8(kind, value);
            }
        }
        out.attr_u8(NO_CSUM, self.no_csum.into());
        if self.no_frag {
            out.attr_flag(NO_FRAG);
        }
        let mut parms = out.nest(PARMS);
        generic::put(self.index, self.control, &mut parms);
        parms.put_i32(self.operation.raw());
        drop(parms);
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ NO_FRAG as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let byte = |kind: u16| attr(kind).map(|attr| attr.u8()).transpose();
        let parms = attr(PARMS).ok_or(DecodeError::Missing { what: "tunnel_key parameters" })?;
        let mut reader = parms.reader();
        let Generic { index, control, reported } = Generic::read(&mut reader, attr(TM))?;
        Ok(Self {
            index,
            control,
            operation: TunnelOperation::from_raw(reader.i32()?),
            src: read_address(attr(IPV4_SRC), attr(IPV6_SRC))?,
            dst: read_address(attr(IPV4_DST), attr(IPV6_DST))?,
            key_id: attr(KEY_ID).map(|attr| attr.u32()).transpose()?.map(u32::from_be),
            dst_port: attr(DST_PORT).map(|attr| attr.u16()).transpose()?.map(u16::from_be),
            options: attr(OPTS).map(TunnelOptions::decode).transpose()?.unwrap_or_default(),
            tos: byte(TOS)?,
            ttl: byte(TTL)?,
            no_csum: byte(NO_CSUM)?.is_some_and(|flag| flag != 0),
            no_frag: attr(NO_FRAG).is_some(),
            reported,
        })
    }

    fn as_dumped(&self, _: &dyn Environment) -> Self {
        if self.operation != TunnelOperation::Set {
            let Self { index, control, reported, .. } = *self;
            return Self { index, control, reported, ..Self::of(self.operation) };
        }
        Self {
            dst_port: self.dst_port.filter(|port| *port != 0),
            options: self.options.as_dumped(),
            tos: self.tos.filter(|tos| *tos != 0),
            ttl: self.ttl.filter(|ttl| *ttl != 0),
            ..self.clone()
        }
    }

    fn action_index(&self) -> u32 {
        self.index
    }

    fn stands_alone(&self) -> Option<bool> {
        Some(self.reported.stands_alone())
    }
}

fn read_address(ipv4: Option<Attr<'_>>, ipv6: Option<Attr<'_>>) -> Result<Option<IpAddr>, DecodeError> {
    Ok(match (ipv4, ipv6) {
        (Some(attr), _) => Some(IpAddr::from(attr.reader().array::<4>()?)),
        (None, Some(attr)) => Some(IpAddr::from(attr.reader().array::<16>()?)),
        (None, None) => None,
    })
}

impl Syntax for TunnelKey {
    const USAGE: &'static str = "\
Usage: tunnel_key unset
       tunnel_key set <TUNNEL_KEY>
Where TUNNEL_KEY is a combination of:
id <TUNNELID>
src_ip <IP> (mandatory)
dst_ip <IP> (mandatory)
dst_port <UDP_PORT>
geneve_opts | vxlan_opts | erspan_opts <OPTIONS>
csum | nocsum (default is \"csum\")
";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        words::parse(words).map(Some)
    }

    fn print(&self, out: &mut Printer) {
        out.item("kind", "", Self::KIND, " ");
        match self.operation {
            TunnelOperation::Set => self.print_key(out),
            TunnelOperation::Unset => out.item("mode", " ", "unset", ""),
            TunnelOperation::Unspecified | TunnelOperation::Other(_) => {}
        }
        self.control.print(" ", out);
        out.newline();
        generic::print_end("\t index ", self.index, &self.reported, out);
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        words::write(self, out);
        generic::say_end(self.index, self.control, Control::Pipe, out);
    }
}

impl TunnelKey {
    fn print_key(&self, out: &mut Printer) {
        out.item("mode", " ", "set", "");
        for (name, before, address) in [("src_ip", "\tsrc_ip ", self.src), ("dst_ip", "\tdst_ip ", self.dst)]
        {
            if let Some(address) = address {
                out.newline();
                out.item(name, before, &*address.to_string(), "");
            }
        }
        if let Some(id) = self.key_id {
            out.newline();
            out.item("key_id", "\tkey_id ", id, "");
        }
        if let Some(port) = self.dst_port {
            out.newline();
            out.item("dst_port", "\tdst_port ", port, "");
        }
        self.options.print(out);
        out.newline();
        out.item("flag", "\t", if self.no_csum { "nocsum" } else { "csum" }, "");
        if self.no_frag {
            out.flag("nofrag", "\tnofrag");
        }
        if let Some(tos) = self.tos.filter(|tos| *tos != 0) {
            out.newline();
            out.json("tos", tos);
            out.text_item("\ttos ", Hex0x(tos.into()), "");
        }
        if let Some(ttl) = self.ttl.filter(|ttl| *ttl != 0) {
            out.newline();
            out.item("ttl", "\tttl ", ttl, "");
        }
    }
}

impl TunnelOperation {
    const fn from_raw(raw: i32) -> Self {
        match raw {
            0 => Self::Unspecified,
            1 => Self::Set,
            2 => Self::Unset,
            raw => Self::Other(raw),
        }
    }

    const fn raw(self) -> i32 {
        match self {
            Self::Unspecified => 0,
            Self::Set => 1,
            Self::Unset => 2,
            Self::Other(raw) => raw,
        }
    }
}

const TM: u16 = 1;
const PARMS: u16 = 2;
const IPV4_SRC: u16 = 3;
const IPV4_DST: u16 = 4;
const IPV6_SRC: u16 = 5;
const IPV6_DST: u16 = 6;
const KEY_ID: u16 = 7;
const DST_PORT: u16 = 9;
const NO_CSUM: u16 = 10;
const OPTS: u16 = 11;
const TOS: u16 = 12;
const TTL: u16 = 13;
const NO_FRAG: u16 = 14;

#[cfg(test)]
mod tests;
