//! Making the options of a class: by calls, and from words. Both end in the
//! same sums.

use tc_core::EncodeError;
use tc_core::rate::{Burst, LinkLayer, Rate, RateSpec, parse_rate_of_link, parse_size_and_cell};
use tc_core::units::{checked_transmit_ticks, parse_decimal};
use tc_core::words::{WordError, Words, WordsContext, is_prefix};

use super::class::out_of_range;
use super::{HtbClass, illegal, number};

/// Makes an [`HtbClass`]: the order of the calls does not matter.
#[derive(Clone, Copy, Debug)]
pub struct HtbClassBuilder {
    // As in tc, 0 means that it was not given.
    rate: Rate,
    ceil: Rate,
    /// Bytes, and the logarithm of the rate table's cell.
    burst: (u64, Option<u8>),
    cburst: (u64, Option<u8>),
    timer_hz: u32,
    quantum: u32,
    prio: u32,
    mtu: u32,
    /// How packets count; its rate is nothing yet.
    counting: RateSpec,
}

impl HtbClassBuilder {
    pub(super) const fn new(rate: Rate) -> Self {
        Self {
            rate,
            ceil: Rate::ZERO,
            burst: (0, None),
            cburst: (0, None),
            timer_hz: 1_000_000_000,
            quantum: 0,
            prio: 0,
            mtu: 1600,
            counting: RateSpec::new(Rate::ZERO),
        }
    }

    /// The rate that the class may borrow up to; its own rate by default.
    #[must_use]
    pub fn ceil(self, ceil: Rate) -> Self {
        Self { ceil, ..self }
    }

    /// Bytes that may leave at once at the class's own rate; one MTU by default.
    #[must_use]
    pub fn burst_bytes(self, burst: u64) -> Self {
        Self { burst: (burst, self.burst.1), ..self }
    }

    /// Bytes that may leave at once at the rate `ceil`; one MTU by default.
    #[must_use]
    pub fn cburst_bytes(self, cburst: u64) -> Self {
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

    /// The largest packet, in bytes, for default bursts; 1600 at the
    /// start.
    #[must_use]
    pub fn mtu_bytes(self, mtu: u32) -> Self {
        Self { mtu, ..self }
    }

    /// A packet counts as at least this many bytes.
    #[must_use]
    pub fn mpu_bytes(self, mpu: u16) -> Self {
        self.count(|counting| counting.mpu = mpu)
    }

    /// Bytes added to each packet.
    #[must_use]
    pub fn overhead_bytes(self, overhead: u16) -> Self {
        self.count(|counting| counting.overhead = overhead)
    }

    /// The framing below (default: Ethernet).
    #[must_use]
    pub fn linklayer(self, linklayer: LinkLayer) -> Self {
        self.count(|counting| counting.linklayer = linklayer)
    }

    fn count(mut self, change: impl FnOnce(&mut RateSpec)) -> Self {
        change(&mut self.counting);
        self
    }

    /// The options. Fails if there is no rate, or if a burst takes longer than
    /// the 274 seconds that 32 bits of ticks can hold.
    pub fn build(self) -> Result<HtbClass, EncodeError> {
        self.build_with(|name, burst, rate| match burst.time(rate) {
            Some(_) => Ok(burst),
            None => Err(out_of_range(name, burst, rate)),
        })
    }

    /// The options with bursts rounded down to microseconds, as `tc` does.
    pub(super) fn build_as_tc(self) -> Result<HtbClass, EncodeError> {
        self.build_with(|name, burst, rate| {
            // tc 6.1 reads no burst above 4 GiB, and has no rounding for it.
            let Ok(bytes) = u32::try_from(burst.as_bytes()) else {
                return burst.time(rate).map(|_| burst).ok_or_else(|| out_of_range(name, burst, rate));
            };
            // tc 6.1 cuts it to 32 bits, which makes another burst of it; tc 7 refuses it.
            Some(bytes)
                .and_then(|bytes| checked_transmit_ticks(rate.as_bytes_per_second(), bytes))
                .map(|ticks| burst.with_time(ticks, rate))
                .ok_or_else(|| EncodeError::Invalid(format!("htb: {name} out of range")))
        })
    }

    fn build_with(
        self,
        checked: impl Fn(&str, Burst, Rate) -> Result<Burst, EncodeError>,
    ) -> Result<HtbClass, EncodeError> {
        if self.rate.is_zero() {
            return Err(EncodeError::Invalid("\"rate\" is required.".into()));
        }
        let ceil = if self.ceil.is_zero() { self.rate } else { self.ceil };
        Ok(HtbClass {
            rate: self.spec(self.rate, self.burst.1),
            ceil: self.spec(ceil, self.cburst.1),
            burst: checked("burst", self.bucket(self.rate, self.burst.0), self.rate)?,
            cburst: checked("cburst", self.bucket(ceil, self.cburst.0), ceil)?,
            quantum_bytes: self.quantum,
            prio: self.prio,
            level: 0,
            offload: false,
        })
    }

    fn spec(&self, rate: Rate, cell_log: Option<u8>) -> RateSpec {
        let mut spec = self.counting;
        spec.rate = rate;
        spec.set_cells(self.mtu, cell_log);
        spec
    }

    fn bucket(&self, rate: Rate, bytes: u64) -> Burst {
        let in_a_timer_tick = rate.as_bytes_per_second() / u64::from(self.timer_hz.max(1));
        Burst::bytes(if bytes == 0 { in_a_timer_tick.saturating_add(self.mtu.into()) } else { bytes })
    }

    /// Reads words, which override the current settings.
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
                if !rate.is_zero() {
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

fn burst(word: &str, value: &str, cell_log: Option<u8>) -> Result<(u64, Option<u8>), WordError> {
    let (bytes, cell) = parse_size_and_cell(value).map_err(|_| illegal(word))?;
    Ok((bytes, cell.or(cell_log)))
}
