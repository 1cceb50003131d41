//! Requests for actions themselves, and lists of them.

use bytes::BytesMut;

use crate::exchange::dump_request::DumpRequest;
use crate::exchange::held::Held;
use crate::kind::FillContext;
use crate::kind::action::{Actions, Bitfield32};
use crate::wire::attr::AttrWriter;
use crate::wire::error::{DecodeError, EncodeError};
use crate::wire::message::Entry;
use crate::wire::uapi::*;
use crate::wire::verb::{TcType, Verb};

/// The actions of a request.
#[derive(Clone, Debug)]
pub(crate) enum Target<'a> {
    These(Held<'a, Actions>),
    All(&'a str),
}

impl Target<'_> {
    pub(crate) const fn flags(&self) -> u16 {
        match self {
            Self::These(_) => 0,
            Self::All(_) => NLM_F_ROOT,
        }
    }

    pub(crate) fn encode(
        &self,
        verb: Verb,
        context: &FillContext,
        buffer: &mut BytesMut,
    ) -> Result<(), EncodeError> {
        let mut out = AttrWriter::new(buffer);
        match self {
            Self::These(actions) if actions.get().is_empty() => {
                return Err(EncodeError::Invalid("no actions".into()));
            }
            Self::These(actions) => actions.get().encode(TCA_ACT_TAB, context, &mut out)?,
            Self::All(_) if verb != Verb::Delete => {
                let text = format!("{} is not for all actions of a kind", verb.name());
                return Err(EncodeError::Invalid(text));
            }
            Self::All(kind) => encode_kind(kind, false, None, &mut out),
        }
        out.finish()
    }

    pub(crate) fn describe(&self) -> String {
        match self {
            Self::All(kind) => format!("all actions {kind}"),
            Self::These(actions) => {
                let names: Vec<_> = actions.get().iter().map(ToString::to_string).collect();
                format!("action {}", names.join(", "))
            }
        }
    }
}

impl DumpRequest {
    /// All actions of a kind. Kernel: a message holds several of them; see
    /// [`Entry::actions`]. Only the first 15 bytes of the name count.
    pub fn actions(kind: &str) -> Self {
        let mut select = Self::new(TcType::Action, 0);
        select.kind = crate::wire::device::DeviceName::of(kind);
        select
    }

    /// Only actions that were used in the last `ms` milliseconds.
    #[must_use]
    pub const fn used_since_ms(mut self, milliseconds: u32) -> Self {
        self.since_ms = Some(milliseconds);
        self
    }

    pub(crate) fn encode_actions(&self, out: &mut AttrWriter<'_>) {
        encode_kind(self.kind.to_str().unwrap_or_default(), self.terse, self.since_ms, out);
    }
}

/// The kind, and the flags of a list of all of its actions.
fn encode_kind(kind: &str, terse: bool, since_ms: Option<u32>, out: &mut AttrWriter<'_>) {
    out.nest(TCA_ACT_TAB).nest(1).attr_str(TCA_ACT_KIND, kind);
    let flags = TCA_ACT_FLAG_LARGE_DUMP_ON | if terse { TCA_ACT_FLAG_TERSE_DUMP } else { 0 };
    Bitfield32::set(flags).encode(TCA_ROOT_FLAGS, out);
    if let Some(since) = since_ms {
        out.attr_u32(TCA_ROOT_TIME_DELTA, since);
    }
}

impl Entry<'_> {
    /// The actions in a message about actions.
    pub fn actions(&self) -> Result<Actions, DecodeError> {
        let attr = self.attr(TCA_ACT_TAB).filter(|_| self.tc_type() == TcType::Action);
        Actions::decode(&attr.ok_or(DecodeError::Missing { what: "list of actions" })?)
    }
}
