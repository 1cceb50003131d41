//! `canid`: matches CAN frames by their identifiers.
//!
//! UAPI: a list of `struct can_filter` of `linux/can.h`.
//!
//! Kernel, `net/sched/em_canid.c`: the rules for extended identifiers are kept before the others.

use tc_core::ematch::{ArgError, Args, Ematch};
use tc_core::link::DeviceNames;
use tc_core::units::parse_hex;
use tc_core::words::WordsContext;
use tc_core::{AttrWriter, DecodeError, EncodeError, Reader};

tc_core::register_ematch!(Canid);

/// The parameters of a canid ematch: rules, of which one must match.
///
/// ```
/// use tc_core::ematch::Ematches;
/// use tc_qdiscs::ematch::canid::{CanRule, Canid};
///
/// let rules = [CanRule::standard(0x123), CanRule::extended(0x1000).mask(0xff00)];
/// let expression = Ematches::new(Canid::new(rules));
/// assert_eq!(expression.to_string(), "canid(sff 0x123 eff 0x1000:0xFF00)");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Canid {
    /// The rules, from 1 to 400.
    pub rules: Vec<CanRule>,
}

/// `struct can_filter`: an identifier, and the bits of it that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CanRule {
    /// The identifier, with `CAN_EFF_FLAG` if it is an extended one.
    pub id: u32,
    /// The bits that count. With `CAN_EFF_FLAG` identifiers of the other form do not match.
    pub mask: u32,
}

impl CanRule {
    /// A standard identifier, which has 11 bits.
    pub const fn standard(id: u32) -> Self {
        Self { id, mask: CAN_SFF_MASK | CAN_EFF_FLAG }
    }

    /// An extended identifier, which has 29 bits.
    pub const fn extended(id: u32) -> Self {
        Self { id: id | CAN_EFF_FLAG, mask: CAN_EFF_MASK | CAN_EFF_FLAG }
    }

    /// The same rule, for the identifiers that have these bits in common.
    #[must_use]
    pub const fn mask(self, mask: u32) -> Self {
        Self { mask: mask | CAN_EFF_FLAG, ..self }
    }

    const fn is_extended(self) -> bool {
        self.id & CAN_EFF_FLAG != 0
    }

    /// The rule in words, with the bits that `shown` has for a standard identifier: `tc` prints those that the
    /// kernel reads.
    fn words(self, shown: u32) -> String {
        let (name, bits, shown) = match self.is_extended() {
            true => ("eff", CAN_EFF_MASK, CAN_EFF_MASK),
            false => ("sff", CAN_SFF_MASK, shown),
        };
        let id = self.id & shown;
        match self.mask == bits | CAN_EFF_FLAG {
            true => format!("{name} 0x{id:X}"),
            false => format!("{name} 0x{id:X}:0x{:X}", self.mask & shown),
        }
    }
}

impl Canid {
    /// One of these rules must match.
    pub fn new(rules: impl Into<Vec<CanRule>>) -> Self {
        Self { rules: rules.into() }
    }

    fn words(&self, shown: u32) -> String {
        self.rules.iter().map(|rule| rule.words(shown)).collect::<Vec<_>>().join(" ")
    }
}

impl Ematch for Canid {
    const KIND: u16 = 7;
    const NAME: &'static str = "canid";
    const USAGE: &'static str = "\
Usage: canid(IDLIST)
where: IDLIST := IDSPEC [ IDLIST ]
       IDSPEC := { \u{2019}sff\u{2019} CANID | \u{2019}eff\u{2019} CANID }
       CANID := ID[:MASK]
       ID, MASK := hexadecimal number (i.e. 0x123)
Example: canid(sff 0x123 sff 0x124 sff 0x125:0xf)
";

    fn encode(&self, out: &mut AttrWriter<'_>) -> Result<(), EncodeError> {
        if self.rules.is_empty() || self.rules.len() > MOST_RULES {
            return Err(EncodeError::Invalid(format!("canid has from 1 to {MOST_RULES} rules")));
        }
        for rule in &self.rules {
            out.put_u32(rule.id);
            out.put_u32(rule.mask);
        }
        Ok(())
    }

    fn decode(data: &[u8]) -> Result<Self, DecodeError> {
        let rules = data.chunks_exact(8).map(|rule| {
            let mut reader = Reader::new(rule);
            Ok(CanRule { id: reader.u32()?, mask: reader.u32()? })
        });
        let rules: Vec<_> = rules.collect::<Result<_, DecodeError>>()?;
        match rules.is_empty() {
            true => Err(DecodeError::Missing { what: "rule of canid" }),
            false => Ok(Self { rules }),
        }
    }

    fn parse_args(args: &mut Args<'_>, _: &WordsContext<'_>) -> Result<Self, ArgError> {
        let mut rules = Vec::new();
        while let Some(word) = args.word() {
            let whole: fn(u32) -> CanRule = match &*word {
                "sff" => CanRule::standard,
                "eff" => CanRule::extended,
                _ => return Err(args.wrong("canid: invalid key")),
            };
            let Some(word) = args.word() else { return Err(args.lacking("canid: missing argument")) };
            let (id, mask) = word.split_once(':').map_or((&*word, None), |(id, mask)| (id, Some(mask)));
            // The kernel and tc read the flags of an identifier beside its 29 bits.
            let number = |text| parse_hex(text).ok().filter(|number: &u32| *number <= CAN_EFF_MASK);
            let malformed = || args.wrong("canid: Improperly formed CAN ID & mask\n");
            let mut rule = whole(number(id).ok_or_else(malformed)?);
            if let Some(mask) = mask {
                rule = rule.mask(number(mask).ok_or_else(malformed)?);
            }
            if rules.len() == MOST_RULES {
                return Err(args.wrong("canid: Too many arguments on input\n"));
            }
            rules.push(rule);
        }
        Ok(Self { rules })
    }

    fn print(&self, _: &dyn DeviceNames, out: &mut String) {
        out.push_str(&self.words(CAN_SFF_MASK));
    }

    fn to_args(&self, _: &dyn DeviceNames) -> Option<String> {
        let has_words = |rule: &CanRule| {
            rule.mask & CAN_EFF_FLAG != 0 && (rule.id | rule.mask) & !(CAN_EFF_MASK | CAN_EFF_FLAG) == 0
        };
        self.rules.iter().all(has_words).then(|| self.words(CAN_EFF_MASK))
    }

    fn as_dumped(&self) -> Self {
        let is_first = |rule: &&CanRule| rule.is_extended() || rule.mask & CAN_EFF_FLAG == 0;
        let (first, second): (Vec<_>, Vec<_>) = self.rules.iter().partition(is_first);
        Self { rules: first.into_iter().chain(second).copied().collect() }
    }
}

/// `EM_CAN_RULES_MAX` of the kernel.
const MOST_RULES: usize = 400;
const CAN_EFF_FLAG: u32 = 0x8000_0000;
const CAN_SFF_MASK: u32 = 0x7ff;
const CAN_EFF_MASK: u32 = 0x1fff_ffff;
