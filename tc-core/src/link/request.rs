//! Requests that create, change and delete devices, as needed by private test
//! networks and by the capture of a guest's output.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

use bytes::BytesMut;

use crate::connection::Connection;
use crate::connection::Transport;
use crate::connection::talk::{Talk, now, transact};
use crate::exchange::error::{Cause, Error};
use crate::wire::attr::AttrWriter;
use crate::wire::error::EncodeError;
use crate::wire::message::{begin_message, end_message};
use crate::wire::uapi::*;

/// Changes to a device. Unset fields leave the device as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkChange {
    /// Up or down.
    pub up: Option<bool>,
    /// `txqueuelen`, in packets. Kernel: the qdisc is reset.
    pub tx_queue_len: Option<u32>,
    /// The largest packet, in bytes.
    pub mtu: Option<u32>,
}

impl<T: Transport> Connection<T> {
    /// Makes a device of a kind that needs no options: `ifb`, `dummy`.
    /// [`Error::is_exists`] if one of that name is there. It begins down.
    pub fn add_link(&mut self, name: &str, kind: &str) -> Result<(), Error> {
        now(add_link(self, name, kind))
    }

    /// Makes two connected devices, the second one in another network
    /// namespace if one is given (a descriptor of `/proc/PID/ns/net`).
    pub fn add_veth(
        &mut self,
        name: &str,
        peer: &str,
        namespace: Option<BorrowedFd<'_>>,
    ) -> Result<(), Error> {
        let made = self.transact(|sequence, buffer| {
            link_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, None, sequence, buffer, |out| {
                out.attr_str(IFLA_IFNAME, name);
                let mut info = out.nest(IFLA_LINKINFO);
                info.attr_str(IFLA_INFO_KIND, "veth");
                let mut data = info.nest(IFLA_INFO_DATA);
                let mut peer_link = data.nest(VETH_INFO_PEER);
                peer_link.put(&[0; IFINFOMSG_LEN]);
                peer_link.attr_str(IFLA_IFNAME, peer);
                if let Some(namespace) = namespace {
                    peer_link.attr_i32(IFLA_NET_NS_FD, namespace.as_raw_fd());
                }
            })
        });
        made.map(|_| ())
            .map_err(|cause| Error::new("add", format!("veth devices {name:?} and {peer:?}"), cause))
    }

    /// Changes a device. An error can come after a part was changed: the kernel
    /// does one thing after the other.
    pub fn set_link(&mut self, ifindex: i32, change: &LinkChange) -> Result<(), Error> {
        now(set_link(self, ifindex, change))
    }

    /// Deletes a device. A veth device takes its peer along.
    pub fn delete_link(&mut self, ifindex: i32) -> Result<(), Error> {
        now(delete_link(self, ifindex))
    }

    /// Deletes a device by its name.
    pub fn delete_link_by_name(&mut self, name: &str) -> Result<(), Error> {
        let deleted = self.transact(|sequence, buffer| {
            link_message(RTM_DELLINK, 0, 0, None, sequence, buffer, |out| out.attr_str(IFLA_IFNAME, name))
        });
        deleted.map(|_| ()).map_err(|cause| Error::new("delete", format!("device {name:?}"), cause))
    }

    /// Gives a device an IPv4 address.
    pub fn add_address(&mut self, ifindex: i32, address: Ipv4Addr, prefix_length: u8) -> Result<(), Error> {
        let added = self.transact(|sequence, buffer| {
            let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
            let start = begin_message(buffer, RTM_NEWADDR, flags, sequence);
            let mut out = AttrWriter::new(buffer);
            // struct ifaddrmsg: family, prefix length, flags, scope, index.
            out.put(&[libc::AF_INET as u8, prefix_length, 0, 0]);
            out.put_i32(ifindex);
            out.attr(IFA_LOCAL, &address.octets());
            out.attr(IFA_ADDRESS, &address.octets());
            out.finish()?;
            end_message(buffer, start);
            Ok(())
        });
        let fail = |cause: Cause| Error::new("add", format!("address {address} to device {ifindex}"), cause);
        added.map(|_| ()).map_err(fail)
    }
}

/// See [`Connection::add_link`].
pub(super) async fn add_link<C: Talk>(tc: &mut C, name: &str, kind: &str) -> Result<(), Error> {
    let made = transact(tc, |sequence, buffer| {
        link_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, None, sequence, buffer, |out| {
            out.attr_str(IFLA_IFNAME, name);
            out.nest(IFLA_LINKINFO).attr_str(IFLA_INFO_KIND, kind);
        })
    });
    made.await.map(|_| ()).map_err(|cause| Error::new("add", format!("{kind} device {name:?}"), cause))
}

/// See [`Connection::set_link`].
pub(super) async fn set_link<C: Talk>(tc: &mut C, ifindex: i32, change: &LinkChange) -> Result<(), Error> {
    let set = transact(tc, |sequence, buffer| {
        link_message(RTM_NEWLINK, 0, ifindex, change.up, sequence, buffer, |out| {
            if let Some(length) = change.tx_queue_len {
                out.attr_u32(IFLA_TXQLEN, length);
            }
            if let Some(mtu) = change.mtu {
                out.attr_u32(IFLA_MTU, mtu);
            }
        })
    });
    set.await.map(|_| ()).map_err(|cause| Error::new("change", format!("device {ifindex}"), cause))
}

/// See [`Connection::delete_link`].
pub(super) async fn delete_link<C: Talk>(tc: &mut C, ifindex: i32) -> Result<(), Error> {
    let deleted = transact(tc, |sequence, buffer| {
        link_message(RTM_DELLINK, 0, ifindex, None, sequence, buffer, |_| {})
    });
    deleted.await.map(|_| ()).map_err(|cause| Error::new("delete", format!("device {ifindex}"), cause))
}

/// A link message: header, `struct ifinfomsg`, and the attributes that `attributes` writes.
pub(super) fn link_message(
    kind: u16,
    flags: u16,
    ifindex: i32,
    up: Option<bool>,
    sequence: u32,
    buffer: &mut BytesMut,
    attributes: impl FnOnce(&mut AttrWriter<'_>),
) -> Result<(), EncodeError> {
    let start = begin_message(buffer, kind, NLM_F_REQUEST | NLM_F_ACK | flags, sequence);
    let mut out = AttrWriter::new(buffer);
    out.put_u32(0); // family and type
    out.put_i32(ifindex);
    out.put_u32(if up == Some(true) { IFF_UP } else { 0 });
    out.put_u32(if up.is_some() { IFF_UP } else { 0 });
    attributes(&mut out);
    out.finish()?;
    end_message(buffer, start);
    Ok(())
}
