//! Qdiscs, classes, filters and actions, one request at a time.

use super::*;

pub(super) const OBJECTS: &[Operation] = &[
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
        run: |tc| vec![Said::of(tc.list(&DumpRequest::qdiscs()), |list| distinct(lines(&list)))],
        ..READ
    },
    Operation {
        name: "qdisc dump",
        trusts_netlink: true,
        prepare: a_pfifo,
        run: |tc| vec![Said::of(dump(tc, &DumpRequest::qdiscs()), distinct)],
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
        run: |tc| vec![Said::of(tc.list(&DumpRequest::classes(ETH0)), |list| distinct(lines(&list)))],
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
        run: |tc| one(tc.replace(&filter(5).options(&Matchall::default().class(ONE)))),
        happened: |world, _| world.has(&["filter matchall", "dev 2 info 5", &replaced()]),
        ..CHANGE
    },
    Operation {
        name: "filter change",
        prepare: a_filter,
        run: |tc| one(tc.change(&filter(5).options(&Matchall::default().class(ONE)))),
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
            let select = DumpRequest::filters(ETH0).parent(Handle::FILTER_INGRESS);
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
        run: |tc| vec![Said::of(tc.list(&DumpRequest::actions("gact")), |list| distinct(lines(&list)))],
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
];
