//! A qdisc, as `tc qdisc show` shows it.

use tc_core::message::Entry;
use tc_core::print::Formatted;
use tc_core::uapi::*;
use tc_core::{Handle, Stab, TcType};

use super::{Show, Shown};

impl Show<'_> {
    /// Shows a qdisc.
    pub(super) fn qdisc(&self, entry: &Entry<'_>, shown: &mut Shown<'_>) {
        let kind = self.kind(TcType::Qdisc, entry, shown);
        shown.begin();
        event(entry, shown);
        self.head(kind, entry, shown);
        self.options(kind, entry, shown);
        shown.out.newline();
        let style = *shown.out.style();
        if let Some(attr) = entry.attr(TCA_STAB).filter(|_| style.details) {
            match Stab::decode(&attr) {
                Ok(stab) => stab.print(shown.out),
                Err(error) => self.warn(TcType::Qdisc, entry, "stab", &error, shown),
            }
            shown.out.newline();
        }
        if style.stats {
            self.stats(TcType::Qdisc, self.qdisc_ops(kind), entry, shown);
        }
        shown.out.end_object();
    }

    fn head(&self, kind: &str, entry: &Entry<'_>, shown: &mut Shown<'_>) {
        let header = entry.header;
        let out = &mut *shown.out;
        out.item("kind", "qdisc ", kind, "");
        match header.handle.qdisc_of() {
            Handle::UNSPEC => out.item("handle", " ", "0:", ""),
            handle => out.item("handle", " ", handle, ""),
        }
        if out.style().raw {
            out.text_item("[", Formatted(format_args!("{:08x}", header.handle.raw())), "]");
        }
        out.text(" ");
        if !self.one_device {
            out.device("dev", "dev ", shown.devices.name(header.ifindex), " ");
        }
        match header.parent {
            Handle::ROOT => out.flag("root", "root "),
            Handle::UNSPEC => {}
            parent => out.item("parent", "parent ", self.names.of(parent), " "),
        }
        if header.info != 1 {
            out.item("refcnt", "refcnt ", header.info, " ");
        }
        if entry.attr(TCA_HW_OFFLOAD).is_some_and(|attr| attr.u8().is_ok_and(|on| on != 0)) {
            out.flag("offloaded", "offloaded ");
        }
        for (attribute, key, before) in [
            (TCA_INGRESS_BLOCK, "ingress_block", "ingress_block "),
            (TCA_EGRESS_BLOCK, "egress_block", "egress_block "),
        ] {
            let block = entry.attr(attribute).and_then(|attr| attr.u32().ok()).filter(|block| *block != 0);
            if let Some(block) = block {
                out.item(key, before, block, " ");
            }
        }
    }

    fn options(&self, kind: &str, entry: &Entry<'_>, shown: &mut Shown<'_>) {
        shown.out.begin_object("options");
        if let Some(payload) = entry.options() {
            match self.qdisc_ops(kind) {
                Some(ops) => {
                    let printed = Self::with_kind(shown, |out| ops.print(payload, out));
                    if let Err(error) = printed {
                        shown.out.text_item("[malformed options, optlen=", payload.len(), "] ");
                        self.warn(TcType::Qdisc, entry, "options", &error, shown);
                    }
                }
                None if payload.is_empty() => {}
                None => shown.out.text_item("[Unknown qdisc, optlen=", payload.len(), "] "),
            }
        }
        shown.out.end_object();
    }
}

/// The prefix of a notice; empty in a list.
fn event(entry: &Entry<'_>, shown: &mut Shown<'_>) {
    let has = |flags: u16| entry.flags & flags == flags;
    if entry.message_type == RTM_DELQDISC {
        shown.out.flag("deleted", "deleted ");
    } else if has(NLM_F_CREATE | NLM_F_REPLACE) {
        shown.out.flag("replaced", "replaced ");
    } else if has(NLM_F_CREATE | NLM_F_EXCL) {
        shown.out.flag("added", "added ");
    }
}
