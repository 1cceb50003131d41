//! Filters: the parts of requests and lists that qdiscs lack.
//!
//! `tcm_info` holds a filter's priority and its protocol, `TCA_CHAIN` its
//! chain. A filter belongs to a device or to a shared block.

use crate::exchange::dump_request::DumpRequest;
use crate::exchange::parts::Parts;
use crate::exchange::request::Request;
use crate::kind::object::{Filter, Fits};
use crate::wire::handle::Handle;
use crate::wire::message::TcHeader;
use crate::wire::uapi::*;
use crate::wire::verb::TcType;

impl Request<'_, Filter> {
    /// A request for a filter on the device with this index.
    ///
    /// ```
    /// use tc_core::{Handle, Request, uapi::ETH_P_ALL};
    ///
    /// let all = Request::filter(2).parent(Handle::FILTER_INGRESS).priority(1).protocol(ETH_P_ALL);
    /// assert_eq!(all.describe(), "filter parent ffff:fff2 on device 2");
    /// ```
    pub const fn filter(ifindex: i32) -> Self {
        Self::from_parts(Parts::new(TcType::Filter, ifindex))
    }

    /// A request for a filter of a shared block (not 0).
    pub const fn filter_of_block(block: u32) -> Self {
        // Kernel: tcm_block_index is another name of tcm_parent.
        Self::filter(TCM_IFINDEX_MAGIC_BLOCK).parent(Handle::from_raw(block))
    }
}

impl Request<'_, Filter> {
    /// A request for a chain of filters on the device with this index (`RTM_NEWCHAIN` and its like): give its
    /// number with [`Request::chain`].
    ///
    /// A chain that is added stays without filters, and can have a template: the kind and the options that
    /// its filters are limited to (flower alone). A deleted chain takes its filters along.
    ///
    /// ```
    /// use tc_core::{Handle, Request};
    ///
    /// let chain = Request::filter_chain(2).parent(Handle::FILTER_INGRESS).chain(11);
    /// assert_eq!(chain.describe(), "chain 11 parent ffff:fff2 on device 2");
    /// ```
    pub const fn filter_chain(ifindex: i32) -> Self {
        let mut request = Self::filter(ifindex);
        request.parts.is_chain = true;
        request
    }

    /// A request for a chain of filters of a shared block (not 0).
    pub const fn filter_chain_of_block(block: u32) -> Self {
        let mut request = Self::filter_of_block(block);
        request.parts.is_chain = true;
        request
    }
}

impl<T> Request<'_, T>
where
    Filter: Fits<T>,
{
    /// Whether the request is for a chain of filters.
    pub const fn is_chain(&self) -> bool {
        self.parts.is_chain
    }

    /// A filter's priority (`pref`): lower ones are asked first. 0 lets the
    /// kernel choose.
    #[must_use]
    pub const fn priority(mut self, priority: u16) -> Self {
        self.parts.header = self.parts.header.filter_priority(priority);
        self
    }

    /// The Ethernet protocol that a filter looks at (`ETH_P_*`), in the
    /// machine's byte order.
    #[must_use]
    pub const fn protocol(mut self, protocol: u16) -> Self {
        self.parts.header = self.parts.header.filter_protocol(protocol);
        self
    }

    /// The chain that a filter is in. Without it, it is chain 0.
    #[must_use]
    pub const fn chain(mut self, chain: u32) -> Self {
        self.parts.chain = Some(chain);
        self
    }
}

/// Kernel: a filter has its priority and, in network order, its protocol in `tcm_info`.
impl TcHeader {
    const fn filter_priority(mut self, priority: u16) -> Self {
        self.info = (priority as u32) << 16 | self.info & 0xffff;
        self
    }

    const fn filter_protocol(mut self, protocol: u16) -> Self {
        self.info = self.info & 0xffff_0000 | protocol.to_be() as u32;
        self
    }
}

impl DumpRequest {
    /// The filters of one device. [`DumpRequest::parent`] selects the qdisc or hook
    /// (default: the root qdisc).
    pub const fn filters(ifindex: i32) -> Self {
        Self::new(TcType::Filter, ifindex)
    }

    /// The filters of a shared block (not 0).
    pub const fn filters_of_block(block: u32) -> Self {
        Self::new(TcType::Filter, TCM_IFINDEX_MAGIC_BLOCK).parent(Handle::from_raw(block))
    }

    /// Filters of this priority alone; 0 stands for all.
    #[must_use]
    pub const fn priority(mut self, priority: u16) -> Self {
        self.header = self.header.filter_priority(priority);
        self
    }

    /// Filters of this Ethernet protocol alone; 0 stands for all.
    #[must_use]
    pub const fn protocol(mut self, protocol: u16) -> Self {
        self.header = self.header.filter_protocol(protocol);
        self
    }

    /// Filters of this chain alone.
    #[must_use]
    pub const fn chain(mut self, chain: u32) -> Self {
        self.chain = Some(chain);
        self
    }

    /// Lists chains instead of filters (`RTM_GETCHAIN`): each with its number
    /// (`TCA_CHAIN`), and with a kind if it has a template.
    #[must_use]
    pub const fn chains(mut self) -> Self {
        self.chains = true;
        self
    }

    /// Filters or actions without their options: only their identity.
    #[must_use]
    pub const fn terse(mut self) -> Self {
        self.terse = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;

    use crate::wire::message::{Entry, Messages};
    use crate::wire::verb::Verb;

    #[test]
    fn priority_and_protocol_share_a_word() {
        let request = Request::filter(1).protocol(ETH_P_ALL).priority(7).chain(5).kind("matchall");
        assert_eq!(request.header().info, 7 << 16 | u32::from(3u16.to_be()));
        let mut buffer = BytesMut::new();
        request.encode(Verb::Add, 0, &mut buffer).unwrap();
        let entry = Entry::decode(&Messages::new(&buffer).next().unwrap().unwrap()).unwrap();
        assert_eq!((entry.priority(), entry.protocol(), entry.block()), (7, 3, None));
        assert_eq!(entry.attr(TCA_CHAIN).unwrap().u32(), Ok(5));
    }

    /// Kernel: `TC_H_MIN(tcm_info)` is a `__be16`, in the low half of a number of
    /// the machine's order.
    #[test]
    fn a_protocol_is_in_network_order_on_any_machine() {
        let request = Request::filter(1).protocol(ETH_P_IP).priority(0x102);
        let mut buffer = BytesMut::new();
        request.encode(Verb::Add, 0, &mut buffer).unwrap();
        let info = u32::from_ne_bytes(buffer[32..36].try_into().unwrap());
        assert_eq!((info >> 16, (info as u16).to_ne_bytes()), (0x102, [8, 0]));
    }

    #[test]
    fn a_block_replaces_device_and_parent() {
        let header = *Request::filter_of_block(9).header();
        assert_eq!((header.ifindex, header.parent), (-1, Handle::from_raw(9)));
    }
}
