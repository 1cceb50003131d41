//! Options of single classes: longest packets, and frame preemption.

use derive_setters::Setters;
use tc_core::print::Printer;
use tc_core::uapi::NLA_F_NESTED;
use tc_core::units::parse_decimal;
use tc_core::words::Words;
use tc_core::{AttrWriter, Attrs, DecodeError, OptionWords};

use crate::common::u32_at;
use crate::qdisc::mqprio::preemption::{self, ByClass, given};
use crate::qdisc::mqprio::{MAX_CLASSES, Preemption};

/// Options of single classes (`TCA_TAPRIO_ATTR_TC_ENTRY`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Classes {
    /// Most bytes of a packet, without its Ethernet header; 0 is as many as the
    /// device can send. Since Linux 6.1.
    pub max_sdu_bytes: [Option<u32>; MAX_CLASSES],
    /// Frame preemption. Since Linux 6.4.
    pub preemption: [Option<Preemption>; MAX_CLASSES],
}

impl Classes {
    /// Reads sizes as long as they follow, for the classes from 0 on.
    pub(super) fn parse_max_sdu(&mut self, words: &mut Words<'_>) {
        for slot in &mut self.max_sdu_bytes {
            let Some(Ok(bytes)) = words.peek().map(parse_decimal) else { break };
            *slot = Some(bytes);
            words.next();
        }
    }

    pub(super) fn parse_preemption(&mut self, words: &mut Words<'_>) {
        preemption::parse(words, &mut self.preemption);
    }

    /// Leaves out defaults, which older versions of tc do not know.
    pub(super) fn to_words(self, out: &mut OptionWords<'_>) {
        let sizes = self.max_sdu_bytes.map(Option::unwrap_or_default);
        let count = sizes.iter().rposition(|bytes| *bytes != 0).map_or(0, |last| last + 1);
        let words: Vec<_> = sizes[..count].iter().map(u32::to_string).collect();
        let text = if words.is_empty() { String::new() } else { format!("max-sdu {}", words.join(" ")) };
        out.sticky_text("max-sdu", text);
        preemption::to_words(&self.preemption, out);
    }

    pub(super) fn encode(&self, out: &mut AttrWriter<'_>) {
        let lists = self.max_sdu_bytes.into_iter().zip(self.preemption);
        for (class, (max_sdu, preemption)) in (0..).zip(lists) {
            if max_sdu.is_some() || preemption.is_some() {
                let mut nest = out.nest(TC_ENTRY | NLA_F_NESTED);
                nest.attr_u32(INDEX, class);
                nest.attr_u32_if(MAX_SDU, max_sdu);
                nest.attr_u32_if(FP, preemption.map(Preemption::raw));
            }
        }
    }

    /// As tc: an entry without a class, or of one that there cannot be, is left
    /// out.
    pub(super) fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut classes = Self::default();
        for attr in Attrs::new(payload) {
            let attr = attr?;
            if attr.kind != TC_ENTRY {
                continue;
            }
            let table = attr.attrs().table::<{ FP as usize + 1 }>()?;
            let class = u32_at(&table, INDEX)?.and_then(|class| usize::try_from(class).ok());
            let Some(class) = class.filter(|class| *class < MAX_CLASSES) else { continue };
            let (max_sdu, preemption) = (&mut classes.max_sdu_bytes[class], &mut classes.preemption[class]);
            *max_sdu = u32_at(&table, MAX_SDU)?.or(*max_sdu);
            *preemption = u32_at(&table, FP)?.map(Preemption::from_raw).or(*preemption);
        }
        Ok(classes)
    }

    /// Linux 6.1 dumps sizes that its tc does not know: they are printed only if
    /// they limit something. Newer kernels dump both lists.
    pub(super) fn print(&self, out: &mut Printer) {
        let sizes = given(&self.max_sdu_bytes);
        let has_preemption = self.preemption != ByClass::default();
        if sizes.iter().flatten().any(|bytes| *bytes != 0) || has_preemption && !sizes.is_empty() {
            out.text("max-sdu");
            out.array("max-sdu", |out| {
                for bytes in sizes {
                    out.item("", " ", bytes.unwrap_or(0), "");
                }
            });
            out.newline();
        }
        if has_preemption {
            out.text("fp");
            preemption::print(&self.preemption, out);
        }
    }
}

const TC_ENTRY: u16 = 12;
const INDEX: u16 = 1;
const MAX_SDU: u16 = 2;
const FP: u16 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::print::{Form, Style};

    fn text(classes: &Classes) -> String {
        let mut out = Printer::new(Form::Text, Style::default());
        classes.print(&mut out);
        out.as_str().to_owned()
    }

    #[test]
    fn unlimited_sizes_are_printed_beside_preemption_only() {
        let mut classes = Classes::default();
        classes.max_sdu_bytes[..2].fill(Some(0));
        assert_eq!(text(&classes), "");
        classes.preemption[1] = Some(Preemption::Preemptible);
        assert_eq!(text(&classes), "max-sdu 0 0\nfp ? P\n");
        classes = Classes::default();
        classes.max_sdu_bytes[1] = Some(1500);
        assert_eq!(text(&classes), "max-sdu 0 1500\n");
    }

    #[test]
    fn lists_end_where_other_words_begin() {
        let mut classes = Classes::default();
        classes.parse_max_sdu(&mut Words::new(&["200", "0", "flags"]));
        assert_eq!(classes.max_sdu_bytes[..3], [Some(200), Some(0), None]);
    }
}
