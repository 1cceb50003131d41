//! Output that versions of tc after 6.1 print differently from 6.1 and from tc-cli, by name. With tc 6.1
//! the output is compared without exceptions.

use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use crate::captures;

/// Numbers that follow from a time on the wire. Since 6.15 tc rounds such a time up to the next tick
/// instead of down to a microsecond; its requests differ accordingly.
const ROUNDED: [&str; 9] =
    ["burst", "cburst", "buffer", "cbuffer", "lat", "tokens:", "ctokens:", "tokens", "ctokens"];
/// A schedule of taprio that does not run yet has no times. Since 6.6 tc prints none; before, it printed these.
const NO_TIMES: &str = "base-time 0 cycle-time 0 cycle-time-extension 0";

/// The version of the tc here.
fn version() -> Option<captures::Version> {
    static VERSION: LazyLock<Option<captures::Version>> = LazyLock::new(|| {
        let said = Command::new("tc").arg("-V").output().map(|output| output.stdout).unwrap_or_default();
        captures::iproute2_version(&String::from_utf8_lossy(&said))
    });
    *VERSION
}

/// Whether the tc here is later than 6.1.
#[must_use]
pub fn is_later() -> bool {
    version() > Some((6, 1))
}

/// Whether tc in a batch writes each list at once. A later one (seen with 7.3) writes them when it ends.
#[must_use]
pub fn writes_at_once() -> bool {
    version() < Some((7, 0))
}

/// A text without the parts in which versions differ: blanks (htb, hfsc), rounded numbers, no times, hfsc's default
/// without `0x`, delays of netem, which were whole ticks before, and its seed, which the kernel chooses.
#[must_use]
pub fn text(printed: &str) -> String {
    if !is_later() {
        return printed.to_owned();
    }
    match serde_json::from_str(printed) {
        Ok(value) => alike(&value).to_string(),
        Err(_) => printed.lines().map(|text| line(text) + "\n").collect(),
    }
}

fn line(text: &str) -> String {
    // htb of 6.15 forgets a blank: "burst 1600b/1mpu 0b".
    let spaced = text.replace("/1mpu", "/1 mpu");
    let mut words: Vec<&str> = spaced.split_whitespace().collect();
    let is_tbf = words.windows(2).any(|pair| pair == ["qdisc", "tbf"]);
    let is_netem = words.windows(2).any(|pair| pair == ["qdisc", "netem"]);
    let is_hfsc = words.windows(2).any(|pair| pair == ["qdisc", "hfsc"]);
    for at in 1..words.len() {
        match words[at - 1] {
            word if ROUNDED.contains(&word) => words[at] = "N",
            "mtu" if is_tbf => words[at] = "N",
            // As ticks, with -r.
            "N" if words[at].starts_with('[') => words[at] = "[N]",
            // A latency that rounds to none is printed as the limit.
            "limit" if is_tbf => (words[at - 1], words[at]) = ("lat", "N"),
            "seed" | "Scell_log" => words[at] = "N",
            // A delay, followed by its jitter.
            "delay" if is_netem => words[at] = "D",
            "D" if is_time(words[at]) => words[at] = "J",
            "ip_proto" => words[at] = ip_proto(words[at]),
            "default" if is_hfsc => words[at] = words[at].trim_start_matches("0x"),
            _ => {}
        }
    }
    words.join(" ").replace(NO_TIMES, "").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Such as `3us`.
fn is_time(word: &str) -> bool {
    word.ends_with('s') && word.starts_with(|first: char| first.is_ascii_digit())
}

/// JSON without the parts in which versions differ.
#[must_use]
pub fn json(value: &Value) -> Value {
    if is_later() { alike(value) } else { value.clone() }
}

fn alike(value: &Value) -> Value {
    match value {
        Value::Array(values) => values.iter().map(alike).collect(),
        Value::Object(fields) => {
            let is_tbf = fields.contains_key("burst");
            let differs = |key: &str, value: &Value| match key {
                "limit" | "mtu" => is_tbf,
                "delay" | "jitter" => value.is_number(),
                "seed" | "Scell_log" => true,
                "base_time" | "cycle_time" | "cycle_time_extension" => *value == 0,
                _ => ROUNDED.contains(&key),
            };
            let kept = fields.iter().filter(|(key, value)| !differs(key, value));
            let named = |key: &str, value: &Value| match value.as_str().filter(|_| key == "ip_proto") {
                Some(name) => ip_proto(name).into(),
                None => alike(value),
            };
            kept.map(|(key, value)| (key.clone(), named(key, value))).collect()
        }
        other => other.clone(),
    }
}

/// Names of protocols above IP that flower prints since 6.2, and the numbers that 6.1 prints.
const IP_PROTOCOLS: [(&str, &str); 3] = [("l2tp", "73"), ("esp", "32"), ("ah", "33")];

/// A protocol above IP as tc 6.1 prints it: later versions print more names, and `0x` before numbers.
fn ip_proto(name: &str) -> &str {
    match IP_PROTOCOLS.iter().find(|(known, _)| *known == name) {
        Some((_, number)) => number,
        None => name.trim_start_matches("0x"),
    }
}

/// The options of a filter that a later tc printed, with protocols above IP as tc 6.1 prints them.
#[must_use]
pub fn with_numbers(printed: &Value) -> Value {
    match printed {
        Value::String(text) => {
            let line = |line: &str| match line.strip_prefix("  ip_proto ") {
                Some(name) => format!("  ip_proto {}", ip_proto(name)),
                None => line.to_owned(),
            };
            text.split('\n').map(line).collect::<Vec<_>>().join("\n").into()
        }
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| match value.as_str().filter(|_| key == "ip_proto") {
                Some(name) => (key.clone(), ip_proto(name).into()),
                None => (key.clone(), if value.is_object() { with_numbers(value) } else { value.clone() }),
            };
            fields.iter().map(field).collect()
        }
        other => other.clone(),
    }
}

/// The first line of a refusal: later versions word their usage differently, and report a list of actions
/// of an unknown kind.
#[must_use]
pub fn refusal(line: &str) -> &str {
    match line.split_once(' ') {
        Some(("Usage:", _)) if is_later() => "Usage:",
        Some(("bad", rest)) if is_later() && rest.starts_with("action ") => "",
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{alike, line};

    #[test]
    fn known_differences_of_versions_are_equal() {
        for (older, later) in [
            (
                "class htb 1:1 root burst 1600b/1 mpu 0b cburst 1375b ",
                "class htb 1:1 root burst 1601b/1mpu 0b cburst 1496b",
            ),
            (
                "qdisc tbf 1: root rate 1Gbit burst 1476b/1 mpu 0b lat 0us ",
                "qdisc tbf 1: root rate 1Gbit burst 1597b/1 mpu 0b limit 1536b ",
            ),
            ("qdisc netem 1: delay 4.99us 2.94us loss 1%", "qdisc netem 1: delay 5us 3us loss 1%"),
            ("qdisc hfsc 1: root default 10 ", "qdisc hfsc 1: root  default 0x10"),
            ("  ip_proto 73 ", "  ip_proto l2tp"),
            ("  ip_proto 2f ", "  ip_proto 0x2f"),
            (
                "clockid TAI\tbase-time 0 cycle-time 0 cycle-time-extension 0\tbase-time 7",
                "clockid TAI\tbase-time 7",
            ),
        ] {
            assert_eq!(line(older), line(later));
        }
    }

    #[test]
    fn other_differences_remain() {
        for (one, other) in [
            ("class htb 1:1 rate 1Mbit", "class htb 1:1 rate 2Mbit"),
            ("qdisc netem 1: delay 5us loss 1%", "qdisc netem 1: delay 5us loss 2%"),
            ("qdisc netem 1: delay 5us 3us", "qdisc netem 1: delay 5us"),
            ("qdisc pfifo 1: limit 5p", "qdisc pfifo 1: limit 6p"),
            ("qdisc htb 1: default 0x10", "qdisc htb 1: default 10"),
        ] {
            assert_ne!(line(one), line(other));
        }
        assert_ne!(alike(&json!({ "limit": 5 })), alike(&json!({ "limit": 6 })));
        assert_ne!(alike(&json!({ "base_time": 5 })), alike(&json!({})));
    }
}
