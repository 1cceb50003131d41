//! `plug status`: what the kernel shows, and apart from it what journals say.

use clap::{ArgMatches, Command};
use serde_json::{Value, json};

use super::place::{Belief, Journals, Root};
use super::words;
use crate::failure::Failure;
use crate::output::say;
use crate::session::Session;

pub(super) fn words() -> Command {
    Command::new("status")
        .about("Show plugs: what the kernel says of them (observed), and what journals say (believed)")
        .args([words::dev().required(false), words::journal_dir()])
}

pub(super) fn run(words: &ArgMatches, session: &mut Session<'_>) -> Result<(), Failure> {
    let only = match words.get_one::<String>("dev") {
        Some(dev) => Some(session.ifindex(dev)?),
        None => None,
    };
    let (beliefs, wrong) = Journals::of(words).read()?;
    for error in wrong {
        session.report.warning(&format!("plug status: {error}"));
    }
    let json = session.globals.json;
    let kernel = session.kernel()?.0;
    let roots = Root::all(&mut kernel.connection)?;
    let mut devices: Vec<i32> = match only {
        Some(ifindex) => vec![ifindex],
        None => {
            let plugs = roots.iter().filter(|root| root.kind == "plug").map(|root| root.ifindex);
            let named = beliefs.iter().flat_map(|belief| &belief.journal.devices);
            plugs.chain(named.map(|device| device.ifindex)).collect()
        }
    };
    devices.sort_unstable();
    devices.dedup();
    let shown = devices.into_iter().map(|ifindex| {
        let root = roots.iter().find(|root| root.ifindex == ifindex);
        let named = |belief: &&Belief| belief.journal.devices.iter().any(|device| device.ifindex == ifindex);
        let beliefs: Vec<_> = beliefs.iter().filter(named).collect();
        (kernel.devices.name(ifindex), root, beliefs)
    });
    if json {
        let list: Vec<_> = shown.map(|(dev, root, beliefs)| to_json(dev.as_str(), root, &beliefs)).collect();
        return say(&format!("{}\n", Value::from(list)));
    }
    say(&shown.map(|(dev, root, beliefs)| to_text(dev.as_str(), root, &beliefs)).collect::<String>())
}

fn to_json(dev: &str, root: Option<&Root>, beliefs: &[&Belief]) -> Value {
    let believed: Vec<_> = beliefs.iter().map(|belief| with_match(belief, root)).collect();
    json!({ "dev": dev, "observed": root.map(Root::to_json), "believed": believed })
}

fn with_match(belief: &Belief, root: Option<&Root>) -> Value {
    let mut value = belief.to_json();
    value["plug_is_there"] = is_there(belief, root).into();
    value
}

fn to_text(dev: &str, root: Option<&Root>, beliefs: &[&Belief]) -> String {
    let mut text = format!("{dev}\n");
    text += &match root {
        Some(root) => format!("  observed: {}\n", root.to_text()),
        None => "  observed: no root qdisc but the kernel's default\n".to_owned(),
    };
    for belief in beliefs {
        let gone = if is_there(belief, root) { "" } else { "; its plug is not there" };
        text += &format!("  believed: {}{gone}\n", belief.to_text());
    }
    if beliefs.is_empty() {
        text += "  believed: nothing; no journal names it\n";
    }
    text
}

fn is_there(belief: &Belief, root: Option<&Root>) -> bool {
    root.is_some_and(|root| root.kind == "plug" && belief.names(root.ifindex, root.handle))
}
