//! `csum`: computes the checksums of a packet anew, after `pedit` has changed it.
//!
//! UAPI: `struct tc_csum` in `TCA_CSUM_PARMS` (`linux/tc_act/tc_csum.h`).

use derive_setters::Setters;
use tc_core::action::Control;
use tc_core::print::Printer;
use tc_core::words::{WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax, object,
};

use super::Reported;
use super::generic::{self, Generic};

tc_core::register!(Csum);

/// The options of a csum action.
///
/// ```
/// use tc_core::action::Action;
/// use tc_qdiscs::action::csum::Csum;
///
/// let action = Action::new(Csum::of(Csum::IPV4_HEADER | Csum::TCP));
/// # let _ = action;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Csum {
    /// The action's own number; 0 lets the kernel choose one.
    pub index: u32,
    /// The fate of the packet.
    pub control: Control,
    /// The protocols whose checksums are computed, such as [`Csum::TCP`].
    pub update: u32,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: Reported,
}

impl Csum {
    /// The header of IPv4.
    pub const IPV4_HEADER: u32 = 1;
    /// ICMP and ICMPv6.
    pub const ICMP: u32 = 2;
    /// IGMP.
    pub const IGMP: u32 = 4;
    /// TCP.
    pub const TCP: u32 = 8;
    /// UDP.
    pub const UDP: u32 = 16;
    /// UDP-Lite.
    pub const UDPLITE: u32 = 32;
    /// SCTP.
    pub const SCTP: u32 = 64;

    /// The checksums of these protocols, after which the packet passes.
    pub const fn of(update: u32) -> Self {
        let reported = Reported { refcnt: 0, bindcnt: 0, times: None };
        Self { index: 0, control: Control::Pass, update, reported }
    }

    /// The existing action with this index.
    pub const fn at_index(index: u32) -> Self {
        let mut csum = Self::of(0);
        csum.index = index;
        csum
    }

    fn targets(&self) -> impl Iterator<Item = &'static str> {
        let update = self.update;
        TARGETS.into_iter().filter(move |(_, flag)| update & flag != 0).map(|(name, _)| name)
    }
}

impl Kind for Csum {
    type Object = object::Action;
    const KIND: &'static str = "csum";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let mut parms = out.nest(PARMS);
        generic::put(self.index, self.control, &mut parms);
        parms.put_u32(self.update);
        drop(parms);
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ TM as usize + 1 }>()?;
        let parms = table[usize::from(PARMS)].ok_or(DecodeError::Missing { what: "csum parameters" })?;
        let mut reader = parms.reader();
        let Generic { index, control, reported } = Generic::read(&mut reader, table[usize::from(TM)])?;
        Ok(Self { index, control, update: reader.u32()?, reported })
    }

    fn action_index(&self) -> u32 {
        self.index
    }

    fn stands_alone(&self) -> Option<bool> {
        Some(self.reported.stands_alone())
    }
}

impl Syntax for Csum {
    const USAGE: &'static str = "\
Usage: ... csum <UPDATE>
Where: UPDATE := <TARGET> [<UPDATE>]
       TARGET := { ip4h | icmp | igmp | tcp | udp | udplite | sctp | <SWEETS> }
       SWEETS := { and | or | '+' }
";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut csum = Self::of(0);
        if words.is_empty() {
            return Err(WordError::Incomplete);
        }
        // As in later versions of tc, the index of an existing action is enough.
        let by_index = words.peek() == Some("index");
        while let Some(word) = words.peek() {
            let is = |name| is_prefix(word, name);
            if let Some((_, flag)) = WORDS.into_iter().find(|(name, _)| is(name)) {
                csum.update |= flag;
            } else if is("help") {
                return Err(WordError::Help);
            } else {
                break;
            }
            words.next();
        }
        if csum.update == 0 && !by_index {
            return Err(WordError::Kind("Illegal csum construct, empty <UPDATE> list".into()));
        }
        let illegal = |word: &str| format!("Illegal \"index\" ({word}) <csum>");
        let (control, index) = generic::parse_end(words, csum.control, illegal)?;
        Ok(Some(Self { control, index: index.unwrap_or_default(), ..csum }))
    }

    fn print(&self, out: &mut Printer) {
        out.item("kind", "", Self::KIND, " ");
        let mut targets: Vec<_> = self.targets().collect();
        if targets.is_empty() {
            targets.push("?empty");
        }
        out.item("csum", "(", targets.join(", "), ") ");
        self.control.print("action ", out);
        out.newline();
        generic::print_end("\tindex ", self.index, &self.reported, out);
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        let targets: Vec<_> = self.targets().collect();
        out.text("targets", targets.join(" "));
        let known = TARGETS.into_iter().fold(0, |known, (_, flag)| known | flag);
        if self.update & !known != 0 {
            out.cannot_say(&format!("the checksums {:#x}", self.update & !known));
        } else if self.update == 0 && self.index == 0 {
            out.cannot_say("csum without a protocol");
        }
        generic::say_end(self.index, self.control, Control::Pass, out);
    }
}

/// In the order of `tc`'s output.
const TARGETS: [(&str, u32); 7] = [
    ("iph", Csum::IPV4_HEADER),
    ("icmp", Csum::ICMP),
    ("igmp", Csum::IGMP),
    ("tcp", Csum::TCP),
    ("udp", Csum::UDP),
    ("udplite", Csum::UDPLITE),
    ("sctp", Csum::SCTP),
];

/// In the order of `tc`'s prefix matching. The last three change nothing.
const WORDS: [(&str, u32); 12] = [
    ("iph", Csum::IPV4_HEADER),
    ("ip4h", Csum::IPV4_HEADER),
    ("ipv4h", Csum::IPV4_HEADER),
    ("icmp", Csum::ICMP),
    ("igmp", Csum::IGMP),
    ("tcp", Csum::TCP),
    ("udp", Csum::UDP),
    ("udplite", Csum::UDPLITE),
    ("sctp", Csum::SCTP),
    ("and", 0),
    ("or", 0),
    ("+", 0),
];

const PARMS: u16 = 1;
const TM: u16 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;

    fn parse(words: &[&str]) -> Result<(Csum, usize), WordError> {
        let mut words = Words::new(words);
        let csum = Csum::parse_words(&mut words, &WordsContext::new(Verb::Add))?;
        Ok((csum.unwrap(), words.rest().len()))
    }

    #[test]
    fn words_are_read_and_the_rest_stays() {
        let of = Csum::of;
        for (words, csum, left) in [
            (&["iph", "and", "tcp", "+", "udpl"][..], of(1 | 8 | 32), 0),
            (&["udp", "drop", "index", "3"], Csum { control: Control::Drop, index: 3, ..of(16) }, 0),
            (&["tcp", "cookie", "aa"], of(8), 2),
            (&["index", "5"], Csum::at_index(5), 0),
        ] {
            assert_eq!(parse(words), Ok((csum, left)), "{words:?}");
        }
    }

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, text) in [
            (&[][..], "Command line is not complete. Try option \"help\""),
            (&["drop"], "Illegal csum construct, empty <UPDATE> list"),
            (&["and"], "Illegal csum construct, empty <UPDATE> list"),
            (&["tcp", "index", "x"], "Illegal \"index\" (x) <csum>"),
            (&["tcp", "index"], "Command line is not complete. Try option \"help\""),
        ] {
            assert_eq!(parse(words).unwrap_err().to_string(), text, "{words:?}");
        }
        assert_eq!(parse(&["tcp", "help"]), Err(WordError::Help));
    }

    #[test]
    fn unknown_checksums_are_inexpressible() {
        let mut words = OptionWords::new();
        Csum::of(128 | 8).to_words(&mut words);
        assert_eq!(words.unsayable(), ["the checksums 0x80"]);
    }
}
