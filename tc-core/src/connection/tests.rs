//! Answers at their limits.

use super::exchange::SLOT;
use super::*;
use crate::connection::scripted::{Script, Scripted, message, verdict};
use crate::exchange::dump_request::DumpRequest;
use crate::exchange::request::Request;
use crate::wire::handle::Handle;
use crate::wire::uapi::*;

/// Device 5's qdisc 1:, in the header alone.
const QDISC: [u8; 20] = {
    let mut header = [0; 20];
    [header[4], header[5], header[6], header[7]] = 5_i32.to_ne_bytes();
    [header[8], header[9], header[10], header[11]] = 0x10000_u32.to_ne_bytes();
    header
};

#[test]
fn an_empty_message_is_no_object() {
    let script: Script = |all| {
        let sequence = all[0].sequence;
        let nothing = [NLMSG_NOOP, NLMSG_OVERRUN].map(|kind| message(kind, sequence, 7, &[0; 20]));
        [&nothing[..], &[message(RTM_NEWQDISC, sequence, 7, &QDISC), verdict(&all[0], 0)]].concat()
    };
    let mut tc = Connection::over(Scripted::new(script));
    let request = Request::qdisc(5).handle(Handle::qdisc(1));
    assert_eq!(tc.get(&request).unwrap().header.ifindex, 5);
}

#[test]
fn an_answer_that_just_fits_is_not_cut_short() {
    let script: Script = |all| {
        let mut payload = QDISC.to_vec();
        payload.resize(ROOM - 16, 0);
        vec![message(RTM_NEWQDISC, all[0].sequence, 7, &payload), verdict(&all[0], 0)]
    };
    let mut tc = Connection::over(Scripted::new(script));
    tc.delete(&Request::qdisc(5).handle(Handle::qdisc(1))).unwrap();

    let script: Script = |all| {
        let mut payload = verdict(&all[0], 0)[16..].to_vec();
        payload.resize(SLOT - 16, 0);
        vec![message(NLMSG_ERROR, all[0].sequence, 7, &payload)]
    };
    let mut tc = Connection::over(Scripted::new(script));
    let mut batch = tc.pipeline(|_, outcome| outcome.unwrap());
    batch.push(Verb::Delete, &Request::qdisc(5).parent(Handle::ROOT)).unwrap();
    batch.finish();
}

#[test]
fn the_time_limit_applies_to_each_answer() {
    let script: Script = |all| {
        let others = std::iter::repeat_n(message(RTM_NEWQDISC, all[0].sequence, 7, &QDISC), 50);
        match all {
            [list] if list.kind == RTM_GETQDISC => others.chain([verdict(list, 0)]).collect(),
            _ => all.iter().map(|message| verdict(message, 19)).collect(),
        }
    };
    let mut tc = Connection::over(Scripted::new(script));
    tc.set_timeout(Duration::ZERO).unwrap();
    let request = Request::qdisc(1).parent(Handle::ROOT);
    let mut batch = tc.pipeline(|_, outcome| assert!(!outcome.unwrap_err().is_outcome_unknown()));
    (0..50).for_each(|index| assert_eq!(batch.push(Verb::Delete, &request).unwrap(), index));
    batch.finish();
    let mut pack = tc.group();
    (0..50).for_each(|index| assert_eq!(pack.push(Verb::Delete, &request).unwrap(), index));
    pack.send(|_, outcome| assert!(!outcome.unwrap_err().is_outcome_unknown())).unwrap();
    assert_eq!(tc.list(&DumpRequest::qdiscs().device(6)).unwrap().len(), 0);
}

#[test]
fn an_abandoned_list_is_waited_for_once() {
    let mut tc = Connection::over(Scripted::new(|_| Vec::new()));
    let mut dump = tc.dump(&DumpRequest::qdiscs()).unwrap();
    assert!(matches!(dump.next().unwrap_err().cause(), Cause::Timeout(_)));
    assert!(dump.next().unwrap().is_none());
    drop(dump);
    assert_eq!(tc.transport().receives, 1);
}

#[test]
fn a_blocks_filters_belong_to_each_of_its_devices() {
    let script: Script = |all| {
        let mut header = QDISC;
        header[4..8].copy_from_slice(&TCM_IFINDEX_MAGIC_BLOCK.to_ne_bytes());
        vec![message(RTM_NEWTFILTER, all[0].sequence, 7, &header), verdict(&all[0], 0)]
    };
    let mut tc = Connection::over(Scripted::new(script));
    assert_eq!(tc.list(&DumpRequest::filters(5)).unwrap().len(), 1);
}

#[test]
fn another_process_cannot_truncate_batch_answers() {
    let mut tc = Connection::over(Scripted::new(|all| vec![verdict(&all[1], 0)]));
    tc.transport_mut().stranger = Some(SLOT + 1);
    let mut succeeded = 0;
    let mut batch = tc.pipeline(|_, outcome| succeeded += i32::from(outcome.is_ok()));
    for ifindex in 1..=2 {
        batch.push(Verb::Delete, &Request::qdisc(ifindex).parent(Handle::ROOT)).unwrap();
    }
    batch.finish();
    assert_eq!(succeeded, 2);
}

#[test]
fn the_attribute_at_fault_is_of_the_failed_request() {
    // Capped, and the attribute at byte 36: after the header and tcmsg.
    let script: Script = |all| {
        let mut refusal = verdict(&all[1], 22);
        refusal[6..8].copy_from_slice(&0x300_u16.to_ne_bytes());
        refusal.extend([8_u16.to_ne_bytes(), 2_u16.to_ne_bytes()].concat());
        refusal.extend(36_u32.to_ne_bytes());
        let length = refusal.len() as u32;
        refusal[..4].copy_from_slice(&length.to_ne_bytes());
        vec![refusal]
    };
    let mut tc = Connection::over(Scripted::new(script));
    let mut named = None;
    let mut batch = tc.pipeline(|_, outcome| {
        if let Err(Cause::Kernel(error)) = outcome {
            named = error.ext_ack.attribute;
        }
    });
    batch.push(Verb::Delete, &Request::qdisc(1).parent(Handle::ROOT)).unwrap();
    batch.push(Verb::Add, &Request::qdisc(1).parent(Handle::ROOT).kind("pfifo")).unwrap();
    batch.finish();
    assert_eq!(named.as_deref(), Some("TCA_KIND"));
}
