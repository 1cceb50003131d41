//! Handles: the 32-bit names of qdiscs (`1:`) and classes (`1:10`).

use std::fmt;
use std::str::FromStr;

use crate::wire::stack_str::StackStr;

/// The name of a qdisc or class on one device: 16 bits of major and 16 bits of
/// minor number, both written in hexadecimal.
///
/// Mirrors `__u32` with the `TC_H_*` macros of `linux/pkt_sched.h`.
///
/// ```
/// use tc_core::Handle;
///
/// let class: Handle = "1:1f".parse()?;
/// assert_eq!(class, Handle::class(1, 0x1f));
/// assert_eq!(class.to_string(), "1:1f");
/// assert_eq!(class.qdisc_of().to_string(), "1:");
/// # Ok::<(), tc_core::HandleError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Handle(u32);

impl Handle {
    /// `TC_H_UNSPEC`: no handle; in a request the kernel chooses one.
    pub const UNSPEC: Self = Self(0);
    /// `TC_H_ROOT`: the parent of a device's root qdisc.
    pub const ROOT: Self = Self(0xffff_ffff);
    /// `TC_H_INGRESS`: the parent of the ingress qdisc.
    pub const INGRESS: Self = Self(0xffff_fff1);
    /// `TC_H_CLSACT`: the parent of clsact; the same number as ingress.
    pub const CLSACT: Self = Self::INGRESS;
    /// `TC_H_CLSACT` with `TC_H_MIN_INGRESS`: where filters on what a device
    /// receives are attached (`tc filter ... ingress`).
    pub const FILTER_INGRESS: Self = Self(0xffff_fff2);
    /// `TC_H_CLSACT` with `TC_H_MIN_EGRESS`: where filters on what a device
    /// sends are attached (`tc filter ... egress`).
    pub const FILTER_EGRESS: Self = Self(0xffff_fff3);

    /// The handle of a qdisc, `major:`.
    pub const fn qdisc(major: u16) -> Self {
        Self((major as u32) << 16)
    }

    /// The handle of a class, `major:minor`.
    pub const fn class(major: u16, minor: u16) -> Self {
        Self(((major as u32) << 16) | minor as u32)
    }

    /// The handle from its number, as it stands in `struct tcmsg`.
    pub const fn from_raw(raw: u32) -> Self {
        Self(raw)
    }

    /// The number, as it stands in `struct tcmsg`.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// The number before the colon.
    pub const fn major(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// The number after the colon.
    pub const fn minor(self) -> u16 {
        self.0 as u16
    }

    /// Whether this is [`Handle::UNSPEC`].
    pub const fn is_unspec(self) -> bool {
        self.0 == 0
    }

    /// The qdisc that a class belongs to: the same major, minor 0.
    pub const fn qdisc_of(self) -> Self {
        Self(self.0 & 0xffff_0000)
    }

    /// Reads the handle of a qdisc as `tc` does after `handle`: `MAJ:`, `MAJ`
    /// or `none`. A minor number is accepted and dropped, as in `tc`. Any other text
    /// after the colon is an error (`tc` ignores it).
    pub fn parse_qdisc(text: &str) -> Result<Self, HandleError> {
        let error = || HandleError { text: text.to_owned(), expected: "MAJOR: in hexadecimal, or none" };
        if text == "none" {
            return Ok(Self::UNSPEC);
        }
        let (major, minor) = split(text).unwrap_or((text, ""));
        if !minor.is_empty() {
            hex(minor).filter(|n| *n <= 0xffff).ok_or_else(error)?;
        }
        let major = hex(major).filter(|n| *n <= 0xffff).ok_or_else(error)?;
        Ok(Self((major as u32) << 16))
    }
}

/// Reads a handle as `tc` does after `parent` and `classid`: `MAJ:MIN`,
/// `MAJ:`, `:MIN`, a raw number without a colon, `root` or `none`; and, as
/// libnl does, `ingress` and `clsact`.
impl FromStr for Handle {
    type Err = HandleError;

    fn from_str(text: &str) -> Result<Self, HandleError> {
        let error = || HandleError {
            text: text.to_owned(),
            expected: "MAJOR:MINOR in hexadecimal, root, ingress or none",
        };
        match text {
            "root" => return Ok(Self::ROOT),
            "none" => return Ok(Self::UNSPEC),
            "ingress" | "clsact" => return Ok(Self::INGRESS),
            _ => {}
        }
        let Some((major, minor)) = split(text) else {
            let raw = hex(text).ok_or_else(error)?;
            return u32::try_from(raw).map(Self).map_err(|_| error());
        };
        let part = |digits: &str| match digits {
            "" => Some(0),
            digits => hex(digits).filter(|n| *n <= 0xffff),
        };
        match (part(major), part(minor)) {
            (Some(major), Some(minor)) => Ok(Self(((major as u32) << 16) | minor as u32)),
            _ => Err(error()),
        }
    }
}

impl Handle {
    pub(crate) fn short(self) -> StackStr {
        match (self, u64::from(self.major()), u64::from(self.minor())) {
            (Self::ROOT, ..) => StackStr::new().str("root"),
            (Self::UNSPEC, ..) => StackStr::new().str("none"),
            (_, 0, minor) => StackStr::new().str(":").hex(minor),
            (_, major, 0) => StackStr::new().hex(major).str(":"),
            (_, major, minor) => StackStr::new().hex(major).str(":").hex(minor),
        }
    }
}

/// The parts before and after the colon.
fn split(text: &str) -> Option<(&str, &str)> {
    // Not split_once(), which is made for long texts: each line of a batch has handles.
    let colon = text.bytes().position(|byte| byte == b':')?;
    Some((&text[..colon], &text[colon + 1..]))
}

/// A hexadecimal number, with or without `0x`, as `strtoul` reads it in base 16
/// (but without its white space and signs).
fn hex(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    if digits.starts_with('+') {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

/// Writes a handle as `tc` does: `root`, `none`, `1:`, `:1` or `1:10`.
impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.short().as_str())
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({self})")
    }
}

/// A text that is not a handle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no handle: expected {expected}")]
pub struct HandleError {
    /// The text.
    pub text: String,
    expected: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_ids_read_as_tc_reads_them() {
        for (text, raw) in [
            ("1:", 0x0001_0000),
            ("1:10", 0x0001_0010),
            (":2", 2),
            (":", 0),
            ("ffff:fff2", 0xffff_fff2),
            ("10", 0x10),
            ("10002", 0x0001_0002),
            ("0x1:0xA", 0x0001_000a),
            ("root", 0xffff_ffff),
            ("none", 0),
            ("ingress", 0xffff_fff1),
        ] {
            assert_eq!(text.parse(), Ok(Handle::from_raw(raw)), "{text}");
        }
        for text in ["", "x", "1:zz", "1:2:3", "10000:1", "1:10000", "-1:", "1 :", "123456789", "+1:"] {
            assert!(text.parse::<Handle>().is_err(), "{text:?} is no class id");
        }
    }

    #[test]
    fn qdisc_handles_read_as_tc_reads_them() {
        for (text, raw) in
            [("1:", 0x1_0000), ("1", 0x1_0000), ("8001:", 0x8001_0000), ("1:5", 0x1_0000), ("none", 0)]
        {
            assert_eq!(Handle::parse_qdisc(text), Ok(Handle::from_raw(raw)), "{text}");
        }
        for text in ["", ":", "root", "1:zz", "10000:", "g:"] {
            assert!(Handle::parse_qdisc(text).is_err(), "{text:?} is no qdisc handle");
        }
    }

    #[test]
    fn printed_handles_read_back() {
        for raw in [0, 1, 0x10, 0xffff, 0x1_0000, 0x1_0010, 0xffff_fff1, u32::MAX] {
            let handle = Handle::from_raw(raw);
            assert_eq!(handle.to_string().parse(), Ok(handle), "{handle}");
        }
    }
}
