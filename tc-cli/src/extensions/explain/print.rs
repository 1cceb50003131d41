//! The way of packets as text and as JSON.

use serde_json::{Value, json};
use tc_core::link::DeviceNames;
use tc_core::{Handle, Registry, TcType, protocol};
use tc_qdiscs::classify::{CannotKnow, Copied, Direction, End, Outcome, Step, Walk};

use crate::context::failure::Failure;
use crate::context::output::say;
use crate::context::session::Session;

/// A packet's way.
pub(super) struct Explained {
    pub(super) name: String,
    pub(super) walk: Walk,
    pub(super) end: Result<End, CannotKnow>,
}

/// The facts that the output needs.
pub(super) struct Printing<'p> {
    pub(super) device: &'p str,
    pub(super) direction: Direction,
    pub(super) registry: &'static Registry,
    pub(super) names: &'p dyn DeviceNames,
}

impl Printing<'_> {
    pub(super) fn print(&self, explained: &[Explained], session: &Session<'_>) -> Result<(), Failure> {
        if !session.globals.json {
            return say(&explained.iter().map(|one| self.text(one)).collect::<String>());
        }
        let value: Value = explained.iter().map(|one| self.json(one)).collect();
        let text = match session.globals.pretty {
            true => serde_json::to_string_pretty(&value),
            false => serde_json::to_string(&value),
        };
        say(&(text.map_err(|error| Failure::System(error.to_string()))? + "\n"))
    }

    const fn direction(&self) -> &'static str {
        match self.direction {
            Direction::Egress => "egress",
            Direction::Ingress => "ingress",
        }
    }

    fn device_of(&self, ifindex: i32) -> String {
        match self.names.device_name(ifindex) {
            Ok(name) => name.to_string(),
            Err(_) => format!("device {ifindex}"),
        }
    }

    fn text(&self, explained: &Explained) -> String {
        let mut text = format!("{}\n{} of {}\n", explained.name, self.direction(), self.device);
        for step in &explained.walk.steps {
            text += &self.step_text(step);
        }
        for copied in &explained.walk.copies {
            text += &format!("copy: {}\n", self.copy_text(copied));
        }
        text += &match &explained.end {
            Ok(end) => format!("end: {}\n\n", end_text(end)),
            Err(unknown) => format!("end: {unknown}\n\n"),
        };
        text
    }

    fn copy_text(&self, copied: &Copied) -> String {
        let what = if copied.redirected { "the packet goes" } else { "a copy goes" };
        let side = if copied.to_ingress { "ingress" } else { "egress" };
        format!("{what} to the {side} of {}", self.device_of(copied.ifindex))
    }

    fn handle(&self, kind: &str, handle: Handle) -> String {
        match self.registry.get(TcType::Filter, kind) {
            Some(ops) => ops.write_handle(handle),
            None => format!("{:#x}", handle.raw()),
        }
    }

    fn step_text(&self, step: &Step) -> String {
        match step {
            Step::Place { name } => format!("  filters of {name}\n"),
            Step::Filter { chain, priority, protocol, kind, handle, outcome } => {
                let protocol = protocol::word(*protocol);
                let named = if handle.is_unspec() {
                    String::new()
                } else {
                    format!(" handle {}", self.handle(kind, *handle))
                };
                let outcome = match outcome {
                    Outcome::Matched { class } if class.is_unspec() => "matches".to_owned(),
                    Outcome::Matched { class } => format!("matches, class {class}"),
                    Outcome::Missed(why) => format!("no: {why}"),
                    Outcome::Unknown(why) => format!("cannot know: {why}"),
                };
                format!("    chain {chain} pref {priority} protocol {protocol}{named} {kind}: {outcome}\n")
            }
            Step::Action { kind, index, control, effect } => {
                let mut text = format!("      action {kind}");
                if *index != 0 {
                    text += &format!(" index {index}");
                }
                if !effect.is_empty() {
                    text += &format!(": {effect}");
                }
                if !effect.starts_with("cannot know") {
                    text += &format!(": {}", control_text(*control));
                }
                text + "\n"
            }
            Step::Goto { chain } => format!("    goes on at chain {chain}\n"),
            Step::Qdisc { handle, kind } => match handle.is_unspec() {
                true => format!("qdisc {kind}\n"),
                false => format!("qdisc {handle} {kind}\n"),
            },
            Step::Class { class, why } => format!("  class {class}, {why}\n"),
            Step::Note { text } => format!("    {text}\n"),
            _ => String::new(),
        }
    }

    fn json(&self, explained: &Explained) -> Value {
        let steps: Vec<Value> = explained.walk.steps.iter().map(|step| self.step_json(step)).collect();
        let copies = explained.walk.copies.iter().map(|copied| {
            let side = if copied.to_ingress { "ingress" } else { "egress" };
            json!({
                "dev": self.device_of(copied.ifindex), "to": side, "redirected": copied.redirected,
            })
        });
        json!({
            "packet": explained.name,
            "dev": self.device,
            "direction": self.direction(),
            "steps": steps,
            "copies": copies.collect::<Vec<Value>>(),
            "end": end_json(&explained.end),
        })
    }

    fn step_json(&self, step: &Step) -> Value {
        match step {
            Step::Place { name } => json!({ "step": "filters", "of": name }),
            Step::Filter { chain, priority, protocol, kind, handle, outcome } => {
                let mut value = json!({
                    "step": "filter", "chain": chain, "pref": priority, "protocol": protocol::word(*protocol),
                    "kind": kind,
                });
                if !handle.is_unspec() {
                    value["handle"] = self.handle(kind, *handle).into();
                }
                let (result, key, text) = match outcome {
                    Outcome::Matched { class } => ("match", "class", class.to_string()),
                    Outcome::Missed(why) => ("no", "why", why.clone()),
                    Outcome::Unknown(why) => ("unknown", "why", why.clone()),
                };
                value["result"] = result.into();
                if !matches!(outcome, Outcome::Matched { class } if class.is_unspec()) {
                    value[key] = text.into();
                }
                value
            }
            Step::Action { kind, index, control, effect } => json!({
                "step": "action", "kind": kind, "index": index, "control": control_text(*control), "effect": effect,
            }),
            Step::Goto { chain } => json!({ "step": "goto", "chain": chain }),
            Step::Qdisc { handle, kind } => {
                json!({ "step": "qdisc", "handle": handle.to_string(), "kind": kind })
            }
            Step::Class { class, why } => json!({ "step": "class", "class": class.to_string(), "why": why }),
            Step::Note { text } => json!({ "step": "note", "text": text }),
            _ => Value::Null,
        }
    }
}

fn control_text(control: tc_core::action::Control) -> String {
    control.words().unwrap_or_else(|| match control {
        tc_core::action::Control::Stolen => "stolen".to_owned(),
        control => control.raw().to_string(),
    })
}

fn end_text(end: &End) -> String {
    match end {
        End::Queued { qdisc, kind, class } => {
            let queue = if qdisc.is_unspec() { kind.clone() } else { format!("{kind} {qdisc}") };
            match class {
                Some(class) => format!("class {class}, in {queue}"),
                None => format!("in {queue}"),
            }
        }
        End::Sent => "sent without a queue".to_owned(),
        End::Received => "received by the machine".to_owned(),
        End::Dropped => "dropped".to_owned(),
        End::Stolen => "taken by an action".to_owned(),
        _ => String::new(),
    }
}

fn end_json(end: &Result<End, CannotKnow>) -> Value {
    match end {
        Ok(End::Queued { qdisc, kind, class }) => {
            let mut value = json!({ "what": "queued", "qdisc": qdisc.to_string(), "kind": kind });
            if let Some(class) = class {
                value["class"] = class.to_string().into();
            }
            value
        }
        Ok(End::Sent) => json!({ "what": "sent" }),
        Ok(End::Received) => json!({ "what": "received" }),
        Ok(End::Dropped) => json!({ "what": "dropped" }),
        Ok(End::Stolen) => json!({ "what": "stolen" }),
        Ok(_) => Value::Null,
        Err(unknown) => json!({ "what": "unknown", "why": unknown.reason }),
    }
}
