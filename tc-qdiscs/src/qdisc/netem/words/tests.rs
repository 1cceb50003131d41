use super::*;
use tc_core::Verb;

fn read(words: &str) -> Result<Netem, WordError> {
    let words: Vec<_> = words.split_whitespace().collect();
    parse(&mut Words::new(&words), &WordsContext::new(Verb::Add))
}

#[test]
fn words_may_be_shortened() {
    let netem = read("l 7 dela 1ms du 1% dist normal").unwrap_err();
    assert_eq!(netem.to_string(), "distribution specified but no latency and jitter values");
    let netem = read("l 7 d 1ms 200us dup 100% co 100 dis uniform").unwrap();
    assert_eq!((netem.limit_packets, netem.delay_ns, netem.jitter_ns), (7, 1_000_000, 200_000));
    assert_eq!((netem.duplicate, netem.corrupt.unwrap().probability), (Share::ALL, Share::ALL));
    assert_eq!(netem.distribution.len(), 4096);
}

#[test]
fn loss_models_have_tcs_defaults() {
    let half = Share::of_one(0.5);
    let state =
        LossModel::State { p13: half, p31: half, p32: Share::NONE, p23: Share::ALL, p14: Share::NONE };
    assert_eq!(read("loss state 50%").unwrap().loss_model, Some(state));
    let gemodel = LossModel::GilbertElliott { p: half, r: half, h: Share::NONE, k1: Share::NONE };
    assert_eq!(read("loss gemodel 50%").unwrap().loss_model, Some(gemodel));
}

#[test]
fn newer_words_are_read() {
    let netem = read("delay 1500ns 100ns seed 42").unwrap();
    assert_eq!((netem.delay_ns, netem.jitter_ns, netem.seed), (1500, 100, Some(42)));
}

#[test]
fn delays_above_274_s_are_read_in_all_units() {
    for (words, delay_ns, jitter_ns) in [
        ("delay 300s", 300_000_000_000, 0),
        ("delay 300000ms 290s", 300_000_000_000, 290_000_000_000),
        ("delay 300000000us 290000ms", 300_000_000_000, 290_000_000_000),
        ("delay 300000000 290000000us", 300_000_000_000, 290_000_000_000),
        ("delay 5000s 300000000000ns", 5_000_000_000_000, 300_000_000_000),
        ("delay 5000000000", 5_000_000_000_000, 0),
        // 32 bits of ticks hold these: whole ticks, as before.
        ("delay 274.877905s 5us", 274_877_904_960, 4992),
        ("delay 274877906us", 274_877_905_984, 0),
    ] {
        let netem = read(words).unwrap();
        assert_eq!((netem.delay_ns, netem.jitter_ns), (delay_ns, jitter_ns), "{words}");
    }
    for words in ["delay -300s", "delay 1e30s", "delay 300sx"] {
        assert_eq!(read(words).unwrap_err().to_string(), "Illegal \"latency\"", "{words}");
    }
}

#[test]
fn bad_words_have_tcs_text() {
    for (words, text) in [
        ("delay 5m", "Illegal \"latency\""),
        ("loss 1% loss 1%", "Illegal \"duplicate loss argument\n\""),
        ("loss burst", "Unknown loss parameter: burst"),
        ("loss state 101%", "Illegal \"loss p13\""),
        ("reorder 1%", "reordering not possible without specifying some delay"),
        ("gap 3", "gap specified without reorder probability"),
        ("ecn", "ecn requested without loss model"),
        ("slot 2ms 1ms", "Illegal \"slot max_delay\""),
        ("slot x", "Unknown slot parameter: x"),
        ("slot 1ms packets", "Illegal \"slot packets\""),
        ("slot distribution normal 1ms 0", "Non-positive jitter"),
        ("rate x", "Illegal \"rate\""),
        ("lossy", "What is \"lossy\"?"),
    ] {
        assert_eq!(read(words).unwrap_err().to_string(), text, "{words}");
    }
}
