//! `mqprio`: traffic classes, each with its transmit queues. A packet's priority
//! chooses the class, often in hardware.
//!
//! UAPI: `struct tc_mqprio_qopt`, bare, then attributes (`TCA_MQPRIO_*`).
//!
//! Kernel, `net/sched/sch_mqprio.c`: only as root, and only of a device with
//! several transmit queues; it cannot be changed. Without `hw`, the
//! attributes are refused. Frame preemption is there since Linux 6.4, which
//! dumps it always.

mod classes;
mod mode;
pub(crate) mod preemption;

use derive_setters::Setters;
use tc_core::print::{Printer, Rate};
use tc_core::rate::Rate as DataRate;
use tc_core::uapi::NLA_F_NESTED;
use tc_core::units::{parse_decimal, parse_rate, words_of_rate};
use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{
    Attr, AttrWriter, Attrs, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords,
    Syntax, object,
};

use preemption::ByClass;

pub use classes::{MAX_CLASSES, Queues, TrafficClasses};
pub use mode::{Mode, Shaper};
pub use preemption::Preemption;

tc_core::register!(Mqprio);

/// The options of an mqprio.
///
/// ```
/// use tc_qdiscs::mqprio::{Mqprio, Queues, TrafficClasses};
///
/// // Priorities 0 to 3 share two queues, the others have one.
/// let mut classes = TrafficClasses::default().count(2).hw(0);
/// classes.map[4..].fill(1);
/// classes.queues[0] = Queues::default().count(2).offset(0);
/// classes.queues[1] = Queues::default().count(1).offset(2);
/// let mqprio = Mqprio::default().classes(classes);
/// # let _ = mqprio;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Mqprio {
    /// The classes.
    pub classes: TrafficClasses,
    /// The chooser of the queue within a class, for the device (DCB).
    pub mode: Option<Mode>,
    /// How the device holds rates (DCB).
    pub shaper: Option<Shaper>,
    /// Least rate of each class.
    pub min_rates: Option<[DataRate; MAX_CLASSES]>,
    /// Most rate of each class.
    pub max_rates: Option<[DataRate; MAX_CLASSES]>,
    /// Frame preemption of each class.
    pub preemption: [Option<Preemption>; MAX_CLASSES],
}

impl Kind for Mqprio {
    type Object = object::Qdisc;
    const KIND: &'static str = "mqprio";
    const CHANGE: ChangeSemantics = ChangeSemantics::REFUSES_CHANGE;

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        self.classes.encode(out);
        out.align();
        if let Some(mode) = self.mode {
            out.attr_u16(MODE, mode.raw());
        }
        if let Some(shaper) = self.shaper {
            out.attr_u16(SHAPER, shaper.raw());
        }
        preemption::encode(&self.preemption, out);
        for (kind, rates) in [(MIN_RATE64, self.min_rates), (MAX_RATE64, self.max_rates)] {
            if let Some(rates) = rates {
                let mut nest = out.nest(kind | NLA_F_NESTED);
                for rate in rates {
                    nest.attr_u64(kind, rate.as_bytes_per_second());
                }
            }
        }
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let classes = TrafficClasses::decode(payload)?;
        let attributes = payload.get(TrafficClasses::LENGTH.next_multiple_of(4)..).unwrap_or(&[]);
        let table = Attrs::new(attributes).table::<{ MAX_RATE64 as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let rates = |kind| attr(kind).map(|list| decode_rates(&list)).transpose();
        Ok(Self {
            classes,
            mode: attr(MODE).map(|attr| attr.u16().map(Mode::from_raw)).transpose()?,
            shaper: attr(SHAPER).map(|attr| attr.u16().map(Shaper::from_raw)).transpose()?,
            min_rates: rates(MIN_RATE64)?,
            max_rates: rates(MAX_RATE64)?,
            preemption: preemption::decode(attributes)?,
        })
    }
}

impl Syntax for Mqprio {
    const USAGE: &'static str = "\
Usage: ... mqprio\t[num_tc NUMBER] [map P0 P1 ...]\n\
\t\t\t[queues count1@offset1 count2@offset2 ...] [hw 1|0]\n\
\t\t\t[fp FP0 FP1 FP2 ...]\n\
\t\t\t[mode dcb|channel]\n\
\t\t\t[shaper bw_rlimit SHAPER_PARAMS]\n\
Where: SHAPER_PARAMS := { min_rate MIN_RATE1 MIN_RATE2 ...|\n\
\t\t\t  max_rate MAX_RATE1 MAX_RATE2 ... }\n";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let map = [0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 1, 1, 3, 3, 3, 3];
        let mut options = Self {
            classes: TrafficClasses { count: 8, map, hw: 1, ..Default::default() },
            ..Default::default()
        };
        let mut pairs = 0;
        while let Some(word) = words.next() {
            let illegal = |_: &str| format!("Illegal \"{word}\"");
            let (hw, shaped) = (options.classes.hw != 0, options.shaper == Some(Shaper::BandwidthRate));
            match word {
                "num_tc" => options.classes.count = words.parse(parse_decimal, illegal)?,
                "map" => options.classes.parse_map(words),
                "queues" => pairs += options.classes.parse_queues(words),
                "hw" => options.classes.hw = words.parse(parse_decimal, illegal)?,
                "fp" => preemption::parse(words, &mut options.preemption),
                "mode" if hw => Mode::parse_words(words, &mut options.mode)?,
                "shaper" if hw => Shaper::parse_words(words, &mut options.shaper)?,
                "min_rate" | "max_rate" if shaped => {
                    let Self { classes, min_rates, max_rates, .. } = &mut options;
                    let rates = if word == "min_rate" { min_rates } else { max_rates };
                    parse_rates(word, words, classes.count, rates.get_or_insert_default())?;
                }
                "help" => return Err(WordError::Help),
                word => return Err(WordError::invalid("unknown argument", word)),
            }
        }
        let count = options.classes.count;
        if pairs > count.into() {
            return Err(WordError::Kind(format!(
                "queues count/offset pair count {pairs} can not be higher than given num_tc {count}"
            )));
        }
        Ok(Some(options))
    }

    fn print(&self, out: &mut Printer) {
        let classes = &self.classes;
        out.item("tc", "tc ", classes.count, " ");
        out.text("map ");
        out.array("map", |out| {
            for class in classes.map {
                out.item("", "", class, " ");
            }
        });
        out.text("\n             queues:");
        out.array("queues", |out| {
            for Queues { count, offset } in classes.used() {
                let last = (u32::from(*offset) + u32::from(*count)).wrapping_sub(1);
                out.array("", |out| {
                    out.item("", "(", *offset, ":");
                    out.item("", "", last, ") ");
                });
            }
        });
        let nothing_more = Self { classes: self.classes, ..Self::default() };
        if *self != nothing_more {
            self.print_attributes(out);
        }
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        self.classes.to_words(out);
        out.say("hw", self.classes.hw);
        preemption::to_words(&self.preemption, out);
        Mode::to_words(self.mode, out);
        Shaper::to_words(self.shaper, out);
        for (key, rates) in [("min_rate", self.min_rates), ("max_rate", self.max_rates)] {
            let rates = rates.map(|rates| {
                let used = rates.iter().take(self.classes.count.into());
                used.map(|rate| words_of_rate(rate.as_bytes_per_second())).collect::<Vec<_>>().join(" ")
            });
            out.text(key, rates.map(|rates| format!("{key} {rates}")).unwrap_or_default());
        }
    }
}

const MODE: u16 = 1;
const SHAPER: u16 = 2;
const MIN_RATE64: u16 = 3;
const MAX_RATE64: u16 = 4;

impl Mqprio {
    fn print_attributes(&self, out: &mut Printer) {
        Mode::print(self.mode, out);
        Shaper::print(self.shaper, out);
        for (key, before, rates) in
            [("min_rate", "\tmin_rate:", self.min_rates), ("max_rate", "\tmax_rate:", self.max_rates)]
        {
            let Some(rates) = rates else { continue };
            out.text(before);
            out.array(key, |out| {
                for rate in rates.iter().take(self.classes.count.into()) {
                    out.item("", "", Rate(rate.as_bytes_per_second()), " ");
                }
            });
        }
        if self.preemption != ByClass::default() {
            out.text("\n             fp:");
            preemption::print(&self.preemption, out);
        }
    }
}

/// Reads rates as long as they follow: one for each class, unless another word
/// comes.
fn parse_rates(
    key: &str,
    words: &mut Words<'_>,
    classes: u8,
    rates: &mut [DataRate; MAX_CLASSES],
) -> Result<(), WordError> {
    let mut count = 0;
    for rate in rates {
        let Some(Ok(number)) = words.peek().map(parse_rate) else { break };
        *rate = DataRate::bytes_per_second(number);
        words.next();
        count += 1;
    }
    if count < classes && words.is_empty() {
        return Err(WordError::Kind(format!("Incomplete arguments, {key} values expected")));
    }
    Ok(())
}

fn decode_rates(list: &Attr<'_>) -> Result<[DataRate; MAX_CLASSES], DecodeError> {
    let mut rates = [DataRate::ZERO; MAX_CLASSES];
    for (rate, attr) in rates.iter_mut().zip(list.attrs()) {
        *rate = DataRate::bytes_per_second(attr?.u64()?);
    }
    Ok(rates)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;

    fn parse(words: &str) -> Result<Mqprio, WordError> {
        let words: Vec<_> = words.split_whitespace().collect();
        Mqprio::parse_words(&mut Words::new(&words), &WordsContext::new(Verb::Add)).map(|o| o.unwrap())
    }

    #[test]
    fn lists_end_where_other_words_begin() {
        let classes = parse("num_tc 2 map 0 1 queues 2@0 1@2 hw 0").unwrap().classes;
        assert_eq!((classes.count, classes.map[..3].to_vec(), classes.hw), (2, vec![0, 1, 0], 0));
        let queues: Vec<_> = classes.used().map(|queues| (queues.count, queues.offset)).collect();
        assert_eq!(queues, [(2, 0), (1, 2)]);
    }

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, text) in [
            ("num_tc 256", "Illegal \"num_tc\""),
            ("hw 0 mode dcb", "Error: argument \"mode\" is wrong: unknown argument"),
            ("mode x", "Illegal mode (x)"),
            ("shaper x", "Illegal shaper (x)"),
            ("shaper bw_rlimit", "Incomplete shaper arguments"),
            ("num_tc 2 shaper bw_rlimit min_rate 1mbit", "Incomplete arguments, min_rate values expected"),
            (
                "num_tc 1 queues 1@0 1@1",
                "queues count/offset pair count 2 can not be higher than given num_tc 1",
            ),
        ] {
            assert_eq!(parse(words).unwrap_err().to_string(), text, "{words}");
        }
    }

    #[test]
    fn preemption_is_a_list_too() {
        let preemption = parse("num_tc 2 fp E P hw 0").unwrap().preemption;
        let expected = [Some(Preemption::Express), Some(Preemption::Preemptible), None];
        assert_eq!(preemption[..3], expected);
        assert!(parse("fp E x").is_err());
    }

    #[test]
    fn excess_classes_are_not_printed() {
        let mut payload = [0; 84];
        payload[0] = 255;
        let mut out = Printer::new(tc_core::print::Form::Text, tc_core::print::Style::default());
        Mqprio::decode(&payload).unwrap().print(&mut out);
        assert_eq!(out.as_str().matches(':').count(), 1 + MAX_CLASSES);
        assert!(Mqprio::decode(&payload[..81]).is_err());
    }
}
