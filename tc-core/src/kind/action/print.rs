//! Actions as `tc` prints them.

use super::{Action, ActionOptions, Actions, Bitfield32};
use crate::kind::print::Printer;
use crate::wire::attr::Attr;
use crate::wire::error::DecodeError;
use crate::wire::uapi::*;

impl Actions {
    /// Prints the actions of a filter.
    pub fn print(&self, out: &mut Printer) {
        self.print_list(true, out);
    }

    /// Prints actions that stand for themselves (`tc actions list`).
    pub fn print_unbound(&self, out: &mut Printer) {
        self.print_list(false, out);
    }

    fn print_list(&self, bound: bool, out: &mut Printer) {
        out.array("actions", |out| {
            for (order, action) in &self.list {
                out.object("", |out| {
                    out.newline();
                    out.item("order", "\taction order ", *order, ": ");
                    action.print(bound, out);
                });
            }
        });
    }
}

impl Action {
    fn print(&self, bound: bool, out: &mut Printer) {
        // As in tc, the kind's own print begins with its name.
        let printed = self.options.words().is_some_and(|(options, words)| words.print_options(options, out));
        match &self.options {
            ActionOptions::Known(..) if printed => {}
            ActionOptions::Known(..) | ActionOptions::Absent => out.item("kind", "", &*self.kind, " "),
            ActionOptions::Raw(bytes) => {
                out.item("kind", "", &*self.kind, " ");
                out.text_item("[Unknown action, optlen=", bytes.len(), "] ");
            }
        }
        if let Some(index) = self.index {
            // A terse list has the index alone.
            out.item("index", "\t index ", index, "");
            out.newline();
        }
        if out.style().stats {
            self.print_stats(out);
        }
        if !self.cookie.is_empty() {
            let hex: String = self.cookie.iter().map(|byte| format!("{byte:02x}")).collect();
            out.item("cookie", "\tcookie ", hex, "");
            out.newline();
        }
        self.print_flags(bound, out);
        if let Some(wanted) = self.hw_stats {
            print_hw_stats("hw_stats", wanted, out);
        }
        if let Some(used) = self.used_hw_stats {
            print_hw_stats("used_hw_stats", used, out);
        }
    }

    fn print_stats(&self, out: &mut Printer) {
        let Ok(Some(stats)) = self.stats() else { return };
        out.text("\tAction statistics:");
        out.newline();
        out.object("stats", |out| stats.print("\t", out));
        out.newline();
    }

    fn print_flags(&self, bound: bool, out: &mut Printer) {
        let mut said = false;
        let mut say = |out: &mut Printer, bit: u32, key: &str, text: &str| {
            let Some(flags) = self.flags.filter(|flags| flags.selector & bit != 0) else { return };
            said = true;
            // As in tc, the word stands there whether the bit is set or not.
            out.json(key, flags.value & bit != 0);
            out.text(text);
        };
        say(out, TCA_ACT_FLAGS_NO_PERCPU_STATS, "no_percpu", "\tno_percpu");
        if !bound {
            say(out, TCA_ACT_FLAGS_SKIP_HW, "skip_hw", "\tskip_hw");
            say(out, TCA_ACT_FLAGS_SKIP_SW, "skip_sw", "\tskip_sw");
        }
        let skip_hw =
            self.flags.is_some_and(|flags| flags.selector & flags.value & TCA_ACT_FLAGS_SKIP_HW != 0);
        if let Some(count) = self.in_hw_count.filter(|_| !bound && !skip_hw) {
            said = true;
            match count {
                0 => out.flag("not_in_hw", "\tnot_in_hw"),
                count => {
                    out.flag("in_hw", "\tin_hw");
                    out.item("in_hw_count", " in_hw_count ", count, "");
                }
            }
        }
        if said {
            out.newline();
        }
    }
}

pub(super) const HW_STATS: [(&str, u32); 3] =
    [("immediate", TCA_ACT_HW_STATS_IMMEDIATE), ("delayed", TCA_ACT_HW_STATS_DELAYED), ("disabled", 0)];

fn print_hw_stats(key: &str, field: Bitfield32, out: &mut Printer) {
    let bits = field.value & field.selector;
    out.text("\t");
    out.text(key);
    out.array(key, |out| {
        for (name, bit) in HW_STATS {
            if bits & bit != 0 || (bits == 0 && bit == 0) {
                out.item("", " ", name, "");
            }
        }
    });
    out.newline();
}

/// The times of creation and use of an action, as most kinds report them:
/// `struct tcf_t`, in hundredths of a second before now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// Since it was made.
    pub install: u64,
    /// Since it was used last.
    pub lastuse: u64,
    /// Until it ends by itself; 0 for never.
    pub expires: u64,
    /// Since it was used first; 0 before that.
    pub firstuse: u64,
}

impl Times {
    /// Reads the attribute (`TCA_MIRRED_TM` and its like).
    pub fn decode(attr: &Attr<'_>) -> Result<Self, DecodeError> {
        let mut reader = attr.reader();
        Ok(Self {
            install: reader.u64()?,
            lastuse: reader.u64()?,
            expires: reader.u64()?,
            // Kernels before 4.12 do not send it.
            firstuse: reader.u64().unwrap_or_default(),
        })
    }

    /// Prints them in whole seconds, leaving out those that are 0.
    pub fn print(&self, out: &mut Printer) {
        for (key, before, ticks) in [
            ("installed", " installed ", self.install),
            ("last_used", " used ", self.lastuse),
            ("first_used", " firstused ", self.firstuse),
            ("expires", " expires ", self.expires),
        ] {
            if ticks != 0 {
                out.item(key, before, ticks / TICKS_A_SECOND, " sec");
            }
        }
    }
}

/// `USER_HZ`.
const TICKS_A_SECOND: u64 = 100;
