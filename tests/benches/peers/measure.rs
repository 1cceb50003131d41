//! Contenders in turn, and what became of their time.

use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// One way to do the work of a scene.
pub(crate) struct Contender<'a> {
    name: &'static str,
    run: Box<dyn FnMut(&mut Meter) + 'a>,
}

impl<'a> Contender<'a> {
    /// `run` does the work of one round.
    pub(crate) fn new(name: &'static str, run: impl FnMut(&mut Meter) + 'a) -> Self {
        Self { name, run: Box::new(run) }
    }
}

/// Collects the times of one contender.
#[derive(Default)]
pub(crate) struct Meter {
    clock_ns: f64,
    wall_ns: Vec<f64>,
    used: Used,
    count: u64,
}

/// Processor time in nanoseconds. The kernel knows the sum exactly, and its two
/// parts from samples.
#[derive(Clone, Copy, Default)]
struct Used {
    user: f64,
    system: f64,
}

impl Used {
    fn by(who: UsageWho) -> Self {
        let usage = getrusage(who).expect("a process may ask for its own usage");
        let ns = |time: TimeVal| time.tv_sec() as f64 * 1e9 + time.tv_usec() as f64 * 1e3;
        Self { user: ns(usage.user_time()), system: ns(usage.system_time()) }
    }

    fn add(&mut self, from: Self, to: Self) {
        self.user += to.user - from.user;
        self.system += to.system - from.system;
    }
}

impl Meter {
    /// Times `count` operations one by one, and the processor time of all.
    pub(crate) fn each(&mut self, count: usize, mut operation: impl FnMut(usize)) {
        let before = Used::by(UsageWho::RUSAGE_THREAD);
        for at in 0..count {
            let start = Instant::now();
            operation(at);
            self.wall_ns.push(start.elapsed().as_nanos() as f64 - self.clock_ns);
        }
        self.used.add(before, Used::by(UsageWho::RUSAGE_THREAD));
        self.used.user -= self.clock_ns * count as f64;
        self.count += count as u64;
    }

    /// Times work on `count` objects as a whole.
    pub(crate) fn all(&mut self, count: usize, work: impl FnOnce()) {
        self.whole(UsageWho::RUSAGE_THREAD, count, work);
    }

    /// The same for work that is done by processes started and awaited in it.
    pub(crate) fn processes(&mut self, count: usize, work: impl FnOnce()) {
        self.whole(UsageWho::RUSAGE_CHILDREN, count, work);
    }

    /// Adds what a process measured of itself.
    pub(crate) fn reported(
        &mut self,
        wall_ns: impl IntoIterator<Item = f64>,
        [user, system]: [f64; 2],
        count: u64,
    ) {
        self.wall_ns.extend(wall_ns);
        self.used.add(Used::default(), Used { user, system });
        self.count += count;
    }

    fn whole(&mut self, who: UsageWho, count: usize, work: impl FnOnce()) {
        let before = Used::by(who);
        let start = Instant::now();
        work();
        self.wall_ns.push(start.elapsed().as_nanos() as f64 / count as f64);
        self.used.add(before, Used::by(who));
        self.count += count as u64;
    }
}

/// What a contender took.
pub(crate) struct Row {
    /// Who it is.
    pub(crate) name: &'static str,
    /// Median time of an operation.
    pub(crate) p50_ns: f64,
    /// What 99 of 100 operations stay below; `None` where fewer than 100 were timed one by one.
    pub(crate) p99_ns: Option<f64>,
    /// Processor time for an operation, in user space and in the kernel: what
    /// other programs on the machine disturb least.
    pub(crate) cpu_ns: f64,
    /// The part of it in user space.
    pub(crate) user_ns: f64,
}

/// Runs the contenders in turn, `rounds` times, after one round that does not count.
pub(crate) fn compare(rounds: usize, mut contenders: Vec<Contender<'_>>) -> Vec<Row> {
    let clock_ns = clock_ns();
    let mut meters: Vec<_> = contenders.iter().map(|_| Meter { clock_ns, ..Meter::default() }).collect();
    for contender in &mut contenders {
        (contender.run)(&mut Meter::default());
    }
    for round in 0..rounds {
        for turn in 0..contenders.len() {
            // Nobody is always the first, or always behind the same one.
            let at = (turn + round) % contenders.len();
            (contenders[at].run)(&mut meters[at]);
        }
    }
    contenders.iter().zip(meters).map(|(contender, meter)| row(contender.name, meter)).collect()
}

fn row(name: &'static str, mut meter: Meter) -> Row {
    meter.wall_ns.sort_by(f64::total_cmp);
    let at = |share: f64| meter.wall_ns[((meter.wall_ns.len() - 1) as f64 * share) as usize];
    Row {
        name,
        p50_ns: at(0.5),
        p99_ns: (meter.wall_ns.len() >= 100).then(|| at(0.99)),
        cpu_ns: (meter.used.user + meter.used.system) / meter.count as f64,
        user_ns: (meter.used.user / meter.count as f64).max(0.0),
    }
}

/// What reading the clock twice takes, which every single operation is charged with.
fn clock_ns() -> f64 {
    let mut meter = Meter::default();
    meter.each(10_000, |_| {});
    row("", meter).p50_ns
}
