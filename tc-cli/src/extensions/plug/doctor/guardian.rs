//! The protection of a guardian, which must outlive its controller.

use std::fs;

use super::super::root_qdisc::JournalRecord;
use super::{Finding, Level};

/// Whose protection is judged.
struct Judged {
    /// `the guardian (process 7)`.
    name: String,
    pid: String,
    /// The controller, if that is another process.
    controller: Option<String>,
}

/// The guardians of the sessions on the device; without one, the guardian that
/// this process would start, which inherits its protection.
pub(super) fn protection(records: &[JournalRecord]) -> Vec<Finding> {
    let live = records.iter().filter(|record| record.is_alive() && record.journal.open_after.is_some());
    let judged: Vec<_> = live.flat_map(|record| guardians_of(record.journal.controller.pid)).collect();
    let would_be =
        Judged { name: "a guardian that is started here".into(), pid: "self".into(), controller: None };
    let judged = if judged.is_empty() { vec![would_be] } else { judged };
    judged.iter().flat_map(|judged| [oom(judged), cgroup(judged)]).collect()
}

fn guardians_of(controller: u32) -> Vec<Judged> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let names = processes.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let pids = names.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let is_guardian = |pid: &String| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = words.split(|byte| *byte == 0).rev().filter(|word| !word.is_empty());
        field(&status, "PPid:") == Some(controller) && words.next() == Some(b"guardian")
    };
    let judged = |pid: String| Judged {
        name: format!("the guardian (process {pid})"),
        pid,
        controller: Some(controller.to_string()),
    };
    pids.filter(is_guardian).map(judged).collect()
}

fn field(status: &str, name: &str) -> Option<u32> {
    status.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
}

fn oom(judged: &Judged) -> Finding {
    /// From here on the kernel kills nearly every other process first.
    const PROTECTED: i32 = -900;
    let read = fs::read_to_string(format!("/proc/{}/oom_score_adj", judged.pid));
    let adjustment = read.ok().and_then(|text| text.trim().parse::<i32>().ok());
    let name = &judged.name;
    let advice = "set OOMScoreAdjust=-900 in its unit, or start the command with choom -n -900 --";
    match adjustment {
        Some(adjustment) if adjustment <= PROTECTED => Finding::new(
            Level::Ok,
            "guardian-oom",
            format!("{name} has the OOM score adjustment {adjustment}"),
        ),
        Some(adjustment) => {
            let text = format!(
                "{name} has the OOM score adjustment {adjustment}: the kernel may kill it when memory is short"
            );
            Finding::new(Level::Warn, "guardian-oom", text).advice(advice)
        }
        None => {
            let text = format!("the OOM score adjustment of {name} cannot be read");
            Finding::new(Level::Warn, "guardian-oom", text).advice(advice)
        }
    }
}

fn cgroup(judged: &Judged) -> Finding {
    let of = |pid: &str| fs::read_to_string(format!("/proc/{pid}/cgroup")).ok();
    let own = of(&judged.pid);
    let controller = judged.controller.as_deref().map_or_else(|| own.clone(), of);
    let name = &judged.name;
    let advice = "systemd: KillMode=mixed or process for the controller's unit, or a scope of its own";
    match (own, controller) {
        (Some(own), Some(controller)) if own == controller && !is_root(&own) => {
            let text = format!(
                "{name} is in the control group of its controller ({}): an end of the whole group ends both",
                shown(&own)
            );
            Finding::new(Level::Warn, "guardian-cgroup", text).advice(advice)
        }
        (Some(own), Some(_)) => {
            let text = format!("{name} is in the control group {}", shown(&own));
            Finding::new(Level::Ok, "guardian-cgroup", text)
        }
        _ => {
            let text = format!("the control group of {name} cannot be read");
            Finding::new(Level::Warn, "guardian-cgroup", text).advice(advice)
        }
    }
}

/// Whether a process is in no control group but the roots.
fn is_root(cgroup: &str) -> bool {
    cgroup.lines().all(|line| line.splitn(3, ':').nth(2) == Some("/"))
}

/// The path in the unified hierarchy, or the first one that is no root.
fn shown(cgroup: &str) -> &str {
    let paths = || cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    let unified = cgroup.lines().find_map(|line| line.strip_prefix("0::"));
    unified.filter(|path| *path != "/").or_else(|| paths().find(|path| *path != "/")).unwrap_or("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_groups_of_both_versions_are_read() {
        assert!(is_root("0::/\n") && is_root("1:cpu:/\n0::/\n"));
        assert!(!is_root("0::/system.slice/x.service\n"));
        assert_eq!(shown("4:memory:/a\n0::/b\n"), "/b");
        assert_eq!(shown("4:memory:/a\n0::/\n"), "/a");
        assert_eq!(shown("0::/\n"), "/");
    }

    #[test]
    fn the_parent_is_read_from_the_status() {
        assert_eq!(field("Name:\tx\nPid:\t7\nPPid:\t42\n", "PPid:"), Some(42));
        assert_eq!(field("", "PPid:"), None);
    }

    #[test]
    fn a_guardian_that_is_started_here_is_judged_by_this_process() {
        let found = protection(&[]);
        let checks: Vec<_> = found.iter().map(|found| found.check).collect();
        assert_eq!(checks, ["guardian-oom", "guardian-cgroup"]);
    }
}
