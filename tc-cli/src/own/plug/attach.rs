//! `plug attach` and `plug detach`: a plug that stands ready, open, for the
//! commands that hold.

use std::time::Duration;

use clap::{Arg, ArgMatches, Command};
use serde_json::json;
use tc_core::Handle;
use tc_qdiscs::plug::commit::{Held, Left, OnDeath, OnTaint, OutputCommit, Plan};

use super::place::{Journals, Root, attached_plug};
use super::words;
use crate::failure::Failure;
use crate::output::say_done;
use crate::session::Session;

/// How long a detach waits for the device to send what is let go.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn words_of_attach() -> Command {
    let read = |text: &str| match text.parse::<Handle>() {
        Ok(handle) if handle.minor() == 0 && handle.major() > 0 && handle.major() < 0xffff => Ok(handle),
        _ => Err("a handle such as c01:"),
    };
    let handle = Arg::new("handle").long("handle").value_name("HANDLE").value_parser(read);
    Command::new("attach")
        .about("Put a plug at the root of a device, and leave it open")
        .args([words::dev(), words::limit(), words::journal_dir()])
        .arg(handle.help("The plug's handle; the next one is kept as a spare").default_value("c01:"))
}

pub(super) fn words_of_detach() -> Command {
    Command::new("detach")
        .about("Let all go, and take the plug of plug attach away")
        .args([words::dev(), words::journal_dir()])
}

pub(super) fn attach(words: &ArgMatches, session: &mut Session<'_>) -> Result<(), Failure> {
    let (dev, journals) = (words::the_dev(words), Journals::of(words));
    session.ifindex(dev)?;
    let handle = words.get_one::<Handle>("handle").map_or(0xc01, |handle| handle.major());
    let plan = Plan::new(words::the_limit(words), OnTaint::FailClosed, OnDeath::StayClosed)
        .handles(handle, handle + 1)
        .journal_dir(journals.attached());
    let attached = OutputCommit::attach(&[dev], plan);
    // Dropped, it leaves plug and journal behind, which is the purpose.
    attached.map_err(|error| Failure::own(format!("plug attach: {error}"), &error))?;
    report(dev, session)
}

pub(super) fn detach(words: &ArgMatches, session: &mut Session<'_>) -> Result<(), Failure> {
    let (dev, journals) = (words::the_dev(words), Journals::of(words));
    let failed = |error: &dyn std::fmt::Display| Failure::Own(format!("plug detach: {error}"));
    let (_root, belief) = attached_plug("detach", dev, &journals, session)?;
    let left = Left::read(&belief.path).map_err(|error| failed(&format!("{error}; nothing was changed")))?;
    let tc = &mut session.kernel()?.0.connection;
    let removed = left.remove(tc, Held::Release, PATIENCE);
    removed.map_err(|error| Failure::own(format!("plug detach: {error}"), &error))?;
    if session.globals.json {
        say_done(&format!("{}\n", json!({ "dev": dev, "observed": null })))?;
    }
    Ok(())
}

/// With `-j`: what is there now.
pub(super) fn report(dev: &str, session: &mut Session<'_>) -> Result<(), Failure> {
    if !session.globals.json {
        return Ok(());
    }
    let ifindex = session.ifindex(dev)?;
    let root = Root::on(ifindex, &mut session.kernel()?.0.connection)?;
    say_done(&format!("{}\n", json!({ "dev": dev, "observed": root.map(|root| root.to_json()) })))
}
