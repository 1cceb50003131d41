//! One description of a qdisc, class or filter for both forms of output.

mod class;
mod filter;
pub(crate) mod graph;
mod qdisc;
mod stats;

use tc_core::message::Entry;
use tc_core::print::Printer;
use tc_core::{DecodeError, Handle, Registry, TcOps, TcType};

use crate::devices::Devices;
use crate::filter::Place;
use crate::names::ClassNames;

/// How entries are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Show<'n> {
    pub(crate) registry: &'static Registry,
    /// Names of classes.
    pub(crate) names: &'n ClassNames,
    /// All are of one device, which was named: it is left out.
    pub(crate) one_device: bool,
    /// All are of one qdisc, which was named: its major number is left out.
    pub(crate) one_qdisc: bool,
    /// Of filters: the parent that was named, and the rest that was; left out.
    pub(crate) one_parent: Handle,
    pub(crate) one_place: Place,
}

impl<'n> Show<'n> {
    /// Of everything, with nothing left out.
    pub(crate) const fn all(registry: &'static Registry, names: &'n ClassNames) -> Self {
        Self {
            registry,
            names,
            one_device: false,
            one_qdisc: false,
            one_parent: Handle::UNSPEC,
            one_place: Place::NONE,
        }
    }
}

/// Where an entry is shown, and what was odd about it.
#[derive(Debug)]
pub(crate) struct Shown<'o> {
    pub(crate) out: &'o mut Printer,
    pub(crate) devices: &'o mut Devices,
    pub(crate) odd: Vec<String>,
    /// When it happened, for JSON.
    pub(crate) timestamp: Option<String>,
}

impl<'o> Shown<'o> {
    pub(crate) fn new(out: &'o mut Printer, devices: &'o mut Devices) -> Self {
        Self { out, devices, odd: Vec::new(), timestamp: None }
    }
}

impl Shown<'_> {
    /// Starts an entry.
    fn begin(&mut self) {
        self.out.begin_object("");
        if let Some(timestamp) = self.timestamp.take() {
            self.out.json("timestamp", timestamp);
        }
    }
}

impl Show<'_> {
    /// Shows one entry: what is odd about it spoils only that part of it.
    pub(crate) fn entry(&self, tc_type: TcType, entry: &Entry<'_>, shown: &mut Shown<'_>) {
        match tc_type {
            TcType::Class => self.class(entry, shown),
            TcType::Filter => self.filter(entry, shown),
            _ => self.qdisc(entry, shown),
        }
    }

    /// Says what is odd about an entry.
    fn odd(
        &self,
        tc_type: TcType,
        entry: &Entry<'_>,
        what: &str,
        error: &DecodeError,
        shown: &mut Shown<'_>,
    ) {
        let dev = shown.devices.name(entry.header.ifindex);
        shown.odd.push(format!("{tc_type} {} dev {dev}: {what}: {error}", entry.header.handle));
    }

    /// The kind's name; a missing one is odd, and shown as nothing known.
    fn kind<'a>(&self, tc_type: TcType, entry: &Entry<'a>, shown: &mut Shown<'_>) -> &'a str {
        entry.kind().unwrap_or_else(|error| {
            self.odd(tc_type, entry, "kind", &error, shown);
            "[unknown]"
        })
    }

    /// Prints with the kind's help; what it printed before it failed is closed.
    fn with_kind<T>(
        shown: &mut Shown<'_>,
        print: impl FnOnce(&mut Printer) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let depth = shown.out.depth();
        let printed = print(shown.out);
        if printed.is_err() {
            shown.out.close_to(depth);
        }
        printed
    }

    /// The operations that print a qdisc of this kind.
    fn qdisc_ops(&self, kind: &str) -> Option<&'static dyn TcOps> {
        // pfifo_fast's options are those of prio.
        let kind = if kind == "pfifo_fast" { "prio" } else { kind };
        self.registry.get(TcType::Qdisc, kind)
    }
}
