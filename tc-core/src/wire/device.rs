//! Names of devices.

use std::fmt;
use std::io;

use crate::wire::uapi::IFNAMSIZ;

/// Names of devices by index, on demand: one cheap system call each, never a
/// list of all devices.
pub trait DeviceNames: fmt::Debug {
    /// The name of the device with this index.
    fn device_name(&self, ifindex: i32) -> io::Result<DeviceName>;

    /// The index of the device with this name.
    ///
    /// Where there is no cheaper way than [`Connection::ifindex`](crate::Connection::ifindex) this is an
    /// error of the kind `Unsupported`.
    fn ifindex(&self, name: &str) -> io::Result<i32> {
        let _ = name;
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A device's name, at most 15 bytes, held in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceName([u8; IFNAMSIZ]);

impl DeviceName {
    /// From the kernel's bytes, which end with a NUL.
    pub const fn new(bytes: [u8; IFNAMSIZ]) -> Self {
        Self(bytes)
    }

    /// From text, of which the first 15 bytes count.
    pub fn of(text: &str) -> Self {
        let mut bytes = [0; IFNAMSIZ];
        for (to, from) in bytes[..IFNAMSIZ - 1].iter_mut().zip(text.bytes()) {
            *to = from;
        }
        Self(bytes)
    }

    /// The name as text. The kernel allows other bytes than UTF-8 in it; then
    /// it reads as `?`.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(IFNAMSIZ);
        std::str::from_utf8(&self.0[..end]).unwrap_or("?")
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
