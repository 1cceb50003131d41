//! How `plug hold` and `plug commit` get their session.

use std::fs;
use std::path::PathBuf;

use clap::ArgMatches;
use tc_core::{Connection, Handle, Request, Verb};
use tc_qdiscs::plug::Plug;
use tc_qdiscs::plug::commit::{Error, Held, OnDrop, OutputCommit, Plan, Plugs};

use super::place::{Belief, Journals, Root};
use super::words;
use crate::failure::Failure;

/// A session, and what becomes of its plugs in the end.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) output: OutputCommit,
    /// In the devices' network namespace.
    tc: Connection,
    /// The journals of plugs of `plug attach`, as they were.
    lent: Vec<Belief>,
}

impl Started {
    /// Ends the session in order: all leaves. The plugs are taken away; those of
    /// `plug attach` are given back as they were.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        self.output.detach(Plugs::GiveBack).map_err(|error| error.to_string())?;
        let open = |why: String| format!("{why}; the network is open");
        let roots = if self.lent.is_empty() { Vec::new() } else { self.roots().map_err(open)? };
        for belief in &self.lent {
            // Its handle is the spare one, if what it held had to be dropped.
            let ours = |root: &&Root| root.kind == "plug" && belief.names(root.ifindex, root.handle);
            let Some(root) = roots.iter().find(ours) else { continue };
            let plug = Plug::set_limit(belief.journal.limit_bytes);
            let request = Request::qdisc(root.ifindex).parent(Handle::ROOT).handle(root.handle);
            let done = self.tc.apply_as_it_is(Verb::Change, &request.options(&plug));
            done.map_err(|error| open(error.to_string()))?;
        }
        Ok(())
    }

    fn roots(&mut self) -> Result<Vec<Root>, String> {
        Root::all(&mut self.tc).map_err(|failure| failure.to_string())
    }
}

/// Attaches to the devices in the calling thread's network namespace. A plug of
/// `plug attach` is taken over, and later given back.
pub(super) fn start(
    name: &str,
    devs: &[&str],
    words: &ArgMatches,
    on_drop: OnDrop,
) -> Result<Started, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Own(format!("plug {name}: {error}"));
    let (on_taint, on_death) = words::the_policy(name, words)?;
    let journals = Journals::of(words);
    let mut plan =
        Plan::new(words::the_limit(words), on_taint, on_death).on_drop(on_drop).journal_dir(&journals.dir);
    let (tc, lent) = claims(name, devs, &journals)?;
    let mut loans = Vec::with_capacity(lent.len());
    for belief in &lent {
        let loan = Loan::of(belief).map_err(|error| {
            failed(&format!("cannot copy {}: {error}; nothing was changed", belief.path.display()))
        })?;
        plan = plan.adopt(&loan.0, Held::Release);
        loans.push(loan);
    }
    let output = OutputCommit::attach(devs, plan)
        .map_err(|error| Failure::own(format!("plug {name}: {error}"), &error))?;
    Ok(Started { output, tc, lent })
}

/// Who has a claim to the devices' plugs: an error if it is a session, and the
/// journals of `plug attach` if it is that.
fn claims(name: &str, devs: &[&str], journals: &Journals) -> Result<(Connection, Vec<Belief>), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Own(format!("plug {name}: {error}"));
    let untouched = |error: tc_core::Error| failed(&format!("{error}; nothing was changed"));
    let mut tc = Connection::open().map_err(untouched)?;
    let roots = Root::all(&mut tc)?;
    let mut attached: Vec<Belief> = Vec::new();
    for dev in devs {
        let ifindex = tc.ifindex(dev).map_err(untouched)?;
        let Some(root) = roots.iter().find(|root| root.ifindex == ifindex && root.kind == "plug") else {
            continue;
        };
        for belief in journals.naming(root)? {
            let pid = belief.journal.controller.pid;
            if belief.is_alive() {
                return Err(failed(&Error::Devices(format!("process {pid} has device {dev} in a session"))));
            } else if !belief.attached {
                let left = format!("device {dev} was left by process {pid}, which died: see plug rescue");
                return Err(failed(&Error::Devices(left)));
            }
            if attached.iter().all(|other| other.path != belief.path) {
                attached.push(belief);
            }
        }
    }
    Ok((tc, attached))
}

/// A copy of the journal of `plug attach`: a session that takes over takes the
/// journal away, and the plug is to be given back.
struct Loan(PathBuf);

impl Loan {
    fn of(belief: &Belief) -> std::io::Result<Self> {
        let copy = belief.path.with_extension(format!("{}.loan", std::process::id()));
        fs::copy(&belief.path, &copy)?;
        Ok(Self(copy))
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        // The session has done it, unless it failed.
        let _gone = fs::remove_file(&self.0);
    }
}
