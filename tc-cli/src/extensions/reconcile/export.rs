//! `export`: the words for what there is.

use serde_json::{Value, json};

use super::left_out::LeftOut;
use super::object::Object;
use super::plan::Step;
use super::snapshot::{Reader, Snapshot, describe};
use super::unexported::{self, Lost};
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
    let Kernel { connection, watch, .. } = kernel;
    let (snapshot, unexported) = watch.read(OBJECTS, || {
        let snapshot = reader.read(only, connection)?;
        let mut unexported = unexported::chains(&snapshot, &reader, connection)?;
        // Actions are of no device.
        if only.is_none() {
            unexported.extend(unexported::actions(&snapshot, &reader, connection)?);
        }
        Ok((snapshot, unexported))
    })?;
    let mut lines = lines(&snapshot, details);
    lines.extend(unexported.into_iter().map(Exported::lost));
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
    left_out: Option<LeftOut>,
}

impl<'s> Exported<'s> {
    /// The facts that no command expresses.
    fn lost(Lost { object, left_out, why }: Lost) -> Self {
        let lost = Some(format!("{left_out}: {why}"));
        Self { object, commands: Vec::new(), note: None, lost, left_out: Some(left_out) }
    }

    fn to_text(&self) -> String {
        let comments = self.lost.iter().chain(&self.note).map(|text| format!("# {text}\n"));
        let mark = self.left_out.iter().map(|left_out| left_out.mark() + "\n");
        comments.chain(mark).chain(self.commands.iter().map(|command| format!("{command}\n"))).collect()
    }

    fn to_json(&self) -> Value {
        let mut value = json!({ "object": self.object, "commands": self.commands });
        let left_out = self.left_out.as_ref().map(LeftOut::to_string);
        for (key, text) in [("note", &self.note), ("lost", &self.lost), ("left_out", &left_out)] {
            if let Some(text) = text {
                value[key] = text.as_str().into();
            }
        }
        value
    }
}

fn lines<'s>(snapshot: &'s Snapshot<'_>, details: bool) -> Vec<Exported<'s>> {
    let mut missing: Vec<&Object<'_>> = Vec::new();
    let mut lines = Vec::new();
    for object in &snapshot.objects {
        let name = object.place.tc_type().name();
        let mut line =
            Exported { object: name, commands: Vec::new(), note: None, lost: None, left_out: None };
        let lost = snapshot.lost.get(&object.place);
        line.lost = lost.map(|lost| format!("{}: {lost}", describe(object)));
        let is_below_missing = missing.iter().any(|missing| object.is_below(missing));
        if is_below_missing {
            line.lost = Some(format!("{}: it is below what is not exported", describe(object)));
        }
        if is_below_missing || lost.is_some_and(|lost| !lost.is_beside()) {
            missing.push(object);
            line.left_out = Some(LeftOut::Object(object.place.clone()));
        } else {
            line.note = note(object, snapshot, details);
            let verbs = std::iter::once("add").chain(std::iter::repeat("change"));
            let steps = verbs.zip(&object.lines).map(|(verb, line)| Step::new(verb, line, &object.place));
            line.commands = steps.map(|step| step.command()).collect();
        }
        lines.push(line);
    }
    lines
}

fn note(object: &Object<'_>, snapshot: &Snapshot<'_>, details: bool) -> Option<String> {
    let not_dumped = object.change_semantics.not_dumped;
    let is_wanted = snapshot.noted.contains(&object.place) || details;
    (is_wanted && !not_dumped.is_empty())
        .then(|| format!("{}: the kernel does not tell {}", describe(object), not_dumped.join(", ")))
}
