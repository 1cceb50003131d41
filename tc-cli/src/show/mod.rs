//! One description of a qdisc, class or filter for both forms of output.

mod class;
mod filter;
pub(crate) mod graph;
mod place;
mod qdisc;
mod stats;

use std::cell::Cell;

use tc_core::message::Entry;
use tc_core::print::Printer;
use tc_core::{DecodeError, Handle, Registry, TcOps, TcType};

pub(crate) use self::place::Place;
use crate::context::devices::Devices;
use crate::context::names::ClassNames;

/// How entries are shown.
#[derive(Clone, Debug)]
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
    /// The kind of the last entry: most often the next one is of it too.
    pub(crate) last: Cell<Option<&'static dyn TcOps>>,
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
            last: Cell::new(None),
        }
    }
}

/// The output for an entry, and its oddities.
#[derive(Debug)]
pub(crate) struct Shown<'o> {
    pub(crate) out: &'o mut Printer,
    pub(crate) devices: &'o mut Devices,
    pub(crate) warnings: Vec<String>,
    /// When it happened, for JSON.
    pub(crate) timestamp: Option<String>,
}

impl<'o> Shown<'o> {
    pub(crate) fn new(out: &'o mut Printer, devices: &'o mut Devices) -> Self {
        Self { out, devices, warnings: Vec::new(), timestamp: None }
    }
}

impl Shown<'_> {
    /// Starts an entry.
    pub(crate) fn begin(&mut self) {
        self.out.begin_object("");
        if let Some(timestamp) = self.timestamp.take() {
            self.out.json("timestamp", timestamp);
        }
    }
}

impl Show<'_> {
    /// Prints one entry. A malformed part affects only itself.
    pub(crate) fn entry(&self, tc_type: TcType, entry: &Entry<'_>, shown: &mut Shown<'_>) {
        match tc_type {
            TcType::Class => self.class(entry, shown),
            TcType::Filter => self.filter(entry, shown),
            _ => self.qdisc(entry, shown),
        }
    }

    /// Reports the malformed parts of an entry.
    fn warn(
        &self,
        tc_type: TcType,
        entry: &Entry<'_>,
        what: &str,
        error: &DecodeError,
        shown: &mut Shown<'_>,
    ) {
        let dev = shown.devices.name(entry.header.ifindex);
        shown.warnings.push(format!("{tc_type} {} dev {dev}: {what}: {error}", entry.header.handle));
    }

    /// The kind's name; a missing one is odd, and shown as nothing known.
    fn kind<'a>(&self, tc_type: TcType, entry: &Entry<'a>, shown: &mut Shown<'_>) -> &'a str {
        entry.kind().unwrap_or_else(|error| {
            self.warn(tc_type, entry, "kind", &error, shown);
            "[unknown]"
        })
    }

    /// Prints with the kind's code. Output before a failure is closed.
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
        self.ops(TcType::Qdisc, kind)
    }

    fn ops(&self, tc_type: TcType, kind: &str) -> Option<&'static dyn TcOps> {
        let last = self.last.get().filter(|ops| ops.tc_type() == tc_type && ops.kind() == kind);
        last.or_else(|| {
            let ops = self.registry.get(tc_type, kind)?;
            self.last.set(Some(ops));
            Some(ops)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use tc_core::link::{DeviceName, DeviceNames};
    use tc_core::message::Messages;
    use tc_core::print::{Form, Style};
    use tc_core::uapi::*;
    // Linked for pfifo.
    use tc_qdiscs as _;

    #[derive(Debug)]
    struct NoDevices;

    impl DeviceNames for NoDevices {
        fn device_name(&self, _: i32) -> io::Result<DeviceName> {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    /// A qdisc as a dump has it, with these attributes.
    fn message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = [&[0; 4][..], &kind.to_ne_bytes(), &[0; 10]].concat();
        for number in [0, 7, 0x1_0000, 0xffff_ffff, 2u32] {
            bytes.extend(number.to_ne_bytes());
        }
        for (attribute, payload) in attributes {
            bytes.extend((4 + payload.len() as u16).to_ne_bytes());
            bytes.extend(attribute.to_ne_bytes());
            bytes.extend(*payload);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        let length = bytes.len() as u32;
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes
    }

    fn shown(form: Form, tc_type: TcType, bytes: &[u8]) -> (String, Vec<String>) {
        let mut devices = Devices::new(Box::new(NoDevices));
        let style = Style { stats: true, ..Style::default() };
        let mut out = Printer::new(form, style);
        let names = ClassNames::default();
        let registry = Registry::global().unwrap();
        let show = Show::all(registry, &names);
        let mut shown = Shown::new(&mut out, &mut devices);
        let entry = Entry::decode(&Messages::new(bytes).next().unwrap().unwrap()).unwrap();
        show.entry(tc_type, &entry, &mut shown);
        let odd = shown.warnings;
        (out.as_str().to_owned(), odd)
    }

    #[test]
    fn an_odd_entry_is_shown_with_what_is_known() {
        let short: &[(u16, &[u8])] = &[(TCA_KIND, b"pfifo\0"), (TCA_OPTIONS, b"xy"), (TCA_STATS2, b"xy\0\0")];
        let none: &[(u16, &[u8])] = &[];
        let new: &[(u16, &[u8])] = &[(TCA_KIND, b"new\0"), (TCA_OPTIONS, &[0; 8])];
        let cases = [
            (none, "qdisc [unknown] 1: dev if7 root refcnt 2 \n", 1),
            (new, "qdisc new 1: dev if7 root refcnt 2 [Unknown qdisc, optlen=8] \n", 0),
            (short, "qdisc pfifo 1: dev if7 root refcnt 2 [malformed options, optlen=2] \n", 2),
        ];
        for (attributes, text, odd) in cases {
            let bytes = message(RTM_NEWQDISC, attributes);
            let (printed, said) = shown(Form::Text, TcType::Qdisc, &bytes);
            assert_eq!((printed.as_str(), said.len()), (text, odd), "{said:?}");
            let (printed, _) = shown(Form::Json, TcType::Qdisc, &bytes);
            assert!(serde_json::from_str::<serde_json::Value>(&printed).is_ok(), "{printed}");
        }
    }

    #[test]
    fn a_class_without_a_registered_kind_keeps_its_head() {
        let bytes = message(RTM_DELTCLASS, &[(TCA_KIND, b"new\0"), (TCA_OPTIONS, &[0; 8])]);
        let (text, odd) = shown(Form::Text, TcType::Class, &bytes);
        assert_eq!(text, "deleted class new 1: dev if7 root leaf 0: \n");
        assert_eq!(odd, ["class new 1: dev if7: [cannot parse class parameters]"]);
        let (json, _) = shown(Form::Json, TcType::Class, &bytes);
        assert_eq!(
            json,
            r#"{"deleted":null,"class":"new","handle":"1:","dev":"if7","root":true,"leaf":"0x0","stats":{}}"#
        );
    }

    /// A list of `count` objects that were captured from a kernel, shown with all there is.
    fn allocations(tc_type: TcType, capture: &str, style: Style, form: Form, count: usize) -> u64 {
        let text = std::fs::read_to_string(format!("../tc-qdiscs/captures/{capture}")).unwrap();
        let digits: String = text.lines().filter(|line| !line.starts_with('#')).collect();
        let digits: Vec<_> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        let bytes: Vec<_> = digits.chunks(2).map(byte).collect();
        let mut devices = Devices::new(Box::new(OneDevice));
        let (mut out, names) = (Printer::new(form, style), ClassNames::default());
        let show = Show::all(Registry::global().unwrap(), &names);
        let mut list = || {
            for _ in 0..count {
                let message = Messages::new(&bytes).next().unwrap().unwrap();
                let entry = Entry::decode(&message).unwrap();
                let mut shown = Shown::new(&mut out, &mut devices);
                show.entry(tc_type, &entry, &mut shown);
                assert_eq!(shown.warnings.len(), 0);
                assert!(out.bytes().len() > 50);
                out.clear();
            }
        };
        list();
        allocation_counter::measure(list).count_total
    }

    #[derive(Debug)]
    struct OneDevice;

    impl DeviceNames for OneDevice {
        fn device_name(&self, _: i32) -> io::Result<DeviceName> {
            Ok(DeviceName::of("eth0"))
        }
    }

    #[test]
    fn showing_an_object_allocates_nothing() {
        let plain = Style { stats: true, ..Style::default() };
        for (tc_type, capture) in [
            (TcType::Qdisc, "pfifo/dump.hex"),
            (TcType::Qdisc, "tbf/dump.hex"),
            (TcType::Class, "htb/dump-class.hex"),
        ] {
            for style in [plain, Style { details: true, oneline: true, ..plain }] {
                for form in [Form::Text, Form::Json, Form::PrettyJson] {
                    let allocations = allocations(tc_type, capture, style, form, 100);
                    assert_eq!(allocations, 0, "{capture} {style:?} {form:?}");
                }
            }
        }
        assert_eq!(allocations(TcType::Class, "htb/dump-class.hex", plain, Form::Text, 50_000), 0);
    }
}
