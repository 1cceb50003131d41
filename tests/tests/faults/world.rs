//! A kernel, a connection on which things go wrong, and the truth.

use std::fmt::Write as _;

use tc_core::embedded::{Device, Faults, Kernel, Socket};
use tc_core::message::Entry;
use tc_core::uapi::{TCA_OPTIONS, TCA_STAB};
use tc_core::{Connection, DumpRequest, Error, Handle, OwnedEntry};

use crate::operations::Operation;

pub(crate) const ETH0: i32 = 2;
pub(crate) const ETH1: i32 = 3;

pub(crate) type Tc = Connection<Faults<Socket>>;

/// The report of an operation, or of a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// It succeeded; its objects, in lines.
    Done(Vec<String>),
    /// It did not take place.
    Failed(String),
    /// It may have taken place.
    Unknown(String),
}

impl Said {
    pub(crate) fn of<T>(outcome: Result<T, Error>, digest: impl FnOnce(T) -> Vec<String>) -> Self {
        match outcome {
            Ok(value) => Self::Done(digest(value)),
            Err(error) if error.is_outcome_unknown() => Self::Unknown(error.to_string()),
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}

pub(crate) struct World {
    pub(crate) kernel: Kernel,
    tc: Tc,
    /// As it was asked for last.
    truth: String,
}

impl World {
    /// As the operation wants to find it.
    pub(crate) fn new(operation: &Operation) -> Self {
        let kernel = kernel();
        (operation.prepare)(&kernel);
        let tc = Connection::over(Faults::over(kernel.connect()));
        Self { kernel, tc, truth: String::new() }
    }

    pub(crate) const fn tc(&mut self) -> &mut Tc {
        &mut self.tc
    }

    pub(crate) const fn calls(&self) -> u64 {
        self.tc.transport().calls()
    }

    pub(crate) fn run(&mut self, operation: &Operation) -> Vec<Said> {
        (operation.run)(&mut self.tc)
    }

    /// All that the kernel has, but its counters.
    pub(crate) fn truth(&mut self) -> String {
        self.truth = truth(&self.kernel);
        self.truth.clone()
    }

    /// Whether a line of the truth, as it was asked for last, holds all of these.
    pub(crate) fn has(&self, parts: &[&str]) -> bool {
        self.truth.lines().any(|line| parts.iter().all(|part| line.contains(part)))
    }
}

/// Two devices to work with, and enough of others that a list comes in pieces.
pub(crate) fn kernel() -> Kernel {
    let builder = tc_qdiscs::embedded::kinds(Kernel::builder());
    let builder = builder
        .device(Device::loopback())
        .device(Device::new("eth0").ifindex(ETH0))
        .device(Device::new("eth1").ifindex(ETH1));
    (10..30).fold(builder, |all, n| all.device(Device::new(&format!("d{n}")).ifindex(n))).build()
}

pub(crate) fn truth(kernel: &Kernel) -> String {
    let mut tc = Connection::over(kernel.connect());
    let qdiscs = tc.list(&DumpRequest::qdiscs().invisible()).unwrap();
    let mut text = String::new();
    let mut of =
        |list: Vec<OwnedEntry>| lines(&list).iter().for_each(|line| writeln!(text, "{line}").unwrap());
    of(tc.list(&DumpRequest::actions("gact")).unwrap());
    for ifindex in [ETH0, ETH1] {
        of(tc.list(&DumpRequest::classes(ifindex)).unwrap());
        for parent in [Handle::UNSPEC, Handle::FILTER_INGRESS, Handle::FILTER_EGRESS] {
            of(tc.list(&DumpRequest::filters(ifindex).parent(parent)).unwrap());
        }
    }
    of(qdiscs);
    for ifindex in [1, ETH0, ETH1, 30, 31] {
        if let Ok(mut link) = tc.link_by_index(ifindex) {
            // A capture takes a random one.
            link.name.truncate(4);
            link.raw_name = tc_core::link::DeviceName::of(&link.name);
            writeln!(text, "{link:?}").unwrap();
        }
    }
    text
}

/// The identity of objects, a line each.
pub(crate) fn lines(list: &[OwnedEntry]) -> Vec<String> {
    list.iter().map(|owned| line(&owned.entry().unwrap())).collect()
}

pub(crate) fn line(entry: &Entry<'_>) -> String {
    let header = entry.header;
    if let Ok(actions) = entry.actions() {
        return format!("actions {actions:?}");
    }
    // The child of a leaf class, or a reference count.
    let kind = entry.kind().unwrap_or("?");
    let options = entry.attr(TCA_OPTIONS).map_or_else(String::new, |attr| hex(attr.payload));
    let stab = entry.attr(TCA_STAB).is_some();
    let held = entry.stats().unwrap().and_then(|stats| stats.queue).map_or(0, |queue| queue.qlen);
    format!(
        "{} {kind} {} parent {} dev {} info {:x} stab {stab} held {held} options {options}",
        entry.tc_type(),
        header.handle,
        header.parent,
        header.ifindex,
        header.info
    )
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
