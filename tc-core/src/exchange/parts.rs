//! The parts of a request, and its message.

use bytes::BytesMut;

use crate::exchange::action::Target;
use crate::exchange::held::Held;
use crate::kind::{Estimator, Fill, FillContext, Options, Stab, TcOps};
use crate::wire::attr::AttrWriter;
use crate::wire::error::EncodeError;
use crate::wire::handle::Handle;
use crate::wire::message::{TcHeader, begin_message, end_message};
use crate::wire::uapi::*;
use crate::wire::verb::{TcType, Verb};

/// A [`Request`](crate::Request) without the type of its object.
#[derive(Clone, Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) tc_type: TcType,
    pub(crate) header: TcHeader,
    pub(crate) kind: &'a str,
    pub(crate) ops: Option<&'a dyn TcOps>,
    pub(crate) options: Option<Held<'a, dyn Options>>,
    /// The payload of `TCA_OPTIONS`, in place of `options`.
    pub(crate) raw: Option<&'a [u8]>,
    pub(crate) stab: Option<Stab>,
    pub(crate) estimator: Option<Estimator>,
    pub(crate) ingress_block: Option<u32>,
    pub(crate) egress_block: Option<u32>,
    pub(crate) chain: Option<u32>,
    /// A chain of filters, in place of a filter.
    pub(crate) is_chain: bool,
    pub(crate) target: Option<Target<'a>>,
    pub(crate) as_tc: bool,
}

impl<'a> Parts<'a> {
    pub(crate) const fn new(tc_type: TcType, ifindex: i32) -> Self {
        Self::of(tc_type, ifindex, None)
    }

    pub(crate) const fn of(tc_type: TcType, ifindex: i32, target: Option<Target<'a>>) -> Self {
        Self {
            tc_type,
            header: TcHeader { family: 0, ifindex, handle: Handle::UNSPEC, parent: Handle::UNSPEC, info: 0 },
            kind: "",
            ops: None,
            options: None,
            raw: None,
            stab: None,
            estimator: None,
            ingress_block: None,
            egress_block: None,
            chain: None,
            is_chain: false,
            target,
            as_tc: false,
        }
    }

    pub(crate) fn options(&self) -> Option<&dyn Options> {
        self.options.as_ref().map(Held::get)
    }

    /// Whether the object must be read before this request; see
    /// [`Kind::READ_BEFORE_CHANGE`](crate::Kind::READ_BEFORE_CHANGE).
    pub(crate) fn reads_first(&self, verb: Verb) -> bool {
        matches!(verb, Verb::Add | Verb::Change | Verb::Replace)
            && (self.ops.is_some_and(|ops| ops.reads_before_change())
                || self.options().is_some_and(Options::reads_before_change))
    }

    fn message_type(&self, verb: Verb) -> u16 {
        let of_filter = self.tc_type.message(verb);
        if self.is_chain { of_filter - RTM_NEWTFILTER + RTM_NEWCHAIN } else { of_filter }
    }

    pub(crate) fn with_handle(mut self, handle: Handle) -> Self {
        self.header.handle = handle;
        self
    }

    /// The request with other options of its kind.
    pub(crate) fn other_options(self, options: &'a dyn Options) -> Self {
        Self { options: Some(Held::Borrowed(options)), raw: None, ..self }
    }

    /// The object in words, for errors.
    pub(crate) fn describe(&self) -> String {
        if let Some(target) = &self.target {
            return target.describe();
        }
        let mut text = match self.is_chain {
            true => format!("chain {}", self.chain.unwrap_or(0)),
            false => self.tc_type.name().to_owned(),
        };
        if !self.kind.is_empty() {
            text = text + " " + self.kind;
        }
        if !self.header.handle.is_unspec() {
            text += &format!(" {}", self.header.handle);
        }
        if self.header.ifindex == TCM_IFINDEX_MAGIC_BLOCK {
            text += &format!(" of block {}", self.header.parent.raw());
        } else if !self.header.parent.is_unspec() {
            text += &format!(" parent {}", self.header.parent);
        }
        match self.header.ifindex {
            TCM_IFINDEX_MAGIC_BLOCK => text,
            ifindex => text + &format!(" on device {ifindex}"),
        }
    }

    /// Appends the message to `buffer`. On an error the buffer is as it was.
    pub(crate) fn encode(&self, verb: Verb, sequence: u32, buffer: &mut BytesMut) -> Result<(), EncodeError> {
        let start = buffer.len();
        let written = self.try_encode(verb, sequence, buffer);
        if written.is_err() {
            buffer.truncate(start);
        }
        written
    }

    fn try_encode(&self, verb: Verb, sequence: u32, buffer: &mut BytesMut) -> Result<(), EncodeError> {
        let more = self.target.as_ref().map_or(0, Target::flags);
        let flags = NLM_F_REQUEST | NLM_F_ACK | verb.flags(self.tc_type) | more;
        let start = begin_message(buffer, self.message_type(verb), flags, sequence);
        match &self.target {
            Some(target) => {
                buffer.extend_from_slice(&[0; TCAMSG_LEN]);
                target.encode(verb, &FillContext { verb, as_tc: self.as_tc }, buffer)?;
            }
            None => self.encode_object(verb, buffer)?,
        }
        end_message(buffer, start);
        Ok(())
    }

    fn encode_object(&self, verb: Verb, buffer: &mut BytesMut) -> Result<(), EncodeError> {
        if self.tc_type == TcType::Action {
            return Err(EncodeError::Invalid("a request for actions without actions".into()));
        }
        self.check_types()?;
        self.header.encode(buffer);
        let mut out = AttrWriter::new(buffer);
        // In the order of tc's messages.
        if let Some(chain) = self.chain {
            out.attr_u32(TCA_CHAIN, chain);
        }
        if !self.kind.is_empty() {
            out.attr_str(TCA_KIND, self.kind);
        }
        let estimator = |out: &mut AttrWriter<'_>| {
            if let Some(estimator) = self.estimator {
                estimator.encode(out);
            }
        };
        if self.tc_type != TcType::Filter {
            estimator(&mut out);
        }
        if let Some(block) = self.ingress_block {
            out.attr_u32(TCA_INGRESS_BLOCK, block);
        }
        if let Some(block) = self.egress_block {
            out.attr_u32(TCA_EGRESS_BLOCK, block);
        }
        match self.raw {
            Some(payload) => out.attr(TCA_OPTIONS, payload),
            None if self.ops.is_some() || self.options.is_some() => self.fill(verb, &mut out)?,
            None => {}
        }
        if self.tc_type == TcType::Filter {
            estimator(&mut out);
        }
        if let Some(stab) = &self.stab {
            stab.encode(&mut out);
        }
        out.finish()
    }

    /// Checks that kind and options are of the object's type. The kernel answers
    /// a request of another type with a bare `EINVAL`.
    fn check_types(&self) -> Result<(), EncodeError> {
        let ops = self.ops.map(TcOps::tc_type);
        let options = self.options().map(Options::tc_type);
        match ops.into_iter().chain(options).find(|found| *found != self.tc_type) {
            Some(found) => {
                Err(EncodeError::WrongType { expected: self.tc_type, kind: self.kind.to_owned(), found })
            }
            None => Ok(()),
        }
    }

    fn fill(&self, verb: Verb, out: &mut AttrWriter<'_>) -> Result<(), EncodeError> {
        let context = FillContext { verb, as_tc: self.as_tc };
        let start = out.begin(TCA_OPTIONS);
        let fill = match (self.ops, self.options()) {
            (Some(ops), options) => ops.msg_fill(options, &context, out),
            (None, Some(options)) => options.fill(&context, out),
            (None, None) => Ok(Fill::Absent),
        };
        match fill? {
            Fill::Absent => out.truncate(start),
            Fill::Written => out.end(start),
            Fill::Nested => {
                out.set_nested(start);
                out.end(start);
            }
        }
        Ok(())
    }
}
