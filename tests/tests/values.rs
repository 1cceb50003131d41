//! Every value of the grammar at every place, without a kernel: wrong ones are refused, with a text
//! that names the option or the value; right ones never end the program.

use bytes::BytesMut;
use tc_core::uapi::ETH_P_ALL;
use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, EncodeError, Fill, FillContext, FilterPlace, OptionWords, Options, Registry, Request, TcOps,
    TcType, Verb, protocol,
};
use tc_qdiscs as _;
use tests::captures::Machine;

use tests::grammar::{Grammar, Values};

/// Values that are wrong elsewhere and right here: the line with its option, the values, and why.
const TAKEN: &[(&str, &[&str], &str)] = &[
    ("action ct commit", &["17", "256"], "16 bits"),
    ("action gate priority", &["-1"], "any priority, as tc"),
    ("action pedit ex", &["17", "0", "256"], "8 and 16 bits"),
    ("action tunnel_key tos", &["17"], "8 bits"),
    ("cake bandwidth", &["0"], "no limit, as tc"),
    ("cake overhead", &["17", "256", "-1"], "-64 to 256"),
    ("cake mpu", &["17", "256"], "up to 256"),
    ("cbs hicredit", &["-1"], "a number with a sign"),
    ("cbs idleslope", &["-1"], "a number with a sign"),
    ("class hfsc sc", &["0"], "a part of a curve may be flat"),
    ("class htb ceil", &["0"], "the rate, as tc"),
    ("class htb prio", &["17", "256"], "the kernel takes 7 for more"),
    ("class htb overhead", &["17", "256"], "16 bits"),
    ("etf delta", &["-1"], "the kernel refuses it"),
    ("filter basic classid", &["10000"], "32 bits"),
    ("filter basic match", &["17", "256", "-1"], "offsets and numbers of 8 to 32 bits"),
    ("filter cgroup match", &["17", "256"], "offsets and numbers of 8 to 32 bits"),
    ("filter flow addend", &["-1"], "a number with a sign"),
    ("filter flow and", &["10000"], "32 bits"),
    ("filter flow match", &["17", "256"], "offsets and numbers of 8 to 32 bits"),
    ("filter flow or", &["17", "256"], "32 bits"),
    ("filter flow perturb", &["17", "256"], "seconds"),
    ("filter flow rshift", &["17", "256"], "32 bits"),
    ("filter route order", &["17"], "up to 127"),
    ("filter flower num_of_vlans", &["17"], "8 bits"),
    ("filter flower ip ip_proto", &["17"], "a type or code of 8 bits"),
    ("filter flower ip ip_tos", &["17"], "8 bits"),
    ("filter flower ip erspan_opts", &["17", "256"], "an index of 32 bits, hardware of 8 bits"),
    ("filter flower ip action", &["17", "256"], "a number up to 10000"),
    ("filter flower ipv6 ip_proto", &["17"], "a code of 8 bits"),
    ("filter flower ipv6 ct_zone", &["17", "256"], "16 bits"),
    ("filter flower mpls_uc mpls", &["17"], "the kernel refuses it"),
    ("filter matchall classid", &["10000"], "32 bits"),
    ("filter matchall action", &["17", "256", "0"], "a number up to 10000; no rate beside an mtu, as tc"),
    ("filter u32 match", &["17"], "8 bits"),
    ("filter u32 offset", &["17", "256"], "16 bits"),
    ("fq maxrate", &["0"], "no limit, as tc"),
    ("fq low_rate_threshold", &["0"], "no threshold, as tc"),
    ("fq_pie alpha", &["17"], "up to 32"),
    ("fq_pie beta", &["17"], "up to 32"),
    ("fq_pie ecn_prob", &["17"], "up to 100"),
    ("pie alpha", &["17"], "up to 32"),
    ("pie beta", &["17"], "up to 32"),
    ("hhf non_hh_weight", &["17", "256"], "32 bits"),
    ("htb default", &["10000"], "tc sends 32 bits, of which the kernel takes 16"),
    ("root htb default", &["10000"], "the same"),
    ("mqprio map", &["17"], "the kernel refuses it"),
    ("prio bands", &["17", "256", "-1"], "the kernel refuses it"),
    ("sfq perturb", &["17", "256"], "seconds"),
    ("sfq depth", &["17", "256"], "the kernel refuses more than it can"),
    ("netem delay", &["9999999s"], "64 bits of nanoseconds"),
    ("netem limit", &["1.5", "9k"], "read as a size, as tc"),
    ("netem rate", &["0", "17", "256", "-1"], "no rate, or bytes"),
    ("netem slot", &["9999999s", "-1", "1.5", "9k"], "64 bits, and bytes as a size"),
    ("pfifo limit", &["1.5", "9k"], "read as a size, as tc"),
    ("pfifo_head_drop limit", &["1.5", "9k"], "read as a size, as tc"),
    ("skbprio limit", &["1.5", "9k"], "read as a size, as tc"),
    ("plug limit", &["1.5", "9k"], "read as a size, as tc"),
    ("tbf peakrate", &["0"], "not given, as tc"),
    ("tbf overhead", &["17", "256"], "16 bits"),
    ("then gred bandwidth", &["0"], "not given, as tc"),
    ("then gred prio", &["17"], "8 bits"),
];

/// Options that tc names differently when it refuses a value.
const CALLED: &[(&str, &str)] = &[
    ("action ct commit", "zone"),
    ("action ct commit", "mark"),
    ("action tunnel_key set", "\"id\""),
    ("class ets quantum", "quanta"),
    ("filter cgroup match", "'rate' or 'avrate'"),
    ("filter flow and", "mask"),
    ("filter flower hw_tc", "TC index"),
    ("fq orphan_mask", "initial_quantum"),
    ("netem delay", "latency"),
    ("netem reorder", "gap"),
    ("netem rate", "What is"),
    ("sfq quantum", "limit"),
    ("sfq depth", "flows"),
    ("gred setup", "vqs"),
    ("gred setup", "VQs"),
    ("gred limit", "must be defined"),
    ("then gred DP", "vq"),
    ("then gred DP", "VQs"),
    ("then gred vq", "VQs"),
    ("ets priomap", "needs to be specified"),
];

/// The names by which a refusal can call an option: of flower also those of the other keys of an item.
fn names<'a>(line: &str, option: &'a str, words: &'a [String]) -> Vec<&'a str> {
    let is_key = |word: &&str| line.starts_with("filter flower") && word.len() > 3;
    let keys = words.iter().map(String::as_str).filter(is_key);
    let keys = keys.filter(|word| word.starts_with(|first: char| first.is_ascii_alphabetic()));
    keys.chain([option]).collect()
}

fn grammar() -> Grammar {
    Grammar::of_kinds()
}

/// The kinds of the grammar's lines.
fn each_line(check: impl Fn(&str, &dyn TcOps, &FilterPlace<'_>)) {
    let registry = Registry::of_program().unwrap_or_default();
    let mut checked = 0;
    for line in grammar().kinds() {
        let (tc_type, kind) = match line.split_once(' ') {
            None | Some(("root" | "then", _)) => (TcType::Qdisc, line.split(' ').next_back()),
            Some(("class", kind)) => (TcType::Class, Some(kind)),
            Some(("action", kind)) => (TcType::Action, Some(kind)),
            Some((_, kind)) => (TcType::Filter, kind.split(' ').next()),
        };
        let Some(ops) = kind.and_then(|kind| registry.get(tc_type, kind)) else { continue };
        check(line, ops, &place(line));
        checked += 1;
    }
    assert!(checked > 40, "{checked}");
}

/// The place of a filter with the protocol that its line names.
fn place(line: &str) -> FilterPlace<'static> {
    let mut place = FilterPlace::default();
    if let ["filter", _, protocol @ ..] = &line.split(' ').collect::<Vec<_>>()[..] {
        place.protocol = protocol.first().map_or(Some(ETH_P_ALL), |name| protocol::parse(name));
    }
    place
}

fn context(verb: Verb) -> WordsContext<'static> {
    WordsContext { environment: &Machine, ..WordsContext::new(verb) }
}

/// Reads words. An action leaves those that it does not know to the next action, which is an error here.
fn read(
    ops: &dyn TcOps,
    list: &[&str],
    verb: Verb,
    place: &FilterPlace<'_>,
) -> Result<Option<Box<dyn Options>>, WordError> {
    let mut words = Words::new(list);
    let (options, _) = ops.parse_words_at(&mut words, &context(verb), place)?;
    match words.peek() {
        Some(word) if ops.tc_type() == TcType::Action => Err(WordError::what_is(word)),
        _ => Ok(options),
    }
}

#[test]
fn wrong_values_are_refused_by_name() {
    let wrong = std::cell::RefCell::new(Vec::new());
    each_line(|line, ops, filter| {
        for (words, option, value) in grammar().each_value(line, Values::Wrong) {
            let list: Vec<_> = words.iter().map(String::as_str).collect();
            let place = format!("{line} {option}");
            let said = format!("{line} {}", words.join(" "));
            match read(ops, &list, Verb::Add, filter) {
                Ok(_) if TAKEN.iter().any(|(at, values, _)| *at == place && values.contains(&value)) => {}
                Ok(options) => wrong.borrow_mut().push(format!("{said}: taken as {options:?}")),
                Err(error) => {
                    let text = error.to_string();
                    let called = CALLED.iter().filter(|(at, _)| *at == place).map(|(_, name)| *name);
                    let names = names(line, &option, &words).into_iter().chain([value]).chain(called);
                    if !{ names }.any(|name| text.contains(name)) {
                        wrong.borrow_mut().push(format!("{said}: {text}"));
                    }
                }
            }
        }
    });
    let wrong = wrong.into_inner();
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn no_value_ends_the_program() {
    each_line(|line, ops, filter| {
        let grammar = grammar();
        let cases = [Values::Right, Values::Extreme].map(|values| grammar.each_value(line, values));
        for (words, _, _) in cases.concat() {
            let list: Vec<_> = words.iter().map(String::as_str).collect();
            for verb in [Verb::Add, Verb::Change] {
                let Ok(options) = read(ops, &list, verb, filter) else { continue };
                let mut buffer = BytesMut::new();
                let mut out = AttrWriter::new(&mut buffer);
                let fill = FillContext { verb, as_tc: true };
                let _written_or_refused = ops.msg_fill(options.as_deref(), &fill, &mut out);
            }
        }
    });
}

/// Values that are wrong at almost every place, and one that is longer than an attribute.
fn hostile() -> Vec<String> {
    let mut values: Vec<_> =
        ["-1", "0", "4294967296", "18446744073709551616", "1e30", "nan", "inf", ""].map(str::to_owned).into();
    values.push("9".repeat(65 << 10));
    values
}

/// Errors of tc about a wrong value without its option's name, or with another's.
const OTHERWISE: &[(&str, &str)] = &[
    ("action bpf", "Command line is not complete."),
    ("action bpf", "Error at instruction "),
    ("action bpf", "bytecode: the number of instructions"),
    ("action csum", "empty <UPDATE> list"),
    ("action ct", "Error: any valid address is expected rather than \"\"."),
    ("action ct", "ct: Illegal "),
    ("action ct", "help asked for"),
    ("action gate", "\"interval\" is too large"),
    ("action gate", "What is "),
    ("action gate", "gate: must add at least one entry"),
    ("action mpls", "Command line is not complete."),
    ("action mpls", "is required"),
    ("action sample", "param \"group\" not set"),
    ("action sample", "param \"rate\" not set"),
    ("action sample", "Illegal "),
    ("action skbmod", "skbmod requires at least one option"),
    ("action tunnel_key", "Illegal \"dst port\""),
    ("action tunnel_key", "Illegal \"id\""),
    ("choke", "Required parameter (bandwidth, limit) is missing"),
    ("class ets", "Illegal \"quanta\" element"),
    ("class hfsc", "Upper-limit Service Curve without Link-Share Service Curve"),
    ("ets", "One of \"bands\", \"quanta\" or \"strict\" needs to be specified"),
    ("filter basic", "Illegal \"classid\""),
    ("filter cgroup", "Illegal \"police\""),
    ("filter cgroup", "Bad action type"),
    ("filter flow", "Bad action type"),
    ("filter flow", "Illegal \"mask\""),
    ("filter bpf", "Command line is not complete."),
    ("filter bpf", "Error at instruction "),
    ("filter bpf", "Illegal \"classid\""),
    ("filter bpf", "bytecode: the number of instructions"),
    ("filter flower", "Illegal TC index"),
    ("filter flower", "TC index exceeds max range"),
    ("filter flower", "Illegal \"classid\""),
    ("filter flower", "Command line is not complete."),
    ("filter flower ip", "Illegal \"classid\""),
    ("filter flower mpls_uc", "argument \"depth\" is required"),
    ("filter flower mpls_uc", "Illegal \"depth\""),
    ("filter flower mpls_uc", "Illegal \"label\""),
    ("filter flower mpls_uc", "Illegal \"bos\""),
    ("filter flower mpls_uc", "Illegal \"ttl\""),
    ("filter fw", "Illegal \"classid\""),
    ("filter route", "Illegal \"to\""),
    ("filter route", "Illegal \"classid\""),
    ("filter matchall", "Illegal \"classid\""),
    ("filter matchall", "Command line is not complete."),
    ("filter u32", "Illegal \"classid\""),
    ("filter u32", "Command line is not complete."),
    ("fq", "Illegal \"initial_quantum\""),
    ("gred", "\"default\" must be defined after \"vqs\""),
    ("gred", "Illegal \"vqs\""),
    ("netem", "Illegal \"latency\""),
    ("netem", "Illegal \"gap\""),
    ("netem", "What is \"0\"?"),
    ("red", "is too small ? Try burst"),
    ("sfq", "Illegal \"limit\""),
    ("sfq", "Illegal \"flows\""),
    ("sfq", "Required parameter (redflowlimit) is missing"),
    ("taprio", "Unknown argument"),
    ("tbf", "the \"burst\" parameter is mandatory."),
    ("then gred", "Illegal \"vq\""),
];

/// Values that are accepted and written differently, with reasons.
const OTHER_VALUES: &[(&str, &str, &str)] = &[
    ("filter flower ip action mirred", "", "tc passes over words that it does not know here"),
    ("filter fw police mtu 1600 conform-exceed", "-1", "a control action by its number"),
    ("filter flow map key dst addend", "-1", "a number with a sign"),
    ("filter matchall action mirred", "", "tc passes over words that it does not know here"),
    (
        "filter basic match cmp(u8 at 0 layer 1 eq 0) classid 1:1 police",
        "-1",
        "a control action by its number",
    ),
    ("filter matchall action police", "-1", "a control action by its number"),
    ("filter u32 match u32 0 0 police", "-1", "a control action by its number"),
    ("filter u32 match u8 0 ff at", "-1", "a byte of a word, which its place names"),
    ("filter u32 match u16 0 ffff at", "-1", "a half of a word, which its place names"),
    ("prio bands", "-1", "32 bits, which the kernel refuses"),
    ("then gred", "4294967296", "it only counts in the table that is computed from it"),
];

/// The bytes that are sent for options, unless they are refused.
fn sent(ops: &dyn TcOps, options: &dyn Options, fill: FillContext) -> Option<Vec<u8>> {
    let mut buffer = BytesMut::new();
    let mut out = AttrWriter::new(&mut buffer);
    let filled = ops.msg_fill(Some(options), &fill, &mut out).ok()?;
    out.finish().ok()?;
    (filled != Fill::Absent).then(|| buffer.to_vec())
}

fn words_of(ops: &dyn TcOps, options: &dyn Options, place: &FilterPlace<'_>) -> Vec<String> {
    let mut words = OptionWords::with_names(&Machine);
    ops.to_words_at(options, place, &mut words);
    words.lines()
}

#[test]
fn hostile_values_are_refused_or_sent_unchanged() {
    let wrong = std::cell::RefCell::new(Vec::new());
    each_line(|line, ops, filter| {
        for value in hostile() {
            for (words, option) in grammar().each_word(line, &value) {
                let list: Vec<_> = words.iter().map(String::as_str).collect();
                let short: String = words.join(" ").chars().take(150).collect();
                let said = format!("{line} {short}");
                let options = match read(ops, &list, Verb::Add, filter) {
                    Ok(Some(options)) => options,
                    Ok(None) => continue,
                    Err(error) => {
                        let text = error.to_string();
                        let value = if value.is_empty() { "\"\"" } else { &value };
                        let called = OTHERWISE.iter().any(|(at, tells)| *at == line && text.contains(tells));
                        let is_named = names(line, &option, &words).iter().any(|name| text.contains(name));
                        if !called && !is_named && !text.contains(value) {
                            wrong.borrow_mut().push(format!("{said}: names nothing: {text:.200}"));
                        }
                        continue;
                    }
                };
                let fill = FillContext { verb: Verb::Add, as_tc: false };
                let Some(bytes) = sent(ops, &*options, fill) else { continue };
                let Ok(read) = ops.msg_parse(&bytes) else {
                    wrong.borrow_mut().push(format!("{said}: its own bytes are refused"));
                    continue;
                };
                let (told, again) = (words_of(ops, &*options, filter), words_of(ops, &*read, filter));
                if told != again {
                    wrong.borrow_mut().push(format!("{said}: {told:?} is read as {again:?}"));
                }
                let told = told.join(" ");
                // 2^64 bit/s fits as bytes.
                let is_said = told.contains(&value) || told.contains("2305843009213693952bps");
                let is_known =
                    OTHER_VALUES.iter().any(|(at, taken, _)| said.starts_with(at) && value.contains(taken));
                if value != "0" && !is_said && !is_known {
                    wrong.borrow_mut().push(format!("{said}: taken as {told}"));
                }
            }
        }
    });
    let wrong = wrong.into_inner();
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn words_without_end_are_refused_or_fit() {
    each_line(|line, ops, filter| {
        for words in grammar().each_again(line, 10_000) {
            let list: Vec<_> = words.iter().map(String::as_str).collect();
            let Ok(Some(options)) = read(ops, &list, Verb::Add, filter) else {
                continue;
            };
            if let Some(bytes) = sent(ops, &*options, FillContext { verb: Verb::Add, as_tc: true }) {
                assert!(bytes.len() <= usize::from(u16::MAX), "{line} {}: {} bytes", words[0], bytes.len());
            }
        }
    });
}

#[test]
fn options_over_64_kib_are_refused() {
    let registry = Registry::of_program().unwrap_or_default();
    let many = "sched-entry S 01 200000 ".repeat(3000);
    let words = format!("num_tc 2 map 0 1 queues 1@0 1@1 clockid CLOCK_TAI {many}");
    let words: Vec<_> = words.split_whitespace().collect();
    let taprio = registry.get(TcType::Qdisc, "taprio").expect("taprio is registered");
    let options = taprio.parse_words(&mut Words::new(&words), &context(Verb::Add)).expect("words of taprio");
    let mut request = BytesMut::new();
    let said = Request::qdisc(1).options_of(taprio, options.as_deref()).encode(Verb::Add, 0, &mut request);
    assert!(matches!(said, Err(EncodeError::TooLong { .. })), "{said:?}");
}
