//! Dumps: `tc_dump_qdisc`, `tc_dump_tclass`, `rtnl_dump_ifinfo`.

use bytes::BytesMut;

use super::device::{Device, Id};
use super::discipline::Refusal;
use super::fill::{Head, message};
use super::policy;
use super::state::{Ask, encode_extension};
use crate::attr::Reader;
use crate::handle::Handle;
use crate::message::TcHeader;
use crate::uapi::*;

/// A dump that is under way. Each piece shows what is there when it is made:
/// what changes in between can be missed or seen twice, as in the kernel, which
/// does not flag that for qdiscs and classes.
#[derive(Debug)]
pub(super) struct Dump {
    what: What,
    sequence: u32,
    /// The place of the next object: device, and object of the device.
    next: (usize, usize),
    /// What its end tells.
    refusal: Option<Refusal>,
    ended: bool,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Qdiscs { invisible: bool },
    Classes { ifindex: i32, parent: Handle },
    Links,
    Nothing,
}

#[derive(Clone, Copy)]
enum Object {
    Qdisc(Id),
    Class(Id, Handle),
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
                // Kernel: a dump has begun by then, and its end tells.
                Err(error) => {
                    refusal = Some(error);
                    What::Nothing
                }
            },
            RTM_GETTCLASS => match TcHeader::decode(&mut Reader::new(payload)) {
                Ok(header) => What::Classes { ifindex: header.ifindex, parent: header.parent },
                Err(_) => What::Nothing, // Kernel: an empty list, and no error
            },
            RTM_GETLINK => What::Links,
            _ => return Err(Refusal::errno(libc::EOPNOTSUPP)),
        };
        Ok(Self { what, sequence: ask.message.sequence, next: (0, 0), refusal, ended: false })
    }

    /// The next datagram of at most `room` bytes, and whether more follow.
    pub(super) fn next_piece(&mut self, devices: &[Device], port: u32, room: usize) -> (BytesMut, bool) {
        let mut piece = BytesMut::new();
        let head = Head { kind: 0, flags: NLM_F_MULTI, sequence: self.sequence, port };
        if !self.ended {
            self.fill(devices, head, room, &mut piece);
        }
        if !piece.is_empty() {
            return (piece, true);
        }
        // Kernel: the end comes in a datagram of its own.
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

    /// What is shown of a device.
    fn objects(&self, device: &Device) -> Vec<Object> {
        match self.what {
            What::Qdiscs { invisible } => {
                let shown =
                    |id: &Id| device.get(Some(*id)).is_some_and(|qdisc| invisible || !qdisc.invisible);
                device.listed().into_iter().filter(shown).map(Object::Qdisc).collect()
            }
            What::Classes { ifindex, parent } if ifindex == device.ifindex => {
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
            What::Links => vec![Object::Link],
            What::Classes { .. } | What::Nothing => Vec::new(),
        }
    }
}
