//! `fuzz-seeds FOLDER`: writes the seeds of the fuzz targets, made of the captures, to FOLDER/TARGET.

use std::path::Path;
use std::{env, fs, io};

use tc_core::{Registry, TcOps, TcType};
use tc_qdiscs as _;
use tests::captures::{self, Capture};

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).ok_or_else(|| io::Error::other("usage: fuzz-seeds FOLDER"))?;
    let folder = Path::new(&folder);
    for (number, capture) in captures::all().iter().enumerate() {
        for (target, seed) in seeds(capture) {
            let folder = folder.join(target);
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(format!("capture-{number}")), seed)?;
        }
    }
    Ok(())
}

/// The flag of a datagram that answers the last request.
const IN_SEQUENCE: u8 = 1;

fn seeds(capture: &Capture) -> Vec<(&'static str, Vec<u8>)> {
    let number = number(capture).and_then(|number| u8::try_from(number).ok()).unwrap_or_default();
    let mut seeds = Vec::new();
    if capture.is_dump {
        let length = u16::try_from(capture.bytes.len()).unwrap_or(u16::MAX).to_le_bytes();
        for operation in 0..8 {
            seeds.push(("answers", [&[operation, IN_SEQUENCE], &length[..], &capture.bytes].concat()));
        }
    }
    if let Some(options) = capture.options() {
        seeds.push(("options", [&[number, 3], options.payload].concat()));
    }
    if let Ok(Some(xstats)) = capture.entry().xstats() {
        seeds.push(("options", [&[number, 0x83], xstats].concat()));
    }
    if matches!(capture.tc_type, TcType::Qdisc | TcType::Class) {
        let words = capture.words().join(" ");
        seeds.push(("words", [&[number, 0], words.as_bytes()].concat()));
    }
    if let Some(payload) = ematches(capture) {
        seeds.push(("ematch", [&[1], payload].concat()));
    }
    if let Some((_, words)) =
        capture.command.join("\n").split_once("\nmatch\n").filter(|_| has_ematches(capture))
    {
        seeds.push(("ematch", [&[0], words.as_bytes()].concat()));
    }
    seeds.extend(classify(capture).map(|seed| ("classify", seed)));
    let command = capture.command[1..].join(" ").replace("dev d0", "dev lo");
    seeds.push(("batch", command.into_bytes()));
    for word in capture.command.iter().filter(|word| word.starts_with(|c: char| c.is_ascii_digit())) {
        seeds.push(("units", word.clone().into_bytes()));
    }
    seeds
}

/// The filters of the target, by number.
const CLASSIFIED: [&str; 5] = ["u32", "fw", "flower", "basic", "matchall"];

/// A filter, and a TCP segment.
fn classify(capture: &Capture) -> Option<Vec<u8>> {
    let kind = CLASSIFIED.iter().position(|kind| *kind == capture.kind)?;
    let options = capture.options().filter(|_| capture.tc_type == TcType::Filter)?.payload;
    let length = u8::try_from(options.len()).ok()?;
    let header = [0, 1, u8::try_from(kind).ok()?, length, 0, 1, 0, 8, 0, 0x80];
    let frame =
        [&[2; 12][..], &[8, 0, 0x45], &[0; 8], &[6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2], &[0x50; 20]].concat();
    Some([&header[..], options, &frame].concat())
}

/// The attribute with the expression, by kind.
const EMATCHES: [(&str, u16); 3] = [("basic", 2), ("cgroup", 3), ("flow", 11)];

fn has_ematches(capture: &Capture) -> bool {
    EMATCHES.iter().any(|(kind, _)| *kind == capture.kind)
}

/// The payload of the expression.
fn ematches(capture: &Capture) -> Option<&[u8]> {
    let (_, number) = EMATCHES.iter().find(|(kind, _)| *kind == capture.kind)?;
    let options = capture.options()?.attrs();
    options.flatten().find(|attr| attr.kind == *number).map(|attr| attr.payload)
}

/// The kind's index in the registry, which the targets use as its name.
fn number(capture: &Capture) -> Option<usize> {
    let is_it = |ops: &dyn TcOps| (ops.tc_type(), ops.kind()) == (capture.tc_type, &capture.kind);
    Registry::global().ok()?.iter().position(|kind| is_it(kind.ops()))
}
