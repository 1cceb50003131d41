//! Which process, and in which network namespace.

use std::os::unix::fs::MetadataExt;
use std::{fs, io};

/// A process, told from a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its process id.
    pub pid: u32,
    /// When it started, in clock ticks since boot (field 22 of
    /// `/proc/PID/stat`).
    pub start_time: u64,
}

impl Process {
    /// The calling process.
    pub fn current() -> io::Result<Self> {
        Self::of(std::process::id())
    }

    pub(super) fn of(pid: u32) -> io::Result<Self> {
        let missing = || io::Error::other("/proc does not show this process");
        Ok(Self { pid, start_time: start_time(pid)?.ok_or_else(missing)? })
    }

    /// Whether it still runs.
    pub fn is_alive(&self) -> bool {
        matches!(start_time(self.pid), Ok(Some(time)) if time == self.start_time)
    }
}

/// When a process started; `None` if there is none, or none but a zombie.
fn start_time(pid: u32) -> io::Result<Option<u64>> {
    let stat = match fs::read(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // Kernel: ESRCH where it ends while it is read.
        Err(error) if error.raw_os_error() == Some(3) => return Ok(None),
        Err(error) => return Err(error),
    };
    // The name, in parentheses, may hold anything: the fields follow the last one.
    let behind = stat.iter().rposition(|byte| *byte == b')').map_or(&[][..], |at| &stat[at + 1..]);
    let mut fields = behind.split(|byte| byte.is_ascii_whitespace()).filter(|field| !field.is_empty());
    let number = |field: Option<&[u8]>| std::str::from_utf8(field?).ok()?.parse().ok();
    let state = fields.next();
    let threads = number(fields.nth(16));
    let time = number(fields.nth(1));
    // Kernel: the first thread may be a zombie while others still run.
    let dead = matches!(state, Some(b"Z" | b"X")) && threads.is_none_or(|threads: u64| threads <= 1);
    Ok(time.filter(|_| !dead))
}

/// The inode of the calling thread's network namespace.
pub(super) fn current_netns() -> io::Result<u64> {
    fs::metadata("/proc/thread-self/ns/net").map(|namespace| namespace.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_a_later_one() {
        let me = Process::current().unwrap();
        assert!(me.is_alive());
        assert!(!Process { start_time: me.start_time + 1, ..me }.is_alive());
        // Process ids end at 2^22.
        assert!(!Process { pid: 1 << 23, start_time: 0 }.is_alive());
    }
}
