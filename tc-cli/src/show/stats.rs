//! The counters, as `tc -s` shows them.

use tc_core::message::Entry;
use tc_core::uapi::TCA_XSTATS;
use tc_core::{TcOps, TcType};

use super::{Show, Shown};

impl Show<'_> {
    /// The counters that all have, and those of the kind's own.
    pub(super) fn stats(
        &self,
        tc_type: TcType,
        ops: Option<&dyn TcOps>,
        entry: &Entry<'_>,
        shown: &mut Shown<'_>,
    ) {
        let own = match entry.stats() {
            Ok(stats) => {
                if let Some(stats) = stats {
                    stats.print(" ", shown.out);
                    end(tc_type, shown);
                }
                let old = || entry.attr(TCA_XSTATS).map(|attr| attr.payload);
                stats.and_then(|stats| stats.app).or_else(old)
            }
            Err(error) => {
                self.odd(tc_type, entry, "statistics", &error, shown);
                entry.xstats().ok().flatten()
            }
        };
        let (Some(ops), Some(payload)) = (ops, own) else { return };
        match Self::with_kind(shown, |out| ops.print_xstats(payload, out)) {
            Ok(false) => {}
            Ok(true) => end(tc_type, shown),
            Err(error) => self.odd(tc_type, entry, "statistics of the kind", &error, shown),
        }
    }
}

/// Ends a line: that of a class as its first one.
fn end(tc_type: TcType, shown: &mut Shown<'_>) {
    match tc_type {
        TcType::Class => shown.out.text("\n"),
        _ => shown.out.newline(),
    }
}
