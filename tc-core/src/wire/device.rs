//! Names of devices.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt as _;

use crate::wire::lossless;
use crate::wire::uapi::{ALTIFNAMSIZ, IFNAMSIZ};

/// Names of devices by index, on demand: one cheap system call each, never a
/// list of all devices. Also names of other objects that options have by number.
pub trait DeviceNames: fmt::Debug + Send {
    /// The name of the device with this index.
    fn device_name(&self, ifindex: i32) -> io::Result<DeviceName>;

    /// The index of the device with this name, which can be [lossless] text.
    ///
    /// Where there is no cheaper way than [`Connection::ifindex`](crate::Connection::ifindex) this is an
    /// error of the kind `Unsupported`.
    fn ifindex(&self, name: &str) -> io::Result<i32> {
        let _ = name;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The name of a routing realm, if it has one; by default none has.
    fn realm_name(&self, realm: u8) -> Option<String> {
        let _ = realm;
        None
    }

    /// The name of the netfilter set with this index. By default an error of the kind `Unsupported`.
    fn ipset_name(&self, index: u16) -> io::Result<String> {
        let _ = index;
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
        Self::of_bytes(text.as_bytes())
    }

    pub(crate) fn of_bytes(name: &[u8]) -> Self {
        let mut bytes = [0; IFNAMSIZ];
        for (to, from) in bytes[..IFNAMSIZ - 1].iter_mut().zip(name) {
            *to = *from;
        }
        Self(bytes)
    }

    /// The name's bytes. The kernel accepts others than UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(IFNAMSIZ);
        &self.0[..end]
    }

    /// The name as the operating system takes it.
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(self.as_bytes())
    }

    /// The name, if it is UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()).ok()
    }
}

impl AsRef<OsStr> for DeviceName {
    fn as_ref(&self) -> &OsStr {
        self.as_os_str()
    }
}

/// The name for messages: U+FFFD stands for bytes that are not UTF-8.
impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(self.as_bytes()))
    }
}

/// The bytes of a device's name. `ENODEV` for what the kernel would cut, and so take for another name.
pub(crate) fn device_name_bytes(name: &OsStr) -> io::Result<Cow<'_, [u8]>> {
    let bytes = match name.to_str() {
        Some(text) => lossless::to_bytes(text),
        None => Cow::Borrowed(name.as_bytes()),
    };
    match bytes.len() > ALTIFNAMSIZ - 1 || bytes.contains(&0) {
        true => Err(io::Error::from_raw_os_error(libc::ENODEV)),
        false => Ok(bytes),
    }
}
