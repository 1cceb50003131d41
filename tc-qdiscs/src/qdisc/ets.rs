//! `ets`: enhanced transmission selection of IEEE 802.1Qaz. The first bands are
//! strict, each before the next; the others share the rest, each with a
//! quantum of bytes in its turn. The packet's priority chooses the band.
//!
//! UAPI: a nest of `TCA_ETS_*`; all nests have `NLA_F_NESTED`, and the kernel
//! insists on it.
//!
//! Kernel, `net/sched/sch_ets.c`: a band that shares and has no quantum gets the
//! device's MTU; priorities that the map does not name go to the last band. The
//! classes are the bands: a class can be changed, not added.

mod words;

use derive_setters::Setters;
use tc_core::print::Printer;
use tc_core::uapi::NLA_F_NESTED;
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    Attr, AttrWriter, Attrs, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords,
    Syntax, object,
};

use words::{parse_quantum, refuse_second};

tc_core::register!(Ets, EtsClass);

/// The options of an ets.
///
/// ```
/// use tc_qdiscs::ets::Ets;
///
/// // Two strict bands, and two that share 3 to 1; priorities 7 and 6 are strict.
/// let ets = Ets::new(2, [4500, 1500]).priomap([3, 3, 3, 3, 3, 2, 1, 0]);
/// assert_eq!(ets.bands, 4);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Ets {
    /// All bands, 1 to 16.
    pub bands: u8,
    /// How many of them are strict.
    pub strict: u8,
    /// Bytes in a turn, for each band after the strict ones; not 0.
    pub quanta_bytes: Vec<u32>,
    /// The band of each priority, from 0 to at most 15; strict bands come first.
    #[setters(skip)]
    pub priomap: Vec<u8>,
}

impl Ets {
    /// Some strict bands, and one that shares for each quantum (in bytes).
    pub fn new(strict: u8, quanta_bytes: impl Into<Vec<u32>>) -> Self {
        let quanta_bytes = quanta_bytes.into();
        let bands = strict.saturating_add(u8::try_from(quanta_bytes.len()).unwrap_or(u8::MAX));
        Self { bands, strict, quanta_bytes, priomap: Vec::new() }
    }

    /// Sets the band of each priority.
    #[must_use]
    pub fn priomap(self, priomap: impl Into<Vec<u8>>) -> Self {
        Self { priomap: priomap.into(), ..self }
    }
}

impl Kind for Ets {
    type Object = object::Qdisc;
    const KIND: &'static str = "ets";
    const CHANGE: ChangeSemantics = ChangeSemantics::USUAL.rounded(&["priomap"]);

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        out.attr_u8(TCA_ETS_NBANDS, self.bands);
        if self.strict != 0 {
            out.attr_u8(TCA_ETS_NSTRICT, self.strict);
        }
        if !self.quanta_bytes.is_empty() {
            let mut nest = out.nest(TCA_ETS_QUANTA | NLA_F_NESTED);
            for quantum in &self.quanta_bytes {
                nest.attr_u32(TCA_ETS_QUANTA_BAND, *quantum);
            }
        }
        if !self.priomap.is_empty() {
            let mut nest = out.nest(TCA_ETS_PRIOMAP | NLA_F_NESTED);
            for band in &self.priomap {
                nest.attr_u8(TCA_ETS_PRIOMAP_BAND, *band);
            }
        }
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ TCA_ETS_PRIOMAP as usize + 1 }>()?;
        let group = |kind: u16| table[usize::from(kind)];
        Ok(Self {
            bands: group(TCA_ETS_NBANDS).ok_or(DecodeError::Missing { what: "number of bands" })?.u8()?,
            strict: group(TCA_ETS_NSTRICT).map_or(Ok(0), |attr| attr.u8())?,
            quanta_bytes: list_of(group(TCA_ETS_QUANTA), TCA_ETS_QUANTA_BAND, |attr| attr.u32())?,
            priomap: list_of(group(TCA_ETS_PRIOMAP), TCA_ETS_PRIOMAP_BAND, |attr| attr.u8())?,
        })
    }

    fn as_dumped(&self, _: &dyn Environment) -> Self {
        let mut kept = self.clone();
        kept.priomap.resize(PRIORITIES, self.bands.saturating_sub(1));
        kept
    }
}

impl Syntax for Ets {
    const USAGE: &'static str =
        "Usage: ... ets [bands NUMBER] [strict NUMBER] [quanta Q1 Q2...] [priomap P1 P2...]\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        words::read(words).map(Some)
    }

    fn print(&self, out: &mut Printer) {
        out.item("bands", "bands ", self.bands, " ");
        if self.strict != 0 {
            out.item("strict", "strict ", self.strict, " ");
        }
        if !self.quanta_bytes.is_empty() {
            print_list("quanta", self.quanta_bytes.iter().copied(), out);
        }
        if !self.priomap.is_empty() {
            print_list("priomap", self.priomap.iter().copied().map(u32::from), out);
        }
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        out.say("bands", self.bands);
        out.text("strict", if self.strict == 0 { String::new() } else { format!("strict {}", self.strict) });
        let list = |key: &str, list: Vec<String>| match list.is_empty() {
            true => String::new(),
            false => format!("{key} {}", list.join(" ")),
        };
        let quanta = list("quanta", self.quanta_bytes.iter().map(u32::to_string).collect());
        out.not_dumped("quanta", quanta);
        // The kernel chooses what is unspecified.
        for band in 0..usize::from(self.bands.saturating_sub(self.strict)) {
            match self.quanta_bytes.get(band) {
                Some(quantum) => out.silent(&format!("quantum {band}"), quantum),
                None => out.leave_open(&format!("quantum {band}")),
            }
        }
        out.text("priomap", list("priomap", self.priomap.iter().map(u8::to_string).collect()));
    }
}

/// The options of a class of an ets: of one of its bands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct EtsClass {
    /// Bytes in a turn, not 0. `None` in a strict band, and to leave it as it
    /// is.
    pub quantum_bytes: Option<u32>,
}

impl Kind for EtsClass {
    type Object = object::Class;
    const KIND: &'static str = "ets";
    const CHANGE: ChangeSemantics = ChangeSemantics { of_qdisc: true, ..ChangeSemantics::USUAL };

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        if let Some(quantum) = self.quantum_bytes {
            out.attr_u32(TCA_ETS_QUANTA_BAND, quantum);
        }
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let quantum = Attrs::new(payload).find(TCA_ETS_QUANTA_BAND)?;
        Ok(Self { quantum_bytes: quantum.map(|attr| attr.u32()).transpose()? })
    }
}

impl Syntax for EtsClass {
    const USAGE: &'static str = "Usage: ... ets [quantum Q1]\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut class = Self::default();
        while let Some(word) = words.next() {
            match word {
                "quantum" => {
                    refuse_second("quantum", class.quantum_bytes.is_some())?;
                    class.quantum_bytes = Some(parse_quantum(words.value()?)?);
                }
                "help" => return Err(WordError::Help),
                word => return Err(WordError::what_is(word)),
            }
        }
        Ok(Some(class))
    }

    fn print(&self, out: &mut Printer) {
        if let Some(quantum) = self.quantum_bytes {
            out.item("quantum", "quantum ", quantum, " ");
        }
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        out.say_if("quantum", self.quantum_bytes);
    }
}

fn list_of<T>(
    nest: Option<Attr<'_>>,
    kind: u16,
    read: impl Fn(&Attr<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let elements = nest.into_iter().flat_map(|nest| nest.attrs());
    elements
        .filter(|attr| attr.as_ref().map_or(true, |attr| attr.kind == kind))
        .map(|attr| read(&attr?))
        .collect()
}

fn print_list(key: &str, numbers: impl Iterator<Item = u32>, out: &mut Printer) {
    out.text(key);
    out.array(key, |out| numbers.for_each(|number| out.item("", " ", number, "")));
    out.text(" ");
}

/// `TC_PRIO_MAX` and one more.
const PRIORITIES: usize = 16;

const TCA_ETS_NBANDS: u16 = 1;
const TCA_ETS_NSTRICT: u16 = 2;
const TCA_ETS_QUANTA: u16 = 3;
const TCA_ETS_QUANTA_BAND: u16 = 4;
const TCA_ETS_PRIOMAP: u16 = 5;
const TCA_ETS_PRIOMAP_BAND: u16 = 6;
