//! The selection of a list.

use bytes::BytesMut;

use crate::wire::attr::AttrWriter;
use crate::wire::device::DeviceName;
use crate::wire::error::EncodeError;
use crate::wire::handle::Handle;
use crate::wire::message::{TcHeader, begin_message, end_message};
use crate::wire::uapi::*;
use crate::wire::verb::{TcType, Verb};

/// Selects the objects of a list.
///
/// ```
/// use tc_core::DumpRequest;
///
/// let all_qdiscs = DumpRequest::qdiscs();
/// let classes_of_device_2 = DumpRequest::classes(2);
/// # let _ = (all_qdiscs, classes_of_device_2);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct DumpRequest {
    pub(crate) tc_type: TcType,
    pub(crate) header: TcHeader,
    invisible: bool,
    pub(crate) chain: Option<u32>,
    pub(crate) terse: bool,
    pub(crate) chains: bool,
    /// Of actions: a name of the same 15 bytes as a device's.
    pub(crate) kind: DeviceName,
    pub(crate) since_ms: Option<u32>,
}

impl DumpRequest {
    /// All qdiscs of all devices.
    pub const fn qdiscs() -> Self {
        Self::new(TcType::Qdisc, 0)
    }

    /// All classes of one device (the kernel does not list those of all).
    pub const fn classes(ifindex: i32) -> Self {
        Self::new(TcType::Class, ifindex)
    }

    /// Objects of a type on one device; 0 stands for all devices.
    pub const fn new(tc_type: TcType, ifindex: i32) -> Self {
        let header = TcHeader { family: 0, ifindex, handle: Handle::UNSPEC, parent: Handle::UNSPEC, info: 0 };
        Self {
            tc_type,
            header,
            invisible: false,
            chain: None,
            terse: false,
            chains: false,
            kind: DeviceName::new([0; IFNAMSIZ]),
            since_ms: None,
        }
    }

    /// Those of one device alone.
    #[must_use]
    pub const fn device(mut self, ifindex: i32) -> Self {
        self.header.ifindex = ifindex;
        self
    }

    /// Those below one parent alone; the kernel does that for classes and
    /// filters.
    #[must_use]
    pub const fn parent(mut self, parent: Handle) -> Self {
        self.header.parent = parent;
        self
    }

    /// Qdiscs that are hidden by default too (`TCA_DUMP_INVISIBLE`).
    #[must_use]
    pub const fn invisible(mut self) -> Self {
        self.invisible = true;
        self
    }

    /// Appends the request to `buffer`.
    pub fn encode(&self, sequence: u32, buffer: &mut BytesMut) -> Result<(), EncodeError> {
        let kind = if self.chains { RTM_GETCHAIN } else { self.tc_type.message(Verb::Get) };
        let start = begin_message(buffer, kind, NLM_F_REQUEST | NLM_F_DUMP, sequence);
        if self.tc_type == TcType::Action {
            buffer.extend_from_slice(&[0; TCAMSG_LEN]);
        } else {
            self.header.encode(buffer);
        }
        let mut out = AttrWriter::new(buffer);
        if self.tc_type == TcType::Action {
            self.encode_actions(&mut out);
        }
        if self.invisible {
            out.attr_flag(TCA_DUMP_INVISIBLE);
        }
        if let Some(chain) = self.chain {
            out.attr_u32(TCA_CHAIN, chain);
        }
        if self.terse && self.tc_type == TcType::Filter {
            let mut flags = out.nest(TCA_DUMP_FLAGS);
            flags.put_u32(TCA_DUMP_FLAGS_TERSE);
            flags.put_u32(TCA_DUMP_FLAGS_TERSE);
        }
        out.finish()?;
        end_message(buffer, start);
        Ok(())
    }
}
