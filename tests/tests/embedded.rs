//! The embedded kernel against this one: the same requests, the same answers.

use std::collections::HashMap;
use std::fmt;

use bytes::BytesMut;
use tc_core::embedded::{Device, Kernel};
use tc_core::message::{Entry, Messages};
use tc_core::uapi::*;
use tc_core::{Attrs, Connection, Transport};
use tests::lab::Net;
use tests::lab::need::has;
use tests::need;

const ROOT: u32 = 0xffff_ffff;
const INGRESS: u32 = 0xffff_fff1;

const ADD: u16 = NLM_F_CREATE | NLM_F_EXCL;
const CHANGE: u16 = 0;
const REPLACE: u16 = NLM_F_CREATE | NLM_F_REPLACE;
const LINK: u16 = NLM_F_REPLACE;
/// What newer kernels say, and the error numbers and sentences of 6.1 in its place.
const NEWER: &[(&str, &[(i32, &str)])] = &[
    ("Invalid qdisc name: must match existing qdisc", &[(22, "Invalid qdisc name")]),
    ("HTB class in use", &[(16, "")]),
    ("bytes leftover after parsing attributes", &[(22, "")]),
    ("Cannot add children to ingress/clsact qdisc", &[(2, "Specified class not found"), (95, "")]),
];

/// What tc sends for a class replace.
const CREATE: u16 = NLM_F_CREATE;

/// One request, and the kind that the kernel must have for it.
#[derive(Clone)]
struct Step {
    message: u16,
    flags: u16,
    ifindex: i32,
    handle: u32,
    parent: u32,
    kind: &'static str,
    attributes: Vec<u8>,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, flags, handle, parent, kind, attributes, .. } = self;
        write!(f, "{message} flags {flags:#x} {kind} handle {handle:x} parent {parent:x} {attributes:x?}")
    }
}

impl Step {
    fn new(message: u16, flags: u16, handle: u32, parent: u32, kind: &'static str) -> Self {
        let mut step = Self { message, flags, ifindex: 0, handle, parent, kind, attributes: Vec::new() };
        if !kind.is_empty() {
            step = step.attr(TCA_KIND, format!("{kind}\0").as_bytes());
        }
        step
    }

    fn attr(mut self, kind: u16, payload: &[u8]) -> Self {
        self.attributes.extend(attribute(kind, payload));
        self
    }

    fn options(self, payload: &[u8]) -> Self {
        self.attr(TCA_OPTIONS, payload)
    }

    fn on(mut self, ifindex: i32) -> Self {
        self.ifindex = ifindex;
        self
    }

    fn bytes(&self, ifindex: i32, sequence: u32) -> Vec<u8> {
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

fn attribute(kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (4 + payload.len() as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn add(handle: u32, parent: u32, kind: &'static str) -> Step {
    Step::new(RTM_NEWQDISC, ADD, handle, parent, kind)
}

fn change(handle: u32, parent: u32, kind: &'static str) -> Step {
    Step::new(RTM_NEWQDISC, CHANGE, handle, parent, kind)
}

fn replace(handle: u32, parent: u32, kind: &'static str) -> Step {
    Step::new(RTM_NEWQDISC, REPLACE, handle, parent, kind)
}

fn delete(handle: u32, parent: u32) -> Step {
    Step::new(RTM_DELQDISC, 0, handle, parent, "")
}

fn get(handle: u32, parent: u32) -> Step {
    Step::new(RTM_GETQDISC, NLM_F_ECHO, handle, parent, "")
}

fn class(flags: u16, class: u32, parent: u32) -> Step {
    Step::new(RTM_NEWTCLASS, flags, class, parent, "htb").options(&htb_class())
}

fn delete_class(class: u32) -> Step {
    Step::new(RTM_DELTCLASS, 0, class, 0, "")
}

fn get_class(class: u32) -> Step {
    Step::new(RTM_GETTCLASS, NLM_F_ECHO, class, 0, "")
}

/// The options that a kind needs or takes.
fn options_of(kind: &str, number: u32) -> Vec<u8> {
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

/// A class of 1 Mbit/s; `linklayer` says that there is no rate table.
fn htb_class() -> Vec<u8> {
    let spec = [&[3u8, 1, 0, 0, 0, 0, 0, 0][..], &125_000u32.to_ne_bytes()].concat();
    let rest: Vec<u8> = [1600u32, 1600, 0, 0, 0].map(u32::to_ne_bytes).concat();
    attribute(1, &[&spec[..], &spec, &rest].concat())
}

/// What one side said to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    errno: i32,
    text: Option<String>,
    offset: Option<u32>,
    policy: Option<Vec<u8>>,
    objects: Vec<Object>,
}

impl Answer {
    /// Whether `older` is what 6.1 says in the place of this.
    fn is_newer(&self, older: &Self) -> bool {
        let Some((_, old)) = NEWER.iter().find(|(text, _)| self.text.as_deref() == Some(text)) else {
            return false;
        };
        old.contains(&(older.errno, older.text.as_deref().unwrap_or_default()))
    }
}

/// A qdisc or class, as far as it is the same everywhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Object {
    message: u16,
    flags: u16,
    kind: String,
    handle: u32,
    parent: u32,
    info: u32,
    options: Option<Vec<u8>>,
    attributes: Vec<u16>,
}

/// A kernel, and the names that it gave by itself.
struct Side<T: Transport> {
    socket: T,
    monitor: T,
    ifindex: i32,
    sequence: u32,
    automatic: HashMap<u32, u32>,
}

impl<T: Transport> Side<T> {
    fn new(socket: T, monitor: T, ifindex: i32) -> Self {
        Self { socket, monitor, ifindex, sequence: 0, automatic: HashMap::new() }
    }

    fn ask(&mut self, step: &Step) -> Answer {
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
    fn dump(&mut self, message: u16) -> Vec<Object> {
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
    fn notices(&mut self) -> Vec<Object> {
        let mut objects = Vec::new();
        let mut buffer = vec![0; 65536];
        while let Ok(received) = self.monitor.receive(&mut buffer) {
            for message in split(&buffer[..received.length]) {
                objects.extend(self.object(&message.3));
            }
        }
        objects
    }

    fn receive(&mut self) -> Vec<(u16, u16, Vec<u8>, Vec<u8>)> {
        let mut buffer = vec![0; 65536];
        let received = self.socket.receive(&mut buffer).expect("the kernel answers");
        split(&buffer[..received.length])
    }

    fn object(&mut self, bytes: &[u8]) -> Option<Object> {
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
            // Kernel: what htb shows of its classes depends on the clock's ticks.
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

    /// Automatic handles are numbered by the whole machine: here in the order in which they were
    /// seen.
    fn known(&mut self, handle: u32) -> u32 {
        match handle >> 16 {
            0x8000..0xffff => {
                let next = 0x8001 + self.automatic.len() as u32;
                (*self.automatic.entry(handle >> 16).or_insert(next) << 16) | (handle & 0xffff)
            }
            _ => handle,
        }
    }
}

type Split = (u16, u16, Vec<u8>, Vec<u8>);

fn split(datagram: &[u8]) -> Vec<Split> {
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

/// Sends the same to both and compares everything after every step.
fn compare(link: &str, device: Device, steps: &[Step]) -> usize {
    let net = Net::new();
    net.ip(link).ok();
    net.ip("link set d0 up").ok();
    let socket = || tc_core::Socket::open().expect("a socket");
    let mut monitor = socket();
    monitor.join(RTNLGRP_TC).expect("a group");
    monitor.set_timeout(Some(std::time::Duration::from_millis(1))).expect("a timeout");
    let ifindex = Connection::open().expect("a socket").ifindex("d0").expect("the device");
    let mut real = Side::new(socket(), monitor, ifindex);

    let kernel = tc_qdiscs::embedded::kinds(Kernel::builder()).device(device).build();
    let ours = Connection::over(kernel.connect()).ifindex("d0").expect("the device");
    let monitor = kernel.connect();
    monitor.join(RTNLGRP_TC);
    let mut embedded = Side::new(kernel.connect(), monitor, ours);

    let mut told = Vec::new();
    let mut differences = Vec::new();
    for step in steps.iter().filter(|step| known(step.kind)) {
        told.push(step);
        let (answer, ours) = (real.ask(step), embedded.ask(step));
        if !answer.is_newer(&ours) {
            differ(&mut differences, "answer", step, &answer, &ours);
        }
        differ(&mut differences, "notices", step, &real.notices(), &embedded.notices());
        let mut states = [State::of(&mut real), State::of(&mut embedded)];
        states.iter_mut().for_each(State::sort);
        differ(&mut differences, "state", step, &states[0], &states[1]);
        if states[0] != states[1] {
            break; // from here on all would differ
        }
    }
    let before = told.iter().rev().take(12).rev().map(|step| format!("{step:?}\n")).collect::<String>();
    assert!(differences.is_empty(), "{}\nthe last steps:\n{before}", differences.join("\n"));
    told.len()
}

/// What stands on the device.
#[derive(Debug, PartialEq, Eq)]
struct State {
    qdiscs: Vec<Object>,
    classes: Vec<Object>,
}

impl State {
    fn of<T: Transport>(side: &mut Side<T>) -> Self {
        Self { qdiscs: side.dump(RTM_GETQDISC), classes: side.dump(RTM_GETTCLASS) }
    }
}

impl State {
    /// Kernel: classes come in the order of a hash, and so do qdiscs: the same here, but automatic
    /// handles are different ones.
    fn sort(&mut self) {
        self.classes.sort();
        if self.qdiscs.iter().any(|qdisc| qdisc.handle >= 0x8000_0000) {
            self.qdiscs.sort();
        }
    }
}

fn differ<T: fmt::Debug + PartialEq>(
    found: &mut Vec<String>,
    what: &str,
    step: &Step,
    real: &T,
    embedded: &T,
) {
    if real != embedded {
        found.push(format!("{what} to {step:?}\n    real {real:x?}\nembedded {embedded:x?}"));
    }
}

/// Whether this kernel has the kind, or none has it.
fn known(kind: &str) -> bool {
    matches!(kind, "" | "nonsense" | "pfifo" | "bfifo" | "noqueue") || has(&format!("sch_{kind}"))
}

/// All that the rules of qdiscs say, on a device with one queue.
fn fixed() -> Vec<Step> {
    let limit = |number: u32| number.to_ne_bytes();
    let stab =
        attribute(TCA_STAB_BASE, &[0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    vec![
        // The default, which has no handle.
        get(0, ROOT),
        delete(0, ROOT),
        get(0x10000, 0),
        delete(0x10000, 0),
        get(0x10000, ROOT),
        change(0, ROOT, ""),
        change(0, ROOT, "pfifo"),
        change(0x10000, ROOT, "pfifo"),
        change(0x10000, 0, "pfifo"),
        change(0, 0, "pfifo"),
        add(0, 0, "pfifo"),
        add(0x10000, 0, "pfifo"),
        add(0, ROOT, "nonsense"),
        add(0, ROOT, ""),
        add(0x10001, ROOT, "pfifo"),
        add(0, 0x10001, "pfifo"),
        add(0, ROOT, "pfifo").on(99),
        get(0, ROOT).on(99),
        // A root.
        add(0x10000, ROOT, "pfifo").options(&limit(7)),
        add(0x10000, ROOT, "pfifo"),
        add(0x20000, ROOT, "pfifo"),
        add(0, ROOT, "pfifo"),
        add(0, ROOT, "bfifo"),
        get(0, ROOT),
        get(0x10000, 0),
        get(0x20000, ROOT),
        get(0x20000, 0),
        Step::new(RTM_GETQDISC, NLM_F_ECHO, 0, ROOT, "bfifo"),
        change(0x10000, ROOT, "pfifo").options(&limit(8)),
        change(0x10000, ROOT, "pfifo").options(&[1, 2]),
        change(0x10000, ROOT, "pfifo").options(&[]),
        change(0x10000, ROOT, "pfifo"),
        change(0x10000, ROOT, "bfifo").options(&limit(9)),
        change(0x10000, 0, "pfifo").options(&limit(9)),
        change(0x20000, ROOT, "pfifo").options(&limit(9)),
        change(0x20000, 0, "pfifo").options(&limit(9)),
        change(0, ROOT, "pfifo").options(&limit(10)),
        // The hole: no flags, no handle, another kind.
        change(0, ROOT, "bfifo").options(&limit(2000)),
        replace(0, ROOT, "bfifo").options(&limit(3000)),
        replace(0x10000, ROOT, "bfifo"),
        replace(0x10000, ROOT, "pfifo"),
        replace(0x20000, ROOT, "pfifo"),
        replace(0x20001, ROOT, "pfifo"),
        replace(0, ROOT, "nonsense"),
        Step::new(RTM_NEWQDISC, LINK, 0x20000, ROOT, "pfifo"),
        Step::new(RTM_NEWQDISC, LINK, 0x30000, ROOT, "pfifo"),
        Step::new(RTM_NEWQDISC, LINK, 0, ROOT, "bfifo"),
        Step::new(RTM_NEWQDISC, NLM_F_CREATE, 0, ROOT, "bfifo"),
        Step::new(RTM_NEWQDISC, NLM_F_EXCL, 0, ROOT, "pfifo"),
        add(0, 0x20001, "pfifo"),
        change(0x20000, ROOT, "pfifo").attr(TCA_STAB, &stab),
        get(0, ROOT),
        change(0x20000, ROOT, "pfifo").options(&limit(5)),
        change(0x20000, ROOT, "pfifo").attr(TCA_STAB, &attribute(9, &[0; 4])),
        change(0x20000, ROOT, "pfifo").attr(TCA_STAB, &attribute(TCA_STAB_BASE, &[0; 8])),
        change(0x20000, ROOT, "pfifo").attr(TCA_INGRESS_BLOCK, &limit(1)),
        change(0x20000, ROOT, "pfifo").options(&limit(6)).attr(TCA_INGRESS_BLOCK, &limit(1)),
        replace(0x40000, ROOT, "pfifo").attr(TCA_INGRESS_BLOCK, &limit(1)),
        replace(0x40000, ROOT, "pfifo").attr(TCA_EGRESS_BLOCK, &limit(0)),
        replace(0x40000, ROOT, "pfifo").attr(TCA_RATE, &[9, 1]),
        replace(0x40000, ROOT, "pfifo").attr(TCA_RATE, &[0]),
        delete(0x10000, ROOT),
        Step::new(RTM_DELQDISC, 0, 0, ROOT, "bfifo"),
        delete(0x20000, 0),
        delete(0, 0x20001),
        delete(0, 0x50001),
        delete(0, ROOT),
        delete(0, ROOT),
        // Attributes that break the policy, and messages cut short.
        change(0, ROOT, "").attr(TCA_KIND, &[]),
        change(0, ROOT, "pfifo").attr(TCA_RATE, &[0; 3]),
        change(0, ROOT, "pfifo").attr(TCA_STAB, &[0; 2]),
        change(0, ROOT, "pfifo").attr(TCA_CHAIN, &[0; 2]),
        change(0, ROOT, "pfifo").attr(TCA_DUMP_INVISIBLE, &[0; 2]),
        change(0, ROOT, "pfifo").attr(99, &[0; 2]),
        // Ingress and clsact.
        get(0, INGRESS),
        delete(0, INGRESS),
        add(0, INGRESS, "pfifo"),
        add(0xffff_0000, INGRESS, "ingress"),
        add(0xffff_0000, INGRESS, "ingress"),
        add(0xffff_0000, INGRESS, "clsact"),
        get(0xffff_0000, INGRESS),
        get(0xffff_0000, 0),
        change(0xffff_0000, INGRESS, "ingress"),
        change(0xffff_0000, INGRESS, "ingress").options(&[]),
        change(0, INGRESS, "clsact"),
        replace(0, INGRESS, "ingress"),
        replace(0, INGRESS, "clsact"),
        replace(0xffff_0000, INGRESS, "clsact"),
        add(0, 0xffff_0001, "pfifo"),
        add(0, 0xffff_fff2, "pfifo"),
        add(0, ROOT, "clsact"),
        add(0, ROOT, "ingress"),
        get_class(0xffff_0001),
        get_class(0xffff_fff2),
        delete_class(0xffff_fff2),
        delete(0, 0xffff_fff3),
        delete(0, INGRESS),
        delete(0, INGRESS),
        add(0, INGRESS, "clsact"),
        delete(0xffff_0000, INGRESS),
        // noqueue.
        add(0, ROOT, "noqueue"),
        change(0, ROOT, "noqueue").options(&limit(1)),
        change(0, ROOT, "noqueue"),
        delete(0, ROOT),
        // plug.
        add(0x10000, ROOT, "plug").options(&options_of("plug", 1000)),
        change(0x10000, ROOT, "plug").options(&[0; 8]),
        change(0x10000, ROOT, "plug").options(&[9; 8]),
        change(0x10000, ROOT, "plug").options(&[0; 7]),
        replace(0, ROOT, "pfifo"),
        change(0, ROOT, "plug").options(&[0; 8]),
        delete(0, ROOT),
        add(0, ROOT, "plug").options(&[0; 7]),
    ]
}

/// Trees: prio and htb, and what hangs below.
fn trees() -> Vec<Step> {
    let prio = |bands| options_of("prio", bands);
    vec![
        get_class(0x10001),
        add(0x10000, ROOT, "prio"),
        add(0x10000, ROOT, "prio").options(&prio(1)),
        get_class(0x10001),
        get_class(0x10009),
        delete_class(0x10001),
        Step::new(RTM_NEWTCLASS, CREATE, 0x10001, 0x10000, "prio"),
        Step::new(RTM_NEWTCLASS, ADD, 0x10001, 0x10000, "prio"),
        add(0x110000, 0x10001, "pfifo"),
        add(0x110000, 0x10001, "pfifo"),
        add(0x110000, 0x10002, "pfifo"),
        replace(0x110000, 0x10002, "pfifo"),
        add(0x120000, 0x10009, "pfifo"),
        add(0x120000, 0x10002, "noqueue"),
        add(0x120000, 0x10002, "prio").options(&prio(0)),
        add(0x130000, 0x120001, "bfifo"),
        replace(0x120000, 0x10001, "prio").options(&prio(0)),
        replace(0x10000, 0x120001, "prio").options(&prio(0)),
        Step::new(RTM_NEWQDISC, LINK, 0x120000, 0x120001, "prio"),
        change(0x10000, ROOT, "prio").options(&prio(3)),
        change(0x10000, ROOT, "prio").options(&prio(0)),
        change(0x10000, ROOT, "prio").options(&[1; 20]),
        delete(0, 0x10001),
        delete(0, 0x10001),
        delete(0x110000, 0x10002),
        delete(0x120000, 0x10002),
        delete(0, ROOT),
        // htb
        add(0x10000, ROOT, "htb"),
        add(0x10000, ROOT, "htb").options(&options_of("plug", 1)),
        add(0x10000, ROOT, "htb").options(&options_of("htb", 0x10)),
        change(0x10000, ROOT, "htb").options(&options_of("htb", 0x20)),
        change(0x10000, ROOT, "htb"),
        get(0, ROOT),
        class(0, 0x10001, 0x10000),
        class(ADD, 0x10001, 0x10000),
        class(ADD, 0x10001, 0x10000),
        class(CREATE, 0x10001, 0x10000),
        class(ADD, 0x10010, 0x10001),
        class(ADD, 0x10011, 0x10001),
        class(ADD, 0x20010, 0x10001),
        class(ADD, 0x20010, 0x20001),
        class(ADD, 0x10012, ROOT),
        Step::new(RTM_NEWTCLASS, ADD, 0x10020, 0x10001, "htb"),
        Step::new(RTM_NEWTCLASS, ADD, 0x10020, 0x10001, "htb").options(&[0; 4]),
        class(ADD, 0x10020, 0x10001).attr(TCA_INGRESS_BLOCK, &[1, 0, 0, 0]),
        get_class(0x10001),
        get_class(0x10010),
        get_class(0x10099),
        Step::new(RTM_GETTCLASS, NLM_F_ECHO, 0, ROOT, ""),
        add(0, 0x10001, "pfifo"),
        add(0x110000, 0x10010, "pfifo").options(&[9, 0, 0, 0]),
        add(0x120000, 0x10011, "prio").options(&prio(0)),
        add(0x130000, 0x120002, "plug").options(&options_of("plug", 50)),
        get_class(0x10010),
        class(ADD, 0x10030, 0x10010),
        get(0, 0x10010),
        delete_class(0x10001),
        delete_class(0x10030),
        get_class(0x10010),
        delete_class(0x10010),
        delete_class(0x10011),
        get_class(0x10001),
        delete_class(0x10001),
        delete_class(0x10001),
        add(0x210000, 0x10012, "bfifo"),
        replace(0, 0x10012, "pfifo"),
        delete(0, 0x10012),
        replace(0x20000, ROOT, "pfifo"),
        get_class(0x20001),
        delete(0, ROOT),
    ]
}

/// A sequence by chance: qdiscs that come, change, move and go.
fn random(seed: u64, length: usize) -> Vec<Step> {
    let mut state = seed;
    let mut next = move |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut pick = move |from: &[u32]| from[next(from.len() as u64) as usize];
    let kinds = ["pfifo", "bfifo", "prio", "htb", "plug"];
    let mut steps = Vec::new();
    for _ in 0..length {
        let handle = pick(&[0, 0, 0x10000, 0x20000, 0x30000, 0x10001]);
        let parent = pick(&[ROOT, ROOT, ROOT, 0x10001, 0x10002, 0x20001, 0x30001, 0, 0x10007]);
        let kind = kinds[pick(&[0, 1, 2, 2, 3, 4]) as usize];
        let number = pick(&[0, 1, 5, 100_000]);
        let flags = [ADD, CHANGE, REPLACE, LINK, NLM_F_CREATE, NLM_F_EXCL]
            [pick(&[0, 0, 1, 1, 2, 2, 2, 3, 4, 5]) as usize];
        steps.push(match pick(&[0, 0, 0, 0, 0, 0, 1, 2, 3, 4]) {
            0 => {
                let step = Step::new(RTM_NEWQDISC, flags, handle, parent, kind);
                // Some requests say nothing of options, and some give another kind's.
                match pick(&[0, 0, 0, 0, 1, 2]) {
                    0 => step.options(&options_of(kind, number)),
                    1 => step,
                    _ => step.options(&options_of(kinds[pick(&[0, 2, 3]) as usize], number)),
                }
            }
            1 => delete(handle, parent),
            2 => get(handle, parent),
            3 => class(
                pick(&[ADD.into(), 0, CREATE.into()]) as u16,
                pick(&[0x10001, 0x10002, 0x20001]),
                pick(&[0x10000, 0x10001, ROOT]),
            ),
            _ => delete_class(pick(&[0x10001, 0x10002, 0x20001])),
        });
    }
    steps
}

fn ifb() -> (&'static str, Device) {
    ("link add d0 type ifb", Device::new("d0").ifindex(2).tx_queue_len(32))
}

#[test]
fn a_device_with_one_queue() {
    need!("ifb");
    let (link, device) = ifb();
    assert!(compare(link, device, &fixed()) > 70);
}

#[test]
fn trees_of_classes() {
    need!("ifb", "sch_htb");
    let (link, device) = ifb();
    assert!(compare(link, device, &trees()) > 35);
}

#[test]
fn a_device_with_several_queues() {
    need!("ifb");
    let device = Device::new("d0").ifindex(2).tx_queue_len(32).tx_queues(3);
    let mut steps = vec![
        get_class(1),
        get(0, ROOT),
        add(0x10000, ROOT, "mq"),
        get_class(0x10002),
        add(0x110000, 0x10002, "pfifo"),
        add(0x120000, 0x10004, "pfifo"),
        change(0x10000, ROOT, "mq").options(&[0; 4]),
        add(0, 0x10001, "htb").options(&options_of("htb", 1)),
        delete(0, 0x10002),
        get_class(0x10002),
        replace(0x20000, ROOT, "htb").options(&options_of("htb", 1)),
        delete(0, ROOT),
    ];
    steps.extend(fixed());
    steps.extend(trees());
    assert!(compare("link add d0 numtxqueues 3 type ifb", device, &steps) > 100);
}

#[test]
fn a_device_without_a_queue() {
    need!("veth");
    let device = Device::new("d0").ifindex(2).queueless().tx_queues(2);
    let steps: Vec<_> = fixed().into_iter().chain(trees()).collect();
    assert!(compare("link add d0 numtxqueues 2 type veth peer name d1", device, &steps) > 70);
}

#[test]
fn whatever_comes() {
    need!("ifb", "sch_htb");
    for seed in 0..3 {
        let (link, device) = ifb();
        assert!(compare(link, device, &random(seed, 150)) > 50, "seed {seed}");
    }
}

/// A message that is too short for its header, and others that are odd.
#[test]
fn messages_that_are_none() {
    need!("netns");
    let _net = Net::new();
    let kernel = tc_qdiscs::embedded::kinds(Kernel::builder()).device(Device::loopback()).build();
    let mut real =
        Side::new(tc_core::Socket::open().expect("a socket"), tc_core::Socket::open().expect("a socket"), 1);
    let mut embedded = Side::new(kernel.connect(), kernel.connect(), 1);
    let mut tried = 0;
    for message in [RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC, RTM_NEWTCLASS, RTM_GETLINK, RTM_NEWLINK, 3, 200]
    {
        for length in [16, 17, 20, 32, 35, 36, 40] {
            for flags in [NLM_F_REQUEST | NLM_F_ACK, NLM_F_ACK] {
                let mut bytes = BytesMut::zeroed(length);
                bytes[..4].copy_from_slice(&(length as u32).to_ne_bytes());
                bytes[4..6].copy_from_slice(&message.to_ne_bytes());
                bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
                let mut answers = Vec::new();
                for answer in [raw(&mut real, &bytes), raw(&mut embedded, &bytes)] {
                    // Ports differ.
                    let mut answer = answer;
                    answer[12..16].fill(0);
                    answers.push(answer);
                }
                assert_eq!(answers[0], answers[1], "message {message}, {length} bytes, flags {flags:#x}");
                tried += 1;
            }
        }
    }
    assert_eq!(tried, 8 * 7 * 2);
}

fn raw<T: Transport>(side: &mut Side<T>, bytes: &[u8]) -> Vec<u8> {
    side.socket.send(bytes).expect("the kernel takes a datagram");
    let mut buffer = vec![0; 65536];
    let received = side.socket.receive(&mut buffer).expect("an acknowledgement was asked for");
    buffer.truncate(received.length);
    buffer
}
