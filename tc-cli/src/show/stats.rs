//! The counters, as `tc -s` shows them.

use tc_core::message::Entry;
use tc_core::{TcOps, TcType};

use super::{Show, Shown};

impl Show<'_> {
    /// The counters that all have, with `prefix` at the start of each line.
    pub(super) fn stats(&self, tc_type: TcType, entry: &Entry<'_>, prefix: &str, shown: &mut Shown<'_>) {
        match entry.stats() {
            Ok(None) => {}
            Ok(Some(stats)) => {
                stats.print(prefix, shown.out);
                match tc_type {
                    // As in the class's first line.
                    TcType::Class => shown.out.text("\n"),
                    _ => shown.out.newline(),
                }
            }
            Err(error) => self.odd(tc_type, entry, "statistics", &error, shown),
        }
    }

    /// The kind's own counters.
    pub(super) fn xstats(
        &self,
        tc_type: TcType,
        ops: Option<&dyn TcOps>,
        entry: &Entry<'_>,
        shown: &mut Shown<'_>,
    ) {
        // What spoils these was said for the counters before them.
        let (Some(ops), Ok(Some(payload))) = (ops, entry.xstats()) else { return };
        match Self::with_kind(shown, |out| ops.print_xstats(payload, out)) {
            Ok(false) => {}
            Ok(true) if tc_type == TcType::Class => shown.out.text("\n"),
            Ok(true) => shown.out.newline(),
            Err(error) => self.odd(tc_type, entry, "statistics of the kind", &error, shown),
        }
    }
}
