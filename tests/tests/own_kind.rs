//! A kind from outside the workspace's crates: this crate brings one, links the command, and the
//! command has it.
#![expect(clippy::unwrap_used, reason = "a test stops at an unexpected error")]

use std::env;
use std::ffi::OsString;
use std::process::{Command, Output};

use tc_core::print::Printer;
use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Registry, RegistryError,
    Syntax, TcType, object,
};
use tc_qdiscs as _;
use tests::lab::Net;
use tests::need;

// `blackhole`, which the kernel has and no kind of this workspace is for. Its `main` is for a program.
#[path = "../../tc-cli/examples/own_kind.rs"]
#[allow(dead_code, unreachable_pub)]
mod own_kind;

use own_kind::Blackhole;

/// `skbprio`, which tc-qdiscs has too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OwnSkbprio;

tc_core::register!(OwnSkbprio);

impl Kind for OwnSkbprio {
    type Object = object::Qdisc;
    const KIND: &'static str = "skbprio";

    fn encode(&self, _: &FillContext, _: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        Ok(Fill::Absent)
    }

    fn decode(_: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}

impl Syntax for OwnSkbprio {
    const USAGE: &'static str = "Usage: ours\n";

    fn parse_words(_: &mut Words<'_>, _: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        Err(WordError::Help)
    }

    fn print(&self, _: &mut Printer) {}

    fn to_words(&self, _: &mut OptionWords<'_>) {}
}

#[test]
fn a_kind_of_the_program_wins_over_that_of_tc_qdiscs() {
    let registry = Registry::global().unwrap();
    let entry = registry.entry(TcType::Qdisc, "skbprio").unwrap();
    assert_eq!((entry.ops().usage(), entry.origin().package), ("Usage: ours\n", "tests"));
    let theirs = Registry::of_program_preferring(&["tc-qdiscs"]).unwrap();
    assert_eq!(theirs.entry(TcType::Qdisc, "skbprio").unwrap().origin().package, "tc-qdiscs");
    assert_eq!(theirs.iter().len(), registry.iter().len());
    assert_eq!(Registry::set_global(theirs), Err(RegistryError::GlobalInUse));
}

/// In a separate process this "test" is a tc with one more kind.
#[test]
fn as_tc() {
    if let Ok(words) = env::var("WORDS") {
        let words = words.split_whitespace().map(OsString::from);
        if tc_cli::run(words).is_err() {
            std::process::exit(1);
        }
    }
}

fn tc(words: &str) -> Output {
    let this = env::current_exe().unwrap();
    Command::new(this).args(["--exact", "as_tc", "--nocapture"]).env("WORDS", words).output().unwrap()
}

#[test]
fn the_kind_passes_the_contract_check() {
    tc_core::contract::check::<Blackhole>(&[""]).unwrap();
}

#[test]
fn it_is_among_the_kinds() {
    let listed = String::from_utf8(tc("kinds").stdout).unwrap();
    assert!(listed.contains("qdisc blackhole tests "), "{listed}");
    assert!(listed.contains("qdisc plug tc-qdiscs "), "{listed}");
}

#[test]
fn it_is_added_and_its_words_are_checked() {
    need!("netns");
    let net = Net::new();
    let added = tc("qdisc add dev lo root handle 1: blackhole");
    assert!(added.status.success(), "{added:?}");
    assert_eq!(net.tc("qdisc show dev lo").ok(), "qdisc blackhole 1: root refcnt 2 \n");
    let refused = tc("qdisc add dev lo root blackhole deep");
    assert!(String::from_utf8_lossy(&refused.stderr).starts_with("What is \"deep\"?"), "{refused:?}");
}
