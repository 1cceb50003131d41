//! The embedded kernel's state, and how it takes requests
//! (`netlink_rcv_skb`, `rtnetlink_rcv_msg`).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;

use super::action::Action;
use super::device::Device;
use super::discipline::Refusal;
use super::dump::Dump;
use super::fill::{Head, message};
use super::kinds::Kinds;
use super::mailbox::Mailbox;
use super::policy;
use super::qdisc::Notices;
use crate::wire::attr::{AttrWriter, Reader, align};
use crate::wire::device::DeviceName;
use crate::wire::message::{Message, Messages, TcHeader};
use crate::wire::uapi::*;

#[derive(Debug)]
pub(super) struct State {
    pub(super) kinds: Arc<Kinds>,
    /// In the order of creation, which is that of dumps.
    pub(super) devices: Vec<Device>,
    pub(super) actions: Vec<Action>,
    pub(super) last_ifindex: i32,
    pub(super) last_auto_handle: u32,
    pub(super) sockets: BTreeMap<u32, Mailbox>,
    pub(super) last_port: u32,
    /// The devices that lost a transmit queue, once for each.
    pub(super) lost_queues: Vec<DeviceName>,
}

/// One message of a request, and the socket that it came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    pub(super) message: Message<'a>,
    pub(super) port: u32,
}

/// The header of a message that was found long enough.
pub(super) fn tc_header(ask: &Ask<'_>) -> Result<TcHeader, Refusal> {
    TcHeader::decode(&mut Reader::new(ask.message.payload)).map_err(|_| Refusal::errno(libc::EINVAL))
}

/// The result of a request.
enum Outcome {
    Notices(u32, Notices),
    Answer(BytesMut),
    /// The dump itself is the answer.
    DumpStarted,
}

impl State {
    /// Handles one datagram of a socket. Kernel: a malformed message ends it
    /// silently.
    pub(super) fn receive(&mut self, port: u32, datagram: &[u8]) {
        let mut rest = datagram;
        while let Some(Ok(message)) = Messages::new(rest).next() {
            let length = NLMSG_HDRLEN + message.payload.len();
            let ask = Ask { message, port };
            let mut verdict = Ok(());
            // Only requests are looked at, and no control messages.
            if message.flags & NLM_F_REQUEST != 0 && message.kind >= 16 {
                match self.request(ask) {
                    Ok(Outcome::DumpStarted) => {
                        rest = rest.get(align(length)..).unwrap_or(&[]);
                        continue;
                    }
                    Ok(Outcome::Answer(answer)) => self.deliver(port, answer),
                    Ok(Outcome::Notices(group, notices)) => self.publish(group, &ask, notices),
                    Err(refusal) => verdict = Err(refusal),
                }
            }
            if verdict.is_err() || message.flags & NLM_F_ACK != 0 {
                self.acknowledge(port, &message, &rest[..length], verdict);
            }
            rest = rest.get(align(length)..).unwrap_or(&[]);
        }
    }

    fn request(&mut self, ask: Ask<'_>) -> Result<Outcome, Refusal> {
        let Message { kind, flags, payload, .. } = ask.message;
        // Kernel: a message without even a family is nothing, and succeeds.
        if payload.is_empty() && kind <= RTM_GETCHAIN {
            return Ok(Outcome::Notices(RTNLGRP_TC, Notices::new()));
        }
        let is_get = kind & 3 == 2;
        if is_get && flags & NLM_F_DUMP != 0 {
            return self.start_dump(ask).map(|()| Outcome::DumpStarted);
        }
        let tc = |notices| Outcome::Notices(RTNLGRP_TC, notices);
        let link = |notices| Outcome::Notices(RTNLGRP_LINK, notices);
        match kind {
            RTM_NEWQDISC => self.modify_qdisc(ask).map(tc),
            RTM_DELQDISC | RTM_GETQDISC => self.get_qdisc(ask).map(tc),
            RTM_NEWTCLASS | RTM_DELTCLASS | RTM_GETTCLASS => self.control_class(ask).map(tc),
            RTM_NEWTFILTER | RTM_DELTFILTER => self.modify_filter(ask).map(tc),
            RTM_GETTFILTER => self.get_filter(ask).map(Outcome::Answer),
            RTM_NEWACTION | RTM_DELACTION => self.modify_actions(ask).map(tc),
            RTM_GETACTION => self.get_actions(ask).map(Outcome::Answer),
            RTM_GETLINK => self.get_link(ask).map(Outcome::Answer),
            RTM_NEWLINK => self.new_link(ask).map(link),
            RTM_NEWLINKPROP => self.new_link_names(ask).map(link),
            RTM_SETLINK => self.set_link(ask).map(link),
            RTM_DELLINK => self.delete_link(ask).map(link),
            _ => Err(Refusal::errno(libc::EOPNOTSUPP)),
        }
    }

    pub(super) fn position(&self, ifindex: i32) -> Result<usize, Refusal> {
        let found = self.devices.iter().position(|device| device.ifindex == ifindex);
        found.ok_or(Refusal::errno(libc::ENODEV))
    }

    /// Multicasts notices; an asker that wants an echo gets its own copy.
    fn publish(&mut self, group: u32, ask: &Ask<'_>, notices: Notices) {
        let echo = ask.message.flags & NLM_F_ECHO != 0 && group == RTNLGRP_TC;
        for notice in notices {
            for (port, socket) in &mut self.sockets {
                let asker = echo && *port == ask.port;
                if asker || socket.groups.contains(&group) {
                    socket.put(notice.clone());
                }
            }
        }
    }

    /// Multicasts a notice that no request caused.
    pub(super) fn announce(&mut self, group: u32, notice: &BytesMut) {
        for socket in self.sockets.values_mut().filter(|socket| socket.groups.contains(&group)) {
            socket.put(notice.clone());
        }
    }

    fn deliver(&mut self, port: u32, datagram: BytesMut) {
        if let Some(socket) = self.sockets.get_mut(&port) {
            socket.put(datagram);
        }
    }

    /// `netlink_ack`.
    fn acknowledge(&mut self, port: u32, asked: &Message<'_>, bytes: &[u8], verdict: Result<(), Refusal>) {
        let Some(socket) = self.sockets.get_mut(&port) else { return };
        let warning = policy::leftover(asked);
        let refusal = verdict.err();
        // The whole request goes back with an error, its header alone with a
        // success.
        let capped = refusal.is_none() || socket.caps_acks;
        let mut extension = BytesMut::new();
        let mut refusal = refusal.unwrap_or(Refusal::errno(0));
        if socket.extended_acks && asked.flags & NLM_F_REQUEST != 0 {
            refusal.message = refusal.message.or(warning);
            encode_extension(&refusal, &mut extension);
        }
        let asked_bytes = if capped { &bytes[..NLMSG_HDRLEN] } else { bytes };
        socket.put(acknowledgement(asked.sequence, port, refusal.errno, asked_bytes, &extension));
    }

    fn start_dump(&mut self, ask: Ask<'_>) -> Result<(), Refusal> {
        let dump = Dump::new(&ask)?;
        let Some(socket) = self.sockets.get_mut(&ask.port) else { return Ok(()) };
        if socket.dump.is_some() {
            return Err(Refusal::errno(libc::EBUSY));
        }
        socket.dump = Some(dump);
        self.continue_dump(ask.port);
        Ok(())
    }

    /// Queues the next datagram of a socket's dump (`netlink_dump`).
    pub(super) fn continue_dump(&mut self, port: u32) {
        let Some(socket) = self.sockets.get_mut(&port) else { return };
        let room = socket.dump_room();
        let Some(mut dump) = socket.dump.take() else { return };
        let (datagram, goes_on) = dump.next_piece(&self.devices, &self.actions, port, room);
        if let Some(socket) = self.sockets.get_mut(&port) {
            socket.put(datagram);
            socket.dump = goes_on.then_some(dump);
        }
    }
}

/// `NLMSG_ERROR`: an error number, the request or its header, and the extended acknowledgement.
pub(super) fn acknowledgement(
    sequence: u32,
    port: u32,
    errno: i32,
    asked: &[u8],
    extension: &[u8],
) -> BytesMut {
    let mut flags = if asked.len() == NLMSG_HDRLEN { NLM_F_CAPPED } else { 0 };
    if !extension.is_empty() {
        flags |= NLM_F_ACK_TLVS;
    }
    let mut datagram = BytesMut::new();
    message(&mut datagram, Head { kind: NLMSG_ERROR, flags, sequence, port }, |out| {
        out.extend_from_slice(&(-errno).to_ne_bytes());
        out.extend_from_slice(asked);
        let length = out.len();
        out.resize(align(length), 0);
        out.extend_from_slice(extension);
    });
    datagram
}

/// The attributes of the extended acknowledgement (`netlink_ack_tlv_fill`).
pub(super) fn encode_extension(refusal: &Refusal, extension: &mut BytesMut) {
    let mut out = AttrWriter::new(extension);
    if let Some(text) = &refusal.message {
        out.attr_str(NLMSGERR_ATTR_MSG, text);
    }
    if let Some(fault) = refusal.at {
        out.attr_u32(NLMSGERR_ATTR_OFFS, fault.offset);
        fault.policy.encode(&mut out);
    }
}
