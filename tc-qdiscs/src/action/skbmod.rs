//! `skbmod`: replaces Ethernet addresses and type, or marks congestion.
//!
//! UAPI: `struct tc_skbmod` in `TCA_SKBMOD_PARMS`, attributes `TCA_SKBMOD_*`
//! (`linux/tc_act/tc_skbmod.h`).
//!
//! Kernel, `net/sched/act_skbmod.c`: addresses and type are those of the attributes; of the flags
//! it reads swap and ECN, each alone.

use derive_setters::Setters;
use tc_core::action::Control;
use tc_core::print::{Null, Printer};
use tc_core::units::{parse_u16, parse_u32};
use tc_core::words::{WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax, object,
};

use super::Reported;
use super::generic::{self, Generic, mac_text, parse_mac};

tc_core::register!(Skbmod);

/// The options of a skbmod action.
///
/// ```
/// use tc_core::action::Action;
/// use tc_qdiscs::action::skbmod::Skbmod;
///
/// let action = Action::new(Skbmod::default().dmac([2, 0, 0, 0, 0, 1]));
/// # let _ = action;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Skbmod {
    /// The action's own number; 0 lets the kernel choose one.
    pub index: u32,
    /// The fate of the packet.
    pub control: Control,
    /// The new destination address.
    pub dmac: Option<[u8; 6]>,
    /// The new source address.
    pub smac: Option<[u8; 6]>,
    /// The new Ethernet type.
    pub etype: Option<u16>,
    /// Source and destination change places.
    pub swap_mac: bool,
    /// Marks congestion (ECN) in the IP header. Since Linux 5.16.
    pub ecn: bool,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: Reported,
}

/// No change, and the next action follows. The kernel accepts it with the index of an existing action.
impl Default for Skbmod {
    fn default() -> Self {
        Self {
            index: 0,
            control: Control::Pipe,
            dmac: None,
            smac: None,
            etype: None,
            swap_mac: false,
            ecn: false,
            reported: Reported::default(),
        }
    }
}

impl Kind for Skbmod {
    type Object = object::Action;
    const KIND: &'static str = "skbmod";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let mut parms = out.nest(PARMS);
        generic::put(self.index, self.control, &mut parms);
        parms.put_u32(0); // padding of the struct
        let flag = |on: bool, flag: u64| if on { flag } else { 0 };
        parms.put_u64(
            flag(self.dmac.is_some(), F_DMAC)
                | flag(self.smac.is_some(), F_SMAC)
                | flag(self.etype.is_some(), F_ETYPE)
                | flag(self.swap_mac, F_SWAPMAC)
                | flag(self.ecn, F_ECN),
        );
        drop(parms);
        if let Some(mac) = self.dmac {
            out.attr(DMAC, &mac);
        }
        // As in tc, type 0 is the flag alone.
        if let Some(etype) = self.etype.filter(|etype| *etype != 0) {
            out.attr_u16(ETYPE, etype);
        }
        if let Some(mac) = self.smac {
            out.attr(SMAC, &mac);
        }
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ ETYPE as usize + 1 }>()?;
        let attr = |kind: u16| table[usize::from(kind)];
        let mac = |kind: u16| attr(kind).map(|attr| attr.reader().array()).transpose();
        let parms = attr(PARMS).ok_or(DecodeError::Missing { what: "skbmod parameters" })?;
        let mut reader = parms.reader();
        let Generic { index, control, reported } = Generic::read(&mut reader, attr(TM))?;
        reader.skip(4)?;
        let flags = reader.u64()?;
        let etype = attr(ETYPE).map(|attr| attr.u16()).transpose()?;
        Ok(Self {
            index,
            control,
            dmac: mac(DMAC)?,
            smac: mac(SMAC)?,
            etype: etype.or((flags & F_ETYPE != 0).then_some(0)),
            swap_mac: flags & F_SWAPMAC != 0,
            ecn: flags & F_ECN != 0,
            reported,
        })
    }

    fn action_index(&self) -> u32 {
        self.index
    }

    fn stands_alone(&self) -> Option<bool> {
        Some(self.reported.stands_alone())
    }
}

impl Syntax for Skbmod {
    const USAGE: &'static str = "\
Usage:... skbmod { set <SETTABLE> | swap <SWAPPABLE> | ecn } [CONTROL] [index INDEX]
where SETTABLE is: [dmac DMAC] [smac SMAC] [etype ETYPE]
where SWAPPABLE is: \"mac\" to swap mac addresses
\tDMAC := 6 byte Destination MAC address
\tSMAC := optional 6 byte Source MAC address
\tETYPE := optional 16 bit ethertype
\tCONTROL := reclassify | pipe | drop | continue | ok |
\t           goto chain <CHAIN_INDEX>
\tINDEX := skbmod index value to use
";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut skbmod = Self::default();
        let mut read = false;
        if words.is_empty() {
            return Err(WordError::Incomplete);
        }
        while let Some(word) = words.peek() {
            let is = |name| is_prefix(word, name);
            if is(Self::KIND) || is("swap") || is("set") {
                words.next();
                if words.is_empty() {
                    return Err(WordError::Incomplete);
                }
                continue;
            } else if is("mac") {
                words.next();
                skbmod.swap_mac = true;
            } else if is("etype") {
                words.next();
                let word = words.value()?;
                let invalid = |_| WordError::invalid("ethertype is invalid", word);
                skbmod.etype = Some(parse_u16(word).map_err(invalid)?);
            } else if is("dmac") {
                words.next();
                skbmod.dmac = Some(mac(words.value()?, "dst mac")?);
            } else if is("smac") {
                words.next();
                skbmod.smac = Some(mac(words.value()?, "smac")?);
            } else if is("ecn") {
                words.next();
                skbmod.ecn = true;
            } else if is("help") {
                return Err(WordError::Help);
            } else {
                break;
            }
            read = true;
        }
        if words.peek().is_some_and(Control::is_word) {
            skbmod.control = Control::parse_words(words)?;
        }
        if words.peek().is_some_and(|word| is_prefix(word, "index")) {
            words.next();
            skbmod.index = words.parse(parse_u32, |_| "skbmod: Illegal \"index\"".into())?;
            read = true;
        }
        match read {
            true => Ok(Some(skbmod)),
            false => Err(WordError::KindUsage("skbmod requires at least one option".into())),
        }
    }

    /// The JSON is that of later versions of `tc`, and the kind.
    fn print(&self, out: &mut Printer) {
        out.item("kind", "", Self::KIND, " ");
        self.control.print("", out);
        out.text(" ");
        if let Some(etype) = self.etype.filter(|etype| *etype != 0) {
            out.json("etype", format!("{etype:#x}"));
            out.text(&format!("set etype 0x{etype:X} "));
            out.newline();
            out.text("\t ");
        }
        out.item_if("dmac", "set dmac ", self.dmac.map(mac_text), " ");
        out.item_if("smac", "set smac ", self.smac.map(mac_text), " ");
        if self.swap_mac {
            out.item("swapmac", "", Null("swap mac "), "");
        }
        if self.ecn {
            out.item("ecn", "", Null("ecn "), "");
        }
        out.newline();
        generic::print_end("\t index ", self.index, &self.reported, out);
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        let text = |words: Option<String>| words.unwrap_or_default();
        out.text("dmac", text(self.dmac.map(|mac| format!("set dmac {}", mac_text(mac)))));
        out.text("smac", text(self.smac.map(|mac| format!("set smac {}", mac_text(mac)))));
        out.text("etype", text(self.etype.map(|etype| format!("set etype {etype:#x}"))));
        out.text("swap", if self.swap_mac { "swap mac" } else { "" });
        out.flag("ecn", self.ecn);
        generic::say_end(self.index, self.control, Control::Pipe, out);
    }
}

fn mac(word: &str, name: &str) -> Result<[u8; 6], WordError> {
    parse_mac(word).ok_or_else(|| WordError::Kind(format!("Invalid {name} address {word}")))
}

const TM: u16 = 1;
const PARMS: u16 = 2;
const DMAC: u16 = 3;
const SMAC: u16 = 4;
const ETYPE: u16 = 5;
const F_DMAC: u64 = 1;
const F_SMAC: u64 = 2;
const F_ETYPE: u64 = 4;
const F_SWAPMAC: u64 = 8;
const F_ECN: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;
    use tc_core::print::{Form, Style};

    fn parse(words: &[&str]) -> Result<(Skbmod, usize), WordError> {
        let mut words = Words::new(words);
        let skbmod = Skbmod::parse_words(&mut words, &WordsContext::new(Verb::Add))?;
        Ok((skbmod.unwrap(), words.rest().len()))
    }

    #[test]
    fn words_are_read_and_the_rest_stays() {
        let plain = Skbmod::default();
        for (words, skbmod, left) in [
            (&["set", "dmac", "2:0:0:0:0:1"][..], Skbmod { dmac: Some([2, 0, 0, 0, 0, 1]), ..plain }, 0),
            (
                &["etype", "0x88b5", "drop"],
                Skbmod { etype: Some(0x88b5), control: Control::Drop, ..plain },
                0,
            ),
            (&["swap", "mac", "action", "ok"], Skbmod { swap_mac: true, ..plain }, 2),
            (&["ecn", "index", "0x5"], Skbmod { ecn: true, index: 5, ..plain }, 0),
            (&["index", "5"], Skbmod { index: 5, ..plain }, 0),
        ] {
            assert_eq!(parse(words), Ok((skbmod, left)), "{words:?}");
        }
    }

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, text) in [
            (&[][..], "Command line is not complete. Try option \"help\""),
            (&["swap"], "Command line is not complete. Try option \"help\""),
            (&["set", "pipe"], "skbmod requires at least one option"),
            (&["set", "dmac", "x"], "Invalid dst mac address x"),
            (&["set", "smac", "2:0:0:0:0:1:2"], "Invalid smac address 2:0:0:0:0:1:2"),
            (&["set", "etype", "65536"], "Error: argument \"65536\" is wrong: ethertype is invalid"),
            (&["ecn", "index", "x"], "skbmod: Illegal \"index\""),
        ] {
            assert_eq!(parse(words).unwrap_err().to_string(), text, "{words:?}");
        }
        assert_eq!(parse(&["help"]), Err(WordError::Help));
    }

    #[test]
    fn json_has_every_option() {
        let mut out = Printer::new(Form::Json, Style::default());
        let mac = [2, 0, 0, 0, 0, 1];
        let skbmod =
            Skbmod { dmac: Some(mac), etype: Some(0x800), swap_mac: true, ecn: true, ..Skbmod::default() };
        out.object("", |out| skbmod.print(out));
        assert_eq!(
            out.as_str(),
            r#"{"kind":"skbmod","control_action":{"type":"pipe"},"etype":"0x800","dmac":"02:00:00:00:00:01","swapmac":null,"ecn":null,"index":0,"ref":0,"bind":0}"#
        );
    }
}
