//! The action script for CRIU, called as CRIU calls it. The test criu_kernel runs CRIU itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::lab::{QUIET, tc_cli};
use tests::need;

use crate::stage::{NOTHING, Stage};

/// The image directory of a CRIU that is not there, and the script.
struct Criu<'s> {
    stage: &'s Stage,
    dir: PathBuf,
}

impl<'s> Criu<'s> {
    fn new(stage: &'s Stage) -> Self {
        let dir = stage.dir.with_extension("images");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("script"), include_str!("../../../tc-cli/docs/criu-action-script.sh")).unwrap();
        Self { stage, dir }
    }

    /// Runs the script for an action: whether it succeeded, and its standard error.
    fn calls(&self, action: &str) -> (bool, String) {
        let mut command = Command::new("/bin/sh");
        command.arg(self.dir.join("script")).env("CRTOOLS_SCRIPT_ACTION", action).env("TC_CLI", tc_cli());
        command.env("CRTOOLS_IMAGE_DIR", &self.dir).env_remove("PLUG_NETNS");
        command.env("CRTOOLS_INIT_PID", std::process::id().to_string());
        command.env("PLUG_DEV", "near").env("PLUG_JOURNAL", &self.stage.dir);
        let done = self.stage.pair.near.inside(move || command.output()).unwrap();
        (done.status.success(), String::from_utf8(done.stderr).unwrap())
    }

    #[track_caller]
    fn succeeds(&self, action: &str) {
        let (succeeded, why) = self.calls(action);
        assert!(succeeded, "{action}: {why}");
    }

    #[track_caller]
    fn fails(&self, action: &str, why: &str) {
        let (succeeded, text) = self.calls(action);
        assert!(!succeeded && text.contains(why), "{action}: {text}");
    }

    fn image(&self, name: &str) {
        fs::write(Path::new(&self.dir).join(name), "").unwrap();
    }
}

impl Drop for Criu<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[test]
fn criu_script_holds_and_opens() {
    need!("sch_plug", "veth");
    let stage = Stage::new("criu");
    let criu = Criu::new(&stage);
    criu.fails("network-lock", "is not ours");
    criu.fails("network-unlock", "run: tc-cli plug open --dev near");
    stage.plug("attach --dev near --limit 64k").ok();
    for round in [1, 4] {
        // This process is in another namespace than the script.
        criu.succeeds("pre-dump");
        assert!(stage.opens(round));
        criu.succeeds("network-lock");
        stage.pair.send(&[round + 1, round + 2]);
        criu.succeeds("post-dump");
        assert_eq!(stage.pair.receive(1, QUIET), NOTHING, "locked: held");
        assert_eq!(stage.observed("held_packets"), 2, "and not dropped");
        criu.succeeds("network-unlock");
        assert_eq!(stage.pair.receive(3, QUIET), [round + 1, round + 2]);
    }
    stage.plug("detach --dev near").ok();
}

#[test]
fn criu_script_leaves_the_hold_of_another_program() {
    need!("sch_plug", "veth");
    let stage = Stage::new("criu-other");
    let criu = Criu::new(&stage);
    stage.plug("attach --dev near --limit 64k").ok();
    stage.plug("buffer --dev near").ok();
    stage.pair.send(&[1]);
    criu.fails("network-lock", "already holds packets");
    // CRIU calls it after a lock that failed, too.
    criu.succeeds("network-unlock");
    assert_eq!(stage.pair.receive(1, QUIET), NOTHING, "held on");
    stage.plug("open --dev near").ok();
    criu.succeeds("network-lock");
    criu.succeeds("network-unlock");
    assert!(stage.opens(2));
}

#[test]
fn criu_script_restores_with_the_network_held() {
    need!("sch_plug", "veth");
    let stage = Stage::new("criu-restore");
    let criu = Criu::new(&stage);
    criu.fails("pre-restore", "is not ours");
    stage.plug("attach --dev near --limit 64k").ok();
    criu.image("inventory.img");
    criu.fails("pre-restore", "the images have no network namespace");
    assert!(stage.opens(1));
    criu.image("netns-9.img");
    criu.succeeds("pre-restore");
    stage.pair.send(&[2]);
    assert_eq!(stage.pair.receive(1, QUIET), NOTHING, "held");
    criu.succeeds("network-unlock");
    assert_eq!(stage.pair.receive(1, QUIET), [2]);
}
