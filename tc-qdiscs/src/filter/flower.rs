//! `flower`: a filter by fields of the packet's headers, of its tunnel and of its connection.
//!
//! UAPI: attributes `TCA_FLOWER_*` of `linux/pkt_cls.h`.
//!
//! Kernel, `net/sched/cls_flower.c`:
//! - a filter has a value and a mask for each key. Filters with the same masks share a hash table; each
//!   further set of masks in a priority is one more look-up for every packet;
//! - a priority has one filter for a set of masked values: a second one is EEXIST;
//! - a change sets values, class, actions and flags; with other masks it is EINVAL, and an action whose
//!   index is there is taken as it is;
//! - the type of the outer header is the filter's protocol; a dump has the type of the inner header;
//! - keys that the types of the headers do not provide for are ignored (requests with them are refused
//!   here);
//! - a chain's template has the form of these options, without class and actions.

mod dumped;
mod key;
mod layers;
mod mpls;
mod print;
mod tunnel;
mod tunnel_text;
mod usage;
mod value;
mod wire;
mod wording;
mod words;

use std::net::Ipv4Addr;

use derive_setters::Setters;
use tc_core::action::Actions;
use tc_core::print::Printer;
use tc_core::units::parse_u32;
use tc_core::words::{Environment, WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, FilterPlace, FilterSyntax,
    Handle, Kind, OptionWords, object,
};

pub use key::{Cfm, Masked, MaskedIp, PortRange};
pub use mpls::MplsLse;
pub use tunnel::{ErspanOptions, GeneveOption, TunnelOptions};

tc_core::register!(Flower);

/// The options of a flower filter: its keys, which `None` leaves open, and what becomes of the
/// packets.
///
/// ```
/// use tc_core::action::{Action, Actions};
/// use tc_core::{Handle, Request, uapi::ETH_P_IP};
/// use tc_qdiscs::action::mirred::{Eaction, Mirred};
/// use tc_qdiscs::filter::flower::{Flower, IPPROTO_TCP, MaskedIp};
///
/// // HTTPS to 192.0.2.0/24 leaves through device 3.
/// let redirect = Action::new(Mirred::to(Eaction::EgressRedirect, 3));
/// let https = Flower::default()
///     .eth_type(ETH_P_IP)
///     .ip_proto(IPPROTO_TCP)
///     .dst_port(443)
///     .dst_ip(MaskedIp::prefix([192, 0, 2, 0], 24))
///     .actions(Actions::new().with(redirect));
/// let filter = Request::filter(2).parent(Handle::FILTER_INGRESS).priority(1).protocol(ETH_P_IP);
/// let filter = filter.options(&https);
/// # let _ = filter;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Setters)]
#[setters(strip_option)]
#[non_exhaustive]
pub struct Flower {
    /// The device that packets came in from.
    #[setters(into)]
    pub indev: Option<String>,
    /// The destination's Ethernet address.
    #[setters(into)]
    pub dst_mac: Option<Masked<[u8; 6]>>,
    /// The source's Ethernet address.
    #[setters(into)]
    pub src_mac: Option<Masked<[u8; 6]>>,
    /// The Ethernet type (`ETH_P_*`). In a request that of the outer header, which is the protocol
    /// of the filter; `None` for `ETH_P_ALL`. In a dump that after VLAN tags and PPPoE: a filter with
    /// VLAN tags that is sent again needs the filter's protocol here.
    pub eth_type: Option<u16>,
    /// The number of VLAN tags. Since Linux 5.19.
    pub num_of_vlans: Option<u8>,
    /// The identifier of the VLAN, of 12 bits.
    pub vlan_id: Option<u16>,
    /// The priority in the VLAN tag, 0 to 7.
    pub vlan_prio: Option<u8>,
    /// The type after the VLAN tag.
    pub vlan_ethtype: Option<u16>,
    /// The identifier in the second VLAN tag.
    pub cvlan_id: Option<u16>,
    /// The priority in the second VLAN tag.
    pub cvlan_prio: Option<u8>,
    /// The type after the second VLAN tag.
    pub cvlan_ethtype: Option<u16>,
    /// The session of PPPoE. Since Linux 6.0.
    pub pppoe_sid: Option<u16>,
    /// The protocol in PPP. Since Linux 6.0.
    pub ppp_proto: Option<u16>,
    /// The labels of MPLS.
    #[setters(into)]
    pub mpls: Vec<MplsLse>,
    /// The protocol above IP (`IPPROTO_*`).
    pub ip_proto: Option<u8>,
    /// The type of service of IPv4, the traffic class of IPv6.
    #[setters(into)]
    pub ip_tos: Option<Masked<u8>>,
    /// The time to live, or hop limit.
    #[setters(into)]
    pub ip_ttl: Option<Masked<u8>>,
    /// The source address.
    #[setters(into)]
    pub src_ip: Option<MaskedIp>,
    /// The destination address.
    #[setters(into)]
    pub dst_ip: Option<MaskedIp>,
    /// The source port of TCP, UDP or SCTP.
    #[setters(into)]
    pub src_port: Option<Masked<u16>>,
    /// A range of source ports. Since Linux 5.0.
    pub src_port_range: Option<PortRange>,
    /// The destination port of TCP, UDP or SCTP.
    #[setters(into)]
    pub dst_port: Option<Masked<u16>>,
    /// A range of destination ports. Since Linux 5.0.
    pub dst_port_range: Option<PortRange>,
    /// The flags of TCP, of 12 bits.
    #[setters(into)]
    pub tcp_flags: Option<Masked<u16>>,
    /// The type of an ICMP message.
    #[setters(into)]
    pub icmp_type: Option<Masked<u8>>,
    /// The code of an ICMP message.
    #[setters(into)]
    pub icmp_code: Option<Masked<u8>>,
    /// The session of L2TPv3. Since Linux 6.1.
    pub l2tpv3_sid: Option<u32>,
    /// The index of ESP or AH. Since Linux 6.6.
    #[setters(into)]
    pub spi: Option<Masked<u32>>,
    /// The operation of ARP.
    #[setters(into)]
    pub arp_op: Option<Masked<u8>>,
    /// The sender's IP address in ARP.
    #[setters(into)]
    pub arp_sip: Option<Masked<Ipv4Addr>>,
    /// The target's IP address in ARP.
    #[setters(into)]
    pub arp_tip: Option<Masked<Ipv4Addr>>,
    /// The sender's Ethernet address in ARP.
    #[setters(into)]
    pub arp_sha: Option<Masked<[u8; 6]>>,
    /// The target's Ethernet address in ARP.
    #[setters(into)]
    pub arp_tha: Option<Masked<[u8; 6]>>,
    /// Fragments: `TCA_FLOWER_KEY_FLAGS_IS_FRAGMENT`, `..._FRAG_IS_FIRST`.
    #[setters(into)]
    pub ip_flags: Option<Masked<u32>>,
    /// The identifier of the tunnel.
    pub enc_key_id: Option<u32>,
    /// The source address of the tunnel.
    #[setters(into)]
    pub enc_src_ip: Option<MaskedIp>,
    /// The destination address of the tunnel.
    #[setters(into)]
    pub enc_dst_ip: Option<MaskedIp>,
    /// The source port of the tunnel. `tc` has no words for it.
    #[setters(into)]
    pub enc_src_port: Option<Masked<u16>>,
    /// The destination port of the tunnel.
    #[setters(into)]
    pub enc_dst_port: Option<Masked<u16>>,
    /// The type of service of the tunnel.
    #[setters(into)]
    pub enc_tos: Option<Masked<u8>>,
    /// The time to live of the tunnel.
    #[setters(into)]
    pub enc_ttl: Option<Masked<u8>>,
    /// The options in the header of the tunnel.
    pub enc_opts: Option<TunnelOptions>,
    /// Flags of the tunnel: `TCA_FLOWER_KEY_FLAGS_TUNNEL_*`. Since Linux 6.11.
    #[setters(into)]
    pub enc_flags: Option<Masked<u32>>,
    /// The state of the connection: `TCA_FLOWER_KEY_CT_FLAGS_*`. Since Linux 5.3, as all of conntrack.
    #[setters(into)]
    pub ct_state: Option<Masked<u16>>,
    /// The zone of the connection.
    #[setters(into)]
    pub ct_zone: Option<Masked<u16>>,
    /// The mark of the connection.
    #[setters(into)]
    pub ct_mark: Option<Masked<u32>>,
    /// The label of the connection.
    #[setters(into)]
    pub ct_label: Option<Masked<[u8; 16]>>,
    /// Connectivity Fault Management. Since Linux 6.5.
    pub cfm: Option<Cfm>,
    /// Whether a bridge did not find the destination. Since Linux 6.5.
    pub l2_miss: Option<bool>,
    /// The hash of the packet. Since Linux 5.9. `tc` has no words for it.
    #[setters(into)]
    pub hash: Option<Masked<u32>>,
    /// The class that packets go to.
    pub class: Option<Handle>,
    /// The actions on a packet.
    pub actions: Actions,
    /// Whether the filter is kept out of hardware.
    pub skip_hw: bool,
    /// Whether the filter is in hardware alone.
    pub skip_sw: bool,
    /// Whether errors of an offload are reported although the filter is added.
    pub verbose: bool,
    /// The fields that only the kernel sets.
    #[setters(skip)]
    pub reported: FlowerReported,
}

/// The fields of a flower filter that only the kernel sets. Requests leave them out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlowerReported {
    /// Whether the filter is in hardware.
    pub in_hw: Option<bool>,
    /// The number of devices that have the filter in hardware.
    pub in_hw_count: Option<u32>,
}

/// ICMP, as [`Flower::ip_proto`].
pub const IPPROTO_ICMP: u8 = 1;
/// TCP.
pub const IPPROTO_TCP: u8 = 6;
/// UDP.
pub const IPPROTO_UDP: u8 = 17;
/// ESP of IPsec.
pub const IPPROTO_ESP: u8 = 50;
/// AH of IPsec.
pub const IPPROTO_AH: u8 = 51;
/// ICMP of IPv6.
pub const IPPROTO_ICMPV6: u8 = 58;
/// L2TP.
pub const IPPROTO_L2TP: u8 = 115;
/// SCTP.
pub const IPPROTO_SCTP: u8 = 132;

impl Kind for Flower {
    type Object = object::Filter;
    const KIND: &'static str = "flower";
    // A change with other masks is refused, and one with the index of an action keeps that action. The
    // kernel cuts options of tunnels.
    const CHANGE: ChangeSemantics = ChangeSemantics::USUAL.fixed(&["mask", "actions"]).rounded(&[
        "mask",
        "actions",
        "enc_opts",
        "ip_flags",
        "enc_flags",
    ]);

    /// Fails if the kernel would ignore a key.
    fn encode(&self, context: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        if let Some(ignored) = self.ignored() {
            return Err(EncodeError::Invalid(format!("flower: {ignored}")));
        }
        wire::encode(self, context, out)?;
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        wire::decode(payload)
    }

    fn as_dumped(&self, environment: &dyn Environment) -> Self {
        Self {
            class: self.class.filter(|class| !class.is_unspec()),
            actions: self.actions.as_dumped_in(environment, wire::flags(self)),
            ..self.keys_as_dumped()
        }
    }

    fn as_request(&self) -> Self {
        self.with_outer_type()
    }

    fn template_protocol(&self) -> Option<u16> {
        self.with_outer_type().eth_type
    }

    fn target_class(&self) -> Option<Handle> {
        self.class
    }

    fn held_actions(&self) -> Vec<(String, u32)> {
        super::held_actions(None, &self.actions)
    }

    fn actions(&self) -> Option<&Actions> {
        Some(&self.actions)
    }
}

impl FilterSyntax for Flower {
    const USAGE: &'static str = usage::USAGE;

    fn parse_filter(
        words: &mut Words<'_>,
        context: &WordsContext<'_>,
        place: &FilterPlace<'_>,
    ) -> Result<(Option<Self>, Handle), WordError> {
        let handle = Self::handle_in(place)?;
        words::parse(words, context, place).map(|flower| (Some(flower), handle))
    }

    fn print(&self, place: &FilterPlace<'_>, out: &mut Printer) {
        print::print(self, place, out);
    }

    fn to_words(&self, place: &FilterPlace<'_>, out: &mut OptionWords<'_>) {
        wording::write(self, place, out);
    }

    fn parse_handle(text: &str) -> Result<Handle, WordError> {
        parse_u32(text).map(Handle::from_raw).map_err(|_| WordError::Kind("Illegal \"handle\"".into()))
    }
}

#[cfg(test)]
mod tests;
