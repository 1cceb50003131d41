//! The controller's process, and the identity of a network namespace.

use std::os::unix::fs::MetadataExt;
use std::{fmt, fs, io};

use tc_core::netns::current_cookie;

/// A process, for reports.
///
/// The numbers cannot show whether the process lives: a reader in another pid or
/// time namespace, or under `hidepid`, sees other numbers or none.
/// [`Journal::is_alive`](super::Journal::is_alive) can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// The process id, in the process's own pid namespace.
    pub pid: u32,
    /// When the process started, in clock ticks since boot (field 22 of
    /// `/proc/PID/stat`), in its own time namespace.
    pub start_time: u64,
}

impl Process {
    /// The calling process.
    pub fn current() -> io::Result<Self> {
        let stat = fs::read("/proc/self/stat")?;
        let start_time =
            start_time(&stat).ok_or_else(|| io::Error::other("/proc/self/stat is not readable"))?;
        Ok(Self { pid: std::process::id(), start_time })
    }
}

fn start_time(stat: &[u8]) -> Option<u64> {
    // The name is in parentheses and may contain anything.
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields = stat[end + 1..].split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    std::str::from_utf8(fields.nth(19)?).ok()?.parse().ok()
}

/// The identity of a network namespace.
///
/// Kernel: a new namespace can get the inode of one that ended; the cookie is
/// unique until the next boot.
#[derive(Clone, Copy, Debug, Eq)]
pub struct NetnsId {
    /// The kernel's boot id (`/proc/sys/kernel/random/boot_id`).
    pub boot: u128,
    /// The inode, as `/proc/PID/ns/net` shows it.
    pub inode: u64,
    /// The cookie; `None` before Linux 5.14.
    pub cookie: Option<u64>,
}

impl NetnsId {
    /// The calling thread's namespace.
    pub fn current() -> io::Result<Self> {
        let inode = fs::metadata("/proc/thread-self/ns/net")?.ino();
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let digits: String = text.trim().chars().filter(|character| *character != '-').collect();
        let boot = u128::from_str_radix(&digits, 16).map_err(io::Error::other)?;
        let cookie = current_cookie().map_err(io::Error::other)?;
        Ok(Self { boot, inode, cookie })
    }
}

/// The inodes of one boot are compared only where a cookie is missing.
impl PartialEq for NetnsId {
    fn eq(&self, other: &Self) -> bool {
        self.boot == other.boot
            && match (self.cookie, other.cookie) {
                (Some(one), Some(another)) => one == another,
                _ => self.inode == other.inode,
            }
    }
}

impl fmt::Display for NetnsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inode)?;
        match self.cookie {
            Some(cookie) => write!(f, " (cookie {cookie}, boot {:032x})", self.boot),
            None => write!(f, " (boot {:032x})", self.boot),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_time_when_the_name_has_parentheses() {
        let stat = b"7 (a) b (c)) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 8823561 0\n";
        assert_eq!(start_time(stat), Some(8_823_561));
        assert!(Process::current().unwrap().start_time > 0);
    }

    #[test]
    fn namespace_when_its_inode_is_reused() {
        let dead = NetnsId { boot: 1, inode: 4_026_532_000, cookie: Some(17) };
        assert_ne!(dead, NetnsId { cookie: Some(18), ..dead });
        assert_ne!(dead, NetnsId { boot: 2, ..dead });
        assert_eq!(dead, NetnsId { cookie: None, ..dead });
        assert_ne!(dead, NetnsId { cookie: None, inode: 3, ..dead });
        assert_eq!(NetnsId::current().unwrap(), NetnsId::current().unwrap());
    }
}
