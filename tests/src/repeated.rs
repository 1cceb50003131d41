//! JSON and text in which tc-cli differs from every tc on purpose: tc has the key "match" of u32 once for
//! each key, "control_action" of police twice, no "kind" of gate, a port and a range of ports of flower under one key;
//! it leaves out options of GTP, and cuts the endpoint of PFCP to 32 bits.

use serde_json::{Map, Value};

/// Our JSON as a reader of tc's sees it, who keeps the last of repeated keys.
#[must_use]
pub fn as_tc(value: Value) -> Value {
    match value {
        Value::Array(values) => values.into_iter().map(as_tc).collect(),
        Value::Object(fields) => object(fields),
        other => other,
    }
}

fn object(fields: Map<String, Value>) -> Value {
    let mut ours: Map<String, Value> = fields.into_iter().map(|(key, value)| (key, as_tc(value))).collect();
    if let Some(Value::Array(matches)) = ours.remove("matches")
        && let Some(Value::Object(mut last)) = matches.into_iter().next_back()
    {
        if let Some(success) = last.remove("success") {
            ours.insert("success".into(), success);
        }
        ours.insert("match".into(), last.into());
    }
    if let Some(control) = ours.remove("conform_action") {
        ours.insert("control_action".into(), control);
    }
    if ours.get("kind").is_some_and(|kind| kind == "gate") {
        ours.remove("kind");
    }
    for port in ["dst_port", "src_port"] {
        if let Some(range) = ours.remove(&format!("{port}_range")) {
            ours.insert(port.into(), range);
        }
    }
    for key in ["gtp_opt_key", "gtp_opt_mask"] {
        ours.remove(key);
    }
    if let Some(seid) = ours.get_mut("seid").filter(|seid| seid.is_u64()) {
        *seid = (seid.as_u64().unwrap_or_default() & u64::from(u32::MAX)).into();
    }
    ours.into()
}

/// Text without the `*` that tc before 6.3 prints at filters that end the search, and later ones at the others.
#[must_use]
pub fn without_star(text: &str) -> String {
    text.replace(" *flowid ", " flowid ")
}

/// Whether tc repeats in this line of standard error what it has read, of skbmod and ife.
#[must_use]
pub fn is_note(line: &str) -> bool {
    ["IFE type 0x", "dst MAC address <", "src MAC address <"].into_iter().any(|note| line.starts_with(note))
}
