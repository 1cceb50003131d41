//! `plug buffer`, `release`, `open`, `drop` and `limit`: operations on the plug
//! of `plug attach` and on nothing else.
//!
//! The effect of a request depends on those before it, and the kernel reports
//! none of that: two `buffer` without a `release` between them mix two epochs
//! up. `plug commit` keeps account of epochs. These commands record mode and
//! limit alone, for `hold` and `commit`, which refuse a plug that is buffering.

use std::fmt::Display;
use std::num::NonZeroU32;

use clap::{ArgMatches, Command};
use serde_json::json;
use tc_core::{Handle, Request, Verb};
use tc_qdiscs::plug::Plug;
use tc_qdiscs::plug::commit::{Limit, NetworkState, OrphanedSession};

use super::attach::report;
use super::kept::{Kept, Mode};
use super::root_qdisc::{JournalRecord, Journals, Root, attached_plug};
use super::words;
use crate::context::failure::{Failure, reason};
use crate::context::output::say_done;
use crate::context::session::Session;

pub(super) fn words() -> Vec<Command> {
    let command = |name, about| Command::new(name).about(about).args([words::dev(), words::journal_dir()]);
    vec![
        command("buffer", "End the epoch, and hold what is sent next"),
        command("release", "Release the epoch that ended last"),
        command("open", "Release all held packets, and hold no longer"),
        command("drop", "Drop all held packets, then open; reports how many were dropped").after_help(
            "No packet that was held leaves: a new, empty plug replaces the old one and is then opened.\n\
             Packets that are sent during the replacement are dropped too, and not counted.",
        ),
        command("limit", "Set the most bytes held; held packets stay").arg(words::limit()),
    ]
}

pub(super) fn run(name: &str, words: &ArgMatches, session: &mut Session<'_>) -> Result<(), Failure> {
    let (dev, journals) = (words::the_dev(words), Journals::of(words));
    let _lock = journals.lock(name)?;
    let (root, record) = attached_plug(name, dev, &journals, session)?;
    if root.is_prio() {
        return on_ring(name, words, dev, &record, session);
    }
    let kept = record.kept;
    let (plug, after) = match name {
        "buffer" => (Plug::buffer(), Kept { mode: Mode::Buffering, ..kept }),
        "release" => (Plug::release_one(), kept),
        "open" => (Plug::release_indefinite(), Kept { mode: Mode::Open, ..kept }),
        "drop" => return drop_held(dev, &record, session),
        _ => {
            let limit = words::the_limit(words).get();
            (Plug::set_limit(limit), Kept { limit_bytes: Some(limit), ..kept })
        }
    };
    // Before the plug holds: whoever finds it must not take it for open.
    if name == "buffer" {
        write_mode(name, after, &record, &NetworkState::Untouched)?;
    }
    // With its handle: the kernel refuses if another one has come meanwhile.
    let request = Request::qdisc(root.ifindex).parent(Handle::ROOT).handle(root.handle).options(&plug);
    if let Err(error) = session.kernel()?.0.connection.apply_as_it_is(Verb::Change, &request) {
        let unknown = error.is_outcome_unknown();
        if name == "buffer" && !unknown {
            // A record of a plug that does not hold only makes hold refuse.
            let _stays = kept.write(&record.path);
        }
        let state = if unknown { "its outcome is not known" } else { "nothing was changed" };
        return Err(Failure::own(format!("plug {name}: {error}; {state}"), Some(&error)));
    }
    if after != kept && name != "buffer" {
        let done = if name == "open" { "the network is open" } else { "the limit is set" };
        write_mode(name, after, &record, &done)?;
    }
    report(dev, session)
}

/// `buffer` holds, without epochs: those need an account that no command keeps.
fn on_ring(
    name: &str,
    words: &ArgMatches,
    dev: &str,
    record: &JournalRecord,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let failed = |error: &dyn Display| Failure::Extension(format!("plug {name}: {error}"));
    let refused = |why: &str| failed(&format!("device {dev} has a ring: {why}; nothing was changed"));
    let kept = record.kept;
    let limit = words.try_get_one::<Limit>("limit").ok().flatten().copied();
    let after = match name {
        "release" => {
            return Err(refused("plug open releases all, and plug commit keeps account of epochs"));
        }
        "buffer" if kept.mode != Mode::Open => return Err(refused("it may hold already, see plug open")),
        "drop" => return drop_held(dev, record, session),
        "buffer" => Kept { mode: Mode::Buffering, ..kept },
        "open" => Kept { mode: Mode::Open, ..kept },
        _ => Kept { limit_bytes: limit.map(Limit::get).or(kept.limit_bytes), ..kept },
    };
    let ring = OrphanedSession::read(&record.path);
    let ring = ring.map_err(|error| failed(&format!("{error}; nothing was changed")))?;
    // Before the ring holds: whoever finds it must not take it for open.
    if name == "buffer" {
        write_mode(name, after, record, &NetworkState::Untouched)?;
    }
    let tc = &mut session.kernel()?.0.connection;
    let done = match (name, limit) {
        ("buffer", _) => ring.hold_rings(tc),
        ("open", _) => ring.open(tc),
        (_, Some(limit)) => ring.limit_rings(tc, limit),
        (_, None) => Ok(0),
    };
    let rings = done.map_err(|error| Failure::own(format!("plug {name}: {error}"), error.tc()))?;
    if rings == 0 {
        return Err(failed(&format!("device {dev}: the ring is gone; nothing was changed")));
    }
    if name != "buffer" && after != kept {
        let done = if name == "open" { "the network is open" } else { "the limit is set" };
        write_mode(name, after, record, &done)?;
    }
    report(dev, session)
}

fn drop_held(dev: &str, record: &JournalRecord, session: &mut Session<'_>) -> Result<(), Failure> {
    let failed = |error: &dyn Display| Failure::Extension(format!("plug drop: {error}"));
    let left = OrphanedSession::read(&record.path)
        .map_err(|error| failed(&format!("{error}; nothing was changed")))?;
    let limit = NonZeroU32::new(record.limit_bytes()).map(Limit::bytes);
    let limit = limit.ok_or_else(|| failed(&"its journal names a limit of 0; nothing was changed"))?;
    write_mode("drop", Kept { mode: Mode::Buffering, ..record.kept }, record, &NetworkState::Untouched)?;
    let tc = &mut session.kernel()?.0.connection;
    let dropped = left.drop_held(tc, limit).map_err(|error| {
        if error.network() == NetworkState::Untouched {
            let _stays = record.kept.write(&record.path);
        }
        Failure::own(format!("plug drop: {error}"), error.tc())
    })?;
    if dropped.devices == 0 {
        return Err(failed(&format!("device {dev}: the plug is gone; nothing was changed")));
    }
    write_mode("drop", Kept { mode: Mode::Open, ..record.kept }, record, &NetworkState::Open)?;
    let (packets, bytes) = (dropped.packets, dropped.bytes);
    if session.globals.json {
        let ifindex = session.ifindex(dev)?;
        let root = Root::on(ifindex, &mut session.kernel()?.0.connection)?;
        let observed = root.map(|root| root.to_json());
        let done =
            json!({ "dev": dev, "dropped_packets": packets, "dropped_bytes": bytes, "observed": observed });
        return say_done(&format!("{done}\n"));
    }
    say_done(&format!("dropped {packets} packets, {bytes} bytes; the network is open\n"))
}

fn write_mode(name: &str, kept: Kept, record: &JournalRecord, state: &dyn Display) -> Result<(), Failure> {
    kept.write(&record.path).map_err(|error| {
        let (journal, why) = (record.path.display(), reason(&error));
        Failure::System(format!("plug {name}: cannot record mode and limit beside {journal}: {why}; {state}"))
    })
}
