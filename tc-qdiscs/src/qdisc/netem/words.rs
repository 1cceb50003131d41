//! Words, as tc reads them: most may be shortened, and what belongs to one
//! follows as long as the next word begins with a digit.

use tc_core::rate::parse_rate_of_link;
use tc_core::units::{
    TICK_NS, parse_decimal, parse_i32, parse_percent, parse_size, parse_time_ns, parse_time_us, parse_u32,
    split_number,
};
use tc_core::words::{WordError, Words, WordsContext, is_prefix};

use super::wire::in_ticks;
use super::{Chance, Distribution, LossModel, Netem, Share, Slot, table};

pub(super) const USAGE: &str = "\
Usage: ... netem [ limit PACKETS ]
                 [ delay TIME [ JITTER [CORRELATION]]]
                 [ distribution {uniform|normal|pareto|paretonormal} ]
                 [ corrupt PERCENT [CORRELATION]]
                 [ duplicate PERCENT [CORRELATION]]
                 [ loss random PERCENT [CORRELATION]]
                 [ loss state P13 [P31 [P32 [P23 P14]]]
                 [ loss gemodel PERCENT [R [1-H [1-K]]]
                 [ ecn ]
                 [ reorder PERCENT [CORRELATION] [ gap DISTANCE ]]
                 [ rate RATE [PACKETOVERHEAD] [CELLSIZE] [CELLOVERHEAD]]
                 [ slot MIN_DELAY [MAX_DELAY] [packets MAX_PACKETS] [bytes MAX_BYTES]]
                 [ slot distribution {uniform|normal|pareto|paretonormal|custom}
                   DELAY JITTER [packets MAX_PACKETS] [bytes MAX_BYTES]]
";

pub(super) fn parse(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Netem, WordError> {
    let mut netem = Netem::default();
    let mut duplicates = Share::NONE;
    while let Some(word) = words.next() {
        // In tc's order, which decides what a shortened word means.
        match word {
            _ if is_prefix(word, "limit") => {
                netem.limit_packets = words.parse(parse_size, illegal("limit"))?
            }
            _ if is_prefix(word, "latency") || is_prefix(word, "delay") => delay(words, &mut netem)?,
            _ if is_prefix(word, "loss") || is_prefix(word, "drop") => loss(words, &mut netem)?,
            _ if is_prefix(word, "ecn") => netem.ecn = true,
            _ if is_prefix(word, "reorder") => {
                let correlated = chance("reorder", words, &mut netem.reorder)?;
                require_correlations(correlated, &mut netem);
            }
            _ if is_prefix(word, "corrupt") => {
                let correlated = chance("corrupt", words, &mut netem.corrupt)?;
                require_correlations(correlated, &mut netem);
            }
            _ if is_prefix(word, "gap") => netem.gap = words.parse(parse_u32, illegal("gap"))?,
            _ if is_prefix(word, "duplicate") => {
                netem.duplicate = share("duplicate", words)?;
                if is_number(words) {
                    duplicates = share("duplicate", words)?;
                }
            }
            _ if is_prefix(word, "distribution") => netem.distribution = distribution(words, context)?,
            _ if is_prefix(word, "rate") => rate(words, context, &mut netem)?,
            _ if is_prefix(word, "slot") => slot(words, context, &mut netem)?,
            // Of newer tc.
            "seed" => netem.seed = Some(words.parse(parse_decimal, illegal("seed"))?),
            "help" => return Err(WordError::Help),
            word => return Err(WordError::what_is(word)),
        }
    }
    // As tc: this one alone sends nothing.
    if let Some(correlations) = &mut netem.correlations {
        correlations.duplicate = duplicates;
    }
    check(netem)
}

/// Checks the combination of options, once all words are read.
fn check(mut netem: Netem) -> Result<Netem, WordError> {
    let error = |text: &str| Err(WordError::KindUsage(text.into()));
    if netem.reorder.is_some_and(|reorder| reorder.probability != Share::NONE) {
        if netem.delay_ns == 0 {
            return error("reordering not possible without specifying some delay");
        }
        netem.gap = netem.gap.max(1);
    } else if netem.gap > 0 {
        return error("gap specified without reorder probability");
    }
    if netem.ecn && netem.loss == Share::NONE && netem.loss_model.is_none() {
        return error("ecn requested without loss model");
    }
    if !netem.distribution.is_empty() && (netem.delay_ns == 0 || netem.jitter_ns == 0) {
        return error("distribution specified but no latency and jitter values");
    }
    Ok(netem)
}

fn illegal(what: &'static str) -> impl FnOnce(&str) -> String {
    move |_| format!("Illegal \"{what}\"")
}

fn is_number(words: &Words<'_>) -> bool {
    words.peek().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_digit()))
}

fn is_signed_number(words: &Words<'_>) -> bool {
    is_number(words) || words.peek().is_some_and(|word| word.starts_with('-'))
}

fn share(what: &'static str, words: &mut Words<'_>) -> Result<Share, WordError> {
    words.parse(parse_percent, illegal(what)).map(Share::of_one)
}

/// The next word as a share, if it is a number.
fn next_share(what: &'static str, words: &mut Words<'_>) -> Result<Option<Share>, WordError> {
    if is_number(words) { share(what, words).map(Some) } else { Ok(None) }
}

/// Reads a probability, and a correlation if there is one; returns whether.
fn chance(what: &'static str, words: &mut Words<'_>, chance: &mut Option<Chance>) -> Result<bool, WordError> {
    let probability = share(what, words)?;
    let correlation = next_share(what, words)?;
    let chance = chance.get_or_insert_default();
    chance.probability = probability;
    chance.correlation = correlation.unwrap_or(chance.correlation);
    Ok(correlation.is_some())
}

/// As tc: one correlation, and all are sent.
fn require_correlations(required: bool, netem: &mut Netem) {
    if required {
        netem.correlations.get_or_insert_default();
    }
}

fn delay(words: &mut Words<'_>, netem: &mut Netem) -> Result<(), WordError> {
    netem.delay_ns = time(words)?;
    if is_number(words) {
        netem.jitter_ns = time(words)?;
        if let Some(correlation) = next_share("latency", words)? {
            netem.correlations.get_or_insert_default().delay = correlation;
        }
    }
    Ok(())
}

/// Reads a time; a bare number is microseconds. As tc 6.1, a time in other units than ns is rounded down
/// to whole microseconds and then to ticks (5us is 4992 ns), if 32 bits hold the ticks; that is up to 274 s.
fn time(words: &mut Words<'_>) -> Result<i64, WordError> {
    let word = words.value()?;
    let illegal = || WordError::Kind("Illegal \"latency\"".into());
    let unit = split_number(word).map_or("", |(_, unit)| unit);
    let short = parse_time_us(word).map(|us| i64::from(us) * 1000);
    if let Some(ns) = short.ok().filter(|ns| *ns / i64::from(TICK_NS) <= u32::MAX.into()) {
        return Ok(in_ticks(ns));
    }
    let ns = match unit {
        "" => parse_time_ns(&format!("{word}us")),
        _ => parse_time_ns(word),
    };
    ns.ok().filter(|ns| *ns >= 0).ok_or_else(illegal)
}

fn loss(words: &mut Words<'_>, netem: &mut Netem) -> Result<(), WordError> {
    if netem.loss != Share::NONE || netem.loss_model.is_some() {
        return Err(WordError::Kind("Illegal \"duplicate loss argument\n\"".into()));
    }
    if is_number(words) {
        return random_loss(words, netem);
    }
    match words.value()? {
        "random" => random_loss(words, netem)?,
        "state" => {
            let p13 = words.parse(parse_percent, illegal("loss p13"))?;
            let mut rest = [Share::of_one(1.0 - p13), Share::NONE, Share::ALL, Share::NONE];
            next_shares(["loss p31", "loss p32", "loss p23", "loss p14"], &mut rest, words)?;
            let [p31, p32, p23, p14] = rest;
            netem.loss_model = Some(LossModel::State { p13: Share::of_one(p13), p31, p32, p23, p14 });
        }
        "gemodel" => {
            let p = words.parse(parse_percent, illegal("loss gemodel p"))?;
            let mut rest = [Share::of_one(1.0 - p), Share::ALL, Share::NONE];
            next_shares(["loss gemodel r", "loss gemodel h", "loss gemodel k"], &mut rest, words)?;
            let [r, bad, k1] = rest;
            netem.loss_model = Some(LossModel::GilbertElliott { p: Share::of_one(p), r, h: bad.rest(), k1 });
        }
        word => return Err(WordError::Kind(format!("Unknown loss parameter: {word}"))),
    }
    Ok(())
}

fn random_loss(words: &mut Words<'_>, netem: &mut Netem) -> Result<(), WordError> {
    netem.loss = share("loss percent", words)?;
    if let Some(correlation) = next_share("loss correlation", words)? {
        netem.correlations.get_or_insert_default().loss = correlation;
    }
    Ok(())
}

/// Reads shares as long as numbers follow.
fn next_shares<const N: usize>(
    what: [&'static str; N],
    shares: &mut [Share; N],
    words: &mut Words<'_>,
) -> Result<(), WordError> {
    for (what, place) in what.into_iter().zip(shares) {
        match next_share(what, words)? {
            Some(share) => *place = share,
            None => break,
        }
    }
    Ok(())
}

/// The samples of a distribution: those of an installed file, or else ours.
fn distribution(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Vec<i16>, WordError> {
    let name = words.value()?;
    let installed = context.environment.distribution(name);
    let ours = |error| Distribution::by_name(name).map(table).ok_or(WordError::Kind(error));
    let samples = installed.or_else(ours)?;
    let none = || WordError::Kind(format!("No distribution data for {name} (it is empty)"));
    if samples.is_empty() { Err(none()) } else { Ok(samples) }
}

fn rate(words: &mut Words<'_>, context: &WordsContext<'_>, netem: &mut Netem) -> Result<(), WordError> {
    let illegal_rate = |lines| WordError::Kind(format!("{lines}Illegal \"rate\""));
    let rate = netem.rate.get_or_insert_default();
    rate.rate = parse_rate_of_link(words.value()?, context).map_err(illegal_rate)?;
    if is_signed_number(words) {
        rate.packet_overhead = words.parse(parse_i32, illegal("rate"))?;
    }
    if is_number(words) {
        rate.cell_size = words.parse(parse_u32, illegal("rate"))?;
    }
    if is_signed_number(words) {
        rate.cell_overhead = words.parse(parse_i32, illegal("rate"))?;
    }
    Ok(())
}

fn slot(words: &mut Words<'_>, context: &WordsContext<'_>, netem: &mut Netem) -> Result<(), WordError> {
    let mut slot = netem.slot.unwrap_or_default();
    if is_number(words) {
        slot.min_delay_ns = words.parse(parse_time_ns, illegal("slot min_delay"))?;
        slot.max_delay_ns = slot.min_delay_ns;
        if is_number(words) {
            let most = words.parse(parse_time_ns, illegal("slot max_delay"))?;
            if most < slot.min_delay_ns {
                return Err(WordError::Kind(illegal("slot max_delay")("")));
            }
            slot.max_delay_ns = most;
        }
    } else {
        match words.value()? {
            "distribution" => slot_distribution(words, context, &mut slot, netem)?,
            word => return Err(WordError::Kind(format!("Unknown slot parameter: {word}"))),
        }
    }
    if let Some(value) = follows("packets", words)? {
        slot.max_packets = parse_i32(value).map_err(|_| WordError::Kind(illegal("slot packets")("")))?;
    }
    if let Some(value) = follows("bytes", words)? {
        let bytes = parse_size(value).map_err(|_| WordError::Kind(illegal("slot bytes")("")))?;
        slot.max_bytes = bytes.cast_signed();
    }
    netem.slot = Some(slot);
    Ok(())
}

fn slot_distribution(
    words: &mut Words<'_>,
    context: &WordsContext<'_>,
    slot: &mut Slot,
    netem: &mut Netem,
) -> Result<(), WordError> {
    netem.slot_distribution = distribution(words, context)?;
    slot.distribution_delay_ns = words.parse(parse_time_ns, illegal("slot delay"))?;
    slot.distribution_jitter_ns = words.parse(parse_time_ns, illegal("slot jitter"))?;
    if slot.distribution_jitter_ns <= 0 {
        return Err(WordError::Kind("Non-positive jitter".into()));
    }
    Ok(())
}

/// The value after `key`, if that comes next. tc treats a missing value as a bad one here.
fn follows<'a>(key: &str, words: &mut Words<'a>) -> Result<Option<&'a str>, WordError> {
    if !words.peek().is_some_and(|word| is_prefix(word, key)) {
        return Ok(None);
    }
    words.next();
    words.next().map(Some).ok_or_else(|| WordError::Kind(format!("Illegal \"slot {key}\"")))
}

#[cfg(test)]
mod tests;
