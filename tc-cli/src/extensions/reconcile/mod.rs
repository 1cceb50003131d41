//! `export`, `diff` and `apply`: from the current state to commands, and from
//! commands to the desired state.
//!
//! `export` prints the kernel's state as commands that reproduce it. `diff` reads
//! such commands as a description and prints the commands that lead there; `apply`
//! runs these, and no others.

mod apply;
mod desired;
mod export;
mod left_out;
mod object;
mod plan;
mod snapshot;
#[cfg(test)]
mod tests;
mod unexported;

use clap::{Arg, ArgMatches};
use serde_json::{Value, json};

use self::desired::Lines;
use self::plan::{Planned, Step, plan};
use self::snapshot::Reader;
use crate::batch::At;
use crate::context::extension::Extension;
use crate::context::failure::Failure;
use crate::context::report::Line;
use crate::context::session::{Kernel, Session};

/// `tc-cli export`
pub(super) const EXPORT: Extension = Extension {
    name: "export",
    about: "Write what there is as a batch of commands that make it again",
    words: |command| command.arg(devices("Of this device alone")),
    run: |matches, session| export::run(&devices_of(matches)?, session),
};

/// `tc-cli diff`
pub(super) const DIFF: Extension = Extension {
    name: "diff",
    about: "Say which commands lead to what a batch describes; exit 0: none, 1: some, 2: trouble",
    words: |command| command.args([file(), devices("Of these devices alone")]),
    run: |matches, session| {
        // As diff(1) has it, also where tc has 1 and 255.
        let found = Description::of(matches, session).and_then(|desired| differs(&desired, session));
        match found.and_then(|found| session.output.flush().map(|()| found)) {
            Ok(false) => Ok(()),
            Ok(true) => Err(Failure::Status(1)),
            Err(failure) => {
                session.report.failure(&failure);
                Err(Failure::Status(2))
            }
        }
    },
};

/// `tc-cli apply`
pub(super) const APPLY: Extension = Extension {
    name: "apply",
    about: "Run the commands that lead to what a batch describes, and no others",
    words: |command| command.args([file(), devices("To these devices alone")]),
    run: |matches, session| match session.globals.dry_run {
        true => (DIFF.run)(matches, session),
        false => apply::run(&Description::of(matches, session)?, session),
    },
};

/// The lists that a snapshot is made of.
const OBJECTS: &str = "qdiscs, classes and filters";

fn file() -> Arg {
    Arg::new("file")
        .value_name("FILE")
        .required(true)
        .help("A batch, as export writes it; - for standard input")
}

/// `dev DEV`, as tc has it.
fn devices(help: &'static str) -> Arg {
    Arg::new("dev").value_name("dev DEV").num_args(0..).help(help)
}

fn devices_of(matches: &ArgMatches) -> Result<Vec<String>, Failure> {
    let words: Vec<_> = matches.get_many::<String>("dev").into_iter().flatten().collect();
    let mut devices = Vec::new();
    for pair in words.chunks(2) {
        match pair {
            [dev, name] if *dev == "dev" => devices.push((*name).clone()),
            _ => {
                let text = format!("Error: expected \"dev DEV\" in place of \"{}\"", pair[0]);
                return Err(Failure::Words(text));
            }
        }
    }
    Ok(devices)
}

/// A file that describes the desired state.
struct Description {
    file: String,
    lines: Lines,
    devices: Vec<String>,
}

impl Description {
    fn of(matches: &ArgMatches, session: &Session<'_>) -> Result<Self, Failure> {
        let file = matches.get_one::<String>("file").cloned().unwrap_or_default();
        let lines = desired::load(&file).map_err(|at| reported(at, &file, session))?;
        Ok(Self { file, lines, devices: devices_of(matches)? })
    }

    /// The steps from the kernel's current state to the file's.
    fn plan(&self, session: &mut Session<'_>) -> Result<Planned, Failure> {
        let (machine, registry) = (session.machine(), session.registry);
        let names = session.kernel()?.0.names()?;
        let reader = Reader { registry, names: &*names, environment: &machine };
        let desired = desired::read(&self.lines, &self.devices, &reader);
        let desired = desired.map_err(|at| reported(at, &self.file, session))?;
        for dev in &desired.devices {
            session.ifindex(dev)?;
        }
        let Kernel { connection, watch, .. } = session.kernel()?.0;
        let there = watch.read(OBJECTS, || reader.read(None, connection))?;
        plan(&desired, &there)
    }
}

impl Planned {
    fn name_left(&self, session: &Session<'_>) {
        for left in &self.left {
            session.report.warning(&format!("left alone: {left}"));
        }
    }
}

const NOT_TAKEN: &str = "not taken by the kernel";

/// Reports an error in a line. Nothing is left to report.
fn reported((failure, number): At, file: &str, session: &Session<'_>) -> Failure {
    match number {
        0 => failure,
        number => {
            session.report.failure_at(&failure, Some(Line { file, number }));
            Failure::Batch
        }
    }
}

/// Prints the steps; returns whether there are any.
fn differs(desired: &Description, session: &mut Session<'_>) -> Result<bool, Failure> {
    let planned = desired.plan(session)?;
    planned.name_left(session);
    let steps = &planned.steps;
    if session.globals.json {
        print_json(&steps.iter().map(to_json).collect::<Vec<_>>().into(), session)?;
    } else {
        steps.iter().for_each(|step| session.output.printer.text(&to_text(step)));
    }
    for not_taken in &planned.not_taken {
        session.report.warning(&format!("{NOT_TAKEN}: {not_taken}"));
    }
    Ok(!steps.is_empty() || !planned.not_taken.is_empty())
}

fn print_json(value: &Value, session: &Session<'_>) -> Result<(), Failure> {
    let text = match session.globals.pretty {
        true => serde_json::to_string_pretty(value),
        false => serde_json::to_string(value),
    };
    let text = text.map_err(|error| Failure::System(error.to_string()))?;
    crate::context::output::say(&(text + "\n"))
}

fn to_text(step: &Step) -> String {
    match &step.was {
        Some(was) => format!("{} # was {was}\n", step.command()),
        None => format!("{}\n", step.command()),
    }
}

fn to_json(step: &Step) -> Value {
    let mut value = json!({
        "object": step.place.tc_type().name(),
        "verb": step.verb,
        "command": step.command(),
    });
    if let Some(was) = &step.was {
        value["was"] = was.as_str().into();
    }
    value
}
