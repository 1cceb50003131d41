//! The packets that a redirect takes, by a filter's options.

use bytes::BytesMut;
use tc_core::action::{Action, Actions};
use tc_core::message::Entry;
use tc_core::uapi::ETH_P_ALL;
use tc_core::{AttrWriter, Attrs, EncodeError, FillContext, Handle, Options, TcType, Verb};

use super::error::MatchError;
use crate::action::mirred::{Eaction, Mirred};

/// A filter whose packets a redirect takes, without its action: the redirect adds that.
///
/// Packets that no filter of a redirect matches pass by, and are never held.
///
/// ```
/// use tc_core::uapi::ETH_P_IP;
/// use tc_qdiscs::filter::flower::Flower;
/// use tc_qdiscs::plug::place::{Match, RedirectSetup};
///
/// let https = Flower::default().eth_type(ETH_P_IP).ip_proto(6).dst_port(443);
/// let setup = RedirectSetup::default().matches(vec![Match::new(ETH_P_IP, &https)?]);
/// # let _ = setup;
/// # Ok::<(), tc_qdiscs::plug::place::MatchError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    protocol: u16,
    kind: &'static str,
    handle: Handle,
    /// The payload of `TCA_OPTIONS`.
    options: Vec<u8>,
}

/// The kinds of filters that can redirect: the attribute of their actions (`TCA_*_ACT` of
/// `pkt_cls.h`), and whether the kernel chooses the handles.
const KINDS: [(&str, u16, bool); 9] = [
    ("matchall", 2, false),
    ("flower", 3, false),
    ("u32", 7, true),
    ("basic", 3, false),
    ("bpf", 1, false),
    ("fw", 4, false),
    ("flow", 9, false),
    ("cgroup", 1, false),
    ("route", 6, true),
];

impl Match {
    /// A filter of this protocol (`ETH_P_*`) with these options, of any kind that takes actions.
    pub fn new(protocol: u16, options: &dyn Options) -> Result<Self, MatchError> {
        let kind = options.kind();
        let known = (options.tc_type() == TcType::Filter).then(|| KINDS.iter().find(|known| known.0 == kind));
        let Some(&(kind, actions, chosen)) = known.flatten() else {
            return Err(MatchError::NoActions { kind: kind.to_owned() });
        };
        let mut buffer = BytesMut::new();
        let mut writer = AttrWriter::new(&mut buffer);
        options.fill(&FillContext { verb: Verb::Add, as_tc: false }, &mut writer)?;
        writer.finish()?;
        if !matches!(Attrs::new(&buffer).find(actions), Ok(None)) {
            return Err(MatchError::HasActions { kind });
        }
        if kind == "u32" {
            make_terminal(&mut buffer);
        }
        let handle = if chosen { Handle::UNSPEC } else { Handle::from_raw(1) };
        Ok(Self { protocol, kind, handle, options: buffer.to_vec() })
    }

    /// All packets.
    pub(super) const fn all() -> Self {
        Self { protocol: ETH_P_ALL, kind: "matchall", handle: Handle::from_raw(1), options: Vec::new() }
    }

    /// Sets the filter's handle: for `fw` it is the mark.
    #[must_use]
    pub const fn handle(mut self, handle: Handle) -> Self {
        self.handle = handle;
        self
    }

    pub(super) const fn protocol(&self) -> u16 {
        self.protocol
    }

    pub(super) const fn kind(&self) -> &'static str {
        self.kind
    }

    pub(super) const fn filter_handle(&self) -> Handle {
        self.handle
    }

    /// The options with the redirect to a device, which has this cookie.
    pub(super) fn redirect_to(&self, ifindex: i32, cookie: &[u8]) -> Result<Vec<u8>, EncodeError> {
        let action = Action::new(Mirred::to(Eaction::EgressRedirect, ifindex)).cookie(cookie);
        let attribute = actions_of(self.kind).unwrap_or_default();
        let mut buffer = BytesMut::from(&self.options[..]);
        let mut writer = AttrWriter::new(&mut buffer);
        let context = FillContext { verb: Verb::Add, as_tc: false };
        Actions::new().with(action).encode(attribute, &context, &mut writer)?;
        writer.finish()?;
        Ok(buffer.to_vec())
    }
}

/// Kernel: a u32 filter runs its actions only if it is terminal (`TC_U32_TERMINAL`), which words imply
/// by an action.
fn make_terminal(options: &mut [u8]) {
    const TCA_U32_SEL: u16 = 5;
    const TC_U32_TERMINAL: u8 = 1;
    let sel = Attrs::new(options).find(TCA_U32_SEL).ok().flatten();
    // `struct tc_u32_sel` begins with the flags.
    let at = sel.map(|sel| sel.payload.as_ptr() as usize - options.as_ptr() as usize);
    if let Some(flags) = at.and_then(|at| options.get_mut(at)) {
        *flags |= TC_U32_TERMINAL;
    }
}

/// The attribute of the actions of this kind of filter.
fn actions_of(kind: &str) -> Option<u16> {
    KINDS.iter().find(|known| known.0 == kind).map(|known| known.1)
}

/// The actions of a filter from a dump; none if they cannot be read.
pub(super) fn actions(entry: &Entry<'_>) -> Actions {
    let attribute = entry.kind().ok().and_then(actions_of);
    let found = attribute.and_then(|attribute| Attrs::new(entry.options()?).find(attribute).ok().flatten());
    found.and_then(|actions| Actions::decode(&actions).ok()).unwrap_or_default()
}

/// A number for these filters, which cookies have: FNV-1a, 32 bits.
pub(super) fn digest(matches: &[Match]) -> [u8; 4] {
    let mut sum = 0x811c_9dc5_u32;
    let mut add = |bytes: &[u8]| {
        for byte in bytes.iter().chain(&(bytes.len() as u32).to_be_bytes()) {
            sum = (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    };
    for Match { protocol, kind, handle, options } in matches {
        add(&protocol.to_be_bytes());
        add(kind.as_bytes());
        add(&handle.raw().to_be_bytes());
        add(options);
    }
    sum.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use tc_core::uapi::ETH_P_IP;

    use super::*;
    use crate::filter::flower::Flower;
    use crate::filter::matchall::Matchall;
    use crate::pfifo::Pfifo;

    #[test]
    fn match_when_it_has_actions_or_takes_none() {
        let action = Action::new(Mirred::to(Eaction::EgressRedirect, 3));
        let acting = Matchall { actions: Actions::new().with(action), ..Matchall::default() };
        assert_eq!(Match::new(ETH_P_ALL, &acting), Err(MatchError::HasActions { kind: "matchall" }));
        let wrong = Match::new(ETH_P_ALL, &Pfifo::new(10));
        assert_eq!(wrong, Err(MatchError::NoActions { kind: "pfifo".to_owned() }));
    }

    #[test]
    fn match_of_u32_is_terminal() {
        let u32s = tc_core::Registry::global().unwrap().get(TcType::Filter, "u32").unwrap();
        let mut words = tc_core::words::Words::new(&["match", "ip", "dport", "7", "0xffff"]);
        let context = tc_core::words::WordsContext::new(Verb::Add);
        let port = u32s.parse_words(&mut words, &context).unwrap().unwrap();
        let matching = Match::new(ETH_P_IP, &*port).unwrap();
        let flags = Attrs::new(&matching.options).find(5).unwrap().unwrap().payload[0];
        assert_eq!((flags & 1, matching.handle), (1, Handle::UNSPEC));
    }

    #[test]
    fn matchs_bytes_are_those_of_the_typed_filter() {
        let flower = Flower::default().eth_type(ETH_P_IP).ip_proto(6).dst_port(443);
        let one = Match::new(ETH_P_IP, &flower).unwrap();
        let action = Action::new(Mirred::to(Eaction::EgressRedirect, 3)).cookie(b"c");
        let whole = flower.clone().actions(Actions::new().with(action));
        let mut buffer = BytesMut::new();
        let mut writer = AttrWriter::new(&mut buffer);
        whole.fill(&FillContext { verb: Verb::Add, as_tc: false }, &mut writer).unwrap();
        let (mut ours, mut theirs) = (one.redirect_to(3, b"c").unwrap(), buffer.to_vec());
        // The order of attributes has no meaning.
        assert_eq!(ours.len(), theirs.len());
        ours.sort_unstable();
        theirs.sort_unstable();
        assert_eq!(ours, theirs);
        let other = Match::new(ETH_P_IP, &flower.dst_port(80)).unwrap();
        assert_ne!(digest(std::slice::from_ref(&one)), digest(&[other]));
        assert_ne!(digest(std::slice::from_ref(&one)), digest(&[one.clone(), one]));
    }
}
