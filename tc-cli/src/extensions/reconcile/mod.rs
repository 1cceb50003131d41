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
mod planned;
#[cfg(test)]
mod tests;
mod words;

use clap::{Arg, ArgMatches};
use serde_json::{Value, json};
use tc_core::tree::Snapshot;

use self::desired::Lines;
use self::planned::{Line, Planned};
use self::words::Reader;
use crate::batch::At;
use crate::context::extension::Extension;
use crate::context::failure::Failure;
use crate::context::report;
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

    /// The steps from the kernel's current state to the file's, for this work.
    fn plan<R>(
        &self,
        session: &mut Session<'_>,
        work: impl FnOnce(Planned<'_>, &mut Session<'_>) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        let (machine, registry) = (session.machine(), session.registry);
        let names = session.kernel()?.0.names()?;
        let reader = Reader { registry, names: &*names, environment: &machine };
        let lines = desired::borrow(&self.lines);
        let find = &mut |dev: &str| session.ifindex(dev).ok();
        let desired = desired::read(&lines, &self.devices, &reader, find);
        let mut desired = desired.map_err(|at| reported(at, &self.file, session))?;
        if let Some(dev) = desired.missing.first() {
            session.ifindex(dev)?;
            // It came a moment ago.
            return Err(Failure::NoDevice(dev.clone()));
        }
        let context = reader.context()?;
        let Kernel { connection, watch, .. } = session.kernel()?.0;
        let snapshot =
            watch.read(OBJECTS, || Snapshot::read(connection, None, &context).map_err(Failure::List))?;
        desired.learn(&snapshot, &reader);
        work(Planned::new(&desired, &snapshot, &reader)?, session)
    }
}

/// Names the objects that are left alone.
fn name_left(planned: &Planned<'_>, session: &Session<'_>) {
    for left in &planned.left {
        session.report.warning(&format!("left alone: {left}"));
    }
}

const NOT_TAKEN: &str = "not taken by the kernel";

/// Reports an error in a line. Nothing is left to report.
fn reported((failure, number): At, file: &str, session: &Session<'_>) -> Failure {
    match number {
        0 => failure,
        number => {
            session.report.failure_at(&failure, Some(report::Line { file, number }));
            Failure::Batch
        }
    }
}

/// Prints the steps; returns whether there are any.
fn differs(desired: &Description, session: &mut Session<'_>) -> Result<bool, Failure> {
    desired.plan(session, |planned, session| {
        name_left(&planned, session);
        let lines = &planned.lines;
        if session.globals.json {
            print_json(&lines.iter().map(to_json).collect::<Vec<_>>().into(), session)?;
        } else {
            lines.iter().for_each(|line| session.output.printer.text(&to_text(line)));
        }
        for not_taken in &planned.not_taken {
            session.report.warning(&format!("{NOT_TAKEN}: {not_taken}"));
        }
        Ok(!lines.is_empty() || !planned.not_taken.is_empty())
    })
}

fn print_json(value: &Value, session: &Session<'_>) -> Result<(), Failure> {
    let text = match session.globals.pretty {
        true => serde_json::to_string_pretty(value),
        false => serde_json::to_string(value),
    };
    let text = text.map_err(|error| Failure::System(error.to_string()))?;
    crate::context::output::say(&(text + "\n"))
}

fn to_text(line: &Line) -> String {
    match &line.was {
        Some(was) => format!("{} # was {was}\n", line.command),
        None => format!("{}\n", line.command),
    }
}

fn to_json(line: &Line) -> Value {
    let mut value = json!({ "object": line.object, "verb": line.verb, "command": line.command });
    if let Some(was) = &line.was {
        value["was"] = was.as_str().into();
    }
    value
}
