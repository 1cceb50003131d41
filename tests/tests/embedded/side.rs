//! One of the two kernels: its answers, notices and dumps.

use std::collections::HashMap;

use tc_core::message::{Entry, Messages};
use tc_core::uapi::*;
use tc_core::{Attrs, Transport};

use crate::step::Step;

/// Errors of newer kernels, and the corresponding ones of 6.1.
pub(crate) const NEWER: &[(&str, &[(i32, &str)])] = &[
    ("Invalid qdisc name: must match existing qdisc", &[(22, "Invalid qdisc name")]),
    ("HTB class in use", &[(16, "")]),
    ("bytes leftover after parsing attributes", &[(22, "")]),
    ("Cannot add children to ingress/clsact qdisc", &[(2, "Specified class not found"), (95, "")]),
];

/// One side's answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    errno: i32,
    text: Option<String>,
    offset: Option<u32>,
    policy: Option<Vec<u8>>,
    objects: Vec<Object>,
}

impl Answer {
    /// Whether `older` is the answer of 6.1 that corresponds to this.
    pub(crate) fn is_newer(&self, older: &Self) -> bool {
        let Some((_, old)) = NEWER.iter().find(|(text, _)| self.text.as_deref() == Some(text)) else {
            return false;
        };
        old.contains(&(older.errno, older.text.as_deref().unwrap_or_default()))
    }
}

/// A qdisc or class, as far as it is the same everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Object {
    pub(crate) message: u16,
    pub(crate) flags: u16,
    pub(crate) kind: String,
    pub(crate) handle: u32,
    pub(crate) parent: u32,
    info: u32,
    options: Option<Vec<u8>>,
    attributes: Vec<u16>,
}

/// A kernel, and the names that it gave by itself.
pub(crate) struct Side<T: Transport> {
    pub(crate) socket: T,
    monitor: T,
    ifindex: i32,
    sequence: u32,
    automatic: HashMap<u32, u32>,
}

impl<T: Transport> Side<T> {
    pub(crate) fn new(socket: T, monitor: T, ifindex: i32) -> Self {
        Self { socket, monitor, ifindex, sequence: 0, automatic: HashMap::new() }
    }

    pub(crate) fn ask(&mut self, step: &Step) -> Answer {
        self.sequence += 1;
        let bytes = step.bytes(self.ifindex, self.sequence);
        self.socket.send(&bytes).expect("the kernel takes a request");
        let mut objects = Vec::new();
        loop {
            for (kind, flags, payload, datagram) in self.receive() {
                if kind != NLMSG_ERROR {
                    objects.extend(self.object(&datagram));
                    continue;
                }
                let errno = -i32::from_ne_bytes(payload[..4].try_into().expect("four bytes"));
                let length = u32::from_ne_bytes(payload[4..8].try_into().expect("four bytes")) as usize;
                let skip = if flags & NLM_F_CAPPED != 0 { 16 } else { length.next_multiple_of(4) };
                let extension = if flags & NLM_F_ACK_TLVS != 0 { &payload[4 + skip..] } else { &[][..] };
                let find = |kind| Attrs::new(extension).find(kind).expect("whole attributes");
                let text = find(NLMSGERR_ATTR_MSG).map(|attr| attr.str().expect("text").to_owned());
                return Answer {
                    errno,
                    text,
                    offset: find(NLMSGERR_ATTR_OFFS).map(|attr| attr.u32().expect("a number")),
                    policy: find(NLMSGERR_ATTR_POLICY).map(|attr| attr.payload.to_vec()),
                    objects,
                };
            }
        }
    }

    /// All objects of the device, hidden ones too.
    pub(crate) fn dump(&mut self, message: u16) -> Vec<Object> {
        self.sequence += 1;
        let mut step = Step::new(message, NLM_F_DUMP, 0, 0, "");
        if message == RTM_GETQDISC {
            step = step.attr(TCA_DUMP_INVISIBLE, &[]);
        }
        let mut bytes = step.bytes(self.ifindex, self.sequence);
        bytes[6..8].copy_from_slice(&(NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
        self.socket.send(&bytes).expect("the kernel takes a request");
        let mut objects = Vec::new();
        loop {
            for (kind, _, payload, datagram) in self.receive() {
                match kind {
                    NLMSG_DONE => return objects,
                    NLMSG_ERROR => panic!("{payload:?}"),
                    _ => objects.extend(self.object(&datagram)),
                }
            }
        }
    }

    /// The notices so far.
    pub(crate) fn notices(&mut self) -> Vec<Object> {
        let mut objects = Vec::new();
        let mut buffer = vec![0; 65536];
        while let Ok(received) = self.monitor.receive(&mut buffer) {
            for message in split(&buffer[..received.length]) {
                objects.extend(self.object(&message.3));
            }
        }
        objects
    }

    pub(crate) fn receive(&mut self) -> Vec<(u16, u16, Vec<u8>, Vec<u8>)> {
        let mut buffer = vec![0; 65536];
        let received = self.socket.receive(&mut buffer).expect("the kernel answers");
        split(&buffer[..received.length])
    }

    pub(crate) fn object(&mut self, bytes: &[u8]) -> Option<Object> {
        let message = Messages::new(bytes).next()?.expect("a whole message");
        let entry = Entry::decode(&message).expect("an entry");
        if entry.header.ifindex != self.ifindex {
            return None;
        }
        let kind = entry.kind().expect("a kind");
        // The system's default qdisc is fq_codel for some and pfifo_fast for others.
        let is_default = entry.header.handle.raw() == 0 && matches!(kind, "fq_codel" | "pfifo_fast");
        let (message_type, flags) = (entry.message_type, entry.flags);
        Some(Object {
            message: message_type,
            flags,
            kind: if is_default { "default".to_owned() } else { kind.to_owned() },
            handle: self.known(entry.header.handle.raw()),
            parent: self.known(entry.header.parent.raw()),
            info: match message.kind {
                RTM_NEWTCLASS | RTM_DELTCLASS => self.known(entry.header.info),
                _ => entry.header.info,
            },
            // Kernel: the statistics of htb classes depend on the clock's ticks.
            options: entry
                .options()
                .filter(|_| message.kind < RTM_NEWTCLASS && !is_default)
                .map(<[u8]>::to_vec),
            attributes: entry
                .attrs()
                .filter(|_| !is_default)
                .map(|attr| attr.expect("whole attributes").kind)
                .collect(),
        })
    }

    /// The whole machine numbers automatic handles: here in the order of their
    /// appearance.
    pub(crate) fn known(&mut self, handle: u32) -> u32 {
        match handle >> 16 {
            0x8000..0xffff => {
                let next = 0x8001 + self.automatic.len() as u32;
                (*self.automatic.entry(handle >> 16).or_insert(next) << 16) | (handle & 0xffff)
            }
            _ => handle,
        }
    }
}

pub(crate) type Split = (u16, u16, Vec<u8>, Vec<u8>);

pub(crate) fn split(datagram: &[u8]) -> Vec<Split> {
    let mut at = 0;
    let mut messages = Vec::new();
    for message in Messages::new(datagram) {
        let message = message.expect("a whole message");
        let end = at + 16 + message.payload.len();
        messages.push((message.kind, message.flags, message.payload.to_vec(), datagram[at..end].to_vec()));
        at = end.next_multiple_of(4);
    }
    messages
}
