//! Messages of netlink-packet-route, sent and received: feature `netlink-packet-route`.

use bytes::BytesMut;
use netlink_packet_route::tc::{TcAttribute, TcMessage};

use crate::connection::talk::{self, Talk};
use crate::connection::{Connection, Transport};
use crate::exchange::error::{Cause, Error};
use crate::exchange::parts::Parts;
use crate::exchange::sans_io::Expected;
use crate::wire::ack::ExtAck;
use crate::wire::convert::payload_of;
use crate::wire::error::EncodeError;
use crate::wire::message::{Entry, begin_message, end_message};
use crate::wire::uapi::{NLM_F_ACK, NLM_F_REQUEST};
use crate::wire::verb::{TcType, Verb};

impl<T: Transport> Connection<T> {
    /// Sends a message of netlink-packet-route for an object of this type, and waits for the kernel's verdict; returns
    /// the kernel's warning, if any. The errors are those of [`Connection::apply`].
    ///
    /// One message as it stands: kinds that take several messages are not known here.
    ///
    /// ```
    /// use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage};
    /// use tc_core::embedded::{Device, Kernel, Stored};
    /// use tc_core::{Connection, TcType, Verb};
    ///
    /// let kernel = Kernel::builder().device(Device::new("eth0").ifindex(2)).kind("tbf", Stored::new).build();
    /// let mut tc = Connection::over(kernel.connect());
    /// let mut root = TcMessage::with_index(2);
    /// root.header.parent = TcHandle::ROOT;
    /// root.header.handle = TcHandle { major: 1, minor: 0 };
    /// root.attributes.push(TcAttribute::Kind("tbf".into()));
    /// tc.apply_message(Verb::Add, TcType::Qdisc, &root)?;
    /// assert!(tc.get_message(TcType::Qdisc, &root)?.attributes.contains(&root.attributes[0]));
    /// assert!(tc.apply_message(Verb::Add, TcType::Qdisc, &root).unwrap_err().is_exists());
    /// # Ok::<(), tc_core::Error>(())
    /// ```
    pub fn apply_message(
        &mut self,
        verb: Verb,
        tc_type: TcType,
        message: &TcMessage,
    ) -> Result<Option<ExtAck>, Error> {
        talk::now(apply(self, verb, tc_type, message))
    }

    /// Asks for the object of a message of netlink-packet-route; see [`Connection::get`].
    ///
    /// An object that netlink-packet-route cannot read is [`Cause::Refused`]: [`Connection::get`] reads it.
    pub fn get_message(&mut self, tc_type: TcType, message: &TcMessage) -> Result<TcMessage, Error> {
        talk::now(get(self, tc_type, message))
    }
}

#[cfg(feature = "tokio")]
impl<T: crate::tokio::AsyncTransport> crate::tokio::Connection<T> {
    /// Sends a message of netlink-packet-route; see [`Connection::apply_message`].
    ///
    /// Cancel safety: a *change*.
    pub async fn apply_message(
        &mut self,
        verb: Verb,
        tc_type: TcType,
        message: &TcMessage,
    ) -> Result<Option<ExtAck>, Error> {
        apply(self, verb, tc_type, message).await
    }

    /// Asks for the object of a message of netlink-packet-route; see [`Connection::get_message`].
    ///
    /// Cancel safety: a *question*.
    pub async fn get_message(&mut self, tc_type: TcType, message: &TcMessage) -> Result<TcMessage, Error> {
        get(self, tc_type, message).await
    }
}

async fn apply<C: Talk>(
    tc: &mut C,
    verb: Verb,
    tc_type: TcType,
    message: &TcMessage,
) -> Result<Option<ExtAck>, Error> {
    let encode = |sequence, buffer: &mut BytesMut| encode(verb, tc_type, message, sequence, buffer);
    talk::transact(tc, encode).await.map_err(|cause| fail(verb, tc_type, message, cause))
}

async fn get<C: Talk>(tc: &mut C, tc_type: TcType, message: &TcMessage) -> Result<TcMessage, Error> {
    let fail = |cause| fail(Verb::Get, tc_type, message, cause);
    let encode = |sequence, buffer: &mut BytesMut| encode(Verb::Get, tc_type, message, sequence, buffer);
    let place = talk::ask(tc, Expected::ObjectAndVerdict(None), encode).await.map_err(fail)?;
    let entry = Entry::decode(&place.message(&tc.connection().answer)).map_err(|error| fail(error.into()))?;
    TcMessage::try_from(&entry)
        .map_err(|error| fail(Cause::Refused(format!("netlink-packet-route cannot read it: {error}"))))
}

fn encode(
    verb: Verb,
    tc_type: TcType,
    message: &TcMessage,
    sequence: u32,
    buffer: &mut BytesMut,
) -> Result<(), EncodeError> {
    if tc_type == TcType::Action {
        return Err(EncodeError::Invalid("an action has a message of another type".into()));
    }
    let flags = NLM_F_REQUEST | NLM_F_ACK | verb.flags(tc_type);
    let start = begin_message(buffer, tc_type.message(verb), flags, sequence);
    buffer.extend_from_slice(&payload_of(message));
    end_message(buffer, start);
    Ok(())
}

fn fail(verb: Verb, tc_type: TcType, message: &TcMessage, cause: Cause) -> Error {
    let kind = message.attributes.iter().find_map(|attribute| match attribute {
        TcAttribute::Kind(kind) => Some(&**kind),
        _ => None,
    });
    let mut parts = Parts::new(tc_type, message.header.index);
    parts.header = (&message.header).into();
    parts.kind = kind.unwrap_or_default();
    Error::new(verb.name(), parts.describe(), cause)
}
