//! Dumps: `tc_dump_qdisc`, `tc_dump_tclass`, `tc_dump_tfilter`, `tc_dump_action`,
//! `rtnl_dump_ifinfo`.

use bytes::BytesMut;

use super::action::{Action, actions_message, asked_kind};
use super::device::{Device, Id};
use super::discipline::Refusal;
use super::fill::{Head, message};
use super::filter::{Filter, fill_filter};
use super::policy;
use super::state::{Ask, encode_extension};
use crate::wire::attr::{Attrs, Reader};
use crate::wire::handle::Handle;
use crate::wire::message::TcHeader;
use crate::wire::uapi::*;

/// A dump in progress. Each datagram shows the state at its creation. An object
/// that changes in between can be missing or appear twice, as in the kernel, which
/// sets no flag then for qdiscs and classes.
#[derive(Debug)]
pub(super) struct Dump {
    what: What,
    sequence: u32,
    /// The place of the next object: device, and object of the device.
    next: (usize, usize),
    /// The error that its end reports.
    refusal: Option<Refusal>,
    ended: bool,
}

#[derive(Clone, Debug)]
enum What {
    Qdiscs { invisible: bool },
    Classes { ifindex: i32, parent: Handle },
    Filters { header: TcHeader, chain: Option<u32> },
    Actions { kind: String },
    Links,
    Nothing,
}

#[derive(Clone, Copy)]
enum Object {
    Qdisc(Id),
    Class(Id, Handle),
    Filter(Id, usize),
    Link,
}

impl Dump {
    pub(super) fn new(ask: &Ask<'_>) -> Result<Self, Refusal> {
        let payload = ask.message.payload;
        let warning = policy::leftover(&ask.message);
        let mut refusal = warning.map(|text| Refusal { message: Some(text), ..Refusal::errno(0) });
        let what = match ask.message.kind {
            RTM_GETQDISC => match policy::parse::<{ policy::TC_ATTRS }>(payload, TCMSG_LEN, policy::tc) {
                Ok(table) => What::Qdiscs { invisible: table[usize::from(TCA_DUMP_INVISIBLE)].is_some() },
                // Kernel: the dump has begun by then, and its end reports it.
                Err(error) => {
                    refusal = Some(error);
                    What::Nothing
                }
            },
            RTM_GETTCLASS => match TcHeader::decode(&mut Reader::new(payload)) {
                Ok(header) => What::Classes { ifindex: header.ifindex, parent: header.parent },
                Err(_) => What::Nothing, // Kernel: an empty list, and no error
            },
            RTM_GETTFILTER => match TcHeader::decode(&mut Reader::new(payload)) {
                Ok(header) => {
                    let attributes = Attrs::new(payload.get(TCMSG_LEN..).unwrap_or(&[]));
                    let chain = attributes.find(TCA_CHAIN).ok().flatten().and_then(|attr| attr.u32().ok());
                    What::Filters { header, chain }
                }
                Err(_) => What::Nothing, // Kernel: as of classes
            },
            // Kernel: without a kind the list is empty as well.
            RTM_GETACTION => asked_kind(ask).map_or(What::Nothing, |kind| What::Actions { kind }),
            RTM_GETLINK => What::Links,
            _ => return Err(Refusal::errno(libc::EOPNOTSUPP)),
        };
        Ok(Self { what, sequence: ask.message.sequence, next: (0, 0), refusal, ended: false })
    }

    /// The next datagram of at most `room` bytes, and whether more follow.
    pub(super) fn next_piece(
        &mut self,
        devices: &[Device],
        actions: &[Action],
        port: u32,
        room: usize,
    ) -> (BytesMut, bool) {
        let mut piece = BytesMut::new();
        let head = Head { kind: 0, flags: NLM_F_MULTI, sequence: self.sequence, port };
        if let (What::Actions { kind }, false) = (&self.what, self.ended) {
            self.ended = true;
            // One message holds as many as a list of attributes can.
            let of_kind: Vec<_> = actions.iter().filter(|action| action.kind == *kind).cloned().collect();
            let mut pieces = of_kind
                .chunks(TCA_ACT_MAX_PRIO)
                .map(|some| actions_message(some, Head { kind: RTM_NEWACTION, ..head }, true));
            piece = pieces.next().unwrap_or_default();
            pieces.for_each(|more| piece.extend_from_slice(&more));
        } else if !self.ended {
            self.fill(devices, head, room, &mut piece);
        }
        if !piece.is_empty() {
            return (piece, true);
        }
        // Kernel: the end comes in a separate datagram.
        let mut extension = BytesMut::new();
        let error = self.refusal.take().map_or(0, |refusal| {
            encode_extension(&refusal, &mut extension);
            -refusal.errno
        });
        let tlvs = if extension.is_empty() { 0 } else { NLM_F_ACK_TLVS };
        message(&mut piece, Head { kind: NLMSG_DONE, flags: NLM_F_MULTI | tlvs, ..head }, |out| {
            out.extend_from_slice(&error.to_ne_bytes());
            out.extend_from_slice(&extension);
        });
        (piece, false)
    }

    fn fill(&mut self, devices: &[Device], head: Head, room: usize, piece: &mut BytesMut) {
        while let Some(device) = devices.get(self.next.0) {
            let objects = self.objects(device);
            while let Some(object) = objects.get(self.next.1) {
                let before = piece.len();
                match *object {
                    Object::Qdisc(id) => {
                        let parent = device.get(Some(id)).map_or(Handle::UNSPEC, |qdisc| qdisc.parent);
                        device.fill_qdisc(piece, Head { kind: RTM_NEWQDISC, ..head }, id, parent);
                    }
                    Object::Class(id, class) => {
                        device.fill_class(piece, Head { kind: RTM_NEWTCLASS, ..head }, id, class);
                    }
                    Object::Filter(id, at) => {
                        let filter = device.get(Some(id)).and_then(|qdisc| qdisc.filters.get(at));
                        if let Some(filter) = filter {
                            let head = Head { kind: RTM_NEWTFILTER, ..head };
                            fill_filter(piece, device.ifindex, filter, &device.kinds, head);
                        }
                    }
                    Object::Link => device.fill_link(piece, Head { kind: RTM_NEWLINK, ..head }, 0),
                }
                if piece.len() > room {
                    piece.truncate(before);
                    return;
                }
                self.next.1 += 1;
            }
            self.next = (self.next.0 + 1, 0);
        }
        self.ended = true;
    }

    /// The objects of a device in this dump.
    fn objects(&self, device: &Device) -> Vec<Object> {
        match &self.what {
            What::Qdiscs { invisible } => {
                let shown =
                    |id: &Id| device.get(Some(*id)).is_some_and(|qdisc| *invisible || !qdisc.invisible);
                device.listed().into_iter().filter(shown).map(Object::Qdisc).collect()
            }
            What::Classes { ifindex, parent } if *ifindex == device.ifindex => {
                let all = device.listed().into_iter().filter(|id| {
                    device.get(Some(*id)).is_some_and(|qdisc| {
                        let asked = parent.is_unspec() || parent.qdisc_of() == qdisc.handle;
                        asked && !qdisc.invisible && !qdisc.discipline.nature().ingress
                    })
                });
                let classes = |id: Id| {
                    let qdisc = device.get(Some(id));
                    let classes = qdisc.and_then(|qdisc| qdisc.discipline.classes());
                    let classes = classes.map(|classes| classes.list()).unwrap_or_default();
                    classes.into_iter().map(move |class| Object::Class(id, class))
                };
                all.flat_map(classes).collect()
            }
            What::Filters { header, chain } if header.ifindex == device.ifindex => {
                let Ok((id, parent)) = device.filter_parent(header.parent) else { return Vec::new() };
                let Some(qdisc) = device.get(Some(id)) else { return Vec::new() };
                let filters = &qdisc.filters;
                // Kernel: ingress has one block, whichever hook is asked for.
                let one_block = qdisc.kind == "ingress";
                let (priority, protocol) = (header.info >> 16, (header.info & 0xffff) as u16);
                let asked = |filter: &Filter| {
                    (one_block || filter.parent == parent)
                        && chain.is_none_or(|chain| filter.chain == chain)
                        && (priority == 0 || filter.priority == priority)
                        && (protocol == 0 || filter.protocol == protocol)
                };
                let all = filters.iter().enumerate().filter(|(_, filter)| asked(filter));
                all.map(|(at, _)| Object::Filter(id, at)).collect()
            }
            What::Links => vec![Object::Link],
            What::Classes { .. } | What::Filters { .. } | What::Actions { .. } | What::Nothing => Vec::new(),
        }
    }
}
