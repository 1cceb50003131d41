//! `ipset`: matches packets whose addresses are in a set of netfilter.
//!
//! UAPI: `struct xt_set_info` of `linux/netfilter/xt_set.h`.
//!
//! Kernel, `net/sched/em_ipset.c`: the ematch holds a reference to the set, which can be neither destroyed
//! nor renamed then.

use tc_core::ematch::{ArgError, Args, Ematch};
use tc_core::link::DeviceNames;
use tc_core::words::WordsContext;
use tc_core::{AttrWriter, DecodeError, EncodeError, Reader};

tc_core::register_ematch!(Ipset);

/// The parameters of an ipset ematch.
///
/// ```
/// use tc_core::ematch::Ematches;
/// use tc_qdiscs::ematch::ipset::{Direction, Ipset};
///
/// // The set with the index 0, a `hash:ip,port` for example.
/// let ipset = Ipset::new(0, [Direction::Source, Direction::Destination]);
/// let expression = Ematches::new(ipset);
/// # let _ = expression;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ipset {
    /// The set's index in the network namespace.
    pub index: u16,
    /// The side of the packet for each dimension of the set, from 1 to 6.
    pub directions: Vec<Direction>,
}

/// A side of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The source's address or port.
    Source,
    /// The destination's.
    Destination,
}

impl Ipset {
    /// The set with this index, and a side for each of its dimensions.
    pub fn new(index: u16, directions: impl Into<Vec<Direction>>) -> Self {
        Self { index, directions: directions.into() }
    }

    fn sides(&self) -> String {
        let word = |direction: &Direction| match direction {
            Direction::Source => "src",
            Direction::Destination => "dst",
        };
        self.directions.iter().map(word).collect::<Vec<_>>().join(",")
    }
}

impl Ematch for Ipset {
    const KIND: u16 = 8;
    const NAME: &'static str = "ipset";
    const USAGE: &'static str = "\
Usage: ipset(SETNAME FLAGS)
where: SETNAME:= string
       FLAGS  := { FLAG[,FLAGS] }
       FLAG   := { src | dst }

Example: 'ipset(bulk src,dst)'
";

    fn encode(&self, out: &mut AttrWriter<'_>) -> Result<(), EncodeError> {
        if self.directions.is_empty() || self.directions.len() > MOST_DIMENSIONS {
            let text = format!("ipset has from 1 to {MOST_DIMENSIONS} directions");
            return Err(EncodeError::Invalid(text));
        }
        let bits = self.directions.iter().zip(1..);
        let bits = bits.filter(|(direction, _)| **direction == Direction::Source);
        out.put_u16(self.index);
        out.put_u8(self.directions.len() as u8);
        out.put_u8(bits.map(|(_, bit)| 1 << bit).sum());
        Ok(())
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(data);
        let (index, dimensions, flags) = (reader.u16()?, reader.u8()?, reader.u8()?);
        let known = (1..=dimensions).fold(0u8, |known, bit| known | 1u8.checked_shl(bit.into()).unwrap_or(0));
        if dimensions == 0 || usize::from(dimensions) > MOST_DIMENSIONS || flags & !known != 0 {
            return Err(DecodeError::Malformed { what: "dimensions of ipset" });
        }
        let direction = |bit: u8| match flags & 1 << bit {
            0 => Direction::Destination,
            _ => Direction::Source,
        };
        Ok(Self { index, directions: (1..=dimensions).map(direction).collect() })
    }

    fn parse_args(args: &mut Args<'_>, context: &WordsContext<'_>) -> Result<Self, ArgError> {
        let name = args.word().unwrap_or_default();
        if name.len() > MOST_NAME || name.contains('\0') {
            return Err(args.wrong(&format!("ipset: set name too long (max {MOST_NAME})")));
        }
        let index = context.environment.ipset_index(&name).map_err(|reason| {
            let reason = if reason.is_empty() { reason } else { reason + "\n" };
            args.wrong(&format!("{reason}ipset: unknown set name '{name}'"))
        })?;
        let Some(words) = args.word() else { return Err(args.lacking("ipset: missing set flags")) };
        let direction = |word: &str| match word {
            "src" => Some(Direction::Source),
            "dst" => Some(Direction::Destination),
            _ => None,
        };
        let directions: Option<Vec<_>> = words.split(',').map(direction).collect();
        let directions = directions.ok_or(
            "You must specify (the comma separated list of) 'src' or 'dst'\nipset: error parsing set flags",
        );
        let directions = directions.map_err(|text| args.wrong(text))?;
        if directions.len() > MOST_DIMENSIONS {
            return Err(args.wrong("Can't be more src/dst options than 6\nipset: error parsing set flags"));
        }
        args.end("ipset: unknown parameter")?;
        Ok(Self { index, directions })
    }

    fn print(&self, names: &dyn DeviceNames, out: &mut String) {
        match names.ipset_name(self.index) {
            Ok(name) => out.push_str(&name),
            Err(_) => *out += &format!("[unknown set {}]", self.index),
        }
        *out += &format!(" {}", self.sides());
    }

    /// Without the name of the set there are no words: indexes change.
    fn to_args(&self, names: &dyn DeviceNames) -> Option<String> {
        let name = names.ipset_name(self.index).ok()?;
        let is_word = |c: char| c.is_ascii_alphanumeric() || "_-.:+,/".contains(c);
        name.chars().all(is_word).then(|| format!("{name} {}", self.sides()))
    }
}

/// `IPSET_DIM_MAX`.
const MOST_DIMENSIONS: usize = 6;
/// `IPSET_MAXNAMELEN`, without the NUL.
const MOST_NAME: usize = 31;
