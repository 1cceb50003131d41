//! `nat`: replaces an IPv4 address, without connection tracking.
//!
//! UAPI: `struct tc_nat` in `TCA_NAT_PARMS` (`linux/tc_act/tc_nat.h`).

use std::net::Ipv4Addr;

use derive_setters::Setters;
use tc_core::action::Control;
use tc_core::print::Printer;
use tc_core::units::parse_u32;
use tc_core::words::{WordError, Words, WordsContext, is_prefix};
use tc_core::{
    AttrWriter, Attrs, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Syntax, object,
};

use super::Reported;
use super::generic::{self, Generic, explained, parse_ipv4};

tc_core::register!(Nat);

/// The options of a nat action.
///
/// ```
/// use std::net::Ipv4Addr;
/// use tc_core::action::Action;
/// use tc_qdiscs::action::nat::Nat;
///
/// // Sources in 192.168.1.0/24 become those in 10.0.0.0/24.
/// let mut nat = Nat::egress(Ipv4Addr::new(192, 168, 1, 0), Ipv4Addr::new(10, 0, 0, 0));
/// nat.mask = Ipv4Addr::new(255, 255, 255, 0);
/// let action = Action::new(nat);
/// # let _ = action;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct Nat {
    /// The action's own number; 0 lets the kernel choose one.
    pub index: u32,
    /// The fate of the packet.
    pub control: Control,
    /// The address that is replaced.
    pub old: Ipv4Addr,
    /// The new address. Bits outside the mask stay those of the packet.
    pub new: Ipv4Addr,
    /// The bits of the addresses that count.
    pub mask: Ipv4Addr,
    /// [`Nat::EGRESS`]: the source is replaced, not the destination.
    pub flags: u32,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: Reported,
}

impl Nat {
    /// The source address is replaced, not the destination (`TCA_NAT_FLAG_EGRESS`).
    pub const EGRESS: u32 = 1;

    /// Replaces a destination address, after which the packet passes.
    pub const fn ingress(old: Ipv4Addr, new: Ipv4Addr) -> Self {
        let reported = Reported { refcnt: 0, bindcnt: 0, times: None };
        Self { index: 0, control: Control::Pass, old, new, mask: Ipv4Addr::BROADCAST, flags: 0, reported }
    }

    /// Replaces a source address, after which the packet passes.
    pub const fn egress(old: Ipv4Addr, new: Ipv4Addr) -> Self {
        let mut nat = Self::ingress(old, new);
        nat.flags = Self::EGRESS;
        nat
    }

    /// The existing action with this index.
    pub const fn at_index(index: u32) -> Self {
        let mut nat = Self::ingress(Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED);
        nat.mask = Ipv4Addr::UNSPECIFIED;
        nat.index = index;
        nat
    }

    const fn direction(&self) -> &'static str {
        if self.flags & Self::EGRESS != 0 { "egress" } else { "ingress" }
    }

    /// The length of the prefix; gaps in the mask do not count.
    const fn length(&self) -> u32 {
        32 - self.mask.to_bits().trailing_zeros()
    }
}

impl Kind for Nat {
    type Object = object::Action;
    const KIND: &'static str = "nat";

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let mut parms = out.nest(PARMS);
        generic::put(self.index, self.control, &mut parms);
        for address in [self.old, self.new, self.mask] {
            parms.put(&address.octets());
        }
        parms.put_u32(self.flags);
        drop(parms);
        Ok(Fill::Nested)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let table = Attrs::new(payload).table::<{ TM as usize + 1 }>()?;
        let parms = table[usize::from(PARMS)].ok_or(DecodeError::Missing { what: "nat parameters" })?;
        let mut reader = parms.reader();
        let Generic { index, control, reported } = Generic::read(&mut reader, table[usize::from(TM)])?;
        let mut address = || reader.array::<4>().map(Ipv4Addr::from);
        let (old, new, mask) = (address()?, address()?, address()?);
        Ok(Self { index, control, old, new, mask, flags: reader.u32()?, reported })
    }

    fn action_index(&self) -> u32 {
        self.index
    }

    fn stands_alone(&self) -> Option<bool> {
        Some(self.reported.stands_alone())
    }
}

impl Syntax for Nat {
    const USAGE: &'static str = "\
Usage: ... nat NAT
NAT := DIRECTION OLD NEW
DIRECTION := { ingress | egress }
OLD := PREFIX
NEW := ADDRESS
";

    fn parse_words(words: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let direction = words.peek().ok_or(WordError::Incomplete)?;
        let mut nat = Self::at_index(0);
        // As in later versions of tc, the index of an existing action is enough.
        if direction != "index" {
            words.next();
            let illegal = || explained::<Self>(&format!("Illegal nat construct ({direction})"));
            match direction {
                word if is_prefix(word, "egress") => nat.flags = Self::EGRESS,
                word if is_prefix(word, "ingress") => {}
                _ => return Err(illegal()),
            }
            (nat.old, nat.mask) = parse_prefix(words.value()?).ok_or_else(illegal)?;
            (nat.new, _) = parse_prefix(words.value()?).ok_or_else(illegal)?;
            if words.peek().is_some_and(|word| is_prefix(word, "help")) {
                return Err(WordError::Help);
            }
        }
        let illegal = |_: &str| "Nat: Illegal \"index\"".into();
        let (control, index) = generic::parse_end(words, nat.control, illegal)?;
        Ok(Some(Self { control, index: index.unwrap_or_default(), ..nat }))
    }

    fn print(&self, out: &mut Printer) {
        out.item("type", " ", Self::KIND, " ");
        out.item("direction", "", self.direction(), "");
        out.item("old_addr", " ", format!("{}/{}", self.old, self.length()), "");
        out.item("new_addr", " ", self.new.to_string(), "");
        self.control.print(" ", out);
        out.newline();
        generic::print_end("\t index ", self.index, &self.reported, out);
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        if self.mask != mask_of(self.length()) {
            out.cannot_say(&format!("the mask {} of nat", self.mask));
        }
        if self.flags & !Self::EGRESS != 0 {
            out.cannot_say(&format!("the flags {:#x} of nat", self.flags));
        }
        let (direction, length) = (self.direction(), self.length());
        out.text("addresses", format!("{direction} {}/{length} {}", self.old, self.new));
        generic::say_end(self.index, self.control, Control::Pass, out);
    }
}

const fn mask_of(length: u32) -> Ipv4Addr {
    match u32::MAX.checked_shl(32 - length) {
        Some(mask) => Ipv4Addr::from_bits(mask),
        None => Ipv4Addr::UNSPECIFIED,
    }
}

/// Reads an address and a mask: `10.0.0.0/8`, `10/255.0.0.0`, `any`.
fn parse_prefix(word: &str) -> Option<(Ipv4Addr, Ipv4Addr)> {
    if ["default", "any", "all"].contains(&word) {
        return Some((Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED));
    }
    let Some((address, length)) = word.split_once('/') else {
        return Some((parse_ipv4(word)?, Ipv4Addr::BROADCAST));
    };
    let mask = match parse_u32(length) {
        Ok(length) if length <= 32 => mask_of(length),
        Ok(_) => return None,
        // A dotted mask is the mask of a prefix.
        Err(_) => {
            let mask = parse_ipv4(length)?;
            let prefix = mask_of(mask.to_bits().leading_ones());
            Some(mask).filter(|mask| *mask == prefix)?
        }
    };
    Some((parse_ipv4(address)?, mask))
}

const PARMS: u16 = 1;
const TM: u16 = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::Verb;
    use tc_core::print::{Form, Style};

    fn parse(words: &[&str]) -> Result<(Nat, usize), WordError> {
        let mut words = Words::new(words);
        let nat = Nat::parse_words(&mut words, &WordsContext::new(Verb::Add))?;
        Ok((nat.unwrap(), words.rest().len()))
    }

    const OLD: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 0);
    const NEW: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

    #[test]
    fn words_are_read_and_the_rest_stays() {
        let half = Nat { mask: Ipv4Addr::new(255, 255, 255, 0), ..Nat::ingress(OLD, NEW) };
        let all = Nat { mask: Ipv4Addr::UNSPECIFIED, ..Nat::egress(Ipv4Addr::UNSPECIFIED, NEW) };
        for (words, nat, left) in [
            (&["ingress", "192.168.1.0/24", "10.0.0.1"][..], half, 0),
            (&["in", "192.168.1/255.255.255.0", "10.0.0.1", "action"], half, 1),
            (&["egress", "any", "10.0.0.1"], all, 0),
            (&["egress", "0/0", "10.0.0.1"], all, 0),
            (
                &["egress", "192.168.1.0", "10.0.0.1", "pipe", "index", "4"],
                Nat { control: Control::Pipe, index: 4, ..Nat::egress(OLD, NEW) },
                0,
            ),
            (&["index", "5"], Nat::at_index(5), 0),
        ] {
            assert_eq!(parse(words), Ok((nat, left)), "{words:?}");
        }
    }

    #[test]
    fn every_length_of_a_mask_is_printed_and_said() {
        for length in 0..=32 {
            let nat = Nat { mask: mask_of(length), ..Nat::egress(OLD, NEW) };
            let mut out = Printer::new(Form::Text, Style::default());
            nat.print(&mut out);
            let text = format!(" nat egress 192.168.1.0/{length} 10.0.0.1 pass");
            assert_eq!(out.as_str().lines().next(), Some(&*text));
            let mut words = OptionWords::new();
            nat.to_words(&mut words);
            let said = format!("egress 192.168.1.0/{length} 10.0.0.1");
            assert_eq!((words.lines(), words.unsayable().len()), (vec![said.clone()], 0));
            let said: Vec<_> = said.split(' ').collect();
            assert_eq!(parse(&said), Ok((nat, 0)));
        }
    }

    #[test]
    fn bad_words_have_tcs_text() {
        let first = |words: &[&str]| {
            let text = parse(words).unwrap_err().to_string();
            text.lines().next().unwrap_or_default().to_owned()
        };
        for (words, text) in [
            (&[][..], "Command line is not complete. Try option \"help\""),
            (&["ingress", "1.2.3.4"], "Command line is not complete. Try option \"help\""),
            (&["help"], "Illegal nat construct (help)"),
            (&["ingress", "1.2.3.4.5", "1.2.3.4"], "Illegal nat construct (ingress)"),
            (&["ingress", "1.2.3.4/33", "1.2.3.4"], "Illegal nat construct (ingress)"),
            (&["ingress", "1.2.3.4/255.0.255.0", "1.2.3.4"], "Illegal nat construct (ingress)"),
            (&["egress", "1.2.3.4", "::1"], "Illegal nat construct (egress)"),
            (&["egress", "1.2.3.4", "1.2.3.5", "index", "x"], "Nat: Illegal \"index\""),
        ] {
            assert_eq!(first(words), text, "{words:?}");
        }
    }

    #[test]
    fn a_mask_with_gaps_is_inexpressible() {
        let mut words = OptionWords::new();
        Nat { mask: Ipv4Addr::new(255, 0, 255, 0), ..Nat::egress(OLD, NEW) }.to_words(&mut words);
        assert_eq!(words.unsayable(), ["the mask 255.0.255.0 of nat"]);
    }
}
