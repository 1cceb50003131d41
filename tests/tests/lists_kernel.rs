//! Lists while another process changes a tenth of the objects, without a pause (in an emulated machine with one
//! after each round): a list that is believed has
//! every object that nobody touches, once.
//!
//! `LISTS=N` sets the number of lists of each kind: 100 by default, 1,000 in `tests/run --full` on this
//! machine's kernel, and 24 in an emulated machine, where few lists are quiet long enough.
#![expect(clippy::unwrap_used, reason = "a test stops at an unexpected error")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use tc_core::{Cause, ChangeWatch, Connection, DumpRequest, Error, Handle, OwnedEntry};
use tests::lab::{Net, count, tc_cli, tries};
use tests::need;

/// Objects of a kind, and every how many of them is touched.
const OBJECTS: u32 = 2000;
const ONE_IN: u32 = 10;

/// One kind of list.
struct Churned {
    name: &'static str,
    /// Commands before the objects.
    base: &'static [&'static str],
    /// The commands that add and delete the object of this number.
    add: fn(u32) -> String,
    del: fn(u32) -> String,
    select: fn(i32) -> DumpRequest,
    /// The number of a listed object.
    number: fn(&OwnedEntry) -> Option<u32>,
}

const HTB: &str = "qdisc add dev d0 root handle 1: htb";

fn minor(handle: Handle) -> Option<u32> {
    Some(u32::from(handle.minor())).filter(|minor| (1..=OBJECTS).contains(minor))
}

const CLASSES: Churned = Churned {
    name: "classes",
    base: &[HTB],
    add: |n| format!("class add dev d0 parent 1: classid 1:{n:x} htb rate 1mbit"),
    del: |n| format!("class del dev d0 classid 1:{n:x}"),
    select: DumpRequest::classes,
    number: |owned| minor(owned.entry().unwrap().header.handle),
};

/// Each in its own class.
const QDISCS: Churned = Churned {
    name: "qdiscs",
    base: &[HTB],
    add: |n| format!("qdisc add dev d0 parent 1:{n:x} handle {:x}: pfifo limit 5", n + 0x100),
    del: |n| format!("qdisc del dev d0 parent 1:{n:x} handle {:x}:", n + 0x100),
    select: |ifindex| DumpRequest::qdiscs().device(ifindex),
    number: |owned| minor(owned.entry().unwrap().header.parent),
};

const FILTERS: Churned = Churned {
    name: "filters",
    base: &["qdisc add dev d0 clsact"],
    add: |n| format!("filter add dev d0 ingress pref {n} protocol all handle 1 matchall action drop"),
    del: |n| format!("filter del dev d0 ingress pref {n} protocol all handle 1 matchall"),
    select: |ifindex| DumpRequest::filters(ifindex).parent(Handle::FILTER_INGRESS),
    number: |owned| {
        let entry = owned.entry().unwrap();
        // A priority is listed as well, without a filter.
        (!entry.header.handle.is_unspec()).then(|| u32::from(entry.priority()))
    },
};

fn is_touched(n: u32) -> bool {
    n % ONE_IN == 3
}

/// A namespace with the objects, and a process that deletes and adds a tenth of them until the end.
struct Churn {
    // Ended before the namespace.
    busy: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    folder: PathBuf,
    net: Net,
    ifindex: i32,
}

impl Churn {
    fn start(kind: &Churned) -> Self {
        let net = Net::new();
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("lists-{number}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        net.ip("link add d0 type ifb").ok();
        let mut lines: Vec<_> = kind.base.iter().map(|line| (*line).to_owned()).collect();
        if kind.name == "qdiscs" {
            lines.extend((1..=OBJECTS).map(CLASSES.add));
        }
        lines.extend((1..=OBJECTS).map(kind.add));
        run_batch(&net, &folder.join("all"), &lines);
        let touched = (1..=OBJECTS).filter(|n| is_touched(*n));
        let round: Vec<_> = touched.clone().map(kind.del).chain(touched.map(kind.add)).collect();
        let file = folder.join("round");
        fs::write(&file, round.join("\n") + "\n").unwrap();
        let ifindex = Connection::open().unwrap().ifindex("d0").unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        // A thread of the namespace, as the caller is.
        let busy = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let since = Instant::now();
                let mut tc = Command::new(tc_cli());
                let ended = tc.arg("-batch").arg(&file).stdin(Stdio::null()).output().unwrap();
                assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
                if is_emulated() {
                    // As long as the round: some lists begin and end in between, and most do not.
                    thread::sleep(since.elapsed());
                }
            }
        });
        Self { busy: Some(busy), stop, folder, net, ifindex }
    }
}

impl Drop for Churn {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.busy.take().map(JoinHandle::join);
        let _left = fs::remove_dir_all(&self.folder);
        assert!(thread::panicking() || ended.is_none_or(|ended| ended.is_ok()), "the churn went on");
    }
}

fn run_batch(net: &Net, file: &std::path::Path, lines: &[String]) {
    fs::write(file, lines.join("\n") + "\n").unwrap();
    net.tc_cli(&format!("-batch {}", file.display())).ok();
}

/// Whether every untouched object is there once, and no other one twice.
fn is_right(kind: &Churned, list: &[OwnedEntry]) -> bool {
    let mut seen = BTreeMap::new();
    for number in list.iter().filter_map(kind.number) {
        *seen.entry(number).or_insert(0) += 1;
    }
    seen.values().all(|times| *times == 1)
        && (1..=OBJECTS).filter(|n| !is_touched(*n)).all(|n| seen.contains_key(&n))
}

fn is_emulated() -> bool {
    std::env::var_os("TC_EMULATED").is_some()
}

fn lists() -> usize {
    tries("LISTS", if is_emulated() { 24 } else { 100 })
}

fn churn(kind: &Churned) {
    let lists = lists();
    let churn = Churn::start(kind);
    let (mut tc, mut watch) = (Connection::open().unwrap(), ChangeWatch::open().unwrap());
    let select = (kind.select)(churn.ifindex);

    // Control: plain lists are spoiled by this.
    let (mut plain, mut spoiled) = (0, 0);
    while spoiled == 0 || plain < lists / 10 {
        plain += 1;
        spoiled += usize::from(!is_right(kind, &tc.list(&select).unwrap()));
        assert!(plain < 5000, "no list of {} was spoiled", kind.name);
    }

    type Read<'r> = &'r mut dyn FnMut() -> Result<Vec<OwnedEntry>, Error>;
    let judge = |read: Read<'_>, lists: usize| {
        let (mut believed, mut wrong, mut errors) = (0, 0, 0);
        for _ in 0..lists {
            match read() {
                Ok(list) => {
                    believed += 1;
                    wrong += usize::from(!is_right(kind, &list));
                }
                Err(error) => {
                    assert!(matches!(error.cause(), Cause::Interrupted(10)), "{error}");
                    errors += 1;
                }
            }
        }
        (believed, wrong, errors)
    };
    let (believed, wrong, errors) = judge(&mut || tc.list_consistent(&mut watch, &select), lists);
    let (twice, twice_wrong, twice_errors) = judge(&mut || tc.list_confirmed(&select), lists / 10);
    count(&format!(
        "lists under churn, {}: {lists} consistent lists, {believed} believed, {wrong} of them wrong, {} reads \
        again, {errors} errors; {} confirmed ones, {twice} believed, {twice_wrong} wrong, {twice_errors} errors; \
        {spoiled} of {plain} plain ones wrong",
        kind.name,
        watch.rereads(),
        lists / 10,
    ));
    assert_eq!((wrong, twice_wrong), (0, 0));
    assert!(believed > 0 || is_emulated(), "none was read in {lists} tries");
    drop(churn);
}

/// Kernel: a dump of matchall filters passes over the first one that no longer fits in a datagram.
#[test]
fn filters_that_a_dump_passes_over_are_listed() {
    need!("sch_clsact", "cls_matchall", "act_gact", "ifb");
    let net = Net::new();
    net.ip("link add d0 type ifb").ok();
    let file = std::env::temp_dir().join(format!("lists-quiet-{}", std::process::id()));
    let lines: Vec<_> =
        FILTERS.base.iter().map(|line| (*line).to_owned()).chain((1..=OBJECTS).map(FILTERS.add)).collect();
    run_batch(&net, &file, &lines);
    fs::remove_file(&file).unwrap();
    let mut tc = Connection::open().unwrap();
    let select = (FILTERS.select)(tc.ifindex("d0").unwrap());
    let numbers = |list: &[OwnedEntry]| list.iter().filter_map(FILTERS.number).collect::<Vec<_>>();
    let listed = numbers(&tc.list(&select).unwrap());
    assert_eq!(listed, (1..=OBJECTS).collect::<Vec<_>>(), "all, in their order");
    let mut dump = tc.dump(&select).unwrap();
    let mut dumped = 0;
    while let Some(entry) = dump.next().unwrap() {
        dumped += u32::from(entry.entry().unwrap().options().is_some());
    }
    count(&format!("{OBJECTS} matchall filters: {dumped} in the kernel's dump, {} listed", listed.len()));
}

#[test]
fn consistent_list_of_classes_has_all_untouched() {
    need!("sch_htb", "ifb");
    churn(&CLASSES);
}

#[test]
fn consistent_list_of_qdiscs_has_all_untouched() {
    need!("sch_htb", "ifb");
    churn(&QDISCS);
}

#[test]
fn consistent_list_of_filters_has_all_untouched() {
    need!("sch_clsact", "cls_matchall", "act_gact", "ifb");
    churn(&FILTERS);
}

/// `export` writes all untouched objects or ends with an error; `show` warns on standard error that its
/// list may be incomplete.
#[test]
fn export_under_churn_is_whole_or_an_error() {
    need!("sch_htb", "ifb");
    let churn = Churn::start(&CLASSES);
    let (mut whole, mut errors) = (0, 0);
    for _ in 0..lists().div_ceil(20).min(10) {
        let export = churn.net.tc_cli("export dev d0");
        if export.code == 0 {
            whole += 1;
            for n in (1..=OBJECTS).filter(|n| !is_touched(*n)) {
                let class = format!("class add dev d0 classid 1:{n:x} ");
                assert_eq!(export.stdout.matches(&class).count(), 1, "{class}");
            }
        } else {
            errors += 1;
            assert_eq!((export.code, export.stdout.as_str()), (1, ""), "{}", export.stderr);
            assert!(
                export.stderr.contains("the list changed while it was read (10 tries)"),
                "{}",
                export.stderr
            );
        }
    }
    let (mut shown, mut warned) = (0, 0);
    while warned == 0 || shown < 10 {
        let show = churn.net.tc_cli("class show dev d0");
        assert_eq!(show.code, 0);
        shown += 1;
        match show.stderr.as_str() {
            "" => {}
            "The list changed while it was read: entries may be missing or doubled.\n" => warned += 1,
            other => panic!("{other}"),
        }
        assert!(shown < 5000, "no warning");
    }
    count(&format!("export under churn: {whole} whole, {errors} errors; {warned} of {shown} shows warned"));
    drop(churn);
}
