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
    lent: Option<Lent>,
}

/// A plug of `plug attach`, as it was.
#[derive(Debug)]
struct Lent {
    /// In its network namespace.
    tc: Connection,
    ifindex: i32,
    handle: Handle,
    limit_bytes: u32,
}

impl Started {
    /// Ends the session in order: all leaves. The plug is taken away, or given
    /// back as it was.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        let plugs = if self.lent.is_some() { Plugs::Leave } else { Plugs::Remove };
        self.output.detach(plugs).map_err(|error| error.to_string())?;
        match &mut self.lent {
            None => Ok(()),
            Some(Lent { tc, ifindex, handle, limit_bytes }) => {
                let plug = Plug::set_limit(*limit_bytes);
                let request = Request::qdisc(*ifindex).parent(Handle::ROOT).handle(*handle).options(&plug);
                let done = tc.apply_as_it_is(Verb::Change, &request);
                done.map(|_| ()).map_err(|error| format!("{error}; the network is open"))
            }
        }
    }
}

/// Attaches to the devices in the calling thread's network namespace. A plug of
/// `plug attach` is taken over and later given back, if it is the only device.
pub(super) fn start(
    name: &str,
    devs: &[&str],
    words: &ArgMatches,
    on_drop: OnDrop,
) -> Result<Started, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Own(format!("plug {name}: {error}"));
    let (on_taint, on_death) = words::the_policy(name, words)?;
    let journals = Journals::of(words);
    let plan =
        Plan::new(words::the_limit(words), on_taint, on_death).on_drop(on_drop).journal_dir(&journals.dir);
    let attached = claims(name, devs, &journals)?;
    let (plan, lent, _loan) = match (attached, devs) {
        (None, _) => (plan, None, None),
        (Some((tc, root, belief)), [_one]) => {
            let loan = Loan::of(&belief).map_err(|error| {
                failed(&format!("cannot copy {}: {error}; nothing was changed", belief.path.display()))
            })?;
            let limit_bytes = belief.journal.limit_bytes;
            let lent = Lent { tc, ifindex: root.ifindex, handle: root.handle, limit_bytes };
            (plan.adopt(&loan.0, Held::Release), Some(lent), Some(loan))
        }
        (Some(_), _) => {
            return Err(failed(
                &"of several devices none may have a plug of plug attach; nothing was changed",
            ));
        }
    };
    let output = OutputCommit::attach(devs, plan)
        .map_err(|error| Failure::own(format!("plug {name}: {error}"), &error))?;
    Ok(Started { output, lent })
}

/// Who has a claim to the devices' plugs: an error if it is a session, and the
/// journal of `plug attach` if it is that.
fn claims(
    name: &str,
    devs: &[&str],
    journals: &Journals,
) -> Result<Option<(Connection, Root, Belief)>, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Own(format!("plug {name}: {error}"));
    let untouched = |error: tc_core::Error| failed(&format!("{error}; nothing was changed"));
    let mut tc = Connection::open().map_err(untouched)?;
    let roots = Root::all(&mut tc)?;
    let mut attached = None;
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
            attached.get_or_insert((root.clone(), belief));
        }
    }
    Ok(attached.map(|(root, belief)| (tc, root, belief)))
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
