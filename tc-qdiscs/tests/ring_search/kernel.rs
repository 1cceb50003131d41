//! A model of the kernel's qdiscs, small enough for millions of copies: a prio with a plug in each band.

use tc_qdiscs::plug::Model;

/// The most bands of a search.
pub(crate) const BANDS: usize = 5;
/// The most packets of one plug.
const ROOM: usize = 4;

/// The label of a packet: the epoch that sent it.
pub(crate) type Label = u8;

/// A command, as the kernel gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Order {
    Buffer(u8),
    Map(u8),
    Open(u8),
    One(u8),
    Renew(u8),
    Look(u8),
    /// A weakened session left it out.
    Nothing,
}

/// `net/sched/sch_plug.c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Plug {
    pub(crate) passes: bool,
    throttled: bool,
    current: u8,
    last: u8,
    to_release: u8,
    count: u8,
    packets: [Label; ROOM],
}

impl Plug {
    pub(crate) const fn new() -> Self {
        Self {
            passes: false,
            throttled: true,
            current: 0,
            last: 0,
            to_release: 0,
            count: 0,
            packets: [0; ROOM],
        }
    }

    pub(crate) fn held(&self) -> &[Label] {
        &self.packets[..usize::from(self.count)]
    }

    fn enqueue(&mut self, packet: Label) {
        assert!(usize::from(self.count) < ROOM, "the search sends fewer packets");
        self.current += u8::from(!self.passes);
        self.packets[usize::from(self.count)] = packet;
        self.count += 1;
    }

    fn dequeue(&mut self) -> Option<Label> {
        if self.throttled {
            return None;
        }
        if !self.passes {
            if self.to_release == 0 {
                self.throttled = true;
                return None;
            }
            self.to_release -= 1;
        }
        let first = *self.held().first()?;
        self.packets.rotate_left(1);
        self.packets[ROOM - 1] = 0;
        self.count -= 1;
        Some(first)
    }

    const fn buffer(&mut self) {
        (self.last, self.current) = (self.current, 0);
        self.throttled |= self.passes;
        self.passes = false;
    }

    const fn release_one(&mut self) {
        self.to_release += self.last;
        self.last = 0;
        self.throttled = false;
    }

    const fn release_indefinite(&mut self) {
        self.passes = true;
        (self.to_release, self.last, self.current) = (0, 0, 0);
        self.throttled = false;
    }

    const fn reset(&mut self) {
        (self.count, self.packets) = (0, [0; ROOM]);
    }
}

/// `net/sched/sch_prio.c` with plugs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Device {
    pub(crate) map: u8,
    pub(crate) bands: [Plug; BANDS],
}

impl Device {
    /// An attached ring: band 0 passes.
    pub(crate) fn new() -> Self {
        let mut device = Self { map: 0, bands: [Plug::new(); BANDS] };
        device.bands[0].release_indefinite();
        device
    }

    pub(crate) fn enqueue(&mut self, packet: Label) {
        self.bands[usize::from(self.map)].enqueue(packet);
    }

    pub(crate) fn dequeue(&mut self) -> Option<Label> {
        self.bands.iter_mut().find_map(Plug::dequeue)
    }

    pub(crate) fn reset(&mut self) {
        self.bands.iter_mut().for_each(Plug::reset);
    }

    /// Carries a command out; whether the band has packets after it.
    pub(crate) fn obey(&mut self, order: Order) -> bool {
        let band = match order {
            Order::Map(band) => {
                self.map = band;
                return self.bands.iter().any(|plug| plug.count > 0);
            }
            Order::Nothing => return false,
            Order::Buffer(band)
            | Order::Open(band)
            | Order::One(band)
            | Order::Renew(band)
            | Order::Look(band) => band,
        };
        let plug = &mut self.bands[usize::from(band)];
        match order {
            Order::Buffer(_) => plug.buffer(),
            Order::Open(_) => plug.release_indefinite(),
            Order::One(_) => plug.release_one(),
            Order::Renew(_) => *plug = Plug::new(),
            Order::Look(_) | Order::Map(_) | Order::Nothing => {}
        }
        plug.count > 0
    }
}

/// The small plug behaves as the reference model, which is tested against real kernels.
#[test]
fn the_small_plug_is_the_reference_model() {
    let mut seed = 1_u64;
    for _ in 0..20_000 {
        let (mut small, mut model) = (Plug::new(), Model::with_limit(u32::MAX));
        for step in 0..12 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            match seed >> 61 {
                0 | 1 if usize::from(small.count) < ROOM => {
                    small.enqueue(step);
                    assert!(model.enqueue(step, 1));
                }
                2 => {
                    small.buffer();
                    model.buffer();
                }
                3 => {
                    small.release_one();
                    model.release_one();
                }
                4 => {
                    small.release_indefinite();
                    model.release_indefinite();
                }
                5 => {
                    small.reset();
                    model.reset();
                }
                _ => assert_eq!(small.dequeue(), model.dequeue()),
            }
            assert_eq!(small.held(), model.held().copied().collect::<Vec<_>>());
            assert_eq!(small.passes, model.passes());
        }
    }
}
