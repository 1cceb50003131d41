//! Many requests at once, devices, and the capture of a guest's output.

use super::*;

pub(super) const OTHERS: &[Operation] = &[
    Operation {
        name: "batch",
        parts: 70,
        trusts_netlink: true,
        prepare: an_htb,
        run: |tc| {
            let mut said = Vec::new();
            let shape = shape(125_000);
            let mut batch = tc.pipeline(|index, outcome| {
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
            let mut pack = tc.group();
            for part in 0..10 {
                let verb = if refused_in_pack(part) { Verb::Change } else { Verb::Add };
                pack.push(verb, &class(part as u16 + 1).options(&shape)).unwrap();
            }
            pipelined(10, |each| pack.send(each))
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
            let mut pack = tc.group();
            let options = [pfifo(7), pfifo(9)];
            let other = Request::qdisc(ETH0).parent(Handle::ROOT).handle(TWO);
            pack.push_shown(Verb::Change, &root().options(&options[0])).unwrap();
            pack.push_shown(Verb::Replace, &other.options(&options[1])).unwrap();
            pipelined(2, |each| pack.send(each))
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
            !world.has(&["filter matchall"]) && !world.has(&["plug-"]) && !world.has(&["clsact"])
        },
        ..CHANGE
    },
];

const fn refused_in_batch(part: usize) -> bool {
    part % 10 == 3 || part == 69
}

pub(crate) const fn refused_in_pack(part: usize) -> bool {
    part == 4
}

/// The outcomes of a pack, each reported once.
fn pipelined(
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
