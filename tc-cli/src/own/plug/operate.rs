//! `plug buffer`, `release`, `open` and `limit`: one request each, to the plug of
//! `plug attach` and to nothing else.
//!
//! What the kernel makes of a request depends on those before it, and it tells
//! nobody: two `buffer` without a `release` between them mix two epochs up.
//! `plug commit` keeps account; these do not.

use clap::{ArgMatches, Command};
use tc_core::{Handle, Request, Verb};
use tc_qdiscs::plug::Plug;

use super::attach::report;
use super::place::{Journals, attached_plug};
use super::words;
use crate::failure::Failure;
use crate::session::Session;

pub(super) fn words() -> Vec<Command> {
    let command = |name, about| Command::new(name).about(about).args([words::dev(), words::journal_dir()]);
    vec![
        command("buffer", "End the epoch, and hold what comes next"),
        command("release", "Let the epoch go that ended last"),
        command("open", "Let all go, and hold no longer"),
        command("limit", "Set the most bytes held; what is held stays").arg(words::limit()),
    ]
}

pub(super) fn run(name: &str, words: &ArgMatches, session: &mut Session<'_>) -> Result<(), Failure> {
    let plug = match name {
        "buffer" => Plug::buffer(),
        "release" => Plug::release_one(),
        "open" => Plug::release_indefinite(),
        _ => Plug::set_limit(words::the_limit(words).get()),
    };
    let dev = words::the_dev(words);
    let (root, _belief) = attached_plug(name, dev, &Journals::of(words), session)?;
    // With its handle: the kernel refuses if another one has come meanwhile.
    let request = Request::qdisc(root.ifindex).parent(Handle::ROOT).handle(root.handle).options(&plug);
    let done = session.kernel()?.0.connection.apply_as_it_is(Verb::Change, &request);
    done.map_err(|error| {
        let unknown = error.is_outcome_unknown();
        let state = if unknown { "its outcome is not known" } else { "nothing was changed" };
        Failure::own(format!("plug {name}: {error}; {state}"), &error)
    })?;
    report(dev, session)
}
