//! Devices, as far as traffic control needs to know them.

mod details;
mod marked;
mod request;
#[cfg(feature = "tokio")]
mod tokio;

use std::ffi::OsStr;

use bytes::BytesMut;

use crate::connection::Connection;
use crate::connection::Transport;
use crate::connection::talk::{Talk, ask, now};
use crate::exchange::error::{Cause, Error};
use crate::exchange::sans_io::Expected;
use crate::wire::attr::{Attr, AttrWriter, Attrs, Reader};
use crate::wire::device::device_name_bytes;
use crate::wire::error::{DecodeError, EncodeError};
use crate::wire::message::{Message, begin_message, end_message};
use crate::wire::uapi::*;

pub use crate::wire::device::{DeviceName, DeviceNames};
pub use crate::wire::queues::QueueEvents;
pub use details::{LinkDetails, Xdp};
pub use marked::{LinkPackets, NewLink};
pub use request::LinkChange;

/// Ethernet and one VLAN tag. Kernel: the device's own `hard_header_len` is not
/// reported.
const HEADER: u32 = 14 + 4;

/// A device, from an `RTM_NEWLINK` message (`struct ifinfomsg`, `IFLA_*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index, which identifies it in requests.
    pub ifindex: i32,
    /// Its name for messages; see `raw_name`.
    pub name: String,
    /// Its name as bytes, which need not be UTF-8.
    pub raw_name: DeviceName,
    /// `IFF_*`.
    pub flags: u32,
    /// The largest packet, in bytes, without the link's header.
    pub mtu: u32,
    /// `txqueuelen`, in packets.
    pub tx_queue_len: u32,
    /// How many transmit queues it has.
    pub tx_queues: u32,
    /// The kind of its root qdisc.
    pub qdisc: String,
    /// The kind of device (`veth`, `ifb`, ...); empty for hardware.
    pub kind: String,
    /// How often its carrier came or went.
    pub carrier_changes: u32,
    /// The largest packet, in bytes, that the device segments itself
    /// (`gso_max_size`, or `gso_ipv4_max_size` if that is larger); 0 if the
    /// kernel does not report it.
    pub gso_max_size: u32,
    /// The largest packet, in bytes, that is put together from received ones
    /// (`gro_max_size`, or `gro_ipv4_max_size`); 0 before Linux 5.19.
    pub gro_max_size: u32,
}

impl Link {
    /// Reads an `RTM_NEWLINK` message.
    pub fn decode(message: &Message<'_>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(message.payload);
        reader.skip(4)?;
        let (ifindex, flags) = (reader.i32()?, reader.u32()?);
        reader.skip(4)?;
        let table = Attrs::new(reader.rest()).table::<{ IFLA_GRO_IPV4_MAX_SIZE as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let text = |attr: Option<Attr<'_>>| attr.map(|a| a.str().map(str::to_owned)).transpose();
        let number = |kind: u16| attr(kind).map(|a| a.u32()).transpose().map(Option::unwrap_or_default);
        let name = attr(IFLA_IFNAME).ok_or(DecodeError::Missing { what: "device name" })?;
        let raw_name = DeviceName::of_bytes(name.c_string());
        let info = attr(IFLA_LINKINFO).map(|a| a.attrs().find(IFLA_INFO_KIND)).transpose()?.flatten();
        Ok(Self {
            ifindex,
            name: raw_name.to_string(),
            raw_name,
            flags,
            mtu: number(IFLA_MTU)?,
            tx_queue_len: number(IFLA_TXQLEN)?,
            tx_queues: number(IFLA_NUM_TX_QUEUES)?,
            qdisc: text(attr(IFLA_QDISC))?.unwrap_or_default(),
            kind: text(info)?.unwrap_or_default(),
            carrier_changes: number(IFLA_CARRIER_CHANGES)?,
            gso_max_size: number(IFLA_GSO_MAX_SIZE)?.max(number(IFLA_GSO_IPV4_MAX_SIZE)?),
            gro_max_size: number(IFLA_GRO_MAX_SIZE)?.max(number(IFLA_GRO_IPV4_MAX_SIZE)?),
        })
    }

    /// Whether the device is up.
    pub const fn is_up(&self) -> bool {
        self.flags & IFF_UP != 0
    }

    /// The largest packet, in bytes, that the device's qdisc may get from
    /// this host: an MTU, or more with segmentation offload (64 KB, and up to
    /// 512 KB with BIG TCP), and the link's header.
    pub fn largest_packet(&self) -> u32 {
        /// `GSO_LEGACY_MAX_SIZE`: without BIG TCP.
        const LEGACY: u32 = 65_536;
        let payload = self.mtu.max(LEGACY).max(self.gso_max_size).max(self.gro_max_size);
        payload.saturating_add(HEADER)
    }
}

impl<T: Transport> Connection<T> {
    /// The index of a device, by its name or one of its alternative names, as bytes or as
    /// [lossless](crate::lossless) text. [`Error::is_not_found`] if it does not exist.
    pub fn ifindex(&mut self, name: impl AsRef<OsStr>) -> Result<i32, Error> {
        self.link_by_name(name).map(|link| link.ifindex)
    }

    /// A device by its name or one of its alternative names, as bytes or as
    /// [lossless](crate::lossless) text. [`Error::is_not_found`] if it does not exist.
    pub fn link_by_name(&mut self, name: impl AsRef<OsStr>) -> Result<Link, Error> {
        now(link_by_name(self, name.as_ref()))
    }

    /// A device by its index. [`Error::is_not_found`] if it does not exist.
    pub fn link_by_index(&mut self, ifindex: i32) -> Result<Link, Error> {
        now(find(self, ifindex, false, Link::decode))
    }

    /// The names of devices, on demand; they can be asked for while a dump is
    /// read.
    pub fn device_names(&self) -> Result<Box<dyn DeviceNames>, Error> {
        let names = self.transport.device_names();
        names.map_err(|error| Error::new("open", "device names", Cause::System(error)))
    }
}

/// See [`Connection::link_by_name`].
async fn link_by_name<C: Talk>(tc: &mut C, name: &OsStr) -> Result<Link, Error> {
    let fail = |cause: Cause| Error::new("find", format!("device {name:?}"), cause);
    if name.is_empty() {
        return Err(fail(Cause::Refused("the name is empty".into())));
    }
    let bytes = device_name_bytes(name).map_err(Cause::System).map_err(fail)?;
    // Kernel: IFLA_IFNAME finds alternative names too, but takes no long one.
    let attribute = if bytes.len() < IFNAMSIZ { IFLA_IFNAME } else { IFLA_ALT_IFNAME };
    let encode =
        |sequence, buffer: &mut BytesMut| get_link(0, false, Some((attribute, &bytes)), sequence, buffer);
    let place = ask(tc, Expected::Object, encode).await;
    let link = place.and_then(|place| Ok(Link::decode(&place.message(&tc.connection().answer))?));
    link.map_err(fail)
}

/// A device by its index, with its counters or without.
async fn find<C: Talk, R>(
    tc: &mut C,
    ifindex: i32,
    stats: bool,
    decode: fn(&Message<'_>) -> Result<R, DecodeError>,
) -> Result<R, Error> {
    let encode = |sequence, buffer: &mut BytesMut| get_link(ifindex, stats, None, sequence, buffer);
    let place = ask(tc, Expected::Object, encode).await;
    let found = place.and_then(|place| Ok(decode(&place.message(&tc.connection().answer))?));
    found.map_err(|cause| Error::new("find", format!("device {ifindex}"), cause))
}

fn get_link(
    ifindex: i32,
    stats: bool,
    name: Option<(u16, &[u8])>,
    sequence: u32,
    buffer: &mut BytesMut,
) -> Result<(), EncodeError> {
    let start = begin_message(buffer, RTM_GETLINK, NLM_F_REQUEST, sequence);
    let mut out = AttrWriter::new(buffer);
    // struct ifinfomsg: family, type, index, flags, change.
    out.put_u32(0);
    out.put_i32(ifindex);
    out.put_u64(0);
    if !stats {
        out.attr_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    }
    if let Some((kind, name)) = name {
        out.attr_c_string(kind, name);
    }
    out.finish()?;
    end_message(buffer, start);
    Ok(())
}
