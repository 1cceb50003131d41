//! The exchange, fed with datagrams.

use super::*;
use crate::exchange::request::Request;
use crate::wire::handle::Handle;
use crate::wire::message::Messages;
use crate::wire::verb::Verb;

const PORT: u32 = 7;
/// Room for a datagram.
const ROOM: usize = 256;

/// A message as the kernel sends it.
fn message(kind: u16, flags: u16, sequence: u32, port: u32, payload: &[u8]) -> Vec<u8> {
    let head = [
        &(16 + payload.len() as u32).to_ne_bytes()[..],
        &kind.to_ne_bytes(),
        &flags.to_ne_bytes(),
        &sequence.to_ne_bytes(),
        &port.to_ne_bytes(),
    ];
    [&head.concat(), payload].concat()
}

fn verdict(sequence: u32, errno: i32) -> Vec<u8> {
    message(NLMSG_ERROR, 0, sequence, PORT, &[&(-errno).to_ne_bytes()[..], &[0; 16]].concat())
}

fn done(sequence: u32, flags: u16, errno: i32) -> Vec<u8> {
    message(NLMSG_DONE, flags, sequence, PORT, &(-errno).to_ne_bytes())
}

/// A qdisc of this device.
fn object(sequence: u32, flags: u16, ifindex: i32) -> Vec<u8> {
    message(RTM_NEWQDISC, flags, sequence, PORT, &[&[0; 4][..], &ifindex.to_ne_bytes(), &[0; 12]].concat())
}

/// An exchange with the buffer of its driver.
struct Fed {
    exchange: Exchange,
    buffer: Vec<u8>,
    behind: usize,
}

impl Fed {
    /// One request, with the sequence number 1.
    fn one(expected: Expected) -> Self {
        let mut exchange = Exchange::new();
        let root = Request::qdisc(2).parent(Handle::ROOT).kind("pfifo");
        exchange.begin(PORT, expected, |sequence, buffer| root.encode(Verb::Add, sequence, buffer)).unwrap();
        Self { exchange, buffer: vec![0; ROOM], behind: 0 }
    }

    fn list(ifindex: i32) -> Self {
        let mut exchange = Exchange::new();
        exchange.begin_list(PORT, &DumpRequest::qdiscs().device(ifindex)).unwrap();
        Self { exchange, buffer: vec![0; ROOM], behind: 0 }
    }

    /// Requests with the sequence numbers from 1 on.
    fn many(count: usize, expected: Expected) -> Self {
        let mut exchange = Exchange::new();
        exchange.begin_many(PORT, 16);
        let root = Request::qdisc(2).parent(Handle::ROOT);
        for index in 0..count {
            exchange.push(|sequence, buffer| root.encode(Verb::Delete, sequence, buffer)).unwrap();
            assert_eq!(exchange.count(), index + 1);
        }
        exchange.set_expected(expected);
        Self { exchange, buffer: vec![0; ROOM], behind: 0 }
    }

    /// The sequence numbers of the messages to be sent.
    fn sequences(&self) -> Vec<u32> {
        Messages::new(self.exchange.bytes()).map(|message| message.unwrap().sequence).collect()
    }

    /// Feeds one datagram, and returns the steps that follow, a word each.
    fn feed(&mut self, datagram: &[u8]) -> String {
        self.feed_from(0, datagram.len(), datagram)
    }

    fn feed_from(&mut self, sender: u32, length: usize, datagram: &[u8]) -> String {
        let fits = datagram.len().min(ROOM - self.behind);
        self.buffer[self.behind..][..fits].copy_from_slice(&datagram[..fits]);
        let received = Received { length, sender };
        match self.exchange.received(self.behind, ROOM - self.behind, received) {
            Ok(()) => self.steps(),
            Err(cause) => format!("{cause:?}"),
        }
    }

    fn feed_many(&mut self, datagrams: &[Vec<u8>]) -> String {
        let share = ROOM / datagrams.len();
        for (slot, datagram) in datagrams.iter().enumerate() {
            self.buffer[slot * share..][..datagram.len()].copy_from_slice(datagram);
        }
        let received: Vec<_> =
            datagrams.iter().map(|one| Received { length: one.len(), sender: 0 }).collect();
        match self.exchange.received_many(share, &received) {
            Ok(()) => self.steps(),
            Err(cause) => format!("{cause:?}"),
        }
    }

    fn steps(&mut self) -> String {
        let mut told = Vec::new();
        loop {
            told.push(match self.exchange.next(&self.buffer) {
                Ok(Next::Receive { behind, .. }) => {
                    self.behind = behind;
                    return told.join(" ");
                }
                Ok(Next::Send) => format!("send {:?}", self.sequences()),
                Ok(Next::Step(Step::Object(index, place))) => {
                    let payload = place.message(&self.buffer).payload;
                    let ifindex = i32::from_ne_bytes(payload[4..8].try_into().unwrap());
                    format!("object {index}: {ifindex}")
                }
                Ok(Next::Step(Step::Verdict(index, Ok(_)))) => format!("ok {index}"),
                Ok(Next::Step(Step::Verdict(index, Err(error)))) => format!("errno {index}: {}", error.errno),
                Ok(Next::Step(Step::Succeeded(before))) => format!("all before {before}"),
                Ok(Next::Step(Step::End)) => {
                    told.push("end".into());
                    return told.join(" ");
                }
                Err(cause) => {
                    told.push(format!("{cause:?}"));
                    return told.join(" ");
                }
            });
        }
    }
}

#[test]
fn one_request_has_one_verdict() {
    let mut fed = Fed::one(Expected::Verdict);
    assert_eq!(fed.sequences(), [1]);
    assert_eq!(fed.steps(), "", "nothing came yet");
    assert_eq!(fed.feed(&[object(1, 0, 2), verdict(1, 17)].concat()), "object 0: 2 errno 0: 17 end");
    // Doubled: after the outcome nothing counts.
    assert_eq!(fed.feed(&verdict(1, 0)), "end");
}

#[test]
fn answers_to_others_are_passed_over() {
    let mut fed = Fed::one(Expected::Verdict);
    assert_eq!(fed.feed_from(99, 36, &verdict(1, 0)), "", "another process");
    assert_eq!(fed.feed_from(99, ROOM + 1, &verdict(1, 0)), "", "a long one of another process");
    assert_eq!(fed.feed(&verdict(0, 0)), "", "the sequence number before");
    assert_eq!(fed.feed(&verdict(2, 0)), "", "the sequence number behind");
    assert_eq!(fed.feed(&message(NLMSG_ERROR, 0, 1, 8, &[0; 20])), "", "another port");
    assert_eq!(fed.feed(&message(NLMSG_NOOP, 0, 1, PORT, &[0; 20])), "");
    assert_eq!(fed.feed(&message(NLMSG_OVERRUN, 0, 1, PORT, &[])), "", "an overrun is no answer");
    assert_eq!(fed.feed(&[]), "");
    assert_eq!(fed.feed(&verdict(1, 0)), "ok 0 end");
}

#[test]
fn a_late_answer_is_not_the_next_requests() {
    let mut fed = Fed::one(Expected::Verdict);
    fed.exchange.stop();
    assert_eq!(fed.feed(&verdict(1, 0)), "end", "it was given up");
    let root = Request::qdisc(2).parent(Handle::ROOT);
    let encode = |sequence, buffer: &mut BytesMut| root.encode(Verb::Delete, sequence, buffer);
    fed.exchange.begin(PORT, Expected::Verdict, encode).unwrap();
    assert_eq!(fed.feed(&verdict(1, 0)), "");
    assert_eq!(fed.feed(&verdict(2, 2)), "errno 0: 2 end");
}

#[test]
fn a_datagram_cut_short_or_unreadable_is_an_error() {
    let mut fed = Fed::one(Expected::Verdict);
    assert!(fed.feed_from(0, ROOM + 1, &verdict(1, 0)).starts_with("AnswerLost"));
    let mut lying = verdict(1, 0);
    lying[0] += 1;
    assert!(fed.feed(&lying).starts_with("Decode"), "{lying:?}");
    let short = message(NLMSG_ERROR, 0, 1, PORT, &[0; 3]);
    assert!(fed.feed(&short).starts_with("Decode"));
    // What just fits is whole.
    let mut fed = Fed::one(Expected::Verdict);
    let payload = vec![0; ROOM - 16];
    assert_eq!(fed.feed(&message(NLMSG_ERROR, 0, 1, PORT, &payload)), "ok 0 end");
}

#[test]
fn an_object_stays_while_its_verdict_is_awaited() {
    let mut fed = Fed::one(Expected::ObjectAndVerdict(None));
    assert_eq!(fed.feed(&object(1, 0, 5)), "");
    assert_eq!(fed.behind, 36);
    assert_eq!(fed.feed(&object(1, 0, 6)), "", "one that comes again");
    assert_eq!(fed.behind, 36);
    assert_eq!(fed.feed(&verdict(1, 0)), "object 0: 5 end");
    for (datagram, told) in [
        (verdict(1, 0), "ok 0 end"),
        (verdict(1, 2), "errno 0: 2 end"),
        ([object(1, 0, 5), verdict(1, 22)].concat(), "errno 0: 22 end"),
        ([object(1, 0, 5), verdict(1, 0)].concat(), "object 0: 5 end"),
    ] {
        assert_eq!(Fed::one(Expected::ObjectAndVerdict(None)).feed(&datagram), told);
    }
    assert_eq!(Fed::one(Expected::Object).feed(&object(1, 0, 5)), "object 0: 5 end");
    assert_eq!(Fed::one(Expected::Object).feed(&verdict(1, 19)), "errno 0: 19 end");
}

#[test]
fn a_list_ends_with_done() {
    let mut fed = Fed::list(0);
    assert_eq!(fed.feed(&[object(1, 0, 1), object(1, 0, 2)].concat()), "object 0: 1 object 0: 2");
    assert_eq!(fed.feed(&[object(9, 0, 1), object(1, 0, 3)].concat()), "object 0: 3");
    assert_eq!(fed.feed(&done(1, 0, 0)), "end");
    assert_eq!(fed.exchange.pieces(), 2);
    // Those of another device are passed over, and the limit of time starts again.
    let mut fed = Fed::list(2);
    let Next::Receive { progress, .. } = fed.exchange.next(&fed.buffer).unwrap() else { panic!() };
    assert!(!progress);
    fed.buffer[..36].copy_from_slice(&object(1, 0, 3));
    fed.exchange.received(0, ROOM, Received { length: 36, sender: 0 }).unwrap();
    let Next::Receive { progress, .. } = fed.exchange.next(&fed.buffer).unwrap() else { panic!() };
    assert!(progress);
    assert_eq!(fed.feed(&[object(1, 0, 2), done(1, 0, 0)].concat()), "object 0: 2 end");
}

#[test]
fn a_list_that_fails_or_changes_is_an_error() {
    assert_eq!(Fed::list(0).feed(&[object(1, 0, 1), done(1, 0, 5)].concat()), "object 0: 1 errno 0: 5 end");
    assert_eq!(Fed::list(0).feed(&verdict(1, 1)), "errno 0: 1 end");
    for datagrams in
        [[object(1, NLM_F_DUMP_INTR, 1), done(1, 0, 0)], [object(1, 0, 1), done(1, NLM_F_DUMP_INTR, 0)]]
    {
        assert_eq!(Fed::list(0).feed(&datagrams.concat()), "object 0: 1 Interrupted(1)");
    }
    // The end without its number.
    assert!(Fed::list(0).feed(&message(NLMSG_DONE, 0, 1, PORT, &[])).starts_with("Decode"));
}

#[test]
fn a_list_behind_an_abandoned_one_is_asked_for_again() {
    let mut fed = Fed::list(0);
    fed.feed(&object(1, 0, 1));
    fed.exchange.begin_list(PORT, &DumpRequest::qdiscs()).unwrap();
    // The next part of the old one, then the refusal of a second list at once.
    assert_eq!(fed.feed(&object(1, 0, 2)), "");
    assert_eq!(fed.feed(&verdict(2, libc::EBUSY)), "send [3]");
    assert_eq!(fed.feed(&[done(1, 0, 0), object(3, 0, 1), done(3, 0, 0)].concat()), "object 0: 1 end");
    // The end of a list can be that error too.
    assert_eq!(Fed::list(0).feed(&done(1, 0, libc::EBUSY)), "errno 0: 16 end");
}

#[test]
fn each_request_of_a_datagram_has_its_outcome_once() {
    let mut fed = Fed::many(3, Expected::Each(0b111));
    assert_eq!(fed.sequences(), [1, 2, 3]);
    let answers = [verdict(2, 2), object(1, 0, 4), verdict(2, 0), verdict(4, 0)];
    assert_eq!(fed.feed_many(&answers), "errno 1: 2 object 0: 4");
    assert_eq!(fed.exchange.open().collect::<Vec<_>>(), [2]);
    let wrong = Received { length: ROOM / 2 + 1, sender: 0 };
    assert!(fed.exchange.received_many(ROOM / 2, &[wrong]).is_err());
    assert_eq!(fed.feed(&verdict(3, 0)), "ok 2 end");
    assert_eq!(fed.exchange.open().count(), 0);
}

#[test]
fn requests_before_a_failure_succeeded() {
    let mut fed = Fed::many(6, Expected::Failures(0));
    // Doubled, and an object, which is no outcome.
    let answers = [verdict(3, 2), verdict(3, 2), object(4, 0, 1), verdict(2, 0)];
    assert_eq!(fed.feed_many(&answers), "all before 2 errno 2: 2");
    assert_eq!(fed.feed(&verdict(4, 1)), "errno 3: 1");
    assert_eq!(fed.feed(&verdict(6, 0)), "all before 5 ok 5 end");
}

#[test]
fn a_request_that_cannot_be_written_awaits_nothing() {
    let mut fed = Fed::many(1, Expected::Each(1));
    let refused = |_: u32, buffer: &mut BytesMut| {
        buffer.extend_from_slice(&[1; 40]);
        Err(EncodeError::Invalid("no".into()))
    };
    fed.exchange.push(refused).unwrap_err();
    assert_eq!(fed.sequences(), [1]);
    fed.exchange.begin(PORT, Expected::Verdict, refused).unwrap_err();
    assert_eq!(fed.feed(&verdict(2, 0)), "end");
}
