//! The details of a device that decide which way its packets take.

use super::find;
use crate::connection::talk::now;
use crate::connection::{Connection, Transport};
use crate::exchange::error::Error;
use crate::wire::attr::{Attr, Attrs, Reader};
use crate::wire::error::DecodeError;
use crate::wire::message::Message;
use crate::wire::uapi::{IFLA_IFALIAS, IFLA_LINKINFO};

const IFLA_MASTER: u16 = 10;
const IFLA_GSO_MAX_SIZE: u16 = 41;
const IFLA_XDP: u16 = 43;
const IFLA_GSO_IPV4_MAX_SIZE: u16 = 63;
const IFLA_INFO_SLAVE_KIND: u16 = 4;
const IFLA_XDP_ATTACHED: u16 = 2;
const IFLA_XDP_PROG_ID: u16 = 4;

/// Details of a device, from an `RTM_NEWLINK` message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkDetails {
    /// The index of the device that this one is a port or slave of.
    pub master: Option<i32>,
    /// The kind of that device as the kernel names it for its ports (`bridge`,
    /// `bond`, ...); empty without a master.
    pub port_of: String,
    /// The XDP program that is attached.
    pub xdp: Option<Xdp>,
    /// Its alias, a free text (`ip link set alias`); empty if it has none.
    pub alias: String,
    /// The largest packet that the stack hands to the device, in bytes; 0 if the
    /// kernel does not report it. Above 65,536 it is BIG TCP.
    pub gso_max_size: u32,
}

/// An XDP program on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xdp {
    /// Where it runs (`XDP_ATTACHED_*`): 1 in the driver, 2 generic, 3 in
    /// hardware, 4 in several places.
    pub attached: u8,
    /// Its number; 0 if there are several.
    pub program_id: u32,
}

impl LinkDetails {
    /// Reads an `RTM_NEWLINK` message.
    pub fn decode(message: &Message<'_>) -> Result<Self, DecodeError> {
        /// `struct ifinfomsg`.
        const HEADER: usize = 16;
        let mut reader = Reader::new(message.payload);
        reader.skip(HEADER)?;
        let table = Attrs::new(reader.rest()).table::<{ IFLA_GSO_IPV4_MAX_SIZE as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let number = |kind: u16| attr(kind).map(|attr| attr.u32()).transpose();
        let inside = |outer: u16, kind: u16| -> Result<Option<Attr<'_>>, DecodeError> {
            attr(outer).map(|attr| attr.attrs().find(kind)).transpose().map(Option::flatten)
        };
        let port_of = inside(IFLA_LINKINFO, IFLA_INFO_SLAVE_KIND)?.map(|attr| attr.str()).transpose()?;
        let attached = inside(IFLA_XDP, IFLA_XDP_ATTACHED)?.map(|attr| attr.u8()).transpose()?;
        let program_id = inside(IFLA_XDP, IFLA_XDP_PROG_ID)?.map(|attr| attr.u32()).transpose()?;
        let alias = attr(IFLA_IFALIAS).map(|attr| attr.str().map(str::to_owned)).transpose()?;
        let gso = number(IFLA_GSO_MAX_SIZE)?.max(number(IFLA_GSO_IPV4_MAX_SIZE)?);
        Ok(Self {
            master: attr(IFLA_MASTER).map(|attr| attr.i32()).transpose()?.filter(|index| *index != 0),
            port_of: port_of.unwrap_or_default().to_owned(),
            xdp: attached
                .filter(|attached| *attached != 0)
                .map(|attached| Xdp { attached, program_id: program_id.unwrap_or(0) }),
            alias: alias.unwrap_or_default(),
            gso_max_size: gso.unwrap_or(0),
        })
    }
}

impl<T: Transport> Connection<T> {
    /// The details of a device. [`Error::is_not_found`] if it does not exist.
    pub fn link_details(&mut self, ifindex: i32) -> Result<LinkDetails, Error> {
        now(find(self, ifindex, false, LinkDetails::decode))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::attr::AttrWriter;
    use crate::wire::uapi::{IFLA_INFO_KIND, IFLA_MTU, RTM_NEWLINK};
    use bytes::BytesMut;

    fn decode(write: impl FnOnce(&mut AttrWriter<'_>)) -> Result<LinkDetails, DecodeError> {
        let mut buffer = BytesMut::from(&[0; 16][..]);
        let mut out = AttrWriter::new(&mut buffer);
        out.attr_u32(IFLA_MTU, 1500);
        write(&mut out);
        out.finish().unwrap();
        LinkDetails::decode(&Message { kind: RTM_NEWLINK, flags: 0, sequence: 1, port: 0, payload: &buffer })
    }

    #[test]
    fn details_of_a_plain_device_are_empty() {
        assert_eq!(decode(|_| {}), Ok(LinkDetails::default()));
        let detached = decode(|out| out.nest(IFLA_XDP).attr(IFLA_XDP_ATTACHED, &[0]));
        assert_eq!(detached, Ok(LinkDetails::default()), "the kernel sends the nest always");
    }

    #[test]
    fn details_of_a_bond_slave_with_xdp_are_read() {
        let details = decode(|out| {
            out.attr_i32(IFLA_MASTER, 7);
            out.attr_str(IFLA_IFALIAS, "uplink");
            out.attr_u32(IFLA_GSO_MAX_SIZE, 65_536);
            out.attr_u32(IFLA_GSO_IPV4_MAX_SIZE, 200_000);
            {
                let mut info = out.nest(IFLA_LINKINFO);
                info.attr_str(IFLA_INFO_KIND, "veth");
                info.attr_str(IFLA_INFO_SLAVE_KIND, "bond");
            }
            let mut xdp = out.nest(IFLA_XDP);
            xdp.attr(IFLA_XDP_ATTACHED, &[2]);
            xdp.attr_u32(IFLA_XDP_PROG_ID, 31);
        });
        let xdp = Some(Xdp { attached: 2, program_id: 31 });
        let port_of = "bond".to_owned();
        let alias = "uplink".to_owned();
        assert_eq!(details, Ok(LinkDetails { master: Some(7), port_of, xdp, alias, gso_max_size: 200_000 }));
    }

    #[test]
    fn details_that_are_cut_short_are_an_error() {
        assert!(decode(|out| out.attr(IFLA_MASTER, &[1, 2])).is_err());
        assert!(decode(|out| out.nest(IFLA_XDP).attr(IFLA_XDP_PROG_ID, &[1])).is_err());
    }
}
