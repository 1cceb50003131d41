//! Making the options: by calls, and from words. Both end in the same sums.

use std::time::Duration;

use tc_core::EncodeError;
use tc_core::rate::{Burst, LinkLayer, Rate, RateSpec, parse_rate_of_link, parse_size_and_cell};
use tc_core::units::{parse_decimal, parse_size, parse_time_us, transmit_ticks};
use tc_core::words::{WordError, Words, WordsContext, is_prefix};

use super::{Peak, Tbf, sent};

/// Makes a [`Tbf`]: the order of the calls does not matter.
#[derive(Clone, Copy, Debug)]
pub struct TbfBuilder {
    // As in tc, 0 means that it was not given.
    rate: Rate,
    burst: u64,
    burst_cell_log: Option<u8>,
    limit: u32,
    latency: Duration,
    peak_rate: Rate,
    mtu: u64,
    mtu_cell_log: Option<u8>,
    /// How packets count; its rate is nothing yet.
    counting: RateSpec,
}

impl TbfBuilder {
    pub(super) const fn new(rate: Rate, burst: u64) -> Self {
        Self {
            rate,
            burst,
            burst_cell_log: None,
            limit: 0,
            latency: Duration::ZERO,
            peak_rate: Rate::ZERO,
            mtu: 0,
            mtu_cell_log: None,
            counting: RateSpec::new(Rate::ZERO),
        }
    }

    /// The limit of the queue in bytes, instead of a latency.
    #[must_use]
    pub fn limit_bytes(self, limit: u32) -> Self {
        Self { limit, latency: Duration::ZERO, ..self }
    }

    /// The longest time that a packet waits, instead of a limit. The limit in
    /// bytes follows from it, at most `u32::MAX`.
    #[must_use]
    pub fn latency(self, latency: Duration) -> Self {
        Self { latency, limit: 0, ..self }
    }

    /// The rate at which a burst leaves, and the bytes that may leave at once
    /// above it.
    #[must_use]
    pub fn peak(self, rate: Rate, mtu_bytes: u64) -> Self {
        Self { peak_rate: rate, mtu: mtu_bytes, ..self }
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

    /// The options. An error names all that is missing, with `tc`'s texts, or
    /// the burst above 32 bits of bytes.
    pub fn build(self) -> Result<Tbf, EncodeError> {
        self.build_with(|bytes, _| Burst::bytes(bytes))
    }

    /// The options with bursts rounded as `tc` does. The kernel takes the bytes.
    pub(super) fn build_as_tc(self) -> Result<Tbf, EncodeError> {
        self.build_with(|bytes, spec| {
            let Ok(bytes) = u32::try_from(bytes) else { return Burst::bytes(bytes) };
            // tc 6.1: with the rate of the struct, cut to 32 bits.
            let ticks = transmit_ticks(spec.narrow_rate().into(), bytes);
            Burst::from_kernel_time(ticks, spec, Some(bytes))
        })
    }

    fn build_with(self, bucket: impl Fn(u64, &RateSpec) -> Burst) -> Result<Tbf, EncodeError> {
        let missing: Vec<_> = [
            (self.rate.is_zero(), "tbf: the \"rate\" parameter is mandatory."),
            (self.burst == 0, "tbf: the \"burst\" parameter is mandatory."),
            (
                !self.peak_rate.is_zero() && self.mtu == 0,
                "tbf: when \"peakrate\" is specified, \"mtu\" must also be specified.",
            ),
            (self.limit == 0 && self.latency.is_zero(), "tbf: either \"limit\" or \"latency\" is required."),
        ]
        .into_iter()
        .filter_map(|(is_missing, text)| is_missing.then_some(text))
        .collect();
        if !missing.is_empty() {
            return Err(EncodeError::Invalid(missing.join("\n")));
        }
        let spec = |rate, cell_log| {
            let mut spec = self.counting;
            spec.rate = rate;
            spec.set_cells(u32::try_from(self.mtu).unwrap_or(u32::MAX), cell_log);
            spec
        };
        let rate = spec(self.rate, self.burst_cell_log);
        let burst = bucket(self.burst, &rate);
        sent("burst", burst, &rate)?;
        let mut peak = None;
        if !self.peak_rate.is_zero() {
            let rate = spec(self.peak_rate, self.mtu_cell_log);
            let mtu = bucket(self.mtu, &rate);
            sent("mtu", mtu, &rate)?;
            peak = Some(Peak { rate, mtu });
        }
        Ok(Tbf { rate, burst, limit_bytes: self.limit_of_latency(), peak })
    }

    fn limit_of_latency(&self) -> u32 {
        if self.limit != 0 {
            return self.limit;
        }
        let us = self.latency.as_nanos() as f64 / 1e3;
        let waiting = |rate: Rate, bucket: u64| rate.as_bytes_per_second() as f64 * us / 1e6 + bucket as f64;
        let limit = waiting(self.rate, self.burst);
        let limit =
            if self.peak_rate.is_zero() { limit } else { limit.min(waiting(self.peak_rate, self.mtu)) };
        // tc cuts a limit over 32 bits, which can leave next to nothing; here it is the most there is.
        limit as u32
    }

    /// Reads words, which override the current settings.
    pub(super) fn read_words(
        mut self,
        words: &mut Words<'_>,
        context: &WordsContext<'_>,
    ) -> Result<Self, WordError> {
        let kind = |text: &str| Err(WordError::Kind(format!("tbf: {text}")));
        let duplicate = |name: &str| kind(&format!("duplicate \"{name}\" specification"));
        while let Some(word) = words.next() {
            if is_prefix(word, "limit") {
                let value = words.value()?;
                if self.limit != 0 {
                    return duplicate("limit");
                }
                if !self.latency.is_zero() {
                    return kind("specifying both \"latency\" and \"limit\" is not allowed");
                }
                self.limit = parse_size(value).map_err(|_| illegal("limit", value))?;
            } else if is_prefix(word, "latency") {
                let value = words.value()?;
                if !self.latency.is_zero() {
                    return duplicate("latency");
                }
                if self.limit != 0 {
                    return kind("specifying both \"limit\" and \"/latency\" is not allowed");
                }
                let us = parse_time_us(value).map_err(|_| illegal("latency", value))?;
                self.latency = Duration::from_micros(us.into());
            } else if is_prefix(word, "burst") || matches!(word, "buffer" | "maxburst") {
                let value = words.value()?;
                if self.burst != 0 {
                    return duplicate("buffer/burst/maxburst");
                }
                (self.burst, self.burst_cell_log) = size_and_cell(word, value, self.burst_cell_log)?;
            } else if matches!(word, "mtu" | "minburst") {
                let value = words.value()?;
                if self.mtu != 0 {
                    return duplicate("mtu/minburst");
                }
                (self.mtu, self.mtu_cell_log) = size_and_cell(word, value, self.mtu_cell_log)?;
                // The rate table counts in 32 bits.
                u32::try_from(self.mtu).map_err(|_| illegal(word, value))?;
            } else if word == "mpu" {
                let value = words.value()?;
                if self.counting.mpu != 0 {
                    return duplicate("mpu");
                }
                // tc cuts what does not fit in the struct's 16 bits.
                let mpu = parse_size(value).ok().and_then(|mpu| u16::try_from(mpu).ok());
                self.counting.mpu = mpu.ok_or_else(|| illegal("mpu", value))?;
            } else if word == "rate" || is_prefix(word, "peakrate") {
                let value = words.value()?;
                let (name, rate) = match word {
                    "rate" => ("rate", &mut self.rate),
                    _ => ("peakrate", &mut self.peak_rate),
                };
                if !rate.is_zero() {
                    return duplicate(name);
                }
                *rate = parse_rate_of_link(value, context)
                    .map_err(|lines| WordError::Kind(lines + &illegal(name, value).to_string()))?;
            } else if is_prefix(word, "overhead") {
                let value = words.value()?;
                if self.counting.overhead != 0 {
                    return duplicate("overhead");
                }
                self.counting.overhead = parse_decimal(value).map_err(|_| illegal("overhead", value))?;
            } else if is_prefix(word, "linklayer") {
                let value = words.value()?;
                self.counting.linklayer =
                    LinkLayer::parse(value).ok_or_else(|| illegal("linklayer", value))?;
            } else if word == "help" {
                return Err(WordError::Help);
            } else {
                return Err(WordError::KindUsage(format!("tbf: unknown parameter \"{word}\"")));
            }
        }
        Ok(self)
    }
}

fn size_and_cell(word: &str, value: &str, cell_log: Option<u8>) -> Result<(u64, Option<u8>), WordError> {
    let (size, cell) = parse_size_and_cell(value).map_err(|shown| illegal(word, shown))?;
    Ok((size, cell.or(cell_log)))
}

fn illegal(name: &str, value: &str) -> WordError {
    WordError::Kind(format!("tbf: illegal value for \"{name}\": \"{value}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tc_core::{Syntax, Verb};

    const MBIT: Rate = Rate::bits_per_second(1_000_000);

    fn parse(words: &str) -> Result<Tbf, WordError> {
        let words: Vec<_> = words.split_whitespace().collect();
        Tbf::parse_words(&mut Words::new(&words), &WordsContext::new(Verb::Add)).map(Option::unwrap)
    }

    #[test]
    fn words_and_calls_make_the_same() {
        let tbf = Tbf::builder(MBIT, 10 << 10)
            .latency(Duration::from_millis(50))
            .peak(Rate::bits_per_second(2_000_000), 1540);
        let words = "rate 1mbit b 10k la 50ms p 2mbit minburst 1540";
        assert_eq!(parse(words), Ok(tbf.build().unwrap()));
        let tbf = Tbf::builder(MBIT, 1600).limit_bytes(9000).overhead_bytes(4).linklayer(LinkLayer::Atm);
        let words = "l 9000 rate 1mbit buffer 1600 o 4 lin adsl mpu 64";
        assert_eq!(parse(words), Ok(tbf.mpu_bytes(64).build().unwrap()));
    }

    #[test]
    fn a_latency_holds_for_the_slower_of_the_two_buckets() {
        let limit = |tbf: TbfBuilder| tbf.build().unwrap().limit_bytes;
        let tbf = Tbf::builder(Rate::bytes_per_second(1000), 50_000).latency(Duration::from_secs(1));
        assert_eq!(limit(tbf), 51_000);
        assert_eq!(limit(tbf.peak(Rate::bytes_per_second(2000), 1600)), 3600);
        let fast = Tbf::builder(Rate::bytes_per_second(5_000_000_000), 1).latency(Duration::from_secs(1));
        assert_eq!(limit(fast), u32::MAX, "not 705,032,705");
    }

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, text) in [
            ("limit 1 limit 2", "tbf: duplicate \"limit\" specification"),
            ("latency 1 limit 2", "tbf: specifying both \"latency\" and \"limit\" is not allowed"),
            ("limit 1 latency 2", "tbf: specifying both \"limit\" and \"/latency\" is not allowed"),
            ("burst 1 b 2", "tbf: duplicate \"buffer/burst/maxburst\" specification"),
            ("burst 1/7", "tbf: illegal value for \"burst\": \"1/7\""),
            ("maxburst x/8", "tbf: illegal value for \"maxburst\": \"x\""),
            ("mpu 65536", "tbf: illegal value for \"mpu\": \"65536\""),
            ("overhead 0x1", "tbf: illegal value for \"overhead\": \"0x1\""),
            ("linklayer x", "tbf: illegal value for \"linklayer\": \"x\""),
            ("rate 1bps rate 2bps", "tbf: duplicate \"rate\" specification"),
            (
                "rate 5%",
                "No device specified; specify device to rate limit by percentage\n\
                 tbf: illegal value for \"rate\": \"5%\"",
            ),
        ] {
            assert_eq!(parse(words), Err(WordError::Kind(text.into())), "{words}");
        }
        let all = "tbf: the \"rate\" parameter is mandatory.\n\
                   tbf: the \"burst\" parameter is mandatory.\n\
                   tbf: when \"peakrate\" is specified, \"mtu\" must also be specified.\n\
                   tbf: either \"limit\" or \"latency\" is required.";
        assert_eq!(parse("peakrate 1mbit"), Err(WordError::KindUsage(all.into())));
        let long = parse("rate 1tbit burst 8gb limit 1mb").unwrap_err().to_string();
        assert_eq!(long, "tbf: burst out of range: 8589934592 bytes are more than 4294967295");
        assert_eq!(parse("lat"), Err(WordError::Incomplete));
        assert_eq!(parse("buf 1"), Err(WordError::KindUsage("tbf: unknown parameter \"buf\"".into())));
    }
}
