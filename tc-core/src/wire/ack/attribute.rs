//! The attribute of a request that an error refers to, and its constraints.

use std::fmt;

use crate::wire::attr::{Attr, Attrs, align};
use crate::wire::message::Messages;
use crate::wire::uapi::*;

/// The kernel's constraints on an attribute (`enum netlink_policy_type_attr`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// `NL_ATTR_TYPE_*`: the expected type of the payload.
    pub attribute_type: Option<u32>,
    /// The least value of a signed number.
    pub min_signed: Option<i64>,
    /// The greatest value of a signed number.
    pub max_signed: Option<i64>,
    /// The least value of an unsigned number.
    pub min_unsigned: Option<u64>,
    /// The greatest value of an unsigned number.
    pub max_unsigned: Option<u64>,
    /// The fewest bytes.
    pub min_length: Option<u32>,
    /// The most bytes.
    pub max_length: Option<u32>,
    /// The bits that may be set.
    pub mask: Option<u64>,
}

impl Policy {
    pub(super) fn decode(attr: &Attr<'_>) -> Self {
        let mut policy = Self::default();
        for attr in attr.attrs().map_while(Result::ok) {
            match attr.kind {
                1 => policy.attribute_type = attr.u32().ok(),
                2 => policy.min_signed = attr.i64().ok(),
                3 => policy.max_signed = attr.i64().ok(),
                4 => policy.min_unsigned = attr.u64().ok(),
                5 => policy.max_unsigned = attr.u64().ok(),
                6 => policy.min_length = attr.u32().ok(),
                7 => policy.max_length = attr.u32().ok(),
                10 => policy.mask = attr.u32().ok().map(u64::from),
                12 => policy.mask = attr.u64().ok(),
                _ => {}
            }
        }
        policy
    }
}

/// In words: `a 32-bit number from 1 to 16`.
impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sort = self.attribute_type.and_then(|number| SORTS.get(number as usize));
        f.write_str(sort.unwrap_or(&"of another sort"))?;
        match (self.min_signed, self.max_signed, self.min_unsigned, self.max_unsigned) {
            (Some(least), Some(most), ..) => write!(f, " from {least} to {most}")?,
            (_, _, Some(least), Some(most)) => write!(f, " from {least} to {most}")?,
            _ => {}
        }
        match (self.min_length, self.max_length) {
            (Some(least), Some(most)) => write!(f, " of {least} to {most} bytes")?,
            (Some(least), None) => write!(f, " of at least {least} bytes")?,
            (None, Some(most)) => write!(f, " of at most {most} bytes")?,
            (None, None) => {}
        }
        match self.mask {
            Some(mask) => write!(f, " within {mask:#x}"),
            None => Ok(()),
        }
    }
}

/// `enum netlink_attribute_type`.
const SORTS: [&str; 16] = [
    "nothing at all",
    "a flag",
    "an 8-bit number",
    "a 16-bit number",
    "a 32-bit number",
    "a 64-bit number",
    "a signed 8-bit number",
    "a signed 16-bit number",
    "a signed 32-bit number",
    "a signed 64-bit number",
    "bytes",
    "text",
    "text with a NUL at its end",
    "a nest",
    "an array of nests",
    "a field of bits",
];

/// The name of the attribute that begins at `offset` of the message `request`,
/// with its nests: `TCA_OPTIONS/3`. Attributes that only the kind defines are
/// numbers.
pub(crate) fn name_at(request: &[u8], offset: u32) -> Option<String> {
    let (attributes, names) = attributes(request)?;
    let (mut at, mut end) = (attributes, request.len());
    let (offset, mut path) = (offset as usize, String::new());
    while at <= offset {
        let attr = Attrs::new(request.get(at..end)?).next()?.ok()?;
        let (inside, behind) = (at + 4, at + 4 + attr.payload.len());
        if offset >= align(behind) {
            at = align(behind);
            continue;
        }
        match path.is_empty() {
            true => path += &name(names, attr.kind),
            false => path += &format!("/{}", attr.kind),
        }
        if offset == at {
            return Some(path);
        }
        (at, end) = (inside, behind);
    }
    None
}

/// The name of an attribute of this type that is missing from the message
/// `request`: from the nest at an offset, or from its top.
pub(crate) fn name_of_missing(request: &[u8], kind: u32, nest: Option<u32>) -> Option<String> {
    match nest.filter(|offset| *offset != 0) {
        Some(offset) => Some(format!("{}/{kind}", name_at(request, offset)?)),
        None => Some(name(attributes(request)?.1, u16::try_from(kind).ok()?)),
    }
}

type Names = &'static [(u16, &'static str)];

/// Where the attributes of a message begin, and their names.
fn attributes(request: &[u8]) -> Option<(usize, Names)> {
    let message = Messages::new(request).next()?.ok()?;
    Some(match message.kind {
        RTM_NEWLINK..=RTM_SETLINK => (NLMSG_HDRLEN + IFINFOMSG_LEN, LINK),
        RTM_NEWACTION..=RTM_GETACTION => (NLMSG_HDRLEN + TCAMSG_LEN, ACTIONS),
        RTM_NEWQDISC..=RTM_GETTFILTER => (NLMSG_HDRLEN + TCMSG_LEN, TC),
        _ => return None,
    })
}

fn name(names: Names, kind: u16) -> String {
    let known = names.iter().find(|(number, _)| *number == kind);
    known.map_or_else(|| kind.to_string(), |(_, name)| (*name).to_owned())
}

macro_rules! named {
    ($($name:ident),* $(,)?) => { &[$(($name, stringify!($name))),*] };
}

const TC: Names = named![
    TCA_KIND,
    TCA_OPTIONS,
    TCA_RATE,
    TCA_STAB,
    TCA_DUMP_INVISIBLE,
    TCA_CHAIN,
    TCA_INGRESS_BLOCK,
    TCA_EGRESS_BLOCK,
    TCA_DUMP_FLAGS,
];

const ACTIONS: Names = named![TCA_ACT_TAB, TCA_ROOT_FLAGS, TCA_ROOT_TIME_DELTA];

const LINK: Names =
    named![IFLA_IFNAME, IFLA_MTU, IFLA_TXQLEN, IFLA_LINKINFO, IFLA_NET_NS_FD, IFLA_EXT_MASK, IFLA_ALT_IFNAME];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::attr::AttrWriter;
    use crate::wire::message::{TcHeader, begin_message, end_message};
    use bytes::BytesMut;

    /// TCA_KIND at byte 36, TCA_OPTIONS at 44 with 1 at 48, 2 at 56 and in it 7
    /// at 60, and 99 at 68.
    fn request() -> BytesMut {
        let mut buffer = BytesMut::new();
        let start = begin_message(&mut buffer, RTM_NEWQDISC, 0, 1);
        TcHeader::default().encode(&mut buffer);
        let mut out = AttrWriter::new(&mut buffer);
        out.attr_str(TCA_KIND, "tbf");
        let mut options = out.nest(TCA_OPTIONS);
        options.attr_u32(1, 0);
        options.nest(2).attr_u32(7, 0);
        drop(options);
        out.attr_u32(99, 0);
        out.finish().unwrap();
        end_message(&mut buffer, start);
        buffer
    }

    #[test]
    fn attributes_have_the_kernels_names_and_their_nests() {
        let request = request();
        for (offset, name) in [
            (36, Some("TCA_KIND")),
            (44, Some("TCA_OPTIONS")),
            (48, Some("TCA_OPTIONS/1")),
            (56, Some("TCA_OPTIONS/2")),
            (60, Some("TCA_OPTIONS/2/7")),
            (68, Some("99")),
            // Nothing begins there.
            (0, None),
            (38, None),
            (64, None),
            (76, None),
            (u32::MAX, None),
        ] {
            assert_eq!(name_at(&request, offset).as_deref(), name, "{offset}");
        }
        assert_eq!(name_of_missing(&request, 2, None).unwrap(), "TCA_OPTIONS");
        assert_eq!(name_of_missing(&request, 5, Some(44)).unwrap(), "TCA_OPTIONS/5");
        assert_eq!(name_at(&request[..30], 36), None);
    }

    #[test]
    fn a_policy_displays_as_words() {
        let mut buffer = BytesMut::new();
        let mut out = AttrWriter::new(&mut buffer);
        let mut nest = out.nest(NLMSGERR_ATTR_POLICY);
        nest.attr_u32(1, 4);
        nest.attr_u64(4, 1);
        nest.attr_u64(5, 16);
        drop(nest);
        let mut nest = out.nest(NLMSGERR_ATTR_POLICY);
        nest.attr_u32(1, 11);
        nest.attr_u32(7, 15);
        drop(nest);
        out.finish().unwrap();
        let read: Vec<_> = Attrs::new(&buffer).map(|attr| Policy::decode(&attr.unwrap())).collect();
        assert_eq!((read[0].min_unsigned, read[0].max_unsigned), (Some(1), Some(16)));
        let told: Vec<_> = read.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["a 32-bit number from 1 to 16", "text of at most 15 bytes"]);
        assert_eq!(Policy::default().to_string(), "of another sort");
    }
}
