//! `ingress` and `clsact` in the embedded kernel (`net/sched/sch_ingress.c`):
//! places for filters, which it does not have.

use tc_core::embedded::{Classes, Discipline, Nature, Packet, Place, Refusal};
use tc_core::{AttrWriter, Fill, Handle};

/// The discipline of ingress or clsact.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ingress {
    clsact: bool,
}

impl Ingress {
    /// An ingress: the packets that come in.
    pub const fn new() -> Self {
        Self { clsact: false }
    }

    /// A clsact: those that come in and those that go out.
    pub const fn both_sides() -> Self {
        Self { clsact: true }
    }
}

impl Discipline for Ingress {
    fn nature(&self) -> Nature {
        Nature { ingress: true, fixed: true, ..Nature::default() }
    }

    fn init(&mut self, _: Option<&[u8]>, place: &Place) -> Result<(), Refusal> {
        if place.parent == Handle::INGRESS { Ok(()) } else { Err(super::unsupported()) }
    }

    fn dump(&self, _: &mut AttrWriter<'_>) -> Fill {
        Fill::Written // an empty nest
    }

    fn classes(&self) -> Option<&dyn Classes> {
        Some(self)
    }

    fn classes_mut(&mut self) -> Option<&mut dyn Classes> {
        Some(self)
    }
}

impl Classes for Ingress {
    /// Kernel: ingress finds any class, clsact its two sides.
    fn find(&self, class: Handle) -> Option<Handle> {
        (!self.clsact || matches!(class.minor(), 0xfff2 | 0xfff3)).then_some(Handle::INGRESS.qdisc_of())
    }

    fn list(&self) -> Vec<Handle> {
        Vec::new()
    }

    fn is_leaf(&self, _: Handle) -> bool {
        false
    }

    fn may_graft(&self, _: Handle) -> Result<(), Refusal> {
        Err(super::unsupported())
    }

    fn classify(&self, _: &Packet) -> Option<Handle> {
        None
    }
}
