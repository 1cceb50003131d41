//! Conversions from and to netlink-packet-route (feature `netlink-packet-route`), for programs that use it, or
//! rtnetlink on top of it.
//!
//! Handles and headers convert without loss. A message converts as far as that
//! crate supports it: it reads options of few kinds, and fails as a whole if one
//! attribute is malformed.

use bytes::BytesMut;
use netlink_packet_core::{DecodeError as RouteError, Emitable, Parseable};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::tc::{TcHandle, TcHeader as RouteHeader, TcMessage as RouteMessage, TcOption};

use crate::wire::handle::Handle;
use crate::wire::message::{Entry, TcHeader};

impl From<Handle> for TcHandle {
    fn from(handle: Handle) -> Self {
        Self { major: handle.major(), minor: handle.minor() }
    }
}

impl From<TcHandle> for Handle {
    fn from(handle: TcHandle) -> Self {
        Self::class(handle.major, handle.minor)
    }
}

impl From<TcHeader> for RouteHeader {
    fn from(header: TcHeader) -> Self {
        Self {
            family: AddressFamily::from(header.family),
            index: header.ifindex,
            handle: header.handle.into(),
            parent: header.parent.into(),
            info: header.info,
        }
    }
}

impl From<&RouteHeader> for TcHeader {
    fn from(header: &RouteHeader) -> Self {
        Self {
            family: header.family.into(),
            ifindex: header.index,
            handle: header.handle.into(),
            parent: header.parent.into(),
            info: header.info,
        }
    }
}

/// The message as netlink-packet-route reads it, attributes that it does not
/// know kept as bytes.
impl TryFrom<&Entry<'_>> for RouteMessage {
    type Error = RouteError;

    fn try_from(entry: &Entry<'_>) -> Result<Self, RouteError> {
        let mut payload = BytesMut::new();
        entry.header.encode(&mut payload);
        payload.extend_from_slice(entry.attrs().bytes());
        Self::parse(&payload)
    }
}

/// The payload of the message that netlink-packet-route would send, for
/// [`Message`](crate::wire::message::Message) and [`Entry::decode`].
///
/// ```
/// use netlink_packet_route::tc::TcMessage;
/// use tc_core::message::{Entry, Message};
///
/// let theirs = TcMessage::with_index(2);
/// let payload = tc_core::payload_of(&theirs);
/// let ours = Entry::decode(&Message { kind: 36, flags: 0, sequence: 0, port: 0, payload: &payload })?;
/// assert_eq!(ours.header.ifindex, 2);
/// # Ok::<(), tc_core::DecodeError>(())
/// ```
pub fn payload_of(message: &RouteMessage) -> Vec<u8> {
    let mut payload = vec![0; message.buffer_len()];
    message.emit(&mut payload);
    payload
}

/// The payload of `TCA_OPTIONS` that netlink-packet-route would write, for
/// [`Request::raw_options`](crate::Request::raw_options): options of any kind that it knows.
///
/// ```
/// use netlink_packet_route::tc::{TcOption, TcQdiscFqCodelOption};
/// use tc_core::{Handle, Request, payload_of_options};
///
/// let options = payload_of_options(&[TcOption::FqCodel(TcQdiscFqCodelOption::Limit(100))]);
/// let root = Request::qdisc(2).parent(Handle::ROOT).raw_options("fq_codel", &options);
/// assert_eq!(options, [8, 0, 2, 0, 100, 0, 0, 0]);
/// # let _ = root;
/// ```
pub fn payload_of_options(options: &[TcOption]) -> Vec<u8> {
    let mut payload = vec![0; options.buffer_len()];
    options.emit(&mut payload);
    payload
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::request::Request;
    use crate::wire::message::Message;
    use crate::wire::verb::Verb;
    use netlink_packet_route::tc::TcAttribute;
    use proptest::prelude::*;

    proptest! {
        /// Both crates read the same header, kind and statistics from one message, and write the
        /// same bytes.
        #[test]
        fn both_read_and_write_the_same(ifindex: i32, handle: u32, parent: u32, info: u32, kind in "[a-z_]{1,15}") {
            let request = Request::qdisc(ifindex)
                .any()
                .handle(Handle::from_raw(handle))
                .parent(Handle::from_raw(parent))
                .info(info)
                .kind(&kind);
            let mut buffer = BytesMut::new();
            request.encode(Verb::Add, 1, &mut buffer).unwrap();
            let message = Message { kind: 36, flags: 0, sequence: 1, port: 0, payload: &buffer[16..] };
            let ours = Entry::decode(&message).unwrap();

            let theirs = RouteMessage::try_from(&ours).unwrap();
            prop_assert_eq!(TcHeader::from(&theirs.header), ours.header);
            prop_assert_eq!(RouteHeader::from(ours.header), theirs.header.clone());
            prop_assert_eq!(&theirs.attributes, &[TcAttribute::Kind(kind.clone())]);
            prop_assert_eq!(&payload_of(&theirs)[..], &buffer[16..]);
        }
    }
}
