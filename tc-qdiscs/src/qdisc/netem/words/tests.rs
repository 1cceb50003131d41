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
fn bad_words_have_tcs_text() {
    for (words, text) in [
        ("delay 300s", "Illegal 300000000 time (too large)\nIllegal \"latency\""),
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
