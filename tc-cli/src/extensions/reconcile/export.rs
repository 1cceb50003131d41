//! `export`: the words for what there is.

use serde_json::{Value, json};

use tc_core::tree::{LeftOut, Object, Snapshot, Subtrees};

use super::left_out::mark;
use super::words::{Names, Reader, Worded, command, with_verb};
use super::{OBJECTS, print_json};
use crate::context::failure::Failure;
use crate::context::session::{Kernel, Session};

pub(super) fn run(devices: &[String], session: &mut Session<'_>) -> Result<(), Failure> {
    let (report, machine, registry) = (*session.report, session.machine(), session.registry);
    let only = match devices {
        [] => None,
        [dev] => Some(session.ifindex(dev)?),
        _ => return Err(Failure::Words("Error: export takes one device, or all".into())),
    };
    let details = session.globals.details;
    let kernel = session.kernel()?.0;
    let names = kernel.names()?;
    let reader = Reader { registry, names: &*names, environment: &machine };
    let context = reader.context()?;
    let Kernel { connection, watch, .. } = kernel;
    let read = || Snapshot::read(connection, only, &context).map_err(Failure::List);
    let snapshot = watch.read(OBJECTS, read)?;
    let names = Names::of(&snapshot);
    let lines = lines(&snapshot, &reader, &names, details);
    let lost: Vec<_> = lines.iter().filter_map(|line| line.lost.as_deref()).collect();
    lost.iter().for_each(|lost| report.warning(lost));
    if session.globals.json {
        print_json(&lines.iter().map(Exported::to_json).collect::<Vec<_>>().into(), session)?;
    } else {
        crate::context::output::say(&lines.iter().map(Exported::to_text).collect::<String>())?;
    }
    match lost.len() {
        0 => Ok(()),
        count => Err(Failure::Extension(format!("export: {count} not exported, or not all of it"))),
    }
}

/// One object: its commands, what is to be known of it, what is lost, and its mark if it has no commands.
struct Exported<'s> {
    object: &'s str,
    commands: Vec<String>,
    note: Option<String>,
    lost: Option<String>,
    left_out: Option<String>,
    mark: Option<String>,
}

impl<'s> Exported<'s> {
    fn new(object: &'s str) -> Self {
        Self { object, commands: Vec::new(), note: None, lost: None, left_out: None, mark: None }
    }

    fn leaves_out(self, left_out: &LeftOut, names: &Names) -> Self {
        Self { left_out: Some(names.left_out(left_out)), mark: Some(mark(left_out, names)), ..self }
    }

    fn to_text(&self) -> String {
        let comments = self.lost.iter().chain(&self.note).map(|text| format!("# {text}\n"));
        let mark = self.mark.iter().map(|mark| format!("{mark}\n"));
        comments.chain(mark).chain(self.commands.iter().map(|command| format!("{command}\n"))).collect()
    }

    fn to_json(&self) -> Value {
        let mut value = json!({ "object": self.object, "commands": self.commands });
        for (key, text) in [("note", &self.note), ("lost", &self.lost), ("left_out", &self.left_out)] {
            if let Some(text) = text {
                value[key] = text.as_str().into();
            }
        }
        value
    }
}

fn lines<'s>(snapshot: &'s Snapshot, reader: &Reader<'_>, names: &Names, details: bool) -> Vec<Exported<'s>> {
    let mut missing = Subtrees::new();
    let mut lines = Vec::new();
    for object in snapshot.objects() {
        let describe = || names.describe(object);
        let Worded { lines: made, lost } = reader.worded(object, names);
        let mut line = Exported::new(object.place().name());
        line.lost = (!lost.is_empty()).then(|| format!("{}: {lost}", describe()));
        let is_below_missing = missing.contains(object);
        if is_below_missing {
            line.lost = Some(format!("{}: it is below what is not exported", describe()));
        }
        if is_below_missing || !lost.is_beside() {
            missing.insert(object);
            line = line.leaves_out(&LeftOut::of(object.place().clone()), names);
        } else {
            line.note = note(object, names, details);
            let verbs = std::iter::once("add").chain(std::iter::repeat("change"));
            line.commands = verbs.zip(&made).map(|(verb, line)| command(&with_verb(verb, line))).collect();
        }
        lines.push(line);
    }
    lines
}

fn note(object: &Object<'_>, names: &Names, details: bool) -> Option<String> {
    let not_dumped = object.change_semantics().not_dumped;
    let is_wanted = object.words().is_none() || details;
    (is_wanted && !not_dumped.is_empty())
        .then(|| format!("{}: the kernel does not tell {}", names.describe(object), not_dumped.join(", ")))
}
