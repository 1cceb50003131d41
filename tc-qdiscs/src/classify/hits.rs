//! Counters of filters and of their actions.

/// The counters of a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hits {
    /// Packets that came to the filter: `rcnt` of u32 and basic.
    pub seen: u64,
    /// Packets that it matched: `rhit` of u32, basic and matchall.
    pub matched: u64,
    /// Packets that each key of a u32 filter matched.
    pub keys: Vec<u64>,
    /// Packets whose mark a u32 filter matched.
    pub marks: u64,
    /// The counters of the actions, in their order.
    pub actions: Vec<ActionHits>,
}

/// The counters of an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActionHits {
    /// Packets that the action saw.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Packets that it dropped.
    pub drops: u64,
    /// Packets above a limit, or that it could not change or send.
    pub overlimits: u64,
}

impl Hits {
    /// The counters of the action at this place of the list.
    pub(super) fn action(&mut self, at: usize) -> &mut ActionHits {
        if self.actions.len() <= at {
            self.actions.resize(at + 1, ActionHits::default());
        }
        &mut self.actions[at]
    }

    pub(super) fn key(&mut self, at: usize) {
        if self.keys.len() <= at {
            self.keys.resize(at + 1, 0);
        }
        self.keys[at] += 1;
    }
}

impl Hits {
    /// Adds the counters of further packets.
    pub fn add(&mut self, more: &Self) {
        self.seen += more.seen;
        self.matched += more.matched;
        self.marks += more.marks;
        if self.keys.len() < more.keys.len() {
            self.keys.resize(more.keys.len(), 0);
        }
        self.keys.iter_mut().zip(&more.keys).for_each(|(count, more)| *count += more);
        for (at, more) in more.actions.iter().enumerate() {
            let action = self.action(at);
            action.packets += more.packets;
            action.bytes += more.bytes;
            action.drops += more.drops;
            action.overlimits += more.overlimits;
        }
    }
}
