//! Every error of plug prints its cause once: the text of no `source()` is in the text above it.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use tc_core::{Cause, DecodeError, EncodeError, Error as TcError, Handle};

use super::epoch::{Epoch, SessionId};
use super::{
    Error, GuardianError, JournalError, LimitError, NetnsId, NetworkState, State, Taint, TaintCause,
};
use crate::plug::CaptureError;
use crate::plug::place::{MatchError, PlaceError, Side};
use crate::plug::ring::DepthError;

fn io_error() -> io::Error {
    io::Error::other("the disk is full")
}

fn tc_error() -> TcError {
    TcError::new("add", "qdisc plug", Cause::Refused("it makes no sense".to_owned()))
}

fn name() -> String {
    "eth0".to_owned()
}

/// Each variant, and the number of those that the match below knows.
fn places() -> Vec<PlaceError> {
    let all = vec![
        PlaceError::DeviceIsIfb { device: name() },
        PlaceError::BondPort { device: name(), kind: "bond".to_owned() },
        PlaceError::NameTaken { name: name(), device: name() },
        PlaceError::ForeignFilter { device: name(), side: Side::Egress, priority: 1, kind: name() },
        PlaceError::OtherMatches { device: name(), side: Side::Egress },
        PlaceError::Match(MatchError::HasActions { kind: "flower" }),
        PlaceError::NoEgress { device: name() },
        PlaceError::NoModule { needed: "ifb".to_owned(), error: tc_error() },
        PlaceError::Tc(tc_error()),
        PlaceError::Left { cause: tc_error(), left: name() },
    ];
    let number = |error: &PlaceError| match error {
        PlaceError::DeviceIsIfb { .. } => 0,
        PlaceError::BondPort { .. } => 1,
        PlaceError::NameTaken { .. } => 2,
        PlaceError::ForeignFilter { .. } => 3,
        PlaceError::OtherMatches { .. } => 4,
        PlaceError::Match(_) => 5,
        PlaceError::NoEgress { .. } => 6,
        PlaceError::NoModule { .. } => 7,
        PlaceError::Tc(_) => 8,
        PlaceError::Left { .. } => 9,
    };
    assert!(all.iter().map(number).eq(0..all.len()));
    all
}

fn captures() -> Vec<CaptureError> {
    let all = vec![CaptureError::Tc(tc_error()), CaptureError::Left { cause: tc_error(), left: name() }];
    places().into_iter().map(CaptureError::Place).chain(all).collect()
}

fn guardians() -> Vec<GuardianError> {
    let all = vec![
        GuardianError::Start(io_error()),
        GuardianError::Silent(io_error()),
        GuardianError::Refused(name()),
        GuardianError::Gone,
    ];
    let number = |error: &GuardianError| match error {
        GuardianError::Start(_) => 0,
        GuardianError::Silent(_) => 1,
        GuardianError::Refused(_) => 2,
        GuardianError::Gone => 3,
    };
    assert!(all.iter().map(number).eq(0..all.len()));
    all
}

fn journals() -> Vec<JournalError> {
    let path = PathBuf::from("/x");
    let netns = NetnsId { boot: 1, inode: 2, cookie: None };
    let all = vec![
        JournalError::File { doing: "write", path: path.clone(), error: io_error() },
        JournalError::Version { path: path.clone(), head: name() },
        JournalError::Damaged { path: path.clone(), what: name() },
        JournalError::Alive { path: path.clone(), pid: 1 },
        JournalError::Namespace { path: path.clone(), netns },
        JournalError::Untrusted { path: path.clone(), what: name() },
        JournalError::Busy { path, waited: Duration::ZERO },
    ];
    let number = |error: &JournalError| match error {
        JournalError::File { .. } => 0,
        JournalError::Version { .. } => 1,
        JournalError::Damaged { .. } => 2,
        JournalError::Alive { .. } => 3,
        JournalError::Namespace { .. } => 4,
        JournalError::Untrusted { .. } => 5,
        JournalError::Busy { .. } => 6,
    };
    assert!(all.iter().map(number).eq(0..all.len()));
    all
}

fn sessions() -> Vec<Error> {
    let (network, journal) = (NetworkState::Held, PathBuf::from("/x"));
    let epoch = || Epoch::new(SessionId::next(), 3);
    let taint = Taint::new(name(), TaintCause::Unreadable(DecodeError::Short { need: 8, have: 4 }));
    let all = vec![
        Error::Devices(name()),
        Error::InUse { device: name(), pid: 1, journal: journal.clone() },
        Error::Orphaned { device: name(), pid: 1, journal },
        Error::ForeignRoot { device: name(), kind: name(), handle: Handle::qdisc(1) },
        Error::DeviceDown { device: name() },
        Error::QueuesUnwatched { device: name(), tx_queues: 2, error: io_error() },
        Error::LimitTooSmall { device: name(), limit: 1, least: 2 },
        Error::Tainted { taint, network },
        Error::EpochOutstanding { number: 3 },
        Error::OtherSession { epoch: epoch() },
        Error::AckOutOfOrder { epoch: epoch(), acknowledged: 4 },
        Error::RingFull { outstanding: 1, oldest: 2 },
        Error::ReleaseOutOfOrder { epoch: epoch(), oldest: 2 },
        Error::OtherDepth { device: name(), found: 2, wanted: 8 },
        Error::WrongState { doing: "close", state: State::Open, network },
        Error::StillDraining { device: name(), packets: 1, waited: Duration::ZERO },
        Error::Kernel { error: Box::new(tc_error()), network },
    ];
    let number = |error: &Error| match error {
        Error::Devices(_) => 0,
        Error::InUse { .. } => 1,
        Error::Orphaned { .. } => 2,
        Error::ForeignRoot { .. } => 3,
        Error::DeviceDown { .. } => 4,
        Error::QueuesUnwatched { .. } => 5,
        Error::LimitTooSmall { .. } => 6,
        Error::Tainted { .. } => 7,
        Error::EpochOutstanding { .. } => 8,
        Error::OtherSession { .. } => 9,
        Error::AckOutOfOrder { .. } => 10,
        Error::RingFull { .. } => 11,
        Error::ReleaseOutOfOrder { .. } => 12,
        Error::OtherDepth { .. } => 13,
        Error::WrongState { .. } => 14,
        Error::StillDraining { .. } => 15,
        Error::Kernel { .. } => 16,
        // Those of other types, below.
        Error::Place { .. } | Error::Guardian { .. } | Error::Journal { .. } => usize::MAX,
    };
    assert!(all.iter().map(number).eq(0..all.len()));
    let places = places().into_iter().map(|error| Error::Place { error: Box::new(error), network });
    let guardians = guardians().into_iter().map(|error| Error::Guardian { error, network });
    let journals = journals().into_iter().map(|error| Error::Journal { error, network });
    all.into_iter().chain(places).chain(guardians).chain(journals).collect()
}

#[test]
fn errors_when_walked_print_each_cause_once() {
    fn boxed<E: StdError + 'static>(error: E) -> Box<dyn StdError> {
        Box::new(error)
    }
    let unreadable = TaintCause::Unreadable(DecodeError::Short { need: 8, have: 4 });
    let others = [
        boxed(LimitError { bytes: 1 << 40 }),
        boxed(DepthError { bands: 17 }),
        boxed(unreadable),
        boxed(MatchError::NoActions { kind: name() }),
        boxed(MatchError::from(EncodeError::Invalid(name()))),
        boxed(TaintCause::Command { doing: "close", why: name() }),
    ];
    let all = sessions().into_iter().map(boxed).chain(places().into_iter().map(boxed));
    let all = all.chain(captures().into_iter().map(boxed)).chain(guardians().into_iter().map(boxed));
    let all: Vec<_> = all.chain(journals().into_iter().map(boxed)).chain(others).collect();
    assert!(all.len() > 60, "{} errors", all.len());
    for error in &all {
        let mut above = error.to_string();
        assert!(!above.is_empty());
        let mut next = error.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            assert!(!above.contains(&text), "{error}: its source {text:?} is in the text above it");
            (above, next) = (text, cause.source());
        }
    }
    // The causes are in the texts.
    let full = GuardianError::Start(io_error()).to_string();
    assert!(full.ends_with("the disk is full"), "{full}");
    assert!(sessions().iter().filter(|error| error.tc().is_some()).count() == 4);
}
