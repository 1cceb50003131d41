//! Devices that are made with their marks, and the packets that devices have counted.

use super::find;
use super::request::link_message;
use crate::connection::talk::now;
use crate::connection::{Connection, Transport};
use crate::exchange::error::{Cause, Error};
use crate::wire::attr::{Attrs, Reader};
use crate::wire::error::DecodeError;
use crate::wire::message::Message;
use crate::wire::uapi::*;

/// A device to make, with marks by which it is found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewLink<'a> {
    /// Its name. It must be one that no device has: see [`Connection::add_marked_link`].
    pub name: &'a str,
    /// A kind that needs no options: `ifb`, `dummy`.
    pub kind: &'a str,
    /// Its alias, a free text of up to 255 bytes.
    pub alias: &'a str,
    /// Its alternative name, up to 127 bytes. Since Linux 5.5.
    pub alt_name: &'a str,
    /// `txqueuelen`, in packets.
    pub tx_queue_len: u32,
}

/// The packets that a device has counted (`struct rtnl_link_stats64`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkPackets {
    /// Received.
    pub received: u64,
    /// Sent.
    pub sent: u64,
    /// Received and dropped.
    pub receive_drops: u64,
    /// To be sent and dropped.
    pub send_drops: u64,
}

impl<T: Transport> Connection<T> {
    /// Makes a device, marks it and sets it up, in one send: a caller that is killed
    /// leaves no device without its marks.
    ///
    /// The name must be new. Kernel: the marks go to whichever device has the name, also
    /// if another one was there and [`Error::is_exists`] is the outcome. A random name
    /// that was looked for is new enough. If the alternative name is taken, this is an
    /// error too, and the new device stays without it.
    pub fn add_marked_link(&mut self, link: &NewLink<'_>) -> Result<(), Error> {
        let NewLink { name, kind, alias, alt_name, tx_queue_len } = *link;
        let fail = |cause: Cause| Error::new("add", format!("{kind} device {name:?}"), cause);
        let mut pack = self.group();
        pack.push_message(|sequence, buffer| {
            link_message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, 0, None, sequence, buffer, |out| {
                out.attr_str(IFLA_IFNAME, name);
                out.nest(IFLA_LINKINFO).attr_str(IFLA_INFO_KIND, kind);
            })
        })
        .map_err(fail)?;
        pack.push_message(|sequence, buffer| {
            link_message(RTM_NEWLINKPROP, 0, 0, None, sequence, buffer, |out| {
                out.attr_str(IFLA_IFNAME, name);
                // Kernel: this message alone is read strictly.
                out.nest(IFLA_PROP_LIST | NLA_F_NESTED).attr_str(IFLA_ALT_IFNAME, alt_name);
            })
        })
        .map_err(fail)?;
        pack.push_message(|sequence, buffer| {
            link_message(RTM_NEWLINK, 0, 0, Some(true), sequence, buffer, |out| {
                out.attr_str(IFLA_IFNAME, name);
                out.attr_u32(IFLA_TXQLEN, tx_queue_len);
                out.attr_str(IFLA_IFALIAS, alias);
            })
        })
        .map_err(fail)?;
        let mut failed = None;
        pack.send(|_, outcome| {
            if let Err(cause) = outcome {
                failed.get_or_insert(cause);
            }
        })?;
        failed.map_or(Ok(()), |cause| Err(fail(cause)))
    }

    /// The packets that a device has counted; `None` if the kernel does not report it.
    /// [`Error::is_not_found`] if the device does not exist.
    pub fn link_packets(&mut self, ifindex: i32) -> Result<Option<LinkPackets>, Error> {
        now(find(self, ifindex, true, decode))
    }
}

pub(super) fn decode(message: &Message<'_>) -> Result<Option<LinkPackets>, DecodeError> {
    let mut reader = Reader::new(message.payload);
    reader.skip(IFINFOMSG_LEN)?;
    let Some(stats) = Attrs::new(reader.rest()).find(IFLA_STATS64)? else { return Ok(None) };
    let mut reader = stats.reader();
    let (received, sent) = (reader.u64()?, reader.u64()?);
    reader.skip(4 * 8)?; // bytes and errors
    Ok(Some(LinkPackets { received, sent, receive_drops: reader.u64()?, send_drops: reader.u64()? }))
}
