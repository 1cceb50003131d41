//! Every operation on a connection, and how to see that it was done.

use std::net::Ipv4Addr;

use tc_core::action::{Action, Actions, Control};
use tc_core::embedded::Kernel;
use tc_core::link::LinkChange;
use tc_core::uapi::ETH_P_ALL;
use tc_core::{Connection, Done, Error, Handle, Request, Select, Verb};
use tc_qdiscs::act::gact::Gact;
use tc_qdiscs::cls::matchall::Matchall;
use tc_qdiscs::htb::{Htb, HtbClass};
use tc_qdiscs::pfifo::Pfifo;
use tc_qdiscs::plug::{self, Capture, CaptureError, CaptureSetup, Plug};

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
const TWO: Handle = Handle::qdisc(2);

fn root() -> Request<'static> {
    Request::qdisc(ETH0).parent(Handle::ROOT).handle(ONE)
}

const fn pfifo(limit_packets: u32) -> Pfifo {
    Pfifo { limit_packets }
}

fn class(minor: u16) -> Request<'static> {
    Request::class(ETH0).parent(ONE).handle(Handle::class(1, minor))
}

fn shape(bytes_per_s: u64) -> HtbClass {
    HtbClass::builder(bytes_per_s).build().unwrap()
}

fn filter(priority: u16) -> Request<'static> {
    let at = Request::filter(ETH0).parent(Handle::FILTER_INGRESS).kind("matchall");
    at.priority(priority).protocol(ETH_P_ALL).handle(Handle::from_raw(1))
}

fn matchall(control: Control) -> Matchall {
    Matchall { actions: Actions::new().with(Action::new(Gact::new(control))), ..Matchall::default() }
}

/// The options of a matchall with a class, as they begin: an attribute's length and type.
fn replaced() -> String {
    format!("options {}", hex(&[8_u16.to_ne_bytes(), 1_u16.to_ne_bytes()].concat()))
}

fn gact(index: u32, control: Control) -> Actions {
    Actions::new().with(Action::new(Gact { index, ..Gact::new(control) }))
}

// What is there before.

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

pub(crate) const OPERATIONS: &[Operation] = &[
    Operation {
        name: "qdisc add",
        run: |tc| one(tc.add(&root().options(&pfifo(5)))),
        happened: |world, _| world.has(&["qdisc pfifo 1: parent root dev 2"]),
        ..CHANGE
    },
    Operation {
        name: "qdisc add, refused",
        changes: false,
        prepare: a_pfifo,
        run: |tc| one(tc.add(&root().options(&pfifo(5)))),
        refused: always,
        ..CHANGE
    },
    Operation {
        name: "qdisc change",
        prepare: a_pfifo,
        run: |tc| one(tc.change(&root().options(&pfifo(9)))),
        happened: |world, _| world.has(&["qdisc pfifo 1:", &hex(&9_u32.to_ne_bytes())]),
        ..CHANGE
    },
    Operation {
        name: "qdisc replace",
        prepare: a_pfifo,
        run: |tc| one(tc.replace(&root().handle(TWO).options(&Htb::default()))),
        happened: |world, _| world.has(&["qdisc htb 2: parent root dev 2"]),
        ..CHANGE
    },
    Operation {
        // Kernel: since 6.1 a qdisc is not moved to another parent.
        name: "qdisc link, refused",
        changes: false,
        refused: always,
        prepare: a_leaf,
        run: |tc| one(tc.link(&Request::qdisc(ETH0).parent(Handle::class(1, 2)).handle(TWO))),
        ..CHANGE
    },
    Operation {
        name: "qdisc delete",
        prepare: a_pfifo,
        run: |tc| one(tc.delete(&root())),
        happened: |world, _| !world.has(&["qdisc pfifo 1:"]),
        ..CHANGE
    },
    Operation {
        name: "qdisc get",
        prepare: a_pfifo,
        run: |tc| vec![Said::of(tc.get(&root()), |entry| vec![line(&entry)])],
        ..READ
    },
    Operation {
        name: "qdisc list",
        trusts_netlink: true,
        prepare: a_pfifo,
        run: |tc| vec![Said::of(tc.list(&Select::qdiscs()), |list| distinct(lines(&list)))],
        ..READ
    },
    Operation {
        name: "qdisc dump",
        trusts_netlink: true,
        prepare: a_pfifo,
        run: |tc| vec![Said::of(dump(tc, &Select::qdiscs()), distinct)],
        ..READ
    },
    Operation {
        name: "class add",
        prepare: an_htb,
        run: |tc| one(tc.add(&class(1).options(&shape(125_000)))),
        happened: |world, _| world.has(&["class htb 1:1 "]),
        ..CHANGE
    },
    Operation {
        name: "class change",
        prepare: a_class,
        run: |tc| one(tc.change(&class(1).options(&shape(250_000)))),
        // The rate, in bytes a second.
        happened: |world, _| world.has(&["class htb 1:1 ", &hex(&250_000_u32.to_ne_bytes())]),
        ..CHANGE
    },
    Operation {
        name: "class replace",
        prepare: an_htb,
        run: |tc| one(tc.replace(&class(1).options(&shape(125_000)))),
        happened: |world, _| world.has(&["class htb 1:1 "]),
        ..CHANGE
    },
    Operation {
        name: "class delete",
        prepare: a_class,
        run: |tc| one(tc.delete(&class(1))),
        happened: |world, _| !world.has(&["class htb 1:1 "]),
        ..CHANGE
    },
    Operation {
        name: "class get",
        prepare: a_class,
        run: |tc| vec![Said::of(tc.get(&class(1)), |entry| vec![line(&entry)])],
        ..READ
    },
    Operation {
        name: "class list",
        trusts_netlink: true,
        prepare: many_classes,
        run: |tc| vec![Said::of(tc.list(&Select::classes(ETH0)), |list| distinct(lines(&list)))],
        ..READ
    },
    Operation {
        name: "filter add",
        prepare: a_clsact,
        run: |tc| one(tc.add(&filter(5).options(&matchall(Control::Pass)))),
        happened: |world, _| world.has(&["filter matchall", "dev 2 info 5"]),
        ..CHANGE
    },
    Operation {
        name: "filter replace",
        prepare: a_filter,
        run: |tc| one(tc.replace(&filter(5).options(&Matchall { class: Some(ONE), ..Matchall::default() }))),
        happened: |world, _| world.has(&["filter matchall", "dev 2 info 5", &replaced()]),
        ..CHANGE
    },
    Operation {
        name: "filter change",
        prepare: a_filter,
        run: |tc| one(tc.change(&filter(5).options(&Matchall { class: Some(ONE), ..Matchall::default() }))),
        happened: |world, _| world.has(&["filter matchall", "dev 2 info 5", &replaced()]),
        ..CHANGE
    },
    Operation {
        name: "filter delete",
        prepare: a_filter,
        run: |tc| one(tc.delete(&filter(5))),
        happened: |world, _| !world.has(&["filter matchall", "dev 2 info 5"]),
        ..CHANGE
    },
    Operation {
        name: "filters delete, all of them",
        prepare: a_filter,
        run: |tc| one(tc.delete(&Request::filter(ETH0).parent(Handle::FILTER_INGRESS))),
        happened: |world, _| !world.has(&["filter matchall"]),
        ..CHANGE
    },
    Operation {
        name: "filter get",
        prepare: a_filter,
        run: |tc| vec![Said::of(tc.get(&filter(5)), |entry| vec![line(&entry)])],
        ..READ
    },
    Operation {
        name: "filter list",
        trusts_netlink: true,
        prepare: a_filter,
        run: |tc| {
            let select = Select::filters(ETH0).parent(Handle::FILTER_INGRESS);
            vec![Said::of(tc.list(&select), |list| distinct(lines(&list)))]
        },
        ..READ
    },
    Operation {
        name: "action add",
        on_device: false,
        run: |tc| one(tc.add(&Request::actions(&gact(3, Control::Drop)))),
        happened: |world, _| world.has(&["actions", "index: 3,"]),
        ..CHANGE
    },
    Operation {
        name: "action replace",
        on_device: false,
        prepare: an_action,
        run: |tc| one(tc.replace(&Request::actions(&gact(3, Control::Drop)))),
        happened: |world, _| world.has(&["actions", "index: 3, control: Drop"]),
        ..CHANGE
    },
    Operation {
        name: "action delete",
        on_device: false,
        prepare: an_action,
        run: |tc| one(tc.delete(&Request::actions(&Actions::new().with(Action::at_index("gact", 3))))),
        happened: |world, _| !world.has(&["actions", "index: 3,"]),
        ..CHANGE
    },
    Operation {
        name: "actions delete, all of a kind",
        on_device: false,
        prepare: an_action,
        run: |tc| one(tc.delete(&Request::all_actions("gact"))),
        happened: |world, _| !world.has(&["actions"]),
        ..CHANGE
    },
    Operation {
        name: "action get",
        prepare: an_action,
        run: |tc| {
            let wanted = Actions::new().with(Action::at_index("gact", 3));
            vec![Said::of(tc.get(&Request::actions(&wanted)), |entry| vec![line(&entry)])]
        },
        ..READ
    },
    Operation {
        name: "action list",
        trusts_netlink: true,
        prepare: an_action,
        run: |tc| vec![Said::of(tc.list(&Select::actions("gact")), |list| distinct(lines(&list)))],
        ..READ
    },
    Operation {
        name: "plug add, in two messages",
        run: |tc| {
            let plug = Plug::set_limit(32_768).action(plug::Action::ReleaseIndefinite);
            one(tc.add(&root().options(&plug)))
        },
        happened: |world, _| world.has(&["qdisc plug 1: parent root dev 2"]) && passes(world),
        ..CHANGE
    },
    Operation {
        name: "plug replace, in two messages",
        prepare: a_pfifo,
        run: |tc| {
            let plug = Plug::set_limit(32_768).action(plug::Action::ReleaseIndefinite);
            one(tc.replace(&root().handle(TWO).options(&plug)))
        },
        happened: |world, _| world.has(&["qdisc plug 2: parent root dev 2"]) && passes(world),
        ..CHANGE
    },
    Operation {
        name: "plug change",
        prepare: a_plug,
        run: |tc| one(tc.change(&root().options(&Plug::release_indefinite()))),
        happened: |world, _| passes(world),
        ..CHANGE
    },
    Operation {
        name: "plug change, of another kind",
        changes: false,
        prepare: a_pfifo,
        run: |tc| one(tc.change(&root().options(&Plug::buffer()))),
        refused: always,
        ..CHANGE
    },
    Operation {
        name: "batch",
        parts: 70,
        trusts_netlink: true,
        prepare: an_htb,
        run: |tc| {
            let mut said = Vec::new();
            let shape = shape(125_000);
            let mut batch = tc.batch(|index, outcome| {
                assert_eq!(index, said.len(), "told in order, and once");
                said.push(match outcome {
                    Ok(()) => Said::Done(Vec::new()),
                    Err(cause) if cause.is_outcome_unknown() => Said::Unknown(cause.to_string()),
                    Err(cause) => Said::Failed(cause.to_string()),
                });
            });
            for part in 0..70 {
                let verb = if refused_in_batch(part) { Verb::Change } else { Verb::Add };
                batch.push(verb, &class(part as u16 + 1).options(&shape)).unwrap();
            }
            batch.finish();
            said
        },
        happened: |world, part| world.has(&[&format!("class htb 1:{:x} ", part + 1)]),
        refused: refused_in_batch,
        ..CHANGE
    },
    Operation {
        name: "pack",
        parts: 10,
        prepare: an_htb,
        run: |tc| {
            let shape = shape(125_000);
            let mut pack = tc.pack();
            for part in 0..10 {
                let verb = if refused_in_pack(part) { Verb::Change } else { Verb::Add };
                pack.push(verb, &class(part as u16 + 1).options(&shape)).unwrap();
            }
            packed(10, |each| pack.send(each))
        },
        happened: |world, part| world.has(&[&format!("class htb 1:{:x} ", part + 1)]),
        refused: refused_in_pack,
        ..CHANGE
    },
    Operation {
        name: "pack, shown",
        parts: 2,
        prepare: a_pfifo,
        run: |tc| {
            let mut pack = tc.pack();
            let options = [pfifo(7), pfifo(9)];
            let other = Request::qdisc(ETH0).parent(Handle::ROOT).handle(TWO);
            pack.push_shown(Verb::Change, &root().options(&options[0])).unwrap();
            pack.push_shown(Verb::Replace, &other.options(&options[1])).unwrap();
            packed(2, |each| pack.send(each))
        },
        // The first is replaced by the second.
        happened: |world, part| {
            let second = world.has(&["qdisc pfifo 2:", &hex(&9_u32.to_ne_bytes())]);
            second || part == 0 && world.has(&["qdisc pfifo 1:", &hex(&7_u32.to_ne_bytes())])
        },
        ..CHANGE
    },
    Operation {
        name: "echo",
        prepare: a_pfifo,
        run: |tc| {
            tc.set_echo(true);
            let done = tc.replace(&root().handle(TWO).options(&Htb::default()));
            let echo = tc.take_echo();
            tc.set_echo(false);
            let mut shown = lines(&echo);
            assert_eq!(distinct(shown.clone()).len(), shown.len(), "{shown:?}");
            // How often it was used is not known before the end.
            shown.iter_mut().for_each(|line| *line = line.split(" info ").next().unwrap().to_owned());
            vec![Said::of(done, |()| shown)]
        },
        happened: |world, _| world.has(&["qdisc htb 2: parent root dev 2"]),
        ..CHANGE
    },
    Operation {
        name: "device add",
        on_device: false,
        run: |tc| one(tc.add_link("ifb7", "ifb")),
        happened: |world, _| world.has(&["\"ifb7\""]),
        ..CHANGE
    },
    Operation {
        name: "device change",
        run: |tc| one(tc.set_link(ETH0, &LinkChange { mtu: Some(9000), ..LinkChange::default() })),
        happened: |world, _| world.has(&["ifindex: 2,", "mtu: 9000"]),
        ..CHANGE
    },
    Operation {
        name: "device delete",
        on_device: false,
        prepare: an_ifb,
        run: |tc| one(tc.delete_link_by_name("ifb7")),
        happened: |world, _| !world.has(&["\"ifb7\""]),
        ..CHANGE
    },
    Operation {
        name: "address add, which it does not know",
        changes: false,
        run: |tc| one(tc.add_address(ETH0, Ipv4Addr::LOCALHOST, 8)),
        refused: always,
        ..CHANGE
    },
    Operation {
        name: "device by name",
        run: |tc| vec![Said::of(tc.link_by_name("eth1"), |link| vec![format!("{link:?}")])],
        ..READ
    },
    Operation {
        name: "device by index",
        run: |tc| vec![Said::of(tc.link_by_index(ETH1), |link| vec![format!("{link:?}")])],
        ..READ
    },
    Operation {
        name: "index of a device",
        run: |tc| vec![Said::of(tc.ifindex("eth1"), |index| vec![index.to_string()])],
        ..READ
    },
    Operation {
        name: "capture start",
        run: |tc| captured(Capture::start(tc, ETH0, &CaptureSetup::default()).map(Capture::keep)),
        happened: |world, _| world.has(&["filter matchall"]) && world.has(&["qdisc plug 1:"]),
        ..CHANGE
    },
    Operation {
        name: "capture taken up",
        prepare: a_capture,
        run: |tc| captured(Capture::start(tc, ETH0, &CaptureSetup::default()).map(Capture::keep)),
        ..READ
    },
    Operation {
        name: "capture stop",
        prepare: a_capture,
        run: |tc| match Capture::start(tc, ETH0, &CaptureSetup::default()) {
            Ok(capture) => captured(capture.stop()),
            Err(error) => captured(Err(error)),
        },
        happened: |world, _| {
            !world.has(&["filter matchall"]) && !world.has(&["cap-"]) && !world.has(&["ingress"])
        },
        ..CHANGE
    },
];

const fn refused_in_batch(part: usize) -> bool {
    part % 10 == 3 || part == 69
}

const fn refused_in_pack(part: usize) -> bool {
    part == 4
}

fn distinct(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines.dedup();
    lines
}

fn dump(tc: &mut Tc, select: &Select) -> Result<Vec<String>, Error> {
    let mut dump = tc.dump(select)?;
    let mut lines = Vec::new();
    while let Some(listed) = dump.next()? {
        lines.push(line(&listed.entry().unwrap()));
    }
    Ok(lines)
}

/// The outcomes of a pack, each told once.
fn packed(
    parts: usize,
    send: impl FnOnce(&mut dyn FnMut(usize, Result<Done<'_>, tc_core::Cause>)) -> Result<(), Error>,
) -> Vec<Said> {
    let mut said: Vec<Option<Said>> = vec![None; parts];
    let sent = send(&mut |index, outcome| {
        let told = match outcome {
            Ok(Done::Acknowledged(_) | Done::Shown(_)) => Said::Done(Vec::new()),
            Err(cause) if cause.is_outcome_unknown() => Said::Unknown(cause.to_string()),
            Err(cause) => Said::Failed(cause.to_string()),
        };
        assert_eq!(said[index].replace(told), None, "told once");
    });
    match sent {
        Ok(()) => said.into_iter().map(Option::unwrap).collect(),
        // Nothing was sent.
        Err(error) => vec![Said::Failed(error.to_string()); parts],
    }
}
