//! `struct tc_mqprio_qopt`: traffic classes and their queues, of mqprio and taprio.

use derive_setters::Setters;
use tc_core::units::parse_decimal;
use tc_core::words::Words;
use tc_core::{AttrWriter, DecodeError, OptionWords, Reader};

/// `TC_QOPT_MAX_QUEUE`: most traffic classes, and the number of priorities.
pub const MAX_CLASSES: usize = 16;

/// `struct tc_mqprio_qopt`, which taprio has too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct TrafficClasses {
    /// How many there are, at most 16.
    pub count: u8,
    /// The class of each priority.
    pub map: [u8; MAX_CLASSES],
    /// 0: the kernel does it all; 1: the device does.
    pub hw: u8,
    /// The queues of each class. All 0: the device chooses.
    pub queues: [Queues; MAX_CLASSES],
}

/// Transmit queues that follow each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Queues {
    /// How many.
    pub count: u16,
    /// The first one, counted from 0.
    pub offset: u16,
}

impl TrafficClasses {
    /// Length of the struct.
    pub(crate) const LENGTH: usize = 82;

    pub(crate) fn encode(&self, out: &mut AttrWriter<'_>) {
        out.put_u8(self.count);
        out.put(&self.map);
        out.put_u8(self.hw);
        for queues in self.queues {
            out.put_u16(queues.count);
        }
        for queues in self.queues {
            out.put_u16(queues.offset);
        }
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let mut classes =
            Self { count: reader.u8()?, map: reader.array()?, hw: reader.u8()?, ..Self::default() };
        for queues in &mut classes.queues {
            queues.count = reader.u16()?;
        }
        for queues in &mut classes.queues {
            queues.offset = reader.u16()?;
        }
        Ok(classes)
    }

    /// The queues of the classes that there are.
    pub(crate) fn used(&self) -> impl Iterator<Item = &Queues> {
        self.queues.iter().take(self.count.into())
    }

    /// Says how many there are, their map and their queues.
    pub(crate) fn to_words(self, out: &mut OptionWords<'_>) {
        // Kernel: a command that fails can take the classes of the qdisc that is there away.
        match self.count {
            0 => out.cannot_say("num_tc 0, which the kernel refuses"),
            count => out.say("num_tc", count),
        }
        out.say("map", self.map.map(|class| class.to_string()).join(" "));
        let queues: Vec<_> =
            self.used().map(|queues| format!("{}@{}", queues.count, queues.offset)).collect();
        out.say_if("queues", Some(queues.join(" ")).filter(|queues| !queues.is_empty()));
    }

    /// Reads classes as long as numbers follow; priorities that are not named
    /// are of class 0.
    pub(crate) fn parse_map(&mut self, words: &mut Words<'_>) {
        self.map = [0; MAX_CLASSES];
        for class in &mut self.map {
            let Some(Ok(number)) = words.peek().map(parse_decimal) else { break };
            *class = number;
            words.next();
        }
    }

    /// Reads `COUNT@OFFSET` as long as they follow; returns how many.
    pub(crate) fn parse_queues(&mut self, words: &mut Words<'_>) -> usize {
        let mut pairs = 0;
        for queues in &mut self.queues {
            let mut parts = words.peek().unwrap_or("").split('@').filter(|part| !part.is_empty());
            let mut next = || parts.next().and_then(|part| parse_decimal(part).ok());
            let Some(count) = next() else { break };
            // As tc: the count is taken also if no offset follows.
            queues.count = count;
            let Some(offset) = next() else { break };
            queues.offset = offset;
            words.next();
            pairs += 1;
        }
        pairs
    }
}
