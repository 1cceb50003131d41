//! Requests, as bytes.

use std::fmt;

use tc_core::uapi::*;

pub(crate) const ROOT: u32 = 0xffff_ffff;
pub(crate) const INGRESS: u32 = 0xffff_fff1;

pub(crate) const ADD: u16 = NLM_F_CREATE | NLM_F_EXCL;
pub(crate) const CHANGE: u16 = 0;
pub(crate) const REPLACE: u16 = NLM_F_CREATE | NLM_F_REPLACE;
pub(crate) const LINK: u16 = NLM_F_REPLACE;
/// The flags of tc for a class replace.
pub(crate) const CREATE: u16 = NLM_F_CREATE;

/// One request, and the kind that the kernel must have for it.
#[derive(Clone)]
pub(crate) struct Step {
    message: u16,
    flags: u16,
    ifindex: i32,
    handle: u32,
    parent: u32,
    pub(crate) kind: &'static str,
    attributes: Vec<u8>,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, flags, handle, parent, kind, attributes, .. } = self;
        write!(f, "{message} flags {flags:#x} {kind} handle {handle:x} parent {parent:x} {attributes:x?}")
    }
}

impl Step {
    pub(crate) fn new(message: u16, flags: u16, handle: u32, parent: u32, kind: &'static str) -> Self {
        let mut step = Self { message, flags, ifindex: 0, handle, parent, kind, attributes: Vec::new() };
        if !kind.is_empty() {
            step = step.attr(TCA_KIND, format!("{kind}\0").as_bytes());
        }
        step
    }

    pub(crate) fn attr(mut self, kind: u16, payload: &[u8]) -> Self {
        self.attributes.extend(attribute(kind, payload));
        self
    }

    pub(crate) fn options(self, payload: &[u8]) -> Self {
        self.attr(TCA_OPTIONS, payload)
    }

    pub(crate) fn on(mut self, ifindex: i32) -> Self {
        self.ifindex = ifindex;
        self
    }

    pub(crate) fn bytes(&self, ifindex: i32, sequence: u32) -> Vec<u8> {
        let ifindex = if self.ifindex == 0 { ifindex } else { self.ifindex };
        let flags = NLM_F_REQUEST | NLM_F_ACK | self.flags;
        let mut bytes = Vec::new();
        bytes.extend((36 + self.attributes.len() as u32).to_ne_bytes());
        bytes.extend(self.message.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(ifindex.to_ne_bytes());
        for word in [self.handle, self.parent, 0] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(&self.attributes);
        bytes
    }
}

pub(crate) fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (4 + payload.len() as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

pub(crate) fn add(handle: u32, parent: u32, kind: &'static str) -> Step {
    Step::new(RTM_NEWQDISC, ADD, handle, parent, kind)
}

pub(crate) fn change(handle: u32, parent: u32, kind: &'static str) -> Step {
    Step::new(RTM_NEWQDISC, CHANGE, handle, parent, kind)
}

pub(crate) fn replace(handle: u32, parent: u32, kind: &'static str) -> Step {
    Step::new(RTM_NEWQDISC, REPLACE, handle, parent, kind)
}

pub(crate) fn delete(handle: u32, parent: u32) -> Step {
    Step::new(RTM_DELQDISC, 0, handle, parent, "")
}

pub(crate) fn get(handle: u32, parent: u32) -> Step {
    Step::new(RTM_GETQDISC, NLM_F_ECHO, handle, parent, "")
}

pub(crate) fn class(flags: u16, class: u32, parent: u32) -> Step {
    Step::new(RTM_NEWTCLASS, flags, class, parent, "htb").options(&htb_class())
}

pub(crate) fn delete_class(class: u32) -> Step {
    Step::new(RTM_DELTCLASS, 0, class, 0, "")
}

pub(crate) fn get_class(class: u32) -> Step {
    Step::new(RTM_GETTCLASS, NLM_F_ECHO, class, 0, "")
}

/// The options that a kind needs or takes.
pub(crate) fn options_of(kind: &str, number: u32) -> Vec<u8> {
    match kind {
        "plug" => [3u32.to_ne_bytes(), number.to_ne_bytes()].concat(),
        "prio" => {
            let bands = 2 + number % 5;
            [&bands.to_ne_bytes()[..], &[0, 1, 1, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]].concat()
        }
        "htb" => {
            let global: Vec<u8> = [3, 10, number, 0, 0].map(u32::to_ne_bytes).concat();
            attribute(2, &global)
        }
        _ => number.to_ne_bytes().to_vec(),
    }
}

/// A class of 1 Mbit/s; `linklayer` means without a rate table.
pub(crate) fn htb_class() -> Vec<u8> {
    let spec = [&[3u8, 1, 0, 0, 0, 0, 0, 0][..], &125_000u32.to_ne_bytes()].concat();
    let rest: Vec<u8> = [1600u32, 1600, 0, 0, 0].map(u32::to_ne_bytes).concat();
    attribute(1, &[&spec[..], &spec, &rest].concat())
}
