//! Sequences of requests.

use tc_core::uapi::*;

use crate::step::*;

/// All rules of qdiscs, on a device with one queue.
pub(crate) fn fixed() -> Vec<Step> {
    let limit = |number: u32| number.to_ne_bytes();
    let stab =
        attribute(TCA_STAB_BASE, &[0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    vec![
        // The default, which has no handle.
        get(0, ROOT),
        delete(0, ROOT),
        get(0x10000, 0),
        delete(0x10000, 0),
        get(0x10000, ROOT),
        change(0, ROOT, ""),
        change(0, ROOT, "pfifo"),
        change(0x10000, ROOT, "pfifo"),
        change(0x10000, 0, "pfifo"),
        change(0, 0, "pfifo"),
        add(0, 0, "pfifo"),
        add(0x10000, 0, "pfifo"),
        add(0, ROOT, "nonsense"),
        add(0, ROOT, ""),
        add(0x10001, ROOT, "pfifo"),
        add(0, 0x10001, "pfifo"),
        add(0, ROOT, "pfifo").on(99),
        get(0, ROOT).on(99),
        // A root.
        add(0x10000, ROOT, "pfifo").options(&limit(7)),
        add(0x10000, ROOT, "pfifo"),
        add(0x20000, ROOT, "pfifo"),
        add(0, ROOT, "pfifo"),
        add(0, ROOT, "bfifo"),
        get(0, ROOT),
        get(0x10000, 0),
        get(0x20000, ROOT),
        get(0x20000, 0),
        Step::new(RTM_GETQDISC, NLM_F_ECHO, 0, ROOT, "bfifo"),
        change(0x10000, ROOT, "pfifo").options(&limit(8)),
        change(0x10000, ROOT, "pfifo").options(&[1, 2]),
        change(0x10000, ROOT, "pfifo").options(&[]),
        change(0x10000, ROOT, "pfifo"),
        change(0x10000, ROOT, "bfifo").options(&limit(9)),
        change(0x10000, 0, "pfifo").options(&limit(9)),
        change(0x20000, ROOT, "pfifo").options(&limit(9)),
        change(0x20000, 0, "pfifo").options(&limit(9)),
        change(0, ROOT, "pfifo").options(&limit(10)),
        // The hole: no flags, no handle, another kind.
        change(0, ROOT, "bfifo").options(&limit(2000)),
        replace(0, ROOT, "bfifo").options(&limit(3000)),
        replace(0x10000, ROOT, "bfifo"),
        replace(0x10000, ROOT, "pfifo"),
        replace(0x20000, ROOT, "pfifo"),
        replace(0x20001, ROOT, "pfifo"),
        replace(0, ROOT, "nonsense"),
        Step::new(RTM_NEWQDISC, LINK, 0x20000, ROOT, "pfifo"),
        Step::new(RTM_NEWQDISC, LINK, 0x30000, ROOT, "pfifo"),
        Step::new(RTM_NEWQDISC, LINK, 0, ROOT, "bfifo"),
        Step::new(RTM_NEWQDISC, NLM_F_CREATE, 0, ROOT, "bfifo"),
        Step::new(RTM_NEWQDISC, NLM_F_EXCL, 0, ROOT, "pfifo"),
        add(0, 0x20001, "pfifo"),
        change(0x20000, ROOT, "pfifo").attr(TCA_STAB, &stab),
        get(0, ROOT),
        change(0x20000, ROOT, "pfifo").options(&limit(5)),
        change(0x20000, ROOT, "pfifo").attr(TCA_STAB, &attribute(9, &[0; 4])),
        change(0x20000, ROOT, "pfifo").attr(TCA_STAB, &attribute(TCA_STAB_BASE, &[0; 8])),
        change(0x20000, ROOT, "pfifo").attr(TCA_INGRESS_BLOCK, &limit(1)),
        change(0x20000, ROOT, "pfifo").options(&limit(6)).attr(TCA_INGRESS_BLOCK, &limit(1)),
        replace(0x40000, ROOT, "pfifo").attr(TCA_INGRESS_BLOCK, &limit(1)),
        replace(0x40000, ROOT, "pfifo").attr(TCA_EGRESS_BLOCK, &limit(0)),
        replace(0x40000, ROOT, "pfifo").attr(TCA_RATE, &[9, 1]),
        replace(0x40000, ROOT, "pfifo").attr(TCA_RATE, &[0]),
        delete(0x10000, ROOT),
        Step::new(RTM_DELQDISC, 0, 0, ROOT, "bfifo"),
        delete(0x20000, 0),
        delete(0, 0x20001),
        delete(0, 0x50001),
        delete(0, ROOT),
        delete(0, ROOT),
        // Attributes that break the policy, and messages cut short.
        change(0, ROOT, "").attr(TCA_KIND, &[]),
        change(0, ROOT, "pfifo").attr(TCA_RATE, &[0; 3]),
        change(0, ROOT, "pfifo").attr(TCA_STAB, &[0; 2]),
        change(0, ROOT, "pfifo").attr(TCA_CHAIN, &[0; 2]),
        change(0, ROOT, "pfifo").attr(TCA_DUMP_INVISIBLE, &[0; 2]),
        change(0, ROOT, "pfifo").attr(99, &[0; 2]),
        // Ingress and clsact.
        get(0, INGRESS),
        delete(0, INGRESS),
        add(0, INGRESS, "pfifo"),
        add(0xffff_0000, INGRESS, "ingress"),
        add(0xffff_0000, INGRESS, "ingress"),
        add(0xffff_0000, INGRESS, "clsact"),
        get(0xffff_0000, INGRESS),
        get(0xffff_0000, 0),
        change(0xffff_0000, INGRESS, "ingress"),
        change(0xffff_0000, INGRESS, "ingress").options(&[]),
        change(0, INGRESS, "clsact"),
        replace(0, INGRESS, "ingress"),
        replace(0, INGRESS, "clsact"),
        replace(0xffff_0000, INGRESS, "clsact"),
        add(0, 0xffff_0001, "pfifo"),
        add(0, 0xffff_fff2, "pfifo"),
        add(0, ROOT, "clsact"),
        add(0, ROOT, "ingress"),
        get_class(0xffff_0001),
        get_class(0xffff_fff2),
        delete_class(0xffff_fff2),
        delete(0, 0xffff_fff3),
        delete(0, INGRESS),
        delete(0, INGRESS),
        add(0, INGRESS, "clsact"),
        delete(0xffff_0000, INGRESS),
        // noqueue.
        add(0, ROOT, "noqueue"),
        change(0, ROOT, "noqueue").options(&limit(1)),
        change(0, ROOT, "noqueue"),
        delete(0, ROOT),
        // plug.
        add(0x10000, ROOT, "plug").options(&options_of("plug", 1000)),
        change(0x10000, ROOT, "plug").options(&[0; 8]),
        change(0x10000, ROOT, "plug").options(&[9; 8]),
        change(0x10000, ROOT, "plug").options(&[0; 7]),
        replace(0, ROOT, "pfifo"),
        change(0, ROOT, "plug").options(&[0; 8]),
        delete(0, ROOT),
        add(0, ROOT, "plug").options(&[0; 7]),
    ]
}

/// Trees: prio and htb, and their descendants.
pub(crate) fn trees() -> Vec<Step> {
    let prio = |bands| options_of("prio", bands);
    vec![
        get_class(0x10001),
        add(0x10000, ROOT, "prio"),
        add(0x10000, ROOT, "prio").options(&prio(1)),
        get_class(0x10001),
        get_class(0x10009),
        delete_class(0x10001),
        Step::new(RTM_NEWTCLASS, CREATE, 0x10001, 0x10000, "prio"),
        Step::new(RTM_NEWTCLASS, ADD, 0x10001, 0x10000, "prio"),
        add(0x110000, 0x10001, "pfifo"),
        add(0x110000, 0x10001, "pfifo"),
        add(0x110000, 0x10002, "pfifo"),
        replace(0x110000, 0x10002, "pfifo"),
        add(0x120000, 0x10009, "pfifo"),
        add(0x120000, 0x10002, "noqueue"),
        add(0x120000, 0x10002, "prio").options(&prio(0)),
        add(0x130000, 0x120001, "bfifo"),
        replace(0x120000, 0x10001, "prio").options(&prio(0)),
        replace(0x10000, 0x120001, "prio").options(&prio(0)),
        Step::new(RTM_NEWQDISC, LINK, 0x120000, 0x120001, "prio"),
        change(0x10000, ROOT, "prio").options(&prio(3)),
        change(0x10000, ROOT, "prio").options(&prio(0)),
        change(0x10000, ROOT, "prio").options(&[1; 20]),
        delete(0, 0x10001),
        delete(0, 0x10001),
        delete(0x110000, 0x10002),
        delete(0x120000, 0x10002),
        delete(0, ROOT),
        // htb
        add(0x10000, ROOT, "htb"),
        add(0x10000, ROOT, "htb").options(&options_of("plug", 1)),
        add(0x10000, ROOT, "htb").options(&options_of("htb", 0x10)),
        change(0x10000, ROOT, "htb").options(&options_of("htb", 0x20)),
        change(0x10000, ROOT, "htb"),
        get(0, ROOT),
        class(0, 0x10001, 0x10000),
        class(ADD, 0x10001, 0x10000),
        class(ADD, 0x10001, 0x10000),
        class(CREATE, 0x10001, 0x10000),
        class(ADD, 0x10010, 0x10001),
        class(ADD, 0x10011, 0x10001),
        class(ADD, 0x20010, 0x10001),
        class(ADD, 0x20010, 0x20001),
        class(ADD, 0x10012, ROOT),
        Step::new(RTM_NEWTCLASS, ADD, 0x10020, 0x10001, "htb"),
        Step::new(RTM_NEWTCLASS, ADD, 0x10020, 0x10001, "htb").options(&[0; 4]),
        class(ADD, 0x10020, 0x10001).attr(TCA_INGRESS_BLOCK, &[1, 0, 0, 0]),
        get_class(0x10001),
        get_class(0x10010),
        get_class(0x10099),
        Step::new(RTM_GETTCLASS, NLM_F_ECHO, 0, ROOT, ""),
        add(0, 0x10001, "pfifo"),
        add(0x110000, 0x10010, "pfifo").options(&[9, 0, 0, 0]),
        add(0x120000, 0x10011, "prio").options(&prio(0)),
        add(0x130000, 0x120002, "plug").options(&options_of("plug", 50)),
        get_class(0x10010),
        class(ADD, 0x10030, 0x10010),
        get(0, 0x10010),
        delete_class(0x10001),
        delete_class(0x10030),
        get_class(0x10010),
        delete_class(0x10010),
        delete_class(0x10011),
        get_class(0x10001),
        delete_class(0x10001),
        delete_class(0x10001),
        add(0x210000, 0x10012, "bfifo"),
        replace(0, 0x10012, "pfifo"),
        delete(0, 0x10012),
        replace(0x20000, ROOT, "pfifo"),
        get_class(0x20001),
        delete(0, ROOT),
    ]
}

/// A sequence by chance: qdiscs that come, change, move and go.
pub(crate) fn random(seed: u64, length: usize) -> Vec<Step> {
    let mut state = seed;
    let mut next = move |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut pick = move |from: &[u32]| from[next(from.len() as u64) as usize];
    let kinds = ["pfifo", "bfifo", "prio", "htb", "plug"];
    let mut steps = Vec::new();
    for _ in 0..length {
        let handle = pick(&[0, 0, 0x10000, 0x20000, 0x30000, 0x10001]);
        let parent = pick(&[ROOT, ROOT, ROOT, 0x10001, 0x10002, 0x20001, 0x30001, 0, 0x10007]);
        let kind = kinds[pick(&[0, 1, 2, 2, 3, 4]) as usize];
        let number = pick(&[0, 1, 5, 100_000]);
        let flags = [ADD, CHANGE, REPLACE, LINK, NLM_F_CREATE, NLM_F_EXCL]
            [pick(&[0, 0, 1, 1, 2, 2, 2, 3, 4, 5]) as usize];
        steps.push(match pick(&[0, 0, 0, 0, 0, 0, 1, 2, 3, 4]) {
            0 => {
                let step = Step::new(RTM_NEWQDISC, flags, handle, parent, kind);
                // Some requests have no options, and some have another kind's.
                match pick(&[0, 0, 0, 0, 1, 2]) {
                    0 => step.options(&options_of(kind, number)),
                    1 => step,
                    _ => step.options(&options_of(kinds[pick(&[0, 2, 3]) as usize], number)),
                }
            }
            1 => delete(handle, parent),
            2 => get(handle, parent),
            3 => class(
                pick(&[ADD.into(), 0, CREATE.into()]) as u16,
                pick(&[0x10001, 0x10002, 0x20001]),
                pick(&[0x10000, 0x10001, ROOT]),
            ),
            _ => delete_class(pick(&[0x10001, 0x10002, 0x20001])),
        });
    }
    steps
}
