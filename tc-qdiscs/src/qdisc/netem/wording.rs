//! Options as words.

use tc_core::OptionWords;
use tc_core::units::words_of_rate;

use super::wire::{in_ticks, is_in_ticks};
use super::{Chance, Distribution, LossModel, Netem, NetemRate, Share};

pub(super) fn to_words(netem: &Netem, out: &mut OptionWords<'_>) {
    out.say("limit", netem.limit_packets);
    let correlations = netem.correlations.unwrap_or_default();
    let is_some = |share: Share| share != Share::NONE;
    // A correlation of repetitions is sent only beside another one.
    let carrier = is_some(correlations.duplicate) && !is_some(correlations.loss);
    let delay = match (netem.delay_ns, netem.jitter_ns, is_some(correlations.delay) || carrier) {
        (0, 0, false) => String::new(),
        (delay, 0, false) => format!("delay {}", words_of_time(delay)),
        (delay, jitter, false) => format!("delay {} {}", words_of_time(delay), words_of_time(jitter)),
        (delay, jitter, true) => {
            let (delay, jitter) = (words_of_time(delay), words_of_time(jitter));
            format!("delay {delay} {jitter} {}", percent(correlations.delay))
        }
    };
    out.not_dumped("delay", delay);
    out.silent("latency", words_of_time(netem.delay_ns));
    out.silent("jitter", words_of_time(netem.jitter_ns));
    for (key, correlation) in [
        ("delay correlation", correlations.delay),
        ("loss correlation", correlations.loss),
        ("duplicate correlation", correlations.duplicate),
    ] {
        out.silent_sticky(key, Some(correlation).filter(|share| is_some(*share)).map(percent));
    }
    let distribution = |samples: &[i16]| Distribution::of(samples).unwrap_or("(a file's)");
    if !netem.distribution.is_empty() {
        out.not_dumped("distribution", format!("distribution {}", distribution(&netem.distribution)));
    }
    let loss = match netem.loss_model {
        Some(LossModel::State { p13, p31, p32, p23, p14 }) => {
            format!("loss state {}", [p13, p31, p32, p23, p14].map(percent).join(" "))
        }
        Some(LossModel::GilbertElliott { p, r, h, k1 }) => {
            format!("loss gemodel {}", [p, r, h.rest(), k1].map(percent).join(" "))
        }
        None => with_correlation("loss", netem.loss, correlations.loss),
    };
    out.not_dumped("loss words", loss.clone());
    // A random loss beside a model does not count; its correlation is sent all the same.
    let model = netem.loss_model.map_or_else(|| percent(netem.loss), |_| loss);
    out.silent("loss", model);
    out.not_dumped("duplicate words", with_correlation("duplicate", netem.duplicate, correlations.duplicate));
    out.silent("duplicate", percent(netem.duplicate));
    let chance = |name: &str, chance: Option<Chance>| {
        let Chance { probability, correlation } = chance.unwrap_or_default();
        with_correlation(name, probability, correlation)
    };
    let reorder = chance("reorder", netem.reorder);
    let gap = if netem.gap == 0 { String::new() } else { format!("gap {}", netem.gap) };
    out.sticky_text("reorder", reorder);
    out.sticky_text("gap", gap);
    out.sticky_text("corrupt", chance("corrupt", netem.corrupt));
    let NetemRate { rate, packet_overhead, cell_size, cell_overhead } = netem.rate.unwrap_or_default();
    let rate = match netem.rate.filter(|rate| *rate != NetemRate::default()) {
        None => String::new(),
        Some(_) => {
            let rate = words_of_rate(rate.as_bytes_per_second());
            format!("rate {rate} {packet_overhead} {cell_size} {cell_overhead}")
        }
    };
    out.sticky_text("rate", rate);
    out.sticky_text("ecn", if netem.ecn { "ecn" } else { "" });
    write_slot(netem, &distribution, out);
    out.say_if("seed", netem.seed);
}

fn write_slot(netem: &Netem, distribution: &dyn Fn(&[i16]) -> &'static str, out: &mut OptionWords<'_>) {
    let Some(slot) =
        netem.slot.filter(|slot| slot.min_delay_ns | slot.max_delay_ns | slot.distribution_jitter_ns != 0)
    else {
        return out.sticky_text("slot", "");
    };
    let mut text = if slot.distribution_jitter_ns == 0 {
        format!("slot {}ns {}ns", slot.min_delay_ns, slot.max_delay_ns)
    } else {
        if netem.slot_distribution.is_empty() {
            out.cannot_say("a slot distribution, whose samples are not told");
        }
        let (delay, jitter) = (slot.distribution_delay_ns, slot.distribution_jitter_ns);
        format!("slot distribution {} {delay}ns {jitter}ns", distribution(&netem.slot_distribution))
    };
    if slot.max_packets != 0 {
        text += &format!(" packets {}", slot.max_packets);
    }
    if slot.max_bytes != 0 {
        text += &format!(" bytes {}", slot.max_bytes);
    }
    out.sticky_text("slot", text);
}

/// In microseconds where tc rounds these to the same ticks, or else in
/// nanoseconds, which newer tc reads.
fn words_of_time(ns: i64) -> String {
    let us = ns.saturating_add(999) / 1000;
    let is_exact = u32::try_from(us).is_ok() && is_in_ticks(ns) && in_ticks(us * 1000) == ns;
    if is_exact { format!("{us}us") } else { format!("{ns}ns") }
}

fn percent(share: Share) -> String {
    format!("{}%", f64::from(share.0) / f64::from(u32::MAX) * 100.0)
}

fn with_correlation(name: &str, share: Share, correlation: Share) -> String {
    match (share, correlation) {
        (Share::NONE, Share::NONE) => String::new(),
        (share, Share::NONE) => format!("{name} {}", percent(share)),
        (share, correlation) => format!("{name} {} {}", percent(share), percent(correlation)),
    }
}
