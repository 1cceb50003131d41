//! The size table of a qdisc (`TCA_STAB`): how many bytes a packet counts as.

use crate::kind::print::Printer;
use crate::kind::rate::LinkLayer;
use crate::kind::words::{Once, WordError, Words, is_prefix};
use crate::wire::attr::{Attr, AttrWriter};
use crate::wire::error::DecodeError;
use crate::wire::uapi::{TCA_STAB, TCA_STAB_BASE, TCA_STAB_DATA};
use crate::wire::units::{parse_i32, parse_u32};

/// A size table: `struct tc_sizespec` and the table that follows from it.
///
/// A dump has the struct alone; the table is computed again, so that a stab
/// that was read can be sent.
///
/// Kernel: a change of a qdisc without its table takes the table away, so it
/// goes with every change ([`Request::stab`](crate::Request::stab)).
///
/// ```
/// use tc_core::rate::LinkLayer;
/// use tc_core::{Handle, Request, Stab};
///
/// // ADSL with PPPoE: 40 bytes more, in cells of 53 that carry 48.
/// let adsl = Stab { overhead: 40, linklayer: LinkLayer::Atm, ..Stab::default() };
/// assert_eq!(adsl.words().as_deref(), Some("linklayer atm overhead 40"));
/// let root = Request::qdisc(2).parent(Handle::ROOT).kind("tbf").stab(&adsl);
/// # let _ = root;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stab {
    /// Bytes added to each packet; below 0, taken from it.
    pub overhead: i32,
    /// How packets are framed on the way: on ATM they count as whole cells.
    pub linklayer: LinkLayer,
    /// A packet counts as at least this many bytes.
    pub mpu: u32,
    /// The largest packet that the table is for, in bytes; 0: 2047.
    pub mtu: u32,
    /// Slots in the table, at most 32000; 0: 512.
    pub tsize: u32,
}

/// The most slots that fit into one attribute.
const MOST_SLOTS: u32 = 32_000;

impl Stab {
    /// Reads the words after `stab`. Stops at the first unknown word.
    pub fn parse_words(words: &mut Words<'_>) -> Result<Self, WordError> {
        let (mut mtu, mut mpu, mut tsize) = (Once::new("mtu"), Once::new("mpu"), Once::new("tsize"));
        let (mut overhead, mut linklayer) = (Once::new("overhead"), Once::new("linklayer"));
        let first = words.peek().ok_or(WordError::Incomplete)?;
        if is_prefix(first, "help") {
            return Err(WordError::KindUsage(USAGE.trim_end().to_owned()));
        }
        while let Some(word) = words.peek() {
            let names = ["mtu", "mpu", "overhead", "tsize", "linklayer"];
            let Some(name) = names.into_iter().find(|name| is_prefix(word, name)) else { break };
            words.next();
            let value = words.value()?;
            let wrong = |text: &str| WordError::invalid(name, text);
            match name {
                "mtu" => mtu.set(value, parse_u32(value).map_err(|_| wrong("invalid mtu"))?)?,
                "mpu" => mpu.set(value, parse_u32(value).map_err(|_| wrong("invalid mpu"))?)?,
                "overhead" => {
                    overhead.set(value, parse_i32(value).map_err(|_| wrong("invalid overhead"))?)?
                }
                "tsize" => tsize.set(value, parse_u32(value).map_err(|_| wrong("invalid table size"))?)?,
                _ => linklayer
                    .set(value, LinkLayer::parse(value).ok_or_else(|| wrong("invalid linklayer"))?)?,
            }
        }
        let stab = Self {
            overhead: overhead.get().unwrap_or_default(),
            linklayer: linklayer.get().unwrap_or_default(),
            mpu: mpu.get().unwrap_or_default(),
            mtu: mtu.get().unwrap_or_default(),
            tsize: tsize.get().unwrap_or_default(),
        };
        if stab.tsize > MOST_SLOTS {
            return Err(WordError::invalid("tsize", format!("table size over {MOST_SLOTS}")));
        }
        Ok(stab)
    }

    /// Whether it changes the size of any packet; `tc` refuses one that does
    /// not.
    pub fn has_effect(&self) -> bool {
        self.linklayer != LinkLayer::Unspec || self.mpu != 0 || self.overhead != 0
    }

    /// The words after `stab`; `None` if its link layer has no word.
    pub fn words(&self) -> Option<String> {
        let linklayer = match self.linklayer {
            LinkLayer::Unspec => None,
            LinkLayer::Other(_) => return None,
            known => Some(format!("linklayer {}", known.name())),
        };
        let number = |name: &str, number: i64| (number != 0).then(|| format!("{name} {number}"));
        let words = [
            linklayer,
            number("overhead", self.overhead.into()),
            number("mpu", self.mpu.into()),
            number("mtu", self.mtu.into()),
            number("tsize", self.tsize.into()),
        ];
        Some(words.into_iter().flatten().collect::<Vec<_>>().join(" "))
    }

    /// The size table as a dump has it: the numbers of the table that is sent.
    #[must_use]
    pub fn as_dumped(&self) -> Self {
        let table = Table::of(self);
        let mtu = if table.slots.is_empty() { 0 } else { table.mtu };
        Self { mtu, tsize: table.slots.len() as u32, ..*self }
    }

    /// Reads `TCA_STAB`.
    pub fn decode(attr: &Attr<'_>) -> Result<Self, DecodeError> {
        let base = attr.attrs().find(TCA_STAB_BASE)?.ok_or(DecodeError::Missing { what: "size table" })?;
        let mut reader = base.reader();
        reader.skip(4)?;
        let overhead = reader.i32()?;
        // Numbers over 255 do not exist; they all read as unknown.
        let linklayer = LinkLayer::from_raw(u8::try_from(reader.u32()?).unwrap_or(u8::MAX));
        Ok(Self { overhead, linklayer, mpu: reader.u32()?, mtu: reader.u32()?, tsize: reader.u32()? })
    }

    /// Appends the attribute.
    pub fn encode(&self, out: &mut AttrWriter<'_>) {
        let table = Table::of(self);
        let mut nest = out.nest(TCA_STAB);
        {
            let mut base = nest.nest(TCA_STAB_BASE);
            base.put_u8(table.cell_log);
            base.put_u8(table.size_log);
            base.put_i16(if table.slots.is_empty() { 0 } else { -1 });
            base.put_i32(self.overhead);
            base.put_u32(self.linklayer.raw().into());
            base.put_u32(self.mpu);
            base.put_u32(if table.slots.is_empty() { 0 } else { table.mtu });
            base.put_u32(table.slots.len() as u32);
        }
        if !table.slots.is_empty() {
            let mut data = nest.nest(TCA_STAB_DATA);
            for slot in table.slots {
                data.put_u16(slot);
            }
        }
    }

    /// Prints it as `tc -d` does.
    pub fn print(&self, out: &mut Printer) {
        out.begin_object("stab");
        out.text(" ");
        if self.linklayer != LinkLayer::Unspec {
            out.item("linklayer", "linklayer ", self.linklayer.name(), " ");
        }
        if self.overhead != 0 {
            out.item("overhead", "overhead ", self.overhead, " ");
        }
        for (key, before, value) in
            [("mpu", "mpu ", self.mpu), ("mtu", "mtu ", self.mtu), ("tsize", "tsize ", self.tsize)]
        {
            if value != 0 {
                out.item(key, before, value, " ");
            }
        }
        out.end_object();
    }
}

/// The accounted length of each packet size (`tc_calc_size_table`).
struct Table {
    cell_log: u8,
    size_log: u8,
    mtu: u32,
    slots: Vec<u16>,
}

impl Table {
    fn of(stab: &Stab) -> Self {
        if matches!(stab.linklayer, LinkLayer::Unspec | LinkLayer::Ethernet) && stab.mpu == 0 {
            // The overhead alone needs no table.
            return Self { cell_log: 0, size_log: 0, mtu: 0, slots: Vec::new() };
        }
        let mtu = if stab.mtu == 0 { 2047 } else { stab.mtu };
        let tsize = if stab.tsize == 0 { 512 } else { stab.tsize.min(MOST_SLOTS) };
        let cell_log = (0..32).find(|log| mtu >> log < tsize).unwrap_or(31);
        let size = |slot: u32| {
            let size = u64::from(slot) << cell_log;
            stab.linklayer.size_on_wire(u32::try_from(size).unwrap_or(u32::MAX), stab.mpu)
        };
        let size_log = (0..32).find(|log| size(tsize) >> log <= u32::from(u16::MAX)).unwrap_or(31);
        let slots = (1..=tsize).map(|slot| (size(slot) >> size_log) as u16).collect();
        Self { cell_log, size_log, mtu, slots }
    }
}

const USAGE: &str = "Usage: ... stab [ mtu BYTES ] [ tsize SLOTS ] [ mpu BYTES ]
                [ overhead BYTES ] [ linklayer TYPE ] ...
   mtu       : max packet size we create rate map for {2047}
   tsize     : how many slots should size table have {512}
   mpu       : minimum packet size used in rate computations
   overhead  : per-packet size overhead used in rate computations
   linklayer : adapting to a linklayer e.g. atm
Example: ... stab overhead 20 linklayer atm
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::attr::Attrs;
    use bytes::BytesMut;

    fn bytes_of(stab: &Stab) -> BytesMut {
        let mut buffer = BytesMut::new();
        let mut out = AttrWriter::new(&mut buffer);
        stab.encode(&mut out);
        out.finish().unwrap();
        buffer
    }

    #[test]
    fn a_sent_table_reads_back() {
        let words = ["overhead", "20", "linklayer", "atm", "root"];
        let mut words = Words::new(&words);
        let stab = Stab::parse_words(&mut words).unwrap();
        assert_eq!(words.peek(), Some("root"), "a word of somebody else's stays");
        let bytes = bytes_of(&stab);
        let attr = Attrs::new(&bytes).next().unwrap().unwrap();
        let read = Stab::decode(&attr).unwrap();
        assert_eq!(read, Stab { mtu: 2047, tsize: 512, ..stab });
        assert_eq!(bytes_of(&read), bytes, "a stab that was read is sent as it was");
    }

    #[test]
    fn an_overhead_alone_has_no_table() {
        let stab = Stab { overhead: -4, ..Stab::default() };
        assert_eq!(bytes_of(&stab).len(), 4 + 4 + 24);
        assert!(stab.has_effect() && !Stab::default().has_effect());
    }

    #[test]
    fn bad_words_have_tcs_text() {
        let read = |words: &[&str]| Stab::parse_words(&mut Words::new(words)).unwrap_err().to_string();
        assert_eq!(read(&["mpu", "x"]), "Error: argument \"invalid mpu\" is wrong: mpu");
        assert_eq!(read(&["mtu", "1", "mtu", "2"]), "Error: duplicate \"mtu\": \"2\" is the second value.");
        assert_eq!(read(&[]), WordError::Incomplete.to_string());
    }
}
