//! A class, as `tc class show` shows it. The JSON is that of later versions:
//! `tc` 6.1 has none.

use tc_core::message::Entry;
use tc_core::print::{Formatted, Null};
use tc_core::uapi::*;
use tc_core::{Handle, TcOps, TcType};

use super::{Show, Shown};
use crate::context::names::Named;

impl Show<'_> {
    /// Shows a class.
    pub(super) fn class(&self, entry: &Entry<'_>, shown: &mut Shown<'_>) {
        let kind = self.kind(TcType::Class, entry, shown);
        shown.begin();
        if entry.message_type == RTM_DELTCLASS {
            shown.out.item("deleted", "", Null("deleted "), "");
        }
        self.class_head(kind, entry, shown);
        self.class_options(kind, entry, shown);
        // Not newline(): tc's -oneline has no effect on classes.
        shown.out.text("\n");
        if shown.out.style().stats {
            shown.out.begin_object("stats");
            self.stats(TcType::Class, self.class_ops(kind), entry, shown);
            shown.out.end_object();
        }
        shown.out.end_object();
    }

    fn class_head(&self, kind: &str, entry: &Entry<'_>, shown: &mut Shown<'_>) {
        let header = entry.header;
        shown.out.item("class", "class ", kind, " ");
        match header.handle {
            Handle::UNSPEC => shown.out.item("handle", "", "", " "),
            handle => shown.out.item("handle", "", self.short(handle), " "),
        }
        if !self.one_device {
            shown.out.item("dev", "dev ", shown.devices.name(header.ifindex), " ");
        }
        match header.parent {
            Handle::ROOT => shown.out.flag("root", "root "),
            parent => shown.out.item("parent", "parent ", self.short(parent), " "),
        }
        if header.info != 0 {
            let leaf = header.info >> 16;
            shown.out.text_item("leaf ", Formatted(format_args!("{leaf:x}")), ": ");
            shown.out.json("leaf", Formatted(format_args!("{leaf:#x}")));
        }
    }

    pub(super) fn class_options(&self, kind: &str, entry: &Entry<'_>, shown: &mut Shown<'_>) {
        let Some(payload) = entry.options() else { return };
        let Some(ops) = self.ops(TcType::Class, kind) else {
            let dev = shown.devices.name(entry.header.ifindex);
            let text =
                format!("class {kind} {} dev {dev}: [cannot parse class parameters]", entry.header.handle);
            shown.warnings.push(text);
            return;
        };
        if let Err(error) = Self::with_kind(shown, |out| ops.print(payload, out)) {
            shown.out.text_item("[malformed options, optlen=", payload.len(), "] ");
            self.warn(TcType::Class, entry, "options", &error, shown);
        }
    }

    /// The operations that print a class of this kind; its counters may be
    /// described by the qdisc alone.
    pub(super) fn class_ops(&self, kind: &str) -> Option<&'static dyn TcOps> {
        self.ops(TcType::Class, kind).or_else(|| self.qdisc_ops(kind))
    }

    /// A handle, without its major number where one qdisc was asked for.
    fn short(&self, handle: Handle) -> Named<'_> {
        let handle = if self.one_qdisc { Handle::class(0, handle.minor()) } else { handle };
        self.names.of(handle)
    }
}
