//! The walk through the filters of one place: `tcf_classify`.

use std::ops::Range;

use tc_core::Handle;
use tc_core::action::Control;
use tc_core::uapi::ETH_P_ALL;

use super::filter::{Filter, run};
use super::{CannotKnow, Hits, Outcome, Packet, Step, Walk};

/// The filters of one place, with their counters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filters {
    list: Vec<Filter>,
    hits: Vec<Hits>,
}

/// The result of a classification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `TC_ACT_UNSPEC`: no filter decided.
    Miss,
    /// A filter decided.
    Match {
        /// The fate of the packet.
        control: Control,
        /// The class; unspecified if the filter has none.
        class: Handle,
    },
}

impl Verdict {
    /// The class of a match, unless the filter has none.
    pub fn class(self) -> Option<Handle> {
        match self {
            Self::Miss => None,
            Self::Match { class, .. } => Some(class).filter(|class| !class.is_unspec()),
        }
    }
}

/// `max_reclassify_loop`.
const MOST_RESTARTS: usize = 16;

impl Filters {
    /// The filters in the order of a dump.
    pub fn new(mut list: Vec<Filter>) -> Self {
        list.sort_by_key(|filter| (filter.chain, filter.priority));
        let hits = vec![Hits::default(); list.len()];
        Self { list, hits }
    }

    /// Adds a filter that a dump has after the others of its priority.
    pub fn push(&mut self, filter: Filter) {
        let place = (filter.chain, filter.priority);
        let at = self.list.partition_point(|other| (other.chain, other.priority) <= place);
        self.list.insert(at, filter);
        self.hits.insert(at, Hits::default());
    }

    /// The filters in the order in which they are asked.
    pub fn list(&self) -> &[Filter] {
        &self.list
    }

    /// The counters of the filters, in the same order.
    pub fn hits(&self) -> &[Hits] {
        &self.hits
    }

    /// Whether the list is empty.
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Classifies a packet from chain 0 on. Actions change the packet.
    pub fn classify(&mut self, packet: &mut Packet, walk: &mut Walk) -> Result<Verdict, CannotKnow> {
        let mut chain = 0;
        for _ in 0..=MOST_RESTARTS {
            match self.classify_in(chain, packet, walk)? {
                Verdict::Match { control: Control::Reclassify, .. } => chain = 0,
                Verdict::Match { control: Control::GotoChain(other), .. } => chain = other,
                verdict => return Ok(verdict),
            }
            walk.step(Step::Goto { chain });
        }
        // Kernel: a packet that loops is dropped.
        walk.step(Step::Note { text: format!("more than {MOST_RESTARTS} restarts drop the packet") });
        Ok(Verdict::Match { control: Control::Drop, class: Handle::UNSPEC })
    }

    fn classify_in(
        &mut self,
        chain: u32,
        packet: &mut Packet,
        walk: &mut Walk,
    ) -> Result<Verdict, CannotKnow> {
        let mut start = self.list.partition_point(|filter| filter.chain < chain);
        while let Some(first) = self.list.get(start).filter(|filter| filter.chain == chain) {
            let priority = first.priority;
            let same = |filter: &&Filter| (filter.chain, filter.priority) == (chain, priority);
            let group = start..start + self.list[start..].iter().take_while(same).count();
            start = group.end;
            match self.classify_by(group, packet, walk)? {
                Verdict::Match { control, .. } if is_negative(control) => {}
                Verdict::Miss => {}
                verdict => return Ok(verdict),
            }
        }
        Ok(Verdict::Miss)
    }

    /// The filters of one priority (`struct tcf_proto`).
    fn classify_by(
        &mut self,
        group: Range<usize>,
        packet: &mut Packet,
        walk: &mut Walk,
    ) -> Result<Verdict, CannotKnow> {
        let first = &self.list[group.start];
        if first.protocol != packet.protocol() && first.protocol != ETH_P_ALL {
            let why = format!("the packet's protocol is {:#06x}", packet.protocol());
            walk.step(first.step(Outcome::Missed(why)));
            return Ok(Verdict::Miss);
        }
        run(&self.list, group, &mut self.hits, packet, walk)
    }
}

/// Whether the next filter is asked.
pub(super) const fn is_negative(control: Control) -> bool {
    control.raw() < 0
}
