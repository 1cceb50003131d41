//! Every operation on a connection, and how to see that it was done.

mod objects;
mod others;

use std::net::Ipv4Addr;

use tc_core::action::{Action, Actions, Control};
use tc_core::embedded::Kernel;
use tc_core::link::LinkChange;
use tc_core::rate::Rate;
use tc_core::uapi::ETH_P_ALL;
use tc_core::{Connection, Done, DumpRequest, Error, Handle, Request, Verb, object};
use tc_qdiscs::action::gact::Gact;
use tc_qdiscs::filter::matchall::Matchall;
use tc_qdiscs::htb::{Htb, HtbClass};
use tc_qdiscs::pfifo::Pfifo;
use tc_qdiscs::plug::{self, Capture, CaptureError, CaptureSetup, Plug};

pub(crate) use others::refused_in_pack;

use crate::world::{ETH0, ETH1, Said, Tc, World, hex, line, lines};

pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// How many outcomes it has.
    pub(crate) parts: usize,
    /// Whether it changes anything.
    pub(crate) changes: bool,
    /// Whether it is about eth0, and has nothing to do where that is gone.
    pub(crate) on_device: bool,
    /// Whether it has one answer for many things, and so relies on the order of answers.
    pub(crate) trusts_netlink: bool,
    pub(crate) prepare: fn(&Kernel),
    pub(crate) run: fn(&mut Tc) -> Vec<Said>,
    /// Whether this part was done, by the kernel's state.
    pub(crate) happened: fn(&World, usize) -> bool,
    /// Whether the kernel refuses this part.
    pub(crate) refused: fn(usize) -> bool,
}

const ONE: Handle = Handle::qdisc(1);
pub(crate) const TWO: Handle = Handle::qdisc(2);

pub(crate) fn root() -> Request<'static, object::Qdisc> {
    Request::qdisc(ETH0).parent(Handle::ROOT).handle(ONE)
}

pub(crate) const fn pfifo(limit_packets: u32) -> Pfifo {
    Pfifo::new(limit_packets)
}

pub(crate) fn class(minor: u16) -> Request<'static, object::Class> {
    Request::class(ETH0).parent(ONE).handle(Handle::class(1, minor))
}

pub(crate) fn shape(bytes_per_s: u64) -> HtbClass {
    HtbClass::builder(Rate::bytes_per_second(bytes_per_s)).build().unwrap()
}

fn filter(priority: u16) -> Request<'static, object::Filter> {
    let at = Request::filter(ETH0).parent(Handle::FILTER_INGRESS).kind("matchall");
    at.priority(priority).protocol(ETH_P_ALL).handle(Handle::from_raw(1))
}

fn matchall(control: Control) -> Matchall {
    Matchall::default().actions(Actions::new().with(Action::new(Gact::new(control))))
}

/// The options of a matchall with a class, as they begin: an attribute's length and type.
fn replaced() -> String {
    format!("options {}", hex(&[8_u16.to_ne_bytes(), 1_u16.to_ne_bytes()].concat()))
}

fn gact(index: u32, control: Control) -> Actions {
    Actions::new().with(Action::new(Gact::new(control).index(index)))
}

// The state before.

fn nothing(_: &Kernel) {}

fn a_pfifo(kernel: &Kernel) {
    let tc = &mut Connection::over(kernel.connect());
    tc.add(&root().options(&pfifo(5))).unwrap();
}

fn an_htb(kernel: &Kernel) {
    let tc = &mut Connection::over(kernel.connect());
    tc.add(&root().options(&Htb::default())).unwrap();
}

fn a_class(kernel: &Kernel) {
    let tc = &mut Connection::over(kernel.connect());
    an_htb(kernel);
    tc.add(&class(1).options(&shape(125_000))).unwrap();
}

fn a_leaf(kernel: &Kernel) {
    let tc = &mut Connection::over(kernel.connect());
    a_class(kernel);
    tc.add(&class(2).options(&shape(125_000))).unwrap();
    let leaf = Request::qdisc(ETH0).parent(Handle::class(1, 1)).handle(TWO);
    tc.add(&leaf.options(&pfifo(5))).unwrap();
}

fn many_classes(kernel: &Kernel) {
    let tc = &mut Connection::over(kernel.connect());
    an_htb(kernel);
    for minor in 1..=40 {
        tc.add(&class(minor).options(&shape(125_000))).unwrap();
    }
}

fn a_clsact(kernel: &Kernel) {
    let tc = &mut Connection::over(kernel.connect());
    let clsact = Request::qdisc(ETH0).parent(Handle::INGRESS).handle(Handle::qdisc(0xffff));
    tc.add(&clsact.kind("clsact")).unwrap();
}

fn a_filter(kernel: &Kernel) {
    let tc = &mut Connection::over(kernel.connect());
    a_clsact(kernel);
    for priority in [5, 6] {
        tc.add(&filter(priority).options(&matchall(Control::Pass))).unwrap();
    }
}

fn an_action(kernel: &Kernel) {
    let tc = &mut Connection::over(kernel.connect());
    for index in [3, 4] {
        tc.add(&Request::actions(&gact(index, Control::Pass))).unwrap();
    }
}

fn a_plug(kernel: &Kernel) {
    let tc = &mut Connection::over(kernel.connect());
    tc.add(&root().options(&Plug::set_limit(32_768))).unwrap();
    kernel.send(ETH0, *b"held");
}

fn an_ifb(kernel: &Kernel) {
    let tc = &mut Connection::over(kernel.connect());
    tc.add_link("ifb7", "ifb").unwrap();
}

fn a_capture(kernel: &Kernel) {
    let tc = &mut Connection::over(kernel.connect());
    Capture::start(tc, ETH0, &CaptureSetup::default()).unwrap().keep();
}

// Outcomes.

fn one<T>(outcome: Result<T, Error>) -> Vec<Said> {
    vec![Said::of(outcome, |_| Vec::new())]
}

const fn never(_: usize) -> bool {
    false
}

const fn always(_: usize) -> bool {
    true
}

fn unchanged(_: &World, _: usize) -> bool {
    false
}

/// Whether a packet leaves eth0 at once.
fn passes(world: &World) -> bool {
    world.kernel.take_sent(ETH0);
    world.kernel.send(ETH0, *b"probe");
    !world.kernel.take_sent(ETH0).is_empty()
}

fn captured(outcome: Result<(), CaptureError>) -> Vec<Said> {
    vec![match outcome {
        Ok(()) => Said::Done(Vec::new()),
        Err(error @ CaptureError::Left { .. }) => Said::Unknown(error.to_string()),
        Err(error) => Said::Failed(error.to_string()),
    }]
}

const CHANGE: Operation = Operation {
    name: "",
    parts: 1,
    changes: true,
    on_device: true,
    trusts_netlink: false,
    prepare: nothing,
    run: |_| Vec::new(),
    happened: unchanged,
    refused: never,
};

const READ: Operation = Operation { changes: false, ..CHANGE };

/// All of them.
pub(crate) fn operations() -> impl Iterator<Item = &'static Operation> {
    objects::OBJECTS.iter().chain(others::OTHERS)
}

fn distinct(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines.dedup();
    lines
}

fn dump(tc: &mut Tc, select: &DumpRequest) -> Result<Vec<String>, Error> {
    let mut dump = tc.dump(select)?;
    let mut lines = Vec::new();
    while let Some(listed) = dump.next()? {
        lines.push(line(&listed.entry().unwrap()));
    }
    Ok(lines)
}
