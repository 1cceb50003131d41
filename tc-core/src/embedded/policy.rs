//! The kernel's syntactic checks of a message (`nlmsg_parse_deprecated`).

use std::borrow::Cow;

use super::discipline::Refusal;
use crate::wire::attr::{Attr, AttrWriter, Attrs, align};
use crate::wire::message::Message;
use crate::wire::uapi::*;

/// `enum netlink_attribute_type`, as far as it is needed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    Any,
    Flag,
    U32,
    /// At least one byte.
    String,
    /// A text of at most this length, and a NUL.
    StringUpTo(usize),
    /// At most this number of bytes.
    BinaryUpTo(usize),
    Nested,
    /// A struct of at least this length. Errors do not describe it.
    Struct(usize),
}

impl Policy {
    fn admits(self, payload: &[u8]) -> bool {
        match self {
            Self::Any => true,
            Self::Struct(least) => payload.len() >= least,
            Self::Flag => payload.is_empty(),
            Self::U32 => payload.len() >= 4,
            Self::String => !payload.is_empty(),
            Self::StringUpTo(most) => {
                !payload.is_empty() && payload.len() - usize::from(payload.ends_with(&[0])) <= most
            }
            Self::BinaryUpTo(most) => payload.len() <= most,
            Self::Nested => payload.is_empty() || payload.len() >= 4,
        }
    }

    /// `NL_ATTR_TYPE_*`.
    pub(super) const fn number(self) -> u32 {
        match self {
            Self::Any | Self::Struct(_) => 0,
            Self::Flag => 1,
            Self::U32 => 4,
            Self::BinaryUpTo(_) => 10,
            Self::String | Self::StringUpTo(_) => 11,
            Self::Nested => 13,
        }
    }
}

/// The attribute that breaks its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// In bytes from the start of the message.
    pub(super) offset: u32,
    pub(super) policy: Policy,
}

/// The last attribute of each type below `N`.
pub(super) type Table<'a, const N: usize> = [Option<Attr<'a>>; N];

/// Parses the attributes after a header of `header` bytes by `policy`.
///
/// Kernel: it skips bytes after the last whole attribute, and types that it does
/// not know.
pub(super) fn parse<'a, const N: usize>(
    payload: &'a [u8],
    header: usize,
    policy: impl Fn(u16) -> Policy,
) -> Result<Table<'a, N>, Refusal> {
    let short = Refusal::new(libc::EINVAL, "Invalid header length");
    parse_inside(payload, payload.get(header..).ok_or(short)?, policy)
}

/// Parses attributes anywhere inside the message with this payload.
pub(super) fn parse_inside<'a, const N: usize>(
    payload: &[u8],
    attributes: &'a [u8],
    policy: impl Fn(u16) -> Policy,
) -> Result<Table<'a, N>, Refusal> {
    let mut table = [None; N];
    for attr in Attrs::new(attributes).map_while(Result::ok) {
        let Some(slot) = table.get_mut(usize::from(attr.kind)).filter(|_| attr.kind != 0) else { continue };
        let policy = policy(attr.kind);
        if !policy.admits(attr.payload) {
            let behind = (attr.payload.as_ptr() as usize).saturating_sub(payload.as_ptr() as usize);
            let offset = (NLMSG_HDRLEN + behind).saturating_sub(4) as u32;
            return Err(Refusal {
                errno: libc::ERANGE,
                message: Some(Cow::Borrowed("Attribute failed policy validation")),
                at: Some(Fault { offset, policy }),
            });
        }
        *slot = Some(attr);
    }
    Ok(table)
}

/// The kernel's warning about bytes after the last whole attribute, unless there
/// is another text.
pub(super) fn leftover(message: &Message<'_>) -> Option<Cow<'static, str>> {
    let header = match message.kind {
        RTM_NEWLINK..=RTM_SETLINK => IFINFOMSG_LEN,
        RTM_NEWQDISC..=RTM_GETTCLASS => TCMSG_LEN,
        _ => return None,
    };
    let mut rest = message.payload.get(header..)?;
    while let Some(Ok(attr)) = Attrs::new(rest).next() {
        rest = rest.get(align(attr.payload.len() + 4)..).unwrap_or(&[]);
    }
    (!rest.is_empty()).then_some(Cow::Borrowed("bytes leftover after parsing attributes"))
}

pub(super) const TC_ATTRS: usize = TCA_EXT_WARN_MSG as usize + 1;

/// `rtm_tca_policy`.
pub(super) fn tc(kind: u16) -> Policy {
    match kind {
        TCA_KIND => Policy::String,
        TCA_RATE => Policy::BinaryUpTo(2),
        TCA_STAB => Policy::Nested,
        TCA_DUMP_INVISIBLE => Policy::Flag,
        TCA_CHAIN | TCA_INGRESS_BLOCK | TCA_EGRESS_BLOCK => Policy::U32,
        _ => Policy::Any,
    }
}

pub(super) const LINK_ATTRS: usize = IFLA_ALT_IFNAME as usize + 1;

/// `ifla_policy`, as far as it is needed here.
pub(super) fn link(kind: u16) -> Policy {
    match kind {
        IFLA_IFNAME => Policy::StringUpTo(IFNAMSIZ - 1),
        IFLA_ALT_IFNAME => Policy::StringUpTo(127),
        IFLA_MTU | IFLA_TXQLEN | IFLA_EXT_MASK => Policy::U32,
        _ => Policy::Any,
    }
}

impl Policy {
    /// Appends the policy as `NLMSGERR_ATTR_POLICY` shows it
    /// (`enum netlink_policy_type_attr`).
    pub(super) fn encode(self, out: &mut AttrWriter<'_>) {
        if self.number() == 0 {
            return;
        }
        let mut nest = out.nest(NLMSGERR_ATTR_POLICY | NLA_F_NESTED);
        match self {
            Self::U32 => {
                nest.attr_u64(POLICY_MIN_VALUE_U, 0);
                nest.attr_u64(POLICY_MAX_VALUE_U, u32::MAX.into());
            }
            Self::StringUpTo(most) | Self::BinaryUpTo(most) => {
                nest.attr_u32(POLICY_MAX_LENGTH, most as u32);
            }
            _ => {}
        }
        nest.attr_u32(POLICY_TYPE, self.number());
    }
}

// NL_POLICY_TYPE_ATTR_*
const POLICY_TYPE: u16 = 1;
const POLICY_MIN_VALUE_U: u16 = 4;
const POLICY_MAX_VALUE_U: u16 = 5;
const POLICY_MAX_LENGTH: u16 = 7;
