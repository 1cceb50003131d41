//! Whatever a kernel answers, every operation ends, and what came is printed or refused.
#![no_main]

use fuzz::Liar;
use libfuzzer_sys::fuzz_target;
use tc_core::message::Entry;
use tc_core::monitor::{Monitor, Notice};
use tc_core::{Connection, DumpRequest, Handle, Request, TcType, Verb};
use tc_qdiscs::pfifo::Pfifo;
use tc_qdiscs::plug::Plug;

/// More than any input has datagrams.
const MANY: usize = 1 << 16;

fuzz_target!(|input: &[u8]| {
    let Some((&operation, answers)) = input.split_first() else { return };
    let mut tc = Connection::over(Liar::new(answers));
    let (plug, pfifo) = (Plug::buffer(), Pfifo::new(1));
    let root = Request::qdisc(2).parent(Handle::ROOT).handle(Handle::qdisc(1));
    let (careful, plain) = (root.clone().options(&plug), root.clone().options(&pfifo));
    match operation % 8 {
        0 => list(&mut tc, &DumpRequest::qdiscs()),
        1 => list(&mut tc, &DumpRequest::classes(2)),
        2 => list(&mut tc, &DumpRequest::new(TcType::Filter, 2)),
        3 => {
            let _ = tc.get(&root).map(|entry| read(&entry));
            let _ = tc.apply(Verb::Change, &careful);
        }
        4 => {
            let _ = tc.apply(Verb::Add, &plain);
            let _ = tc.ifindex("d0");
            let _ = tc.link_by_index(2);
        }
        5 => {
            let mut told = 0;
            let mut batch = tc.pipeline(|_, _| told += 1);
            for _ in 0..3 {
                let _ = batch.push(Verb::Change, &plain);
            }
            let pushed = batch.finish();
            assert_eq!(told, pushed, "every outcome is told once");
        }
        6 => {
            let mut pack = tc.group();
            for _ in 0..2 {
                let _ = pack.push(Verb::Change, &plain);
            }
            let _ = pack.push_shown(Verb::Change, &plain);
            let mut told = [0; 3];
            let sent = pack.send(|index, _| told[index] += 1);
            assert!(sent.is_err() || told == [1; 3], "every outcome is told once: {told:?}");
        }
        _ => watch(answers),
    }
});

fn list(tc: &mut Connection<Liar<'_>>, select: &DumpRequest) {
    let Ok(mut dump) = tc.dump(select) else { return };
    while let Ok(Some(listed)) = dump.next() {
        if let Ok(entry) = listed.entry() {
            read(&entry);
        }
    }
}

fn watch(answers: &[u8]) {
    let mut monitor = Monitor::over(Liar::new(answers));
    for _ in 0..MANY {
        match monitor.receive() {
            Ok(Some(Notice::Message(message))) => {
                let _ = Entry::decode(&message).map(|entry| read(&entry));
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return,
        }
    }
    panic!("an input without end");
}

fn read(entry: &Entry<'_>) {
    let _ = (entry.kind(), entry.stats(), entry.xstats(), entry.options_as::<Pfifo>());
    for attr in entry.attrs().flatten() {
        let _ = (attr.str(), attr.attrs().count());
    }
}
