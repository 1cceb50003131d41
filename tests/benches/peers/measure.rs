//! Contenders in turn, and their times.

use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::time::{ClockId, clock_gettime};

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

/// Processor time in nanoseconds. The sum is exact; the part in user space comes
/// from samples.
#[derive(Clone, Copy, Default)]
struct Used {
    user: f64,
    all: f64,
}

impl Used {
    fn by(who: UsageWho) -> Self {
        let usage = getrusage(who).expect("a process may ask for its own usage");
        let ns = |time: TimeVal| time.tv_sec() as f64 * 1e9 + time.tv_usec() as f64 * 1e3;
        let (user, system) = (ns(usage.user_time()), ns(usage.system_time()));
        // Kernel: a thread's own usage is up to date at ticks alone; its clock always is.
        let all = match who {
            UsageWho::RUSAGE_THREAD => {
                let clock = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID);
                clock.map_or(user + system, |time| time.tv_sec() as f64 * 1e9 + time.tv_nsec() as f64)
            }
            _ => user + system,
        };
        Self { user, all }
    }

    fn add(&mut self, from: Self, to: Self) {
        self.user += to.user - from.user;
        self.all += to.all - from.all;
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
        self.used.all -= self.clock_ns * count as f64;
        self.count += count as u64;
    }

    /// Times work on `count` objects as a whole.
    pub(crate) fn all(&mut self, count: usize, work: impl FnOnce()) {
        self.whole(UsageWho::RUSAGE_THREAD, count, work);
    }

    /// Measures work done by child processes that it starts and awaits.
    pub(crate) fn processes(&mut self, count: usize, work: impl FnOnce()) {
        self.whole(UsageWho::RUSAGE_CHILDREN, count, work);
    }

    /// Adds a measurement that a process made of itself.
    pub(crate) fn reported(
        &mut self,
        wall_ns: impl IntoIterator<Item = f64>,
        [user, system]: [f64; 2],
        count: u64,
    ) {
        self.wall_ns.extend(wall_ns);
        self.used.add(Used::default(), Used { user, all: user + system });
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

/// The times of a contender.
pub(crate) struct Row {
    /// Its name.
    pub(crate) name: &'static str,
    /// Median time of an operation.
    pub(crate) p50_ns: f64,
    /// The 99th percentile; `None` if fewer than 100 operations were timed one by one.
    pub(crate) p99_ns: Option<f64>,
    /// Processor time of an operation, in user space and in the kernel, which other
    /// programs on the machine disturb least.
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
            // No contender is always the first, or always follows the same one.
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
        cpu_ns: meter.used.all / meter.count as f64,
        user_ns: (meter.used.user / meter.count as f64).max(0.0),
    }
}

/// The time of two clock readings, which every single operation includes.
fn clock_ns() -> f64 {
    let mut meter = Meter::default();
    meter.each(10_000, |_| {});
    row("", meter).p50_ns
}
