//! `tc-cli plug demo`: on a real plug where there is one, on the embedded kernel elsewhere.
#![expect(clippy::unwrap_used, reason = "a test stops at an unexpected error")]

use std::process::Command;

use serde_json::Value;
use tests::lab::tc_cli;
use tests::need;

/// The observations of the demonstration.
fn demo() -> Value {
    let done = Command::new(tc_cli()).args(["plug", "demo", "--json"]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

#[test]
fn every_epoch_comes_out_at_its_release() {
    let seen = demo();
    assert_eq!(seen["as_expected"], true, "{seen:#}");
    let came_out: Vec<_> = seen["steps"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|step| step["came_out"].as_array().unwrap())
        .collect();
    assert_eq!(came_out, ["a1", "a2", "a3", "b1", "b2", "c1", "d1", "e1"]);
    for packet in seen["packets"].as_array().unwrap() {
        assert!(packet["out_ms"].as_u64() >= packet["sent_ms"].as_u64(), "{packet}");
    }
}

#[test]
fn three_epochs_are_in_flight_at_once() {
    let seen = demo();
    let held = |step: &Value| step["statistics"]["qlen"].as_u64().unwrap();
    let steps = seen["steps"].as_array().unwrap();
    let third = steps.iter().find(|step| step["step"].as_str().unwrap().contains("three are in flight"));
    // Those of three closed epochs.
    assert_eq!(held(third.unwrap()), 6, "{seen:#}");
}

#[test]
fn the_real_kernel_is_used_if_it_has_a_plug() {
    need!("sch_plug", "sch_prio", "sch_ingress", "cls_matchall", "act_mirred", "ifb", "veth");
    let seen = demo();
    assert!(seen["on"].as_str().unwrap().starts_with("Linux "), "{}", seen["on"]);
    let statistics = &seen["steps"].as_array().unwrap().last().unwrap()["statistics"];
    assert_eq!((&statistics["packets"], &statistics["drops"]), (&8.into(), &0.into()), "{statistics}");
}

#[test]
fn the_text_fits_on_one_screen() {
    let done = Command::new(tc_cli()).args(["plug", "demo"]).output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(text.lines().count() <= 30 && text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(text.contains("Every epoch was held until its release"), "{text}");
}
