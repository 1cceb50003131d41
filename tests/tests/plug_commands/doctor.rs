//! `plug doctor`: findings on real devices.

use serde_json::Value;
use tests::lab::tc_cli;
use tests::need;

use super::stage::{Stage, wait_for};

impl Stage {
    fn findings(&self, dev: &str) -> Vec<Value> {
        let out = self.pair.near.run(tc_cli(), &self.words("-j", &format!("doctor --dev {dev}")));
        serde_json::from_str::<Vec<Value>>(&out.stdout).unwrap_or_else(|error| panic!("{error}: {out:?}"))
    }

    /// The text of a finding at this level, if there is one; a warning has advice.
    fn finding(&self, dev: &str, level: &str, check: &str) -> Option<String> {
        let found = self.findings(dev);
        let finding = found.iter().find(|found| found["check"] == check && found["level"] == level)?;
        assert_eq!(finding["advice"].is_string(), level != "ok", "{finding}");
        Some(finding["text"].as_str().unwrap().to_owned())
    }
}

#[test]
fn plug_doctor_finds_what_is_in_the_way() {
    need!("sch_plug", "veth");
    let stage = Stage::new("doctor");
    let levels = |words: &str| -> Vec<(String, String)> {
        let out = stage.pair.near.run(tc_cli(), &stage.words("-j", words));
        let list: Value = serde_json::from_str(&out.stdout).unwrap();
        let level = |finding: &Value| {
            let text = |key: &str| finding[key].as_str().unwrap().to_owned();
            (text("check"), text("level"))
        };
        list.as_array().unwrap().iter().map(level).collect()
    };
    let has = |found: &[(String, String)], check: &str, level: &str| {
        assert!(found.contains(&(check.to_owned(), level.to_owned())), "{check} {level}: {found:?}");
    };
    let found = levels("doctor --dev near");
    for check in ["module", "device", "root", "bypass"] {
        has(&found, check, "ok");
    }
    stage.plug("attach --dev near --limit 2000").ok();
    let wire = stage.pair.near.wire("near");
    let found = levels("doctor --dev near");
    has(&found, "root", "ok");
    has(&found, "limit", "warn");
    has(&found, "bypass", "warn");
    drop(wire);
    stage.pair.near.tc("qdisc replace dev near root handle 5: pfifo").ok();
    has(&levels("doctor --dev near"), "root", "warn");
    let done = stage.plug("doctor --dev near");
    assert!(done.code == 0 && done.stdout.contains("warn root: pfifo 5: is somebody else's"), "{done:?}");
    stage.pair.far.ip("link set dev far down").ok();
    has(&levels("doctor --dev near"), "device", "fail");
}

#[test]
fn doctor_when_filters_are_before_the_plug_warns() {
    need!("sch_plug", "sch_ingress", "cls_matchall", "act_mirred", "act_gact", "veth");
    let stage = Stage::new("doctor-filters");
    let near = &stage.pair.near;
    near.veth_to("near2", &stage.pair.far, "far2");
    let has = |level, check| stage.finding("near", level, check);
    assert!(has("ok", "clsact").is_some() && has("warn", "clsact").is_none());

    near.tc("qdisc add dev near ingress").ok();
    assert!(has("warn", "clsact").unwrap().starts_with("a ingress qdisc is there"));
    near.tc("qdisc del dev near ingress").ok();

    near.tc("qdisc add dev near clsact").ok();
    assert!(has("warn", "clsact").is_some() && has("warn", "egress").is_none());
    // A redirect of input is no matter of the output.
    near.tc("filter add dev near ingress matchall action mirred egress redirect dev near2").ok();
    assert!(has("warn", "egress").is_none() && has("warn", "redirect").is_none());
    near.tc("filter add dev near egress prio 5 matchall action pass").ok();
    assert!(has("warn", "egress").unwrap().starts_with("1 egress filter(s)"));
    assert!(has("warn", "redirect").is_none());
    near.tc("filter add dev near egress prio 6 matchall action pass action mirred egress redirect dev near2")
        .ok();
    assert!(has("warn", "egress").unwrap().starts_with("2 egress filter(s)"));
    assert!(has("warn", "redirect").unwrap().starts_with("1 egress filter(s) redirect"));
    let text = stage.plug("doctor --dev near").ok();
    let lines: Vec<_> = text.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("warn redirect: ")).unwrap();
    assert!(lines[at + 1].starts_with("     advice: plug that device as well"), "{text}");
}

#[test]
fn doctor_when_a_device_is_a_part_of_another_warns() {
    need!("sch_plug", "veth", "bridge");
    let stage = Stage::new("doctor-parts");
    let near = &stage.pair.near;
    assert_eq!(stage.finding("near", "warn", "bridge-port"), None);
    near.ip("link add br9 type bridge").ok();
    near.ip("link set dev near master br9").ok();
    near.ip("link set dev br9 up").ok();
    assert!(stage.finding("near", "warn", "bridge-port").unwrap().contains("bridge br9"));
    assert!(stage.finding("br9", "warn", "bridge").is_some());
    assert_eq!(stage.finding("br9", "warn", "bridge-port"), None);

    assert_eq!(stage.finding("near", "warn", "big-tcp"), None);
    near.ip("link add name many numtxqueues 4 type veth peer name manypeer").ok();
    near.ip("link set dev many up").ok();
    near.ip("link set dev manypeer up").ok();
    assert!(stage.finding("many", "warn", "queues").unwrap().starts_with("4 transmit queues"));
    // Linux 5.19 and later take it for the loopback device.
    near.ip("link set dev lo up").ok();
    near.ip("link set dev lo gso_max_size 200000").ok();
    assert!(stage.finding("lo", "warn", "big-tcp").unwrap().contains("200000 bytes"));
}

#[test]
fn doctor_when_a_guardian_lives_judges_its_protection() {
    need!("sch_plug", "veth");
    let stage = Stage::new("doctor-guardian");
    let inherited = stage.finding("near", "warn", "guardian-oom").unwrap();
    assert!(inherited.starts_with("a guardian that is started here has the OOM score adjustment"));
    let ready = stage.dir.join("ready");
    let words = format!(
        "hold --where root --dev near --limit 1M --max-hold 60s --on-death open -- sh -c :>{};exec${{IFS}}sleep${{IFS}}60",
        ready.display()
    );
    let mut hold = stage.start("", &words);
    wait_for(&ready);
    let text = stage.finding("near", "warn", "guardian-oom").unwrap();
    let pid = text.strip_prefix("the guardian (process ").and_then(|rest| rest.split_once(')')).unwrap().0;
    let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
    assert_eq!(comm.trim(), "tc-cli", "{text}");
    std::fs::write(format!("/proc/{pid}/oom_score_adj"), "-950").unwrap();
    assert!(stage.finding("near", "ok", "guardian-oom").unwrap().contains("-950"));
    super::stage::signal(&hold, nix::sys::signal::Signal::SIGTERM);
    hold.wait().unwrap();
}
