//! Requests for qdiscs, classes, filters and actions.

use bytes::BytesMut;

use crate::exchange::action::Target;
use crate::kind::Estimator;
use crate::kind::Stab;
use crate::kind::{Fill, FillContext, Kind};
use crate::kind::{Options, TcOps};
use crate::wire::attr::AttrWriter;
use crate::wire::error::EncodeError;
use crate::wire::handle::Handle;
use crate::wire::message::{TcHeader, begin_message, end_message};
use crate::wire::uapi::*;
use crate::wire::verb::{TcType, Verb};

/// A request for one object: its place, and its desired state.
///
/// The same value serves every verb. It borrows the options, so that one that
/// is sent often costs nothing to keep.
///
/// ```
/// use tc_core::{Handle, Request};
///
/// let root = Request::qdisc(2).parent(Handle::ROOT).handle(Handle::qdisc(1)).kind("pfifo");
/// assert_eq!(root.describe(), "qdisc pfifo 1: parent root on device 2");
/// ```
#[derive(Clone, Debug)]
pub struct Request<'a> {
    tc_type: TcType,
    pub(crate) header: TcHeader,
    kind: &'a str,
    ops: Option<&'a dyn TcOps>,
    options: Option<&'a dyn Options>,
    stab: Option<&'a Stab>,
    estimator: Option<Estimator>,
    ingress_block: Option<u32>,
    egress_block: Option<u32>,
    pub(crate) chain: Option<u32>,
    pub(crate) target: Option<Target<'a>>,
    as_tc: bool,
}

impl<'a> Request<'a> {
    /// A request for a qdisc on the device with this index.
    pub const fn qdisc(ifindex: i32) -> Self {
        Self::new(TcType::Qdisc, ifindex)
    }

    /// A request for a class on the device with this index.
    pub const fn class(ifindex: i32) -> Self {
        Self::new(TcType::Class, ifindex)
    }

    /// A request for an object of this type on the device with this index.
    pub const fn new(tc_type: TcType, ifindex: i32) -> Self {
        Self {
            tc_type,
            header: TcHeader { family: 0, ifindex, handle: Handle::UNSPEC, parent: Handle::UNSPEC, info: 0 },
            kind: "",
            ops: None,
            options: None,
            stab: None,
            estimator: None,
            ingress_block: None,
            egress_block: None,
            chain: None,
            target: None,
            as_tc: false,
        }
    }

    /// The object's own handle. For a new qdisc the kernel chooses one if none
    /// is given. Give it on a change: a change without it can replace a qdisc
    /// of another kind.
    #[must_use]
    pub const fn handle(mut self, handle: Handle) -> Self {
        self.header.handle = handle;
        self
    }

    /// Where the object is attached: [`Handle::ROOT`], or a class.
    #[must_use]
    pub const fn parent(mut self, parent: Handle) -> Self {
        self.header.parent = parent;
        self
    }

    /// `tcm_info`: priority and protocol of a filter.
    #[must_use]
    pub const fn info(mut self, info: u32) -> Self {
        self.header.info = info;
        self
    }

    /// The kind by its name, with the kernel's default options.
    #[must_use]
    pub const fn kind(mut self, kind: &'a str) -> Self {
        self.kind = kind;
        self
    }

    /// The kind and its options. [`Request::options_of`] takes a kind without
    /// options.
    #[must_use]
    pub fn options<K: Kind>(mut self, options: &'a K) -> Self {
        self.kind = K::KIND;
        self.ops = None;
        self.options = Some(options);
        self
    }

    /// The kind by the operations that a registry found, and its options, if
    /// any.
    #[must_use]
    pub fn options_of(mut self, ops: &'a dyn TcOps, options: Option<&'a dyn Options>) -> Self {
        self.kind = ops.kind();
        self.ops = Some(ops);
        self.options = options;
        self
    }

    /// The size table. A change without it takes the qdisc's table away.
    #[must_use]
    pub const fn stab(mut self, stab: &'a Stab) -> Self {
        self.stab = Some(stab);
        self
    }

    /// A rate estimator.
    #[must_use]
    pub const fn estimator(mut self, estimator: Estimator) -> Self {
        self.estimator = Some(estimator);
        self
    }

    /// The shared filter block of the ingress side (not 0).
    #[must_use]
    pub const fn ingress_block(mut self, block: u32) -> Self {
        self.ingress_block = Some(block);
        self
    }

    /// The shared filter block of the egress side (not 0).
    #[must_use]
    pub const fn egress_block(mut self, block: u32) -> Self {
        self.egress_block = Some(block);
        self
    }

    /// Whether to send exactly the bytes that `tc` sends, rate tables included,
    /// which kernels have not read since 3.8. Off by default.
    #[must_use]
    pub const fn as_tc(mut self, as_tc: bool) -> Self {
        self.as_tc = as_tc;
        self
    }

    /// The type of the object.
    pub const fn tc_type(&self) -> TcType {
        self.tc_type
    }

    /// Which object it is about.
    pub const fn header(&self) -> &TcHeader {
        &self.header
    }

    /// The kind's operations, if they were given.
    pub const fn ops(&self) -> Option<&'a dyn TcOps> {
        self.ops
    }

    /// The options.
    pub const fn get_options(&self) -> Option<&'a dyn Options> {
        self.options
    }

    /// Whether a size table goes with it.
    pub const fn has_stab(&self) -> bool {
        self.stab.is_some()
    }

    /// Whether the object must be read before this request; see
    /// [`Kind::READ_BEFORE_CHANGE`].
    pub(crate) fn reads_first(&self, verb: Verb) -> bool {
        matches!(verb, Verb::Add | Verb::Change | Verb::Replace)
            && (self.ops.is_some_and(|ops| ops.reads_before_change())
                || self.options.is_some_and(Options::reads_before_change))
    }

    /// The request with other options of its kind.
    pub(crate) fn other_options(self, options: &'a dyn Options) -> Self {
        Self { options: Some(options), ..self }
    }

    /// The kind's name; empty if none was given.
    pub const fn kind_name(&self) -> &'a str {
        self.kind
    }

    /// The object in words, for errors.
    pub fn describe(&self) -> String {
        if let Some(target) = self.target {
            return target.describe();
        }
        let mut text = self.tc_type.name().to_owned();
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
    pub fn encode(&self, verb: Verb, sequence: u32, buffer: &mut BytesMut) -> Result<(), EncodeError> {
        let start = buffer.len();
        let written = self.try_encode(verb, sequence, buffer);
        if written.is_err() {
            buffer.truncate(start);
        }
        written
    }

    fn try_encode(&self, verb: Verb, sequence: u32, buffer: &mut BytesMut) -> Result<(), EncodeError> {
        let more = self.target.map_or(0, Target::flags);
        let flags = NLM_F_REQUEST | NLM_F_ACK | verb.flags(self.tc_type) | more;
        let start = begin_message(buffer, self.tc_type.message(verb), flags, sequence);
        match self.target {
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
        if self.ops.is_some() || self.options.is_some() {
            self.fill(verb, &mut out)?;
        }
        if self.tc_type == TcType::Filter {
            estimator(&mut out);
        }
        if let Some(stab) = self.stab {
            stab.encode(&mut out);
        }
        out.finish()
    }

    fn fill(&self, verb: Verb, out: &mut AttrWriter<'_>) -> Result<(), EncodeError> {
        let context = FillContext { verb, as_tc: self.as_tc };
        let start = out.begin(TCA_OPTIONS);
        let fill = match (self.ops, self.options) {
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
