//! How fast this library and its tc are beside others, each in turn in one run.
//!
//! ```text
//! cargo bench -p tests --bench peers -- [--quick] [--classes N] [--devices N] [--rounds N] [SCENE...]
//! cargo bench -p tests --bench peers -- --curve FILE
//! ```
//!
//! Prints a table of each scene for Markdown. The first line of each, the floor, is prebuilt bytes
//! through a bare socket: compare ratios to it, not times of different machines. `--curve` measures
//! processor time against the number of objects and writes them as CSV; `plot` beside this file draws them.
//! All of it happens in network namespaces that end with it; it needs root.
#![expect(clippy::expect_used, reason = "a benchmark that cannot go on says so and stops")]

mod curve;
mod floor;
mod measure;
mod rivals;
mod scenes;

use std::fs;
use std::process::Command;

use measure::Row;
use rivals::Rivals;
use scenes::{Sizes, Stage};

const WHOLE: Sizes = Sizes { changes: 20_000, classes: 10_000, devices: 1000, rounds: 11, starts: 20 };
const QUICK: Sizes = Sizes { changes: 5000, classes: 2000, devices: 200, rounds: 5, starts: 10 };

fn main() {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    // Without --bench, cargo asks for tests, and this has none.
    if !std::env::args().any(|word| word == "--bench") {
        return;
    }
    let (mut sizes, mut scenes) = (WHOLE, Vec::new());
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|word| word.parse::<usize>().ok()).expect("a number");
        match word.as_str() {
            "--quick" => sizes = QUICK,
            "--classes" => sizes.classes = number().try_into().expect("at most 65535 classes"),
            "--devices" => sizes.devices = number(),
            "--rounds" => sizes.rounds = number(),
            "--curve" => return curve::write(&words.next().expect("a file"), sizes.rounds),
            _ => scenes.push(word),
        }
    }
    let wanted = |scene: &str| scenes.is_empty() || scenes.iter().any(|word| word == scene);
    let rivals = Rivals::new();
    println!("{}\n", machine());
    for missing in rivals.missing() {
        println!("Left out: {missing}\n");
    }
    if wanted("pfifo") {
        table("Change one pfifo", &scenes::change_pfifo(&rivals, sizes));
    }
    if wanted("tbf") {
        table("Change one tbf", &scenes::change_tbf(&rivals, sizes));
    }
    if wanted("classes") || wanted("pipelined") || wanted("dump-classes") {
        let stage = Stage::shaped(sizes.classes);
        let count = sizes.classes;
        if wanted("classes") {
            let rows = scenes::change_classes(&stage, &rivals, sizes);
            table(&format!("Change {count} htb classes, one by one"), &rows);
        }
        if wanted("pipelined") {
            let rows = scenes::change_classes_pipelined(&stage, &rivals, sizes);
            table(&format!("Change {count} htb classes, pipelined"), &rows);
        }
        if wanted("dump-classes") {
            let rows = scenes::dump_classes(&stage, &rivals, sizes);
            table(&format!("List {count} htb classes with counters, each"), &rows);
        }
    }
    if wanted("dump-qdiscs") {
        let rows = scenes::dump_qdiscs(&rivals, sizes);
        table(&format!("List two qdiscs on each of {} devices with counters, each", sizes.devices), &rows);
    }
    if wanted("start") {
        for devices in [1, sizes.devices] {
            let rows = scenes::start(&rivals, devices, sizes);
            table(&format!("Start and show one device of {devices}"), &rows);
        }
    }
}

/// Where and when.
fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let model = model.trim_start_matches(['\t', ' ', ':']);
    let count = cpus.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease");
    let date = Command::new("date").arg("+%F").output().map(|output| output.stdout).unwrap_or_default();
    format!("{}, {count} x {model}, Linux {}", String::from_utf8_lossy(&date).trim(), kernel.trim())
}

fn table(title: &str, rows: &[Row]) {
    let Some(floor) = rows.first() else { return };
    println!("| {title} | median us | x floor | p99 us | cpu us | x floor | user us |");
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for row in rows {
        let p99 = row.p99_ns.map_or_else(String::new, |ns| format!("{:.2}", ns / 1e3));
        let (p50, times) = (row.p50_ns / 1e3, row.p50_ns / floor.p50_ns);
        let (cpu, cpus, user) = (row.cpu_ns / 1e3, row.cpu_ns / floor.cpu_ns, row.user_ns / 1e3);
        println!("| {} | {p50:.2} | {times:.2} | {p99} | {cpu:.2} | {cpus:.2} | {user:.2} |", row.name);
    }
    println!();
}
