//! `plug commit`: output commit for scripts that take checkpoints.
//!
//! It reads orders from standard input, one a line, and answers each with one
//! line: `ok I held=PACKETS bytes=BYTES drops=PACKETS`, or `err` and why, ending
//! with the state of the network. `held` and `bytes` are what all plugs hold as
//! the kernel answers, `drops` what did not fit since they were attached.
//!
//! - `begin I`: epoch I begins. The first one starts to hold; each other one has
//!   the next number and closes the one before.
//! - `ack I`: the backup has what ends epoch I; it is closed, and leaves.
//! - `status`: looks whether the queues can still be trusted.
//! - `abort`: the policy for queues that cannot be trusted: with `--on-death
//!   closed` what is held is dropped and output stays held, with `open` all
//!   leaves. The next `begin` starts anew.
//! - `quit`: all that is held leaves (with everything acknowledged that was
//!   closed), and the plugs are deleted.
//!
//! A tainted queue triggers that policy at once, and the reply to the next order
//! reports it.
//!
//! A device may have a plug of `plug attach`: it is given back in the end.
//!
//! An order that would let uncommitted output go is an `err` and changes
//! nothing. So is a line that is not exactly one order: one that is longer than
//! 255 bytes, lacks its end, has other bytes than the words of an order with
//! blanks or tabs, or a number with a sign, leading zeros or more than 64 bits.
//!
//! The end of standard input without `quit` has the effect of the death of this
//! process: `--on-death` decides.

mod epochs;
mod lines;

use clap::{ArgMatches, Command};
use serde_json::json;
use tc_qdiscs::plug::commit::{Counts, OnDrop};

use super::place::{self, Placement};
use super::start::start;
use super::words;
use crate::context::failure::Failure;
use crate::context::output::say;
use crate::context::session::Session;
use epochs::{Epochs, Order};
use lines::{Line, Lines};

pub(super) fn words() -> Command {
    Command::new("commit")
        .about("Output commit for checkpoint scripts: reads orders, a line each (begin, ack, status, abort, quit)")
        .after_help(
            "Orders: begin I | ack I | status | abort | quit\n\
             Answers: ok I held=PACKETS bytes=BYTES drops=PACKETS, or err and why\n\n\
             A line that is not exactly one order is answered with err and changes nothing. I is a decimal number\n\
             without a sign or leading zeros. The end of standard input without quit has the effect of the death\n\
             of this program: --on-death decides.\n\n\
             A plug of plug attach that is buffering is refused: plug open or plug drop it first.",
        )
        .args([words::devs(), words::max_hold(), words::on_death(), words::journal_dir()])
        .args(words::limits())
        .args(place::words())
}

pub(super) fn run(words: &ArgMatches, session: &mut Session<'_>) -> Result<(), Failure> {
    let has = |word: &str| words.get_one::<String>("on-death").is_some_and(|death| death == word);
    if has("closed") && words.contains_id("max-hold") {
        return Err(Failure::Words(
            "plug commit: --max-hold is for --on-death open; nothing was changed".into(),
        ));
    }
    let placement = Placement::of("commit", words, session)?;
    let started = start("commit", &words::the_devs(words), words, &placement, OnDrop::Taint)?;
    started.report_stale("commit", session.report);
    let mut epochs = Epochs::new(started);
    // Also after a closed pipe: the state of the network must be reported.
    converse(&mut epochs, session)
        .map_err(|why| Failure::Extension(format!("plug commit: {why}; {}", epochs.die())))
}

/// Answers orders until one ends it; the error is the reason for another end.
fn converse(epochs: &mut Epochs, session: &Session<'_>) -> Result<(), String> {
    let unreadable = |error| format!("cannot read orders: {error}");
    let mut lines = Lines::of_standard_input().map_err(unreadable)?;
    while let Some(line) = lines.next(epochs, session.report).map_err(unreadable)? {
        let order = match &line {
            Line::Whole(line) => Order::read(line).ok_or_else(|| refused(line, "is not one order")),
            Line::TooLong(line) => Err(refused(line, "is too long for an order")),
            Line::Unfinished(line) => Err(refused(line, "has no end of line")),
        };
        let order = order.map_err(|why| format!("{why}; nothing was changed"));
        let done = order.clone().and_then(|order| epochs.obey(order));
        let ended = order == Ok(Order::Quit) && done.is_ok();
        answer(done, session).map_err(|failure| failure.to_string())?;
        if ended {
            return Ok(());
        }
    }
    Err("standard input ended without quit".to_owned())
}

/// The start of a line that is not obeyed, and why.
fn refused(line: &[u8], why: &str) -> String {
    const SHOWN: usize = 64;
    let shown = line.get(..SHOWN).unwrap_or(line).escape_ascii();
    let more = if line.len() > SHOWN { "..." } else { "" };
    format!("\"{shown}\"{more} {why}")
}

fn answer(done: Result<(u64, Counts), String>, session: &Session<'_>) -> Result<(), Failure> {
    let line = match (done, session.globals.json) {
        (Ok((epoch, counts)), false) => format!(
            "ok {epoch} held={} bytes={} drops={}\n",
            counts.held_packets, counts.held_bytes, counts.dropped_packets
        ),
        (Ok((epoch, counts)), true) => format!(
            "{}\n",
            json!({
                "ok": epoch, "held": counts.held_packets, "bytes": counts.held_bytes,
                "drops": counts.dropped_packets,
            })
        ),
        (Err(why), false) => format!("err {}\n", why.replace('\n', " ")),
        (Err(why), true) => format!("{}\n", json!({ "err": why })),
    };
    say(&line)
}
