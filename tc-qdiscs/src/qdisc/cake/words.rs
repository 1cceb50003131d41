//! Words: most are switches; many name a framing, and add its bytes.

use tc_core::OptionWords;
use tc_core::rate::Rate;
use tc_core::units::{
    parse_decimal, parse_rate, parse_size, parse_time_us, parse_u32, words_of_rate, words_of_size,
};
use tc_core::words::{WordError, Words};

use super::{AckFilter, Cake, Diffserv, FlowMode, Framing};
use crate::common::{in_us, not_zero, of_us};

pub(super) const USAGE: &str = "\
Usage: ... cake [ bandwidth RATE | unlimited* | autorate-ingress ]
                [ rtt TIME | datacentre | lan | metro | regional |
                  internet* | oceanic | satellite | interplanetary ]
                [ besteffort | diffserv8 | diffserv4 | diffserv3* ]
                [ flowblind | srchost | dsthost | hosts | flows |
                  dual-srchost | dual-dsthost | triple-isolate* ]
                [ nat | nonat* ]
                [ wash | nowash* ]
                [ split-gso* | no-split-gso ]
                [ ack-filter | ack-filter-aggressive | no-ack-filter* ]
                [ memlimit LIMIT ]
                [ fwmark MASK ]
                [ ptm | atm | noatm* ] [ overhead N | conservative | raw* ]
                [ mpu N ] [ ingress | egress* ]
                (* marks defaults)
";

pub(super) fn parse(words: &mut Words<'_>) -> Result<Cake, WordError> {
    let mut cake = Cake::default();
    let mut preset = None;
    while let Some(word) = words.next() {
        let illegal = |_: &str| format!("Illegal \"{word}\"");
        let illegal_value = |value: &str| format!("Illegal value for \"{word}\": \"{value}\"");
        if let Some((rtt, target)) = find_preset(word) {
            if let Some(first) = preset.replace(word) {
                return Err(WordError::duplicate(word, first));
            }
            (cake.rtt, cake.target) = (Some(of_us(rtt)), Some(of_us(target)));
            continue;
        }
        match word {
            "bandwidth" => {
                // tc takes 0 for not given.
                let rate = Rate::bytes_per_second(words.parse(parse_rate, illegal)?);
                cake.bandwidth = Some(rate).filter(|rate| !rate.is_zero());
                cake.autorate_ingress = Some(false);
            }
            "unlimited" => (cake.bandwidth, cake.autorate_ingress) = (Some(Rate::ZERO), Some(false)),
            "autorate-ingress" => cake.autorate_ingress = Some(true),
            "rtt" => {
                let rtt = words.parse(parse_time_us, illegal)?;
                (cake.rtt, cake.target) = (not_zero(rtt).map(of_us), Some(of_us(target_of(rtt))));
            }
            "diffserv" => cake.diffserv = Some(Diffserv::DIFFSERV4),
            "nowash" => cake.wash = Some(false),
            "wash" => cake.wash = Some(true),
            "split-gso" => cake.split_gso = Some(true),
            "no-split-gso" => cake.split_gso = Some(false),
            "nat" => cake.nat = Some(true),
            "nonat" => cake.nat = Some(false),
            "ingress" => cake.ingress = Some(true),
            "egress" => cake.ingress = Some(false),
            "overhead" => cake.overhead = Some(parse_bytes(word, -64, words)?),
            "mpu" => cake.mpu = not_zero(parse_bytes(word, 0, words)?.cast_unsigned()),
            "memlimit" => cake.memory_limit_bytes = not_zero(words.parse(parse_size, illegal_value)?),
            "fwmark" => cake.fwmark = not_zero(words.parse(parse_u32, illegal_value)?),
            "help" => return Err(WordError::Help),
            word => parse_mode(word, &mut cake)?,
        }
    }
    Ok(cake)
}

pub(super) fn write(cake: &Cake, out: &mut OptionWords<'_>) {
    match cake.bandwidth {
        None => out.leave_open("bandwidth"),
        Some(Rate::ZERO) => out.text("bandwidth", "unlimited"),
        // It follows the arriving traffic.
        Some(rate) if cake.autorate_ingress == Some(true) => {
            out.not_dumped("bandwidth", format!("bandwidth {}", words_of_rate(rate.as_bytes_per_second())));
        }
        Some(rate) => out.say_rate("bandwidth", rate.as_bytes_per_second()),
    }
    out.switch("autorate-ingress", cake.autorate_ingress, "autorate-ingress", "");
    let mut mode = |key: &str, mode: Option<(u32, Option<&str>)>| match mode {
        None => out.leave_open(key),
        Some((_, Some(name))) => out.text(key, name),
        Some((number, None)) => out.cannot_say(&format!("{key} {number}")),
    };
    mode("diffserv", cake.diffserv.map(|mode| (mode.0, mode.name())));
    mode("flow mode", cake.flow_mode.map(|mode| (mode.0, mode.name())));
    mode("ack-filter", cake.ack_filter.map(|filter| (filter.0, filter.name())));
    out.switch("nat", cake.nat, "nat", "nonat");
    out.switch("wash", cake.wash, "wash", "nowash");
    out.switch("split-gso", cake.split_gso, "split-gso", "no-split-gso");
    out.switch("ingress", cake.ingress, "ingress", "egress");
    match cake.rtt.map(in_us) {
        None => out.leave_open("rtt"),
        Some(rtt) => {
            out.say_us("rtt", rtt);
            if cake.target.is_some_and(|target| in_us(target) != target_of(rtt)) {
                out.cannot_say("a target other than a twentieth of rtt");
            }
        }
    }
    match (cake.raw, cake.overhead) {
        (true, _) => out.text("overhead", "raw"),
        (false, overhead) => out.say_if("overhead", overhead),
    }
    // Behind raw, which is without framing.
    match cake.framing.map(|framing| (framing.0, framing.name())) {
        None => out.leave_open("framing"),
        Some((_, Some(name))) => out.text("framing", name),
        Some((number, None)) => out.cannot_say(&format!("framing {number}")),
    }
    out.say_sticky("mpu", cake.mpu.and_then(not_zero));
    out.say_sticky("memlimit", cake.memory_limit_bytes.and_then(not_zero).map(words_of_size));
    out.say_sticky("fwmark", cake.fwmark.and_then(not_zero).map(|mark| format!("{mark:#x}")));
}

/// Round trip time and target, in microseconds.
/// The target that `tc` gives to a round trip time, both in microseconds.
fn target_of(rtt: u32) -> u32 {
    (rtt / 20).max(1)
}

fn find_preset(word: &str) -> Option<(u32, u32)> {
    Some(match word {
        "datacentre" => (100, 5),
        "lan" => (1_000, 50),
        "metro" => (10_000, 500),
        "regional" => (30_000, 1_500),
        "internet" => (100_000, 5_000),
        "oceanic" => (300_000, 15_000),
        "satellite" => (1_000_000, 50_000),
        "interplanetary" => (1_000_000_000, 50_000_000),
        _ => return None,
    })
}

/// Words that are values.
fn parse_mode(word: &str, cake: &mut Cake) -> Result<(), WordError> {
    if let Some(mode) = Diffserv::by_name(word) {
        cake.diffserv = Some(mode);
    } else if let Some(mode) = FlowMode::by_name(word) {
        cake.flow_mode = Some(mode);
    } else if let Some(filter) = AckFilter::by_name(word) {
        cake.ack_filter = Some(filter);
    } else if let Some(framing) = Framing::by_name(word) {
        cake.framing = Some(framing);
    } else {
        parse_framing(word, cake)?;
    }
    Ok(())
}

/// Framings, and the bytes that they add to a packet.
fn parse_framing(word: &str, cake: &mut Cake) -> Result<(), WordError> {
    let (framing, bytes) = match word {
        "raw" => {
            (cake.framing, cake.overhead, cake.raw) = (Some(Framing::NONE), Some(0), true);
            return Ok(());
        }
        // One whole cell and its framing: safe where the truth is not known.
        "conservative" => {
            (cake.framing, cake.overhead) = (Some(Framing::ATM), Some(48));
            return Ok(());
        }
        // The kernel sets it; dumps may have it.
        "via-ethernet" => return Ok(()),
        "ipoa-vcmux" => (Some(Framing::ATM), 8),
        "ipoa-llcsnap" => (Some(Framing::ATM), 16),
        "bridged-vcmux" => (Some(Framing::ATM), 24),
        "bridged-llcsnap" => (Some(Framing::ATM), 32),
        "pppoa-vcmux" => (Some(Framing::ATM), 10),
        "pppoa-llc" => (Some(Framing::ATM), 14),
        "pppoe-vcmux" => (Some(Framing::ATM), 32),
        "pppoe-llcsnap" => (Some(Framing::ATM), 40),
        "pppoe-ptm" => (Some(Framing::PTM), 30),
        "bridged-ptm" => (Some(Framing::PTM), 22),
        "ethernet" => {
            cake.mpu = Some(84);
            (None, 38)
        }
        "ether-vlan" => (None, 4),
        "docsis" => {
            cake.mpu = Some(64);
            (Some(Framing::NONE), 18)
        }
        word => return Err(WordError::what_is(word)),
    };
    cake.framing = framing.or(cake.framing);
    cake.overhead = Some(cake.overhead.unwrap_or(0).saturating_add(bytes));
    Ok(())
}

fn parse_bytes(key: &str, least: i32, words: &mut Words<'_>) -> Result<i32, WordError> {
    // tc's text ends with a backslash and an n, by mistake.
    let illegal = || format!("Illegal \"{key}\", valid range is {least} to 256");
    match words.parse(parse_decimal, |_| illegal())? {
        bytes if (least..=256).contains(&bytes) => Ok(bytes),
        _ => Err(WordError::Kind(illegal())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &str) -> Result<Cake, WordError> {
        let words: Vec<_> = words.split_whitespace().collect();
        parse(&mut Words::new(&words))
    }

    #[test]
    fn framings_add_up() {
        let cake = read("pppoe-ptm ether-vlan ether-vlan").unwrap();
        assert_eq!((cake.framing, cake.overhead), (Some(Framing::PTM), Some(38)));
        let cake = read("overhead -4 ethernet").unwrap();
        assert_eq!((cake.framing, cake.overhead, cake.mpu), (None, Some(34), Some(84)));
        assert_eq!(read("via-ethernet"), Ok(Cake::default()));
    }

    #[test]
    fn a_round_trip_time_brings_a_target() {
        let times = |words| read(words).map(|cake| (cake.rtt.map(in_us), cake.target.map(in_us)));
        assert_eq!(times("rtt 100ms"), Ok((Some(100_000), Some(5_000))));
        assert_eq!(times("rtt 0"), Ok((None, Some(1))));
        assert_eq!(times("lan"), Ok((Some(1_000), Some(50))));
    }

    #[test]
    fn bad_words_have_tcs_text() {
        for (words, text) in [
            ("lan metro", "Error: duplicate \"metro\": \"lan\" is the second value."),
            ("overhead -65", "Illegal \"overhead\", valid range is -64 to 256"),
            ("mpu 257", "Illegal \"mpu\", valid range is 0 to 256"),
            ("memlimit x", "Illegal value for \"memlimit\": \"x\""),
            ("bandwidth x", "Illegal \"bandwidth\""),
            ("diffserv5", "What is \"diffserv5\"?"),
        ] {
            assert_eq!(read(words).unwrap_err().to_string(), text, "{words}");
        }
    }
}
