//! Answers at their limits.

use super::exchange::SLOT;
use super::*;
use crate::handle::Handle;
use crate::request::Request;
use crate::scripted::{Script, Scripted, message, verdict};
use crate::uapi::{NLMSG_NOOP, NLMSG_OVERRUN, RTM_NEWQDISC};

/// Device 5's qdisc 1:, in the header alone.
const QDISC: [u8; 20] = {
    let mut header = [0; 20];
    [header[4], header[5], header[6], header[7]] = 5_i32.to_ne_bytes();
    [header[8], header[9], header[10], header[11]] = 0x10000_u32.to_ne_bytes();
    header
};

#[test]
fn a_message_that_says_nothing_is_no_object() {
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
}

#[test]
fn another_process_cannot_cut_the_answers_of_a_batch_short() {
    let mut tc = Connection::over(Scripted::new(|all| vec![verdict(&all[1], 0)]));
    tc.transport_mut().stranger = Some(SLOT + 1);
    let mut succeeded = 0;
    let mut batch = tc.batch(|_, outcome| succeeded += i32::from(outcome.is_ok()));
    for ifindex in 1..=2 {
        batch.push(Verb::Delete, &Request::qdisc(ifindex).parent(Handle::ROOT)).unwrap();
    }
    batch.finish();
    assert_eq!(succeeded, 2);
}

#[test]
fn the_attribute_at_fault_is_one_of_the_request_that_was_refused() {
    // Capped, and the attribute at byte 36: behind the header and tcmsg.
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
    let mut batch = tc.batch(|_, outcome| {
        if let Err(Cause::Kernel(error)) = outcome {
            named = error.ext_ack.attribute;
        }
    });
    batch.push(Verb::Delete, &Request::qdisc(1).parent(Handle::ROOT)).unwrap();
    batch.push(Verb::Add, &Request::qdisc(1).parent(Handle::ROOT).kind("pfifo")).unwrap();
    batch.finish();
    assert_eq!(named.as_deref(), Some("TCA_KIND"));
}
