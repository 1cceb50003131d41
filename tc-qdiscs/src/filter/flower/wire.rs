//! The attributes of flower, but for those of MPLS and of tunnel options.

use std::net::{Ipv4Addr, Ipv6Addr};

use tc_core::action::Actions;
use tc_core::uapi::*;
use tc_core::{Attr, AttrWriter, Attrs, DecodeError, EncodeError, FillContext, Handle, zero_extended};

use super::key::{Bits, Cfm, Mask, Masked, MaskedIp, PortRange};
use super::tunnel::TunnelOptions;
use super::{
    Flower, FlowerReported, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, mpls,
};

/// The attributes of a value and of its mask.
type Pair = (u16, u16);

/// The attributes of source and destination ports, which depend on the protocol.
fn port_pairs(ip_proto: Option<u8>) -> Option<[Pair; 2]> {
    match ip_proto? {
        IPPROTO_TCP => Some([(18, 35), (19, 36)]),
        IPPROTO_UDP => Some([(20, 37), (21, 38)]),
        IPPROTO_SCTP => Some([(41, 39), (42, 40)]),
        _ => None,
    }
}

/// The attributes of type and code of ICMP.
fn icmp_pairs(ip_proto: Option<u8>) -> Option<[Pair; 2]> {
    match ip_proto? {
        IPPROTO_ICMP => Some([(51, 52), (49, 50)]),
        IPPROTO_ICMPV6 => Some([(55, 56), (53, 54)]),
        _ => None,
    }
}

/// Writes the attributes in one order; `tc` writes the keys in the order of the words.
pub(super) fn encode(
    flower: &Flower,
    context: &FillContext,
    out: &mut AttrWriter<'_>,
) -> Result<(), EncodeError> {
    put(NUM_OF_VLANS, flower.num_of_vlans.map(u8::to_be_bytes), out);
    put(VLAN_ID, flower.vlan_id.map(u16::to_ne_bytes), out);
    put(VLAN_PRIO, flower.vlan_prio.map(u8::to_be_bytes), out);
    put(VLAN_ETH_TYPE, flower.vlan_ethtype.map(u16::to_be_bytes), out);
    put(CVLAN_ID, flower.cvlan_id.map(u16::to_ne_bytes), out);
    put(CVLAN_PRIO, flower.cvlan_prio.map(u8::to_be_bytes), out);
    put(CVLAN_ETH_TYPE, flower.cvlan_ethtype.map(u16::to_be_bytes), out);
    put(PPPOE_SID, flower.pppoe_sid.map(u16::to_be_bytes), out);
    put(PPP_PROTO, flower.ppp_proto.map(u16::to_be_bytes), out);
    put_masked(ETH_DST, flower.dst_mac, out);
    put_masked(ETH_SRC, flower.src_mac, out);
    put(IP_PROTO, flower.ip_proto.map(u8::to_be_bytes), out);
    put_masked(IP_TOS, byte(flower.ip_tos), out);
    put_masked(IP_TTL, byte(flower.ip_ttl), out);
    mpls::encode(&flower.mpls, out);
    put_ip(IPV4_DST, IPV6_DST, flower.dst_ip, out);
    put_ip(IPV4_SRC, IPV6_SRC, flower.src_ip, out);
    if let Some([src, dst]) = port_pairs(flower.ip_proto) {
        put_exact_or_masked(dst, flower.dst_port, out);
        put_range(PORT_DST_RANGE, flower.dst_port_range, out);
        put_exact_or_masked(src, flower.src_port, out);
        put_range(PORT_SRC_RANGE, flower.src_port_range, out);
    }
    // The header has 12 bits of flags.
    let tcp_flags = flower.tcp_flags.map(|flags| Masked::new(flags.value, flags.mask & TCP_FLAGS_ALL));
    put_masked(TCP_FLAGS, tcp_flags.map(be16), out);
    if let Some([icmp_type, icmp_code]) = icmp_pairs(flower.ip_proto) {
        put_masked(icmp_type, byte(flower.icmp_type), out);
        put_masked(icmp_code, byte(flower.icmp_code), out);
    }
    put(L2TPV3_SID, flower.l2tpv3_sid.map(u32::to_be_bytes), out);
    put_masked(SPI, flower.spi.map(be32), out);
    put_masked(ARP_OP, byte(flower.arp_op), out);
    put_masked(ARP_SIP, flower.arp_sip.map(|ip| ip.map(|ip| ip.octets())), out);
    put_masked(ARP_TIP, flower.arp_tip.map(|ip| ip.map(|ip| ip.octets())), out);
    put_masked(ARP_SHA, flower.arp_sha, out);
    put_masked(ARP_THA, flower.arp_tha, out);
    put_ip(ENC_IPV4_DST, ENC_IPV6_DST, flower.enc_dst_ip, out);
    put_ip(ENC_IPV4_SRC, ENC_IPV6_SRC, flower.enc_src_ip, out);
    put(ENC_KEY_ID, flower.enc_key_id.map(u32::to_be_bytes), out);
    put_exact_or_masked(ENC_UDP_DST_PORT, flower.enc_dst_port, out);
    put_exact_or_masked(ENC_UDP_SRC_PORT, flower.enc_src_port, out);
    put_masked(ENC_IP_TOS, byte(flower.enc_tos), out);
    put_masked(ENC_IP_TTL, byte(flower.enc_ttl), out);
    if let Some(options) = &flower.enc_opts {
        options.encode(context.as_tc, out);
    }
    put_masked(CT_STATE, flower.ct_state.map(|state| state.map(u16::to_ne_bytes)), out);
    put_masked(CT_ZONE, flower.ct_zone.map(|zone| zone.map(u16::to_ne_bytes)), out);
    put_masked(CT_MARK, flower.ct_mark.map(|mark| mark.map(u32::to_ne_bytes)), out);
    put_masked(CT_LABELS, flower.ct_label, out);
    if let Some(cfm) = flower.cfm {
        let mut nest = out.nest(CFM | NLA_F_NESTED);
        put(CFM_MD_LEVEL, cfm.md_level.map(u8::to_be_bytes), &mut nest);
        put(CFM_OPCODE, cfm.opcode.map(u8::to_be_bytes), &mut nest);
    }
    put(L2_MISS, flower.l2_miss.map(|miss| [u8::from(miss)]), out);
    put_masked(HASH, flower.hash.map(|hash| hash.map(u32::to_ne_bytes)), out);
    if let Some(indev) = &flower.indev {
        out.attr_str(INDEV, indev);
    }
    out.attr_u32_if(CLASSID, flower.class.map(Handle::raw));
    flower.actions.encode(ACT, context, out)?;
    out.attr_u32(FLAGS, flags(flower));
    put_masked(KEY_FLAGS, flower.ip_flags.map(be32), out);
    put_masked(ENC_FLAGS, flower.enc_flags.map(be32), out);
    put(ETH_TYPE, flower.eth_type.map(u16::to_be_bytes), out);
    Ok(())
}

/// The flags that requests have (`TCA_CLS_FLAGS_*`).
pub(super) fn flags(flower: &Flower) -> u32 {
    let flag = |on: bool, flag: u32| if on { flag } else { 0 };
    flag(flower.skip_hw, TCA_CLS_FLAGS_SKIP_HW)
        | flag(flower.skip_sw, TCA_CLS_FLAGS_SKIP_SW)
        | flag(flower.verbose, TCA_CLS_FLAGS_VERBOSE)
}

fn be16(masked: Masked<u16>) -> Masked<[u8; 2]> {
    masked.map(u16::to_be_bytes)
}

fn be32(masked: Masked<u32>) -> Masked<[u8; 4]> {
    masked.map(u32::to_be_bytes)
}

fn byte(masked: Option<Masked<u8>>) -> Option<Masked<[u8; 1]>> {
    masked.map(|masked| masked.map(u8::to_be_bytes))
}

fn put<const N: usize>(kind: u16, value: Option<[u8; N]>, out: &mut AttrWriter<'_>) {
    if let Some(value) = value {
        out.attr(kind, &value);
    }
}

fn put_masked<const N: usize>(pair: Pair, masked: Option<Masked<[u8; N]>>, out: &mut AttrWriter<'_>) {
    put(pair.0, masked.map(|masked| masked.value), out);
    put(pair.1, masked.map(|masked| masked.mask), out);
}

/// As `tc` does, without a mask of all bits.
fn put_exact_or_masked(pair: Pair, port: Option<Masked<u16>>, out: &mut AttrWriter<'_>) {
    match port {
        Some(port) if port.is_exact() => put(pair.0, Some(port.value.to_be_bytes()), out),
        port => put_masked(pair, port.map(be16), out),
    }
}

fn put_range(pair: Pair, range: Option<PortRange>, out: &mut AttrWriter<'_>) {
    put(pair.0, range.map(|range| range.start.to_be_bytes()), out);
    put(pair.1, range.map(|range| range.end.to_be_bytes()), out);
}

fn put_ip(v4: Pair, v6: Pair, ip: Option<MaskedIp>, out: &mut AttrWriter<'_>) {
    match ip {
        Some(MaskedIp::V4(ip)) => put_masked(v4, Some(ip.map(|ip| ip.octets())), out),
        Some(MaskedIp::V6(ip)) => put_masked(v6, Some(ip.map(|ip| ip.octets())), out),
        None => {}
    }
}

pub(super) fn decode(payload: &[u8]) -> Result<Flower, DecodeError> {
    let table = Table(Attrs::new(payload).table()?);
    let ip_proto = table.value(IP_PROTO)?.map(u8::from_be_bytes);
    let [src, dst] = port_pairs(ip_proto).unwrap_or_default();
    let [icmp_type, icmp_code] = icmp_pairs(ip_proto).unwrap_or_default();
    let flags = table.get(FLAGS).map(|attr| attr.u32()).transpose()?.unwrap_or_default();
    Ok(Flower {
        indev: table.get(INDEV).map(|attr| attr.str().map(str::to_owned)).transpose()?,
        dst_mac: table.masked(ETH_DST)?,
        src_mac: table.masked(ETH_SRC)?,
        eth_type: table.value(ETH_TYPE)?.map(u16::from_be_bytes),
        num_of_vlans: table.value(NUM_OF_VLANS)?.map(u8::from_be_bytes),
        vlan_id: table.value(VLAN_ID)?.map(u16::from_ne_bytes),
        vlan_prio: table.value(VLAN_PRIO)?.map(u8::from_be_bytes),
        vlan_ethtype: table.value(VLAN_ETH_TYPE)?.map(u16::from_be_bytes),
        cvlan_id: table.value(CVLAN_ID)?.map(u16::from_ne_bytes),
        cvlan_prio: table.value(CVLAN_PRIO)?.map(u8::from_be_bytes),
        cvlan_ethtype: table.value(CVLAN_ETH_TYPE)?.map(u16::from_be_bytes),
        pppoe_sid: table.value(PPPOE_SID)?.map(u16::from_be_bytes),
        ppp_proto: table.value(PPP_PROTO)?.map(u16::from_be_bytes),
        mpls: mpls::decode(&table.0)?,
        ip_proto,
        ip_tos: table.number(IP_TOS, u8::from_be_bytes)?,
        ip_ttl: table.number(IP_TTL, u8::from_be_bytes)?,
        src_ip: table.ip(IPV4_SRC, IPV6_SRC)?,
        dst_ip: table.ip(IPV4_DST, IPV6_DST)?,
        src_port: table.number(src, u16::from_be_bytes)?,
        src_port_range: table.range(PORT_SRC_RANGE)?,
        dst_port: table.number(dst, u16::from_be_bytes)?,
        dst_port_range: table.range(PORT_DST_RANGE)?,
        tcp_flags: table.number(TCP_FLAGS, u16::from_be_bytes)?,
        icmp_type: table.number(icmp_type, u8::from_be_bytes)?,
        icmp_code: table.number(icmp_code, u8::from_be_bytes)?,
        l2tpv3_sid: table.value(L2TPV3_SID)?.map(u32::from_be_bytes),
        spi: table.number(SPI, u32::from_be_bytes)?,
        arp_op: table.number(ARP_OP, u8::from_be_bytes)?,
        arp_sip: table.number::<_, 4>(ARP_SIP, Ipv4Addr::from)?,
        arp_tip: table.number::<_, 4>(ARP_TIP, Ipv4Addr::from)?,
        arp_sha: table.masked(ARP_SHA)?,
        arp_tha: table.masked(ARP_THA)?,
        ip_flags: table.number(KEY_FLAGS, u32::from_be_bytes)?,
        enc_key_id: table.value(ENC_KEY_ID)?.map(u32::from_be_bytes),
        enc_src_ip: table.ip(ENC_IPV4_SRC, ENC_IPV6_SRC)?,
        enc_dst_ip: table.ip(ENC_IPV4_DST, ENC_IPV6_DST)?,
        enc_src_port: table.number(ENC_UDP_SRC_PORT, u16::from_be_bytes)?,
        enc_dst_port: table.number(ENC_UDP_DST_PORT, u16::from_be_bytes)?,
        enc_tos: table.number(ENC_IP_TOS, u8::from_be_bytes)?,
        enc_ttl: table.number(ENC_IP_TTL, u8::from_be_bytes)?,
        enc_opts: TunnelOptions::decode(&table.0)?,
        enc_flags: table.number(ENC_FLAGS, u32::from_be_bytes)?,
        ct_state: table.number(CT_STATE, u16::from_ne_bytes)?,
        ct_zone: table.number(CT_ZONE, u16::from_ne_bytes)?,
        ct_mark: table.number(CT_MARK, u32::from_ne_bytes)?,
        ct_label: table.label()?,
        cfm: table.get(CFM).map(|attr| decode_cfm(&attr)).transpose()?,
        l2_miss: table.value(L2_MISS)?.map(|[miss]| miss != 0),
        hash: table.number(HASH, u32::from_ne_bytes)?,
        class: table.get(CLASSID).map(|attr| attr.u32().map(Handle::from_raw)).transpose()?,
        actions: table.get(ACT).map(|attr| Actions::decode(&attr)).transpose()?.unwrap_or_default(),
        skip_hw: flags & TCA_CLS_FLAGS_SKIP_HW != 0,
        skip_sw: flags & TCA_CLS_FLAGS_SKIP_SW != 0,
        verbose: flags & TCA_CLS_FLAGS_VERBOSE != 0,
        reported: FlowerReported {
            in_hw: match flags & (TCA_CLS_FLAGS_IN_HW | TCA_CLS_FLAGS_NOT_IN_HW) {
                0 => None,
                bits => Some(bits & TCA_CLS_FLAGS_IN_HW != 0),
            },
            in_hw_count: table.get(IN_HW_COUNT).map(|attr| attr.u32()).transpose()?,
        },
    })
}

fn decode_cfm(attr: &Attr<'_>) -> Result<Cfm, DecodeError> {
    let find = |kind: u16| attr.attrs().find(kind)?.map(|attr| attr.u8()).transpose();
    Ok(Cfm { md_level: find(CFM_MD_LEVEL)?, opcode: find(CFM_OPCODE)? })
}

/// The attributes by type.
struct Table<'a>([Option<Attr<'a>>; ENC_FLAGS.1 as usize + 1]);

impl Table<'_> {
    fn get(&self, kind: u16) -> Option<Attr<'_>> {
        self.0[usize::from(kind)]
    }

    fn value<const N: usize>(&self, kind: u16) -> Result<Option<[u8; N]>, DecodeError> {
        let read = |attr: Attr<'_>| attr.reader().array().map_err(|error| error.at_attribute(kind));
        self.get(kind).map(read).transpose()
    }

    /// Kernel: without a mask all bits count.
    fn masked<const N: usize>(&self, pair: Pair) -> Result<Option<Masked<[u8; N]>>, DecodeError> {
        let Some(value) = self.value(pair.0)? else { return Ok(None) };
        Ok(Some(Masked { value, mask: self.value(pair.1)?.unwrap_or([0xff; N]) }))
    }

    fn number<T, const N: usize>(
        &self,
        pair: Pair,
        convert: impl Fn([u8; N]) -> T,
    ) -> Result<Option<Masked<T>>, DecodeError> {
        Ok(self.masked(pair)?.map(|masked| masked.map(&convert)))
    }

    /// Kernel: addresses of IPv4 come before those of IPv6.
    fn ip(&self, v4: Pair, v6: Pair) -> Result<Option<MaskedIp>, DecodeError> {
        Ok(match self.number::<Ipv4Addr, 4>(v4, Ipv4Addr::from)? {
            Some(ip) => Some(MaskedIp::V4(ip)),
            None => self.number::<Ipv6Addr, 16>(v6, Ipv6Addr::from)?.map(MaskedIp::V6),
        })
    }

    fn range(&self, (min, max): Pair) -> Result<Option<PortRange>, DecodeError> {
        let [start, end] = [self.value(min)?, self.value(max)?].map(|port| port.map(u16::from_be_bytes));
        Ok(start.zip(end).map(|(start, end)| PortRange { start, end }))
    }

    /// Kernel: a label can be shorter, and then ends with zeros.
    fn label(&self) -> Result<Option<Masked<[u8; 16]>>, DecodeError> {
        let read = |kind: u16| self.get(kind).map(|attr| zero_extended(attr.payload));
        Ok(read(CT_LABELS.0).map(|value| Masked { value, mask: read(CT_LABELS.1).unwrap_or(Bits::ALL) }))
    }
}

/// The flags of a TCP header.
pub(super) const TCP_FLAGS_ALL: u16 = 0xfff;

const CLASSID: u16 = 1;
const INDEV: u16 = 2;
const ACT: u16 = 3;
const ETH_DST: Pair = (4, 5);
const ETH_SRC: Pair = (6, 7);
const ETH_TYPE: u16 = 8;
const IP_PROTO: u16 = 9;
const IPV4_SRC: Pair = (10, 11);
const IPV4_DST: Pair = (12, 13);
const IPV6_SRC: Pair = (14, 15);
const IPV6_DST: Pair = (16, 17);
const FLAGS: u16 = 22;
const VLAN_ID: u16 = 23;
const VLAN_PRIO: u16 = 24;
const VLAN_ETH_TYPE: u16 = 25;
const ENC_KEY_ID: u16 = 26;
const ENC_IPV4_SRC: Pair = (27, 28);
const ENC_IPV4_DST: Pair = (29, 30);
const ENC_IPV6_SRC: Pair = (31, 32);
const ENC_IPV6_DST: Pair = (33, 34);
const ENC_UDP_SRC_PORT: Pair = (43, 44);
const ENC_UDP_DST_PORT: Pair = (45, 46);
const KEY_FLAGS: Pair = (47, 48);
const ARP_SIP: Pair = (57, 58);
const ARP_TIP: Pair = (59, 60);
const ARP_OP: Pair = (61, 62);
const ARP_SHA: Pair = (63, 64);
const ARP_THA: Pair = (65, 66);
const TCP_FLAGS: Pair = (71, 72);
const IP_TOS: Pair = (73, 74);
const IP_TTL: Pair = (75, 76);
const CVLAN_ID: u16 = 77;
const CVLAN_PRIO: u16 = 78;
const CVLAN_ETH_TYPE: u16 = 79;
const ENC_IP_TOS: Pair = (80, 81);
const ENC_IP_TTL: Pair = (82, 83);
const IN_HW_COUNT: u16 = 86;
const PORT_SRC_RANGE: Pair = (87, 88);
const PORT_DST_RANGE: Pair = (89, 90);
const CT_STATE: Pair = (91, 92);
const CT_ZONE: Pair = (93, 94);
const CT_MARK: Pair = (95, 96);
const CT_LABELS: Pair = (97, 98);
const HASH: Pair = (100, 101);
const NUM_OF_VLANS: u16 = 102;
const PPPOE_SID: u16 = 103;
const PPP_PROTO: u16 = 104;
const L2TPV3_SID: u16 = 105;
const L2_MISS: u16 = 106;
const CFM: u16 = 107;
const CFM_MD_LEVEL: u16 = 1;
const CFM_OPCODE: u16 = 2;
const SPI: Pair = (108, 109);
const ENC_FLAGS: Pair = (110, 111);
