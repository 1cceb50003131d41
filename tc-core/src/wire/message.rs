//! Netlink messages, and the traffic-control ones among them, in both
//! directions.

use bytes::BytesMut;

use crate::wire::attr::{Attr, AttrTable, Attrs, Reader, align};
use crate::wire::error::DecodeError;
use crate::wire::handle::Handle;
use crate::wire::stats::Stats;
use crate::wire::uapi::*;
use crate::wire::verb::TcType;

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
    /// The bytes after the header.
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

    /// The unread rest.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, DecodeError>;

    #[inline]
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

#[inline]
fn split_message(bytes: &[u8]) -> Result<(Message<'_>, &[u8]), DecodeError> {
    let Some((header, rest)) = bytes.split_first_chunk::<NLMSG_HDRLEN>() else {
        return Err(DecodeError::Short { need: NLMSG_HDRLEN, have: bytes.len() });
    };
    let [length, kinds, sequence, port] = words(header);
    let length = length as usize;
    let Some(payload) = length.checked_sub(NLMSG_HDRLEN).and_then(|length| rest.get(..length)) else {
        return Err(DecodeError::Malformed { what: "message length" });
    };
    let ([a, b, c, d], end) = (kinds.to_ne_bytes(), align(length));
    let (kind, flags) = (u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d]));
    let message = Message { kind, flags, sequence, port, payload };
    Ok((message, bytes.get(end..).unwrap_or(&[])))
}

/// A header as the four numbers of 32 bits that it fills.
const fn words(header: &[u8; NLMSG_HDRLEN]) -> [u32; 4] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *header;
    [
        u32::from_ne_bytes([a, b, c, d]),
        u32::from_ne_bytes([e, f, g, h]),
        u32::from_ne_bytes([i, j, k, l]),
        u32::from_ne_bytes([m, n, o, p]),
    ]
}

/// `struct tcmsg`: the object of a message.
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
    #[inline]
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
        let family = u32::from_ne_bytes([self.family, 0, 0, 0]);
        let ifindex = self.ifindex.cast_unsigned();
        put_words(buffer, [family, ifindex, self.handle.raw(), self.parent.raw(), self.info]);
    }
}

/// A qdisc, class or filter as the kernel describes it, borrowed from a dump or
/// a notice.
///
/// Attributes are decoded on access: a malformed attribute affects only itself,
/// and attributes that this library does not know stay as bytes.
///
/// ```no_run
/// use tc_core::{Connection, DumpRequest};
///
/// for qdisc in Connection::open()?.list(&DumpRequest::qdiscs())? {
///     let qdisc = qdisc.entry()?;
///     let waiting = qdisc.stats()?.and_then(|stats| stats.queue).map_or(0, |queue| queue.backlog);
///     println!("{} {}: {waiting} bytes wait", qdisc.kind()?, qdisc.header.handle);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// `nlmsg_type`: `RTM_NEWQDISC`, `RTM_DELTCLASS`, ...
    pub message_type: u16,
    /// `nlmsg_flags`; in notices they distinguish an addition from a change.
    pub flags: u16,
    /// The object.
    pub header: TcHeader,
    attributes: AttrTable<'a, { TCA_EXT_WARN_MSG as usize + 1 }>,
}

impl<'a> Entry<'a> {
    /// Reads the message's header and finds its attributes.
    #[inline]
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
        let attributes = AttrTable::new(Attrs::new(reader.rest()))?;
        Ok(Self { message_type: message.kind, flags: message.flags, header, attributes })
    }

    /// All attributes, in the kernel's order.
    pub const fn attrs(&self) -> Attrs<'a> {
        self.attributes.all()
    }

    /// The attribute of this type (`TCA_*`).
    #[inline]
    pub fn attr(&self, kind: u16) -> Option<Attr<'a>> {
        self.attributes.get(kind)
    }

    /// The type of the object.
    pub const fn tc_type(&self) -> TcType {
        match self.message_type {
            RTM_NEWTCLASS..=RTM_GETTCLASS => TcType::Class,
            RTM_NEWTFILTER..=RTM_GETTFILTER | RTM_NEWCHAIN..=RTM_GETCHAIN => TcType::Filter,
            RTM_NEWACTION..=RTM_GETACTION => TcType::Action,
            _ => TcType::Qdisc,
        }
    }

    /// The kind's name (`TCA_KIND`). A message about actions has a list of
    /// actions instead: see [`Entry::actions`].
    #[inline]
    pub fn kind(&self) -> Result<&'a str, DecodeError> {
        if self.tc_type() == TcType::Action {
            return Err(DecodeError::Missing { what: "kind, but a list of actions" });
        }
        match self.attr(TCA_KIND) {
            Some(attr) => attr.str(),
            None => Err(DecodeError::Missing { what: "kind" }),
        }
    }

    /// The kind's options (`TCA_OPTIONS`), for the kind to read. Absent is not
    /// empty.
    pub fn options(&self) -> Option<&'a [u8]> {
        self.attr(TCA_OPTIONS).map(|attr| attr.payload)
    }

    /// The counters.
    pub fn stats(&self) -> Result<Option<Stats<'a>>, DecodeError> {
        if let Some(attr) = self.attr(TCA_STATS2) {
            return Stats::decode(&attr).map(Some);
        }
        self.attr(TCA_STATS).map(|attr| Stats::decode_old(&attr)).transpose()
    }

    /// The kind's extended statistics, from either of the attributes in which
    /// kernels send them.
    pub fn xstats(&self) -> Result<Option<&'a [u8]>, DecodeError> {
        let app = self.attr(TCA_STATS2).map(|stats| stats.attrs().find(TCA_STATS_APP)).transpose()?;
        Ok(app.flatten().or_else(|| self.attr(TCA_XSTATS)).map(|attr| attr.payload))
    }
}

/// Starts a netlink message; the length is patched by [`end_message`].
pub(crate) fn begin_message(buffer: &mut BytesMut, kind: u16, flags: u16, sequence: u32) -> usize {
    let start = buffer.len();
    let ([a, b], [c, d]) = (kind.to_ne_bytes(), flags.to_ne_bytes());
    put_words(buffer, [0, u32::from_ne_bytes([a, b, c, d]), sequence, 0]);
    start
}

/// Appends numbers of 32 bits, all at once.
#[inline]
fn put_words<const N: usize>(buffer: &mut BytesMut, words: [u32; N]) {
    let bytes = words.map(u32::to_ne_bytes);
    buffer.extend_from_slice(bytes.as_flattened());
}

/// Changes `nlmsg_flags` of the message that starts at `start`.
pub(crate) fn edit_flags(buffer: &mut BytesMut, start: usize, edit: impl FnOnce(u16) -> u16) {
    let place = start + 6..start + 8;
    let flags = u16::from_ne_bytes([buffer[place.start], buffer[place.start + 1]]);
    buffer[place].copy_from_slice(&edit(flags).to_ne_bytes());
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
    fn a_length_beyond_the_datagram_ends_the_walk() {
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
