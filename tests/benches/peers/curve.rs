//! Processor time against the number of objects.

use std::fmt::Write as _;
use std::fs;

use crate::measure::Row;
use crate::rivals::Rivals;
use crate::scenes::{Sizes, Stage, change_classes, change_classes_pipelined, dump_classes};

const COUNTS: [u16; 5] = [100, 300, 1000, 3000, 10_000];

/// Writes `scene,contender,objects,milliseconds` lines: processor time, which a
/// busy machine spoils least. (All of this work is done by one thread, and the
/// kernel's part of it within its calls.)
pub(crate) fn write(file: &str, rounds: usize) {
    let rivals = Rivals::new();
    let mut stage = Stage::shaped(0);
    let mut csv = String::from("scene,contender,objects,milliseconds\n");
    let mut before = 0;
    for classes in COUNTS {
        stage.add_classes(before, classes);
        before = classes;
        let sizes = Sizes { changes: 0, classes, devices: 0, rounds, starts: 0 };
        let mut add = |scene: &str, rows: Vec<Row>| {
            for row in rows {
                let ms = row.cpu_ns * f64::from(classes) / 1e6;
                let name = row.name.replace(',', "");
                writeln!(csv, "{scene},{name},{classes},{ms:.4}").expect("memory can be written");
            }
        };
        add("list", dump_classes(&stage, &rivals, sizes));
        add("change", change_classes(&stage, &rivals, sizes));
        add("batch", change_classes_pipelined(&stage, &rivals, sizes));
        println!("{classes} classes");
    }
    fs::write(file, csv).expect("the file can be written");
}
