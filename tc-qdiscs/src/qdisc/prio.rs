//! `prio`: bands that are served in strict order, the first one first.
//!
//! Each band is a class with its qdisc (a pfifo at first). A packet's
//! band comes from a filter, from its priority if that names a class, or from
//! the map.
//!
//! UAPI: `struct tc_prio_qopt { int bands; __u8 priomap[TC_PRIO_MAX + 1]; }`,
//! bare; `tc` appends an empty nest of attributes, for
//! `TCA_PRIO_MQ`, which no kernel since 2.6.27 reads.
//!
//! Kernel, `net/sched/sch_prio.c`: 2 to 16 bands; options are needed.

use derive_setters::Setters;
use tc_core::print::Printer;
use tc_core::uapi::TCA_OPTIONS;
use tc_core::units::parse_decimal;
use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Reader, Syntax, object,
};

tc_core::register!(Prio);

/// The options of a prio.
///
/// ```
/// use tc_qdiscs::prio::Prio;
///
/// // The default map, with a fourth band that only filters lead to.
/// let four = Prio::default().bands(4);
/// # let _ = four;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Prio {
    /// Number of bands, 2 to 16. 3 by default.
    pub bands: u32,
    /// The band of each priority (`TC_PRIO_*`, the low 4 bits of
    /// `skb->priority`), counted from 0.
    pub priomap: [u8; 16],
    /// `TCA_PRIO_MQ`: whether bands are the device's transmit queues. No kernel
    /// since 2.6.27 reads it.
    pub multiqueue: Option<bool>,
}

impl Default for Prio {
    /// Three bands, as `tc` and pfifo_fast map them.
    fn default() -> Self {
        Self { bands: 3, priomap: [1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1], multiqueue: None }
    }
}

impl Kind for Prio {
    type Object = object::Qdisc;
    const KIND: &'static str = "prio";

    fn encode(&self, context: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        out.put_u32(self.bands);
        out.put(&self.priomap);
        if context.as_tc || self.multiqueue.is_some() {
            let mut nest = out.nest(TCA_OPTIONS);
            match self.multiqueue {
                None => {}
                Some(false) => nest.attr_flag(TCA_PRIO_MQ),
                Some(true) => nest.attr_u8(TCA_PRIO_MQ, 1),
            }
        }
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let (bands, priomap) = (reader.u32()?, reader.array()?);
        let multiqueue = match Attrs::new(reader.rest()).find(TCA_OPTIONS)? {
            Some(nest) => nest.attrs().find(TCA_PRIO_MQ)?,
            None => None,
        };
        let is_on = |payload: &[u8]| payload.first().is_some_and(|byte| *byte != 0);
        Ok(Self { bands, priomap, multiqueue: multiqueue.map(|attr| is_on(attr.payload)) })
    }
}

impl Syntax for Prio {
    const USAGE: &'static str = "Usage: ... prio bands NUMBER priomap P1 P2...[multiqueue]\n";

    fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut prio = Self::default();
        let mut slots = prio.priomap.iter_mut();
        let mut in_map = false;
        while let Some(word) = words.next() {
            match word {
                "bands" => {
                    if in_map {
                        // tc shows the usage, and goes on.
                        context.environment.warn(Self::USAGE.trim_end());
                    }
                    let bands = words.parse(parse_decimal::<i32>, |_| "Illegal \"bands\"".into())?;
                    prio.bands = bands.cast_unsigned();
                }
                "priomap" if in_map => return Err(WordError::Kind("Error: duplicate priomap".into())),
                "priomap" => in_map = true,
                "multiqueue" => prio.multiqueue = Some(false),
                "help" => return Err(WordError::Help),
                word if !in_map => return Err(WordError::what_is(word)),
                word => {
                    let band: u32 =
                        parse_decimal(word).map_err(|_| kind_error("Illegal \"priomap\" element"))?;
                    if band >= prio.bands {
                        return Err(kind_error("\"priomap\" element is out of bands"));
                    }
                    let slot = slots.next();
                    // tc cuts a band to 8 bits too.
                    *slot.ok_or_else(|| kind_error("\"priomap\" index > TC_PRIO_MAX=15"))? = band as u8;
                }
            }
        }
        Ok(Some(prio))
    }

    fn print(&self, out: &mut Printer) {
        out.item("bands", "bands ", self.bands, " ");
        out.text("priomap");
        out.array("priomap", |out| {
            for band in self.priomap {
                out.item("", " ", band, "");
            }
        });
        if let Some(on) = self.multiqueue {
            out.text(if on { " multiqueue: on " } else { " multiqueue: off " });
        }
        out.json("multiqueue", self.multiqueue == Some(true));
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        out.say("bands", self.bands);
        out.say("priomap", self.priomap.map(|band| band.to_string()).join(" "));
        if self.multiqueue.is_some() {
            out.not_dumped("multiqueue", "multiqueue");
        }
    }
}

const TCA_PRIO_MQ: u16 = 1;

fn kind_error(text: &str) -> WordError {
    WordError::Kind(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;

    fn parse(words: &str) -> Result<Prio, WordError> {
        let words: Vec<_> = words.split(' ').collect();
        Prio::parse_words(&mut Words::new(&words), &WordsContext::new(Verb::Add)).map(|prio| prio.unwrap())
    }

    #[test]
    fn a_short_map_keeps_the_rest_of_the_default() {
        let prio = parse("bands 4 priomap 3 02 multiqueue").unwrap();
        assert_eq!((prio.bands, prio.priomap[..4].to_vec()), (4, vec![3, 2, 2, 2]));
        assert_eq!(prio.multiqueue, Some(false));
    }

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, text) in [
            ("bands x", "Illegal \"bands\""),
            ("priomap priomap", "Error: duplicate priomap"),
            ("priomap 0x1", "Illegal \"priomap\" element"),
            ("priomap 3", "\"priomap\" element is out of bands"),
            ("priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0", "\"priomap\" index > TC_PRIO_MAX=15"),
            ("3", "What is \"3\"?"),
        ] {
            assert_eq!(parse(words).unwrap_err().to_string(), text, "{words}");
        }
    }

    #[test]
    fn short_bytes_are_an_error() {
        assert!(Prio::decode(&[0; 19]).is_err());
        assert!(Prio::decode(&[0; 20]).is_ok());
    }
}
