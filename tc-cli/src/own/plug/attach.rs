//! `plug attach` and `plug detach`: an open plug for the commands that hold.

use std::time::Duration;

use clap::{Arg, ArgMatches, Command};
use serde_json::json;
use tc_core::Handle;
use tc_qdiscs::plug::commit::{Held, Left, OnDeath, OnTaint, OutputCommit, Plan};

use super::kept::Kept;
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
        .about("Put a plug at the root of a device and leave it open")
        .args([words::dev(), words::limit(), words::journal_dir()])
        .arg(handle.help("The plug's handle; the next one is kept as a spare").default_value("c01:"))
}

pub(super) fn words_of_detach() -> Command {
    Command::new("detach")
        .about("Release all held packets and remove the plug of plug attach")
        .args([words::dev(), words::journal_dir()])
}

pub(super) fn attach(words: &ArgMatches, session: &mut Session<'_>) -> Result<(), Failure> {
    let (dev, journals) = (words::the_dev(words), Journals::of(words));
    session.ifindex(dev)?;
    let _lock = journals.lock("attach")?;
    let handle = words.get_one::<Handle>("handle").map_or(0xc01, |handle| handle.major());
    let plan = Plan::new(words::the_limit(words), OnTaint::FailClosed, OnDeath::StayClosed)
        .handles(handle, handle + 1)
        .journal_dir(journals.attached());
    let attached = OutputCommit::attach(&[dev], plan);
    // Dropped, it leaves plug and journal behind, which is the purpose.
    attached.map_err(|error| Failure::own(format!("plug attach: {error}"), &error))?;
    forget_record(dev, &journals, session)?;
    report(dev, session)
}

pub(super) fn detach(words: &ArgMatches, session: &mut Session<'_>) -> Result<(), Failure> {
    let (dev, journals) = (words::the_dev(words), Journals::of(words));
    let failed = |error: &dyn std::fmt::Display| Failure::Own(format!("plug detach: {error}"));
    let _lock = journals.lock("detach")?;
    let (_root, belief) = attached_plug("detach", dev, &journals, session)?;
    let left = Left::read(&belief.path).map_err(|error| failed(&format!("{error}; nothing was changed")))?;
    let tc = &mut session.kernel()?.0.connection;
    let removed = left.remove(tc, Held::Release, PATIENCE);
    removed.map_err(|error| Failure::own(format!("plug detach: {error}"), &error))?;
    // One that stays is replaced by the next attach.
    let _stays = Kept::forget(&belief.path);
    if session.globals.json {
        say_done(&format!("{}\n", json!({ "dev": dev, "observed": null })))?;
    }
    Ok(())
}

/// A record of an earlier plug says nothing of the new one, which is open.
fn forget_record(dev: &str, journals: &Journals, session: &mut Session<'_>) -> Result<(), Failure> {
    let ifindex = session.ifindex(dev)?;
    let Some(root) = Root::on(ifindex, &mut session.kernel()?.0.connection)? else { return Ok(()) };
    for belief in journals.naming(&root)?.iter().filter(|belief| belief.attached) {
        Kept::forget(&belief.path).map_err(|error| {
            let journal = belief.path.display();
            Failure::System(format!(
                "plug attach: cannot delete an old record beside {journal}: {error}; the network is open"
            ))
        })?;
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
