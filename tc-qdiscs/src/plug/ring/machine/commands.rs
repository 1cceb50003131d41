//! Commands to the bands of a ring.

use std::fmt;

use super::super::depth::Depth;

/// A band, counted from 0.
pub type Band = u8;

/// A command, for each device alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// `TCQ_PLUG_BUFFER` to the band: it holds.
    Buffer(Band),
    /// All entries of the priomap lead to the band.
    Map(Band),
    /// `TCQ_PLUG_RELEASE_INDEFINITE` to the band: it passes.
    Open(Band),
    /// A new plug, which holds nothing and is closed, takes the place of the band's.
    Renew(Band),
    /// Reads the band's counters.
    Look(Band),
}

impl Command {
    /// The band.
    pub const fn band(self) -> Band {
        match self {
            Self::Buffer(band)
            | Self::Map(band)
            | Self::Open(band)
            | Self::Renew(band)
            | Self::Look(band) => band,
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Buffer(band) => write!(f, "BUFFER to band {band}"),
            Self::Map(band) => write!(f, "the map to band {band}"),
            Self::Open(band) => write!(f, "RELEASE_INDEFINITE to band {band}"),
            Self::Renew(band) => write!(f, "a new plug in band {band}"),
            Self::Look(band) => write!(f, "a look at band {band}"),
        }
    }
}

/// The most commands of one datagram: one for each band, and the map.
const MOST: usize = Depth::MOST as usize + 1;

/// The commands of one datagram, in order.
#[derive(Clone)]
pub struct Commands {
    commands: [Command; MOST],
    count: u8,
}

impl Commands {
    /// The commands.
    pub fn as_slice(&self) -> &[Command] {
        &self.commands[..usize::from(self.count)]
    }

    /// Adds a command. One too many is left out; no order has so many.
    pub(super) fn push(&mut self, command: Command) {
        if let Some(slot) = self.commands.get_mut(usize::from(self.count)) {
            *slot = command;
            self.count += 1;
        }
    }

    pub(super) fn extend(&mut self, commands: impl Iterator<Item = Command>) {
        commands.for_each(|command| self.push(command));
    }
}

impl Default for Commands {
    fn default() -> Self {
        Self { commands: [Command::Look(0); MOST], count: 0 }
    }
}

impl FromIterator<Command> for Commands {
    fn from_iter<I: IntoIterator<Item = Command>>(commands: I) -> Self {
        let mut all = Self::default();
        all.extend(commands.into_iter());
        all
    }
}

impl fmt::Debug for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

impl PartialEq for Commands {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Commands {}

impl std::hash::Hash for Commands {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

/// A datagram of commands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sent {
    /// Its number, which its answers name.
    pub turn: u64,
    /// The commands.
    pub commands: Commands,
}
