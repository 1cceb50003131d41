//! A filter, as `tc filter show` shows it.

use tc_core::message::Entry;
use tc_core::print::{Formatted, Printer};
use tc_core::uapi::*;
use tc_core::{FilterPlace, Handle, TcType};

use super::{Show, Shown};
use tc_core::protocol;

impl Show<'_> {
    /// Shows a filter.
    pub(super) fn filter(&self, entry: &Entry<'_>, shown: &mut Shown<'_>) {
        let is_chain = matches!(entry.message_type, RTM_NEWCHAIN..=RTM_GETCHAIN);
        // A chain has a kind if it has a template.
        let kind = match is_chain && entry.attr(TCA_KIND).is_none() {
            true => None,
            false => Some(self.kind(TcType::Filter, entry, shown)),
        };
        shown.begin();
        event(entry, shown.out);
        shown.out.text(if is_chain { "chain " } else { "filter " });
        self.filter_place(entry, shown);
        if !is_chain {
            self.filter_info(entry, shown);
        }
        let out = &mut *shown.out;
        out.item_if("kind", "", kind, " ");
        let chain = entry.attr(TCA_CHAIN).and_then(|attr| attr.u32().ok());
        if let Some(chain) = chain.filter(|chain| self.one_place.chain != Some(*chain)) {
            out.item("chain", "chain ", chain, " ");
        }
        if let Some(kind) = kind {
            self.filter_options(kind, entry, shown);
        }
        shown.out.newline();
        if shown.out.style().stats {
            self.stats(TcType::Filter, None, entry, shown);
        }
        shown.out.end_object();
    }

    /// Where it is, without what was asked for.
    fn filter_place(&self, entry: &Entry<'_>, shown: &mut Shown<'_>) {
        let header = entry.header;
        let out = &mut *shown.out;
        match entry.block() {
            Some(block) if self.one_place.block == Some(block) => {}
            Some(block) => out.item("block", "block ", block, " "),
            None => {
                if !self.one_device {
                    out.device("dev", "dev ", shown.devices.name(header.ifindex), " ");
                }
                match header.parent {
                    parent if parent == self.one_parent && !parent.is_unspec() => {}
                    Handle::ROOT => out.flag("root", "root "),
                    Handle::FILTER_INGRESS => out.flag("ingress", "ingress "),
                    Handle::FILTER_EGRESS => out.flag("egress", "egress "),
                    parent => out.item("parent", "parent ", self.names.of(parent), " "),
                }
            }
        }
    }

    /// Protocol and priority, without what was asked for.
    fn filter_info(&self, entry: &Entry<'_>, shown: &mut Shown<'_>) {
        let out = &mut *shown.out;
        let number = entry.protocol();
        let asked = self.one_place.protocol.filter(|protocol| *protocol != 0);
        if number != 0 && asked != Some(number) {
            out.item("protocol", "protocol ", protocol::name(number, out.style().numeric), " ");
        }
        let priority = entry.priority();
        if priority != 0 && self.one_place.priority != priority {
            out.item("pref", "pref ", priority, " ");
        }
    }

    fn filter_options(&self, kind: &str, entry: &Entry<'_>, shown: &mut Shown<'_>) {
        let Some(payload) = entry.options() else { return };
        let handle = entry.header.handle;
        shown.out.begin_object("options");
        match self.ops(TcType::Filter, kind) {
            Some(ops) => {
                let place = FilterPlace::of(entry);
                let printed = Self::with_kind(shown, |out| ops.print_at(payload, &place, out));
                if let Err(error) = printed {
                    shown.out.text_item("[malformed options, optlen=", payload.len(), "] ");
                    self.warn(TcType::Filter, entry, "options", &error, shown);
                }
            }
            None if payload.is_empty() && handle.is_unspec() => {}
            None => {
                shown.out.text_item("fh ", Formatted(format_args!("{:08x}", handle.raw())), " ");
                if !payload.is_empty() {
                    shown.out.text_item("[Unknown filter, optlen=", payload.len(), "] ");
                }
            }
        }
        shown.out.end_object();
    }
}

/// The prefix of a notice; empty in a list.
fn event(entry: &Entry<'_>, out: &mut Printer) {
    if matches!(entry.message_type, RTM_DELTFILTER | RTM_DELCHAIN) {
        out.flag("deleted", "deleted ");
    } else if matches!(entry.message_type, RTM_NEWTFILTER | RTM_NEWCHAIN) && entry.flags & NLM_F_CREATE != 0 {
        match entry.flags & NLM_F_EXCL {
            0 => out.flag("replaced", "replaced "),
            _ => out.flag("added", "added "),
        }
    }
}
