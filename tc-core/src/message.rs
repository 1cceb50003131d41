//! Netlink messages, and the traffic-control ones among them, in both
//! directions.

use bytes::BytesMut;

use crate::attr::{Attr, Attrs, Reader, align};
use crate::error::DecodeError;
use crate::handle::Handle;
use crate::ops::TcType;
use crate::stats::Stats;
use crate::uapi::*;

/// One netlink message (`struct nlmsghdr` and what follows), borrowed from a
/// datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// `nlmsg_type`: `RTM_NEWQDISC`, `NLMSG_ERROR`, ...
    pub kind: u16,
    /// `nlmsg_flags`: `NLM_F_*`.
    pub flags: u16,
    /// `nlmsg_seq`: the number of the request that this answers.
    pub sequence: u32,
    /// `nlmsg_pid`: the port of the socket that asked; 0 in most notices.
    pub port: u32,
    /// What stands behind the header.
    pub payload: &'a [u8],
}

/// The messages of one datagram; ends with one error where a length leads
/// outside.
#[derive(Clone, Copy, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    /// The messages in `datagram`.
    pub const fn new(datagram: &'a [u8]) -> Self {
        Self { rest: datagram }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match split_message(self.rest) {
            Ok((message, rest)) => {
                self.rest = rest;
                Some(Ok(message))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(error))
            }
        }
    }
}

fn split_message(bytes: &[u8]) -> Result<(Message<'_>, &[u8]), DecodeError> {
    let mut reader = Reader::new(bytes);
    let length = reader.u32()? as usize;
    let (kind, flags) = (reader.u16()?, reader.u16()?);
    let (sequence, port) = (reader.u32()?, reader.u32()?);
    if length < NLMSG_HDRLEN || length > bytes.len() {
        return Err(DecodeError::Malformed { what: "message length" });
    }
    let message = Message { kind, flags, sequence, port, payload: &bytes[NLMSG_HDRLEN..length] };
    Ok((message, bytes.get(align(length)..).unwrap_or(&[])))
}

/// `struct tcmsg`: which object a message is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcHeader {
    /// `tcm_family`; `AF_UNSPEC` (0) in qdisc and class messages.
    pub family: u8,
    /// `tcm_ifindex`: the device's index.
    pub ifindex: i32,
    /// `tcm_handle`: the qdisc or class itself.
    pub handle: Handle,
    /// `tcm_parent`: where it is attached.
    pub parent: Handle,
    /// `tcm_info`: the reference count of a qdisc; priority and protocol of a
    /// filter.
    pub info: u32,
}

impl TcHeader {
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let family = reader.u8()?;
        reader.skip(3)?;
        Ok(Self {
            family,
            ifindex: reader.i32()?,
            handle: Handle::from_raw(reader.u32()?),
            parent: Handle::from_raw(reader.u32()?),
            info: reader.u32()?,
        })
    }

    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        buffer.extend_from_slice(&[self.family, 0, 0, 0]);
        buffer.extend_from_slice(&self.ifindex.to_ne_bytes());
        for number in [self.handle.raw(), self.parent.raw(), self.info] {
            buffer.extend_from_slice(&number.to_ne_bytes());
        }
    }
}

/// A qdisc, class or filter as the kernel describes it, borrowed from a dump or
/// a notice.
///
/// Nothing is read before it is asked for: what is odd about one attribute
/// spoils only that one, and what this library does not know stays as bytes.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// `nlmsg_type`: `RTM_NEWQDISC`, `RTM_DELTCLASS`, ...
    pub message_type: u16,
    /// `nlmsg_flags`; in notices they tell an addition from a change.
    pub flags: u16,
    /// Which object this is.
    pub header: TcHeader,
    attributes: &'a [u8],
    table: [Option<Attr<'a>>; TCA_EXT_WARN_MSG as usize + 1],
}

impl<'a> Entry<'a> {
    /// Reads the message's header and finds its attributes.
    pub fn decode(message: &Message<'a>) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(message.payload);
        let header = match message.kind {
            // struct tcamsg: a family, and padding.
            RTM_NEWACTION..=RTM_GETACTION => {
                let [family, ..] = reader.array::<TCAMSG_LEN>()?;
                TcHeader { family, ..TcHeader::default() }
            }
            _ => TcHeader::decode(&mut reader)?,
        };
        let attributes = reader.rest();
        Ok(Self {
            message_type: message.kind,
            flags: message.flags,
            header,
            attributes,
            table: Attrs::new(attributes).table()?,
        })
    }

    /// All attributes, in the kernel's order.
    pub const fn attrs(&self) -> Attrs<'a> {
        Attrs::new(self.attributes)
    }

    /// The attribute of this type (`TCA_*`).
    pub fn attr(&self, kind: u16) -> Option<Attr<'a>> {
        self.table.get(usize::from(kind)).copied().flatten()
    }

    /// What kind of object the message is about.
    pub const fn tc_type(&self) -> TcType {
        match self.message_type {
            RTM_NEWTCLASS..=RTM_GETTCLASS => TcType::Class,
            RTM_NEWTFILTER..=RTM_GETTFILTER | RTM_NEWCHAIN..=RTM_GETCHAIN => TcType::Filter,
            RTM_NEWACTION..=RTM_GETACTION => TcType::Action,
            _ => TcType::Qdisc,
        }
    }

    /// The kind's name (`TCA_KIND`). A message about actions has a list of them
    /// in its place: see [`Entry::actions`].
    pub fn kind(&self) -> Result<&'a str, DecodeError> {
        if self.tc_type() == TcType::Action {
            return Err(DecodeError::Missing { what: "kind, but a list of actions" });
        }
        self.attr(TCA_KIND).ok_or(DecodeError::Missing { what: "kind" })?.str()
    }

    /// The kind's options (`TCA_OPTIONS`), for the kind to read. Absent is not
    /// empty.
    pub fn options(&self) -> Option<&'a [u8]> {
        self.attr(TCA_OPTIONS).map(|attr| attr.payload)
    }

    /// The options as a value of type `K`; `None` if the kernel sent none.
    pub fn options_as<K: crate::ops::Kind>(&self) -> Result<Option<K>, DecodeError> {
        if self.kind()? != K::KIND {
            return Err(DecodeError::Malformed { what: "kind: it is another one" });
        }
        self.options().map(K::decode).transpose()
    }

    /// The counters.
    pub fn stats(&self) -> Result<Option<Stats<'a>>, DecodeError> {
        match (self.attr(TCA_STATS2), self.attr(TCA_STATS)) {
            (Some(attr), _) => Stats::decode(&attr).map(Some),
            (None, Some(attr)) => Stats::decode_old(&attr).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The counters of the kind's own, from where newer or older kernels put
    /// them.
    pub fn xstats(&self) -> Result<Option<&'a [u8]>, DecodeError> {
        let app = self.stats()?.and_then(|stats| stats.app);
        Ok(app.or_else(|| self.attr(TCA_XSTATS).map(|attr| attr.payload)))
    }
}

/// Starts a netlink message; the length is patched by [`end_message`].
pub(crate) fn begin_message(buffer: &mut BytesMut, kind: u16, flags: u16, sequence: u32) -> usize {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    buffer.extend_from_slice(&kind.to_ne_bytes());
    buffer.extend_from_slice(&flags.to_ne_bytes());
    buffer.extend_from_slice(&sequence.to_ne_bytes());
    buffer.extend_from_slice(&[0; 4]);
    start
}

/// Ends the message that starts at `start`.
pub(crate) fn end_message(buffer: &mut BytesMut, start: usize) {
    // A message holds a few attributes of at most 64 KiB each: it fits.
    let length = (buffer.len() - start) as u32;
    buffer[start..start + 4].copy_from_slice(&length.to_ne_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_length_that_leads_outside_ends_the_walk() {
        let mut bytes = [0u8; 20];
        for length in [0u32, 15, 21, u32::MAX] {
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            let walk: Vec<_> = Messages::new(&bytes).collect();
            assert_eq!(walk, [Err(DecodeError::Malformed { what: "message length" })], "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_read_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            for message in Messages::new(&bytes).flatten() {
                if let Ok(entry) = Entry::decode(&message) {
                    let _ = (entry.kind(), entry.stats(), entry.xstats(), entry.options());
                }
            }
            let message = Message { kind: RTM_NEWQDISC, flags: 0, sequence: 0, port: 0, payload: &bytes };
            if let Ok(entry) = Entry::decode(&message) {
                let _ = (entry.kind(), entry.stats(), entry.xstats(), entry.options());
            }
        }
    }
}
