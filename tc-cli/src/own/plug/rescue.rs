//! `plug rescue`: what a dead controller left.

use std::time::Duration;

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command};
use serde_json::json;
use tc_qdiscs::plug::commit::{Error, Held, Left};

use super::place::{Belief, Journals, forget_gone};
use super::words;
use crate::failure::Failure;
use crate::output::say_done;
use crate::session::Session;

/// How long the devices have to send what is let go.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn words() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    Command::new("rescue")
        .about("Undo what a session left whose controller died; it concerns all devices of that session")
        .args([words::dev(), words::journal_dir()])
        .args([
            flag("drop", "Drop what is held, and take the plugs away"),
            flag("open", "Let all go; the plugs stay, open, as plug attach leaves them"),
            flag("release", "Let all go, and take the plugs away"),
        ])
        .group(ArgGroup::new("what").args(["drop", "open", "release"]).required(true))
}

pub(super) fn run(words: &ArgMatches, session: &mut Session<'_>) -> Result<(), Failure> {
    let (dev, journals) = (words::the_dev(words), Journals::of(words));
    let failed = |error: &dyn std::fmt::Display| Failure::Own(format!("plug rescue: {error}"));
    let denied = |error: Error| Failure::own(format!("plug rescue: {error}"), &error);
    // Of a device that is gone the journal knows the name.
    let ifindex = session.ifindex(dev);
    let (beliefs, _wrong) = journals.read()?;
    let names = |belief: &&Belief| {
        let mut devices = belief.journal.devices.iter();
        devices
            .any(|device| ifindex.as_ref().map_or(device.name == dev, |ifindex| device.ifindex == *ifindex))
    };
    let Some(belief) = beliefs.iter().find(|belief| !belief.attached && names(belief)) else {
        ifindex?;
        return Err(failed(&format!("no journal of a session names device {dev}; nothing was changed")));
    };
    let left = Left::read(&belief.path).map_err(|error| failed(&format!("{error}; nothing was changed")))?;
    let tc = &mut session.kernel()?.0.connection;
    let (done, devices) = if words.get_flag("open") {
        let opened = left.hand_over(tc, &journals.attached()).map_err(denied)?;
        forget_gone(&journals, tc)?;
        ("opened", opened)
    } else {
        let held = if words.get_flag("drop") { Held::Drop } else { Held::Release };
        let removed = left.remove(tc, held, PATIENCE).map_err(denied)?;
        forget_gone(&journals, tc)?;
        (if held == Held::Drop { "dropped" } else { "released" }, removed)
    };
    if session.globals.json {
        return say_done(&format!("{}\n", json!({ "done": done, "devices": devices })));
    }
    say_done(&format!("{done} on {devices} device(s); the network is open\n"))
}
