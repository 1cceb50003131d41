//! Making the options of a class: by calls, and from words. Both end in the
//! same sums.

use tc_core::EncodeError;
use tc_core::rate::{LinkLayer, RateSpec, parse_rate_of_link, parse_size_and_cell};
use tc_core::units::{checked_transmit_ticks, parse_decimal};
use tc_core::words::{WordError, Words, WordsContext, is_prefix};

use super::{HtbClass, illegal, number};

/// Makes an [`HtbClass`]: the order of the calls does not matter.
#[derive(Clone, Copy, Debug)]
pub struct HtbClassBuilder {
    // As in tc, 0 means that it was not given.
    rate: u64,
    ceil: u64,
    /// Bytes, and the logarithm of the rate table's cell.
    burst: (u32, Option<u8>),
    cburst: (u32, Option<u8>),
    timer_hz: u32,
    quantum: u32,
    prio: u32,
    mtu: u32,
    /// How packets count; its rate is nothing yet.
    counting: RateSpec,
}

impl HtbClassBuilder {
    pub(super) const fn new(rate: u64) -> Self {
        Self {
            rate,
            ceil: 0,
            burst: (0, None),
            cburst: (0, None),
            timer_hz: 1_000_000_000,
            quantum: 0,
            prio: 0,
            mtu: 1600,
            counting: RateSpec::new(0),
        }
    }

    /// The rate that the class may borrow up to, in bytes per second; the own
    /// rate if it is not said.
    #[must_use]
    pub fn ceil(self, bytes_per_s: u64) -> Self {
        Self { ceil: bytes_per_s, ..self }
    }

    /// What may go at once at the own rate, in bytes; one MTU if it is not said.
    #[must_use]
    pub fn burst_bytes(self, burst: u32) -> Self {
        Self { burst: (burst, self.burst.1), ..self }
    }

    /// What may go at once at the rate `ceil`, in bytes; one MTU if it is not
    /// said.
    #[must_use]
    pub fn cburst_bytes(self, cburst: u32) -> Self {
        Self { cburst: (cburst, self.cburst.1), ..self }
    }

    /// See [`HtbClass::quantum_bytes`].
    #[must_use]
    pub fn quantum_bytes(self, quantum: u32) -> Self {
        Self { quantum, ..self }
    }

    /// See [`HtbClass::prio`].
    #[must_use]
    pub fn prio(self, prio: u32) -> Self {
        Self { prio, ..self }
    }

    /// The largest packet, in bytes, for bursts that are not said; 1600 at the
    /// start.
    #[must_use]
    pub fn mtu_bytes(self, mtu: u32) -> Self {
        Self { mtu, ..self }
    }

    /// A packet counts as at least this many bytes.
    #[must_use]
    pub fn mpu_bytes(self, mpu: u16) -> Self {
        Self { counting: RateSpec { mpu, ..self.counting }, ..self }
    }

    /// Bytes added to each packet.
    #[must_use]
    pub fn overhead_bytes(self, overhead: u16) -> Self {
        Self { counting: RateSpec { overhead, ..self.counting }, ..self }
    }

    /// The framing below; Ethernet if it is not said.
    #[must_use]
    pub fn linklayer(self, linklayer: LinkLayer) -> Self {
        Self { counting: RateSpec { linklayer, ..self.counting }, ..self }
    }

    /// The options; an error if there is no rate, or if a burst takes longer
    /// than the 274 seconds that 32 bits of ticks can say.
    pub fn build(self) -> Result<HtbClass, EncodeError> {
        if self.rate == 0 {
            return Err(EncodeError::Invalid("\"rate\" is required.".into()));
        }
        let (rate, burst_ticks) = self.bucket("burst", self.rate, self.burst)?;
        let ceil = if self.ceil == 0 { self.rate } else { self.ceil };
        let (ceil, cburst_ticks) = self.bucket("cburst", ceil, self.cburst)?;
        let (quantum_bytes, prio) = (self.quantum, self.prio);
        Ok(HtbClass { rate, ceil, burst_ticks, cburst_ticks, quantum_bytes, prio, level: 0, offload: false })
    }

    fn bucket(
        &self,
        name: &str,
        rate: u64,
        (burst, cell_log): (u32, Option<u8>),
    ) -> Result<(RateSpec, u32), EncodeError> {
        let mut spec = RateSpec { rate, ..self.counting };
        spec.set_cells(self.mtu, cell_log);
        let least = rate / u64::from(self.timer_hz.max(1)) + u64::from(self.mtu);
        let burst = if burst == 0 { u32::try_from(least).unwrap_or(u32::MAX) } else { burst };
        // tc 6.1 cuts it to 32 bits, which makes another burst of it; tc 7 refuses it.
        let ticks = checked_transmit_ticks(rate, burst)
            .ok_or_else(|| EncodeError::Invalid(format!("htb: {name} out of range")))?;
        Ok((spec, ticks))
    }

    /// Reads what the words say on top of what is set already.
    pub(super) fn read_words(
        mut self,
        words: &mut Words<'_>,
        context: &WordsContext<'_>,
    ) -> Result<Self, WordError> {
        while let Some(word) = words.next() {
            if is_prefix(word, "prio") {
                self.prio = number("prio", words, parse_decimal)?;
            } else if is_prefix(word, "mtu") {
                self.mtu = number("mtu", words, parse_decimal)?;
            } else if is_prefix(word, "mpu") {
                self.counting.mpu = number("mpu", words, parse_decimal)?;
            } else if is_prefix(word, "overhead") {
                self.counting.overhead = number("overhead", words, parse_decimal)?;
            } else if is_prefix(word, "linklayer") {
                self.counting.linklayer =
                    LinkLayer::parse(words.value()?).ok_or_else(|| illegal("linklayer"))?;
            } else if is_prefix(word, "quantum") {
                self.quantum = number("quantum", words, parse_decimal)?;
            } else if is_prefix(word, "burst") || matches!(word, "buffer" | "maxburst") {
                self.burst = burst(word, words.value()?, self.burst.1)?;
            } else if is_prefix(word, "cburst") || matches!(word, "cbuffer" | "cmaxburst") {
                self.cburst = burst(word, words.value()?, self.cburst.1)?;
            } else if matches!(word, "ceil" | "rate") {
                let value = words.value()?;
                let rate = if word == "ceil" { &mut self.ceil } else { &mut self.rate };
                if *rate != 0 {
                    return Err(WordError::Kind(format!("Double \"{word}\" spec")));
                }
                *rate = parse_rate_of_link(value, context)
                    .map_err(|lines| WordError::KindUsage(lines + &illegal(word).to_string()))?;
            } else if word == "help" {
                return Err(WordError::Help);
            } else {
                return Err(WordError::what_is(word));
            }
        }
        self.timer_hz = context.environment.psched_hz();
        Ok(self)
    }
}

fn burst(word: &str, value: &str, cell_log: Option<u8>) -> Result<(u32, Option<u8>), WordError> {
    let (bytes, cell) = parse_size_and_cell(value).map_err(|_| illegal(word))?;
    Ok((bytes, cell.or(cell_log)))
}
