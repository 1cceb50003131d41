//! Numbers of the kernel's netlink interface, under the kernel's names.
//!
//! From `linux/rtnetlink.h`, `linux/netlink.h`, `linux/pkt_sched.h`,
//! `linux/pkt_cls.h`, `linux/if_ether.h`, `linux/gen_stats.h` and `linux/if_link.h`. Each kind defines the
//! numbers of its attributes.

#![expect(missing_docs, reason = "the kernel's headers document them; the names are theirs")]

pub use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_ECHO, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NLM_F_ROOT,
};

pub const NLMSG_NOOP: u16 = 1;
pub const NLMSG_ERROR: u16 = 2;
pub const NLMSG_DONE: u16 = 3;
pub const NLMSG_OVERRUN: u16 = 4;
pub const NLMSG_MIN_TYPE: u16 = 16;

pub const NLM_F_MULTI: u16 = 0x2;
pub const NLM_F_DUMP_INTR: u16 = 0x10;
pub const NLM_F_CAPPED: u16 = 0x100;
pub const NLM_F_ACK_TLVS: u16 = 0x200;

pub const NLMSGERR_ATTR_MSG: u16 = 1;
pub const NLMSGERR_ATTR_OFFS: u16 = 2;
pub const NLMSGERR_ATTR_COOKIE: u16 = 3;
pub const NLMSGERR_ATTR_POLICY: u16 = 4;
pub const NLMSGERR_ATTR_MISS_TYPE: u16 = 5;
pub const NLMSGERR_ATTR_MISS_NEST: u16 = 6;

pub const NLA_F_NESTED: u16 = 0x8000;
pub const NLA_F_NET_BYTEORDER: u16 = 0x4000;
pub const NLA_TYPE_MASK: u16 = 0x3fff;

pub const RTM_NEWLINK: u16 = 16;
pub const RTM_DELLINK: u16 = 17;
pub const RTM_GETLINK: u16 = 18;
pub const RTM_SETLINK: u16 = 19;
pub const RTM_NEWADDR: u16 = 20;
pub const RTM_NEWLINKPROP: u16 = 108;
pub const RTM_NEWQDISC: u16 = 36;
pub const RTM_DELQDISC: u16 = 37;
pub const RTM_GETQDISC: u16 = 38;
pub const RTM_NEWTCLASS: u16 = 40;
pub const RTM_DELTCLASS: u16 = 41;
pub const RTM_GETTCLASS: u16 = 42;
pub const RTM_NEWTFILTER: u16 = 44;
pub const RTM_DELTFILTER: u16 = 45;
pub const RTM_GETTFILTER: u16 = 46;
pub const RTM_NEWACTION: u16 = 48;
pub const RTM_DELACTION: u16 = 49;
pub const RTM_GETACTION: u16 = 50;
pub const RTM_NEWCHAIN: u16 = 100;
pub const RTM_DELCHAIN: u16 = 101;
pub const RTM_GETCHAIN: u16 = 102;

pub const RTNLGRP_LINK: u32 = 1;
pub const RTNLGRP_TC: u32 = 4;

pub const TCA_KIND: u16 = 1;
pub const TCA_OPTIONS: u16 = 2;
pub const TCA_STATS: u16 = 3;
pub const TCA_XSTATS: u16 = 4;
pub const TCA_RATE: u16 = 5;
pub const TCA_FCNT: u16 = 6;
pub const TCA_STATS2: u16 = 7;
pub const TCA_STAB: u16 = 8;
pub const TCA_PAD: u16 = 9;
pub const TCA_DUMP_INVISIBLE: u16 = 10;
pub const TCA_CHAIN: u16 = 11;
pub const TCA_HW_OFFLOAD: u16 = 12;
pub const TCA_INGRESS_BLOCK: u16 = 13;
pub const TCA_EGRESS_BLOCK: u16 = 14;
pub const TCA_DUMP_FLAGS: u16 = 15;
pub const TCA_EXT_WARN_MSG: u16 = 16;

pub const TCA_STAB_BASE: u16 = 1;
pub const TCA_STAB_DATA: u16 = 2;

pub const TCA_STATS_BASIC: u16 = 1;
pub const TCA_STATS_RATE_EST: u16 = 2;
pub const TCA_STATS_QUEUE: u16 = 3;
pub const TCA_STATS_APP: u16 = 4;
pub const TCA_STATS_RATE_EST64: u16 = 5;
pub const TCA_STATS_PAD: u16 = 6;
pub const TCA_STATS_BASIC_HW: u16 = 7;
pub const TCA_STATS_PKT64: u16 = 8;

/// `TCM_IFINDEX_MAGIC_BLOCK`: a shared filter block instead of a device.
pub const TCM_IFINDEX_MAGIC_BLOCK: i32 = -1;
pub const TCA_DUMP_FLAGS_TERSE: u32 = 1;

pub const TCA_CLS_FLAGS_SKIP_HW: u32 = 1 << 0;
pub const TCA_CLS_FLAGS_SKIP_SW: u32 = 1 << 1;
pub const TCA_CLS_FLAGS_IN_HW: u32 = 1 << 2;
pub const TCA_CLS_FLAGS_NOT_IN_HW: u32 = 1 << 3;
pub const TCA_CLS_FLAGS_VERBOSE: u32 = 1 << 4;

pub const TCA_FLOWER_KEY_FLAGS_IS_FRAGMENT: u32 = 1 << 0;
pub const TCA_FLOWER_KEY_FLAGS_FRAG_IS_FIRST: u32 = 1 << 1;
pub const TCA_FLOWER_KEY_FLAGS_TUNNEL_CSUM: u32 = 1 << 2;
pub const TCA_FLOWER_KEY_FLAGS_TUNNEL_DONT_FRAGMENT: u32 = 1 << 3;
pub const TCA_FLOWER_KEY_FLAGS_TUNNEL_OAM: u32 = 1 << 4;
pub const TCA_FLOWER_KEY_FLAGS_TUNNEL_CRIT_OPT: u32 = 1 << 5;
pub const TCA_FLOWER_KEY_CT_FLAGS_NEW: u16 = 1 << 0;
pub const TCA_FLOWER_KEY_CT_FLAGS_ESTABLISHED: u16 = 1 << 1;
pub const TCA_FLOWER_KEY_CT_FLAGS_RELATED: u16 = 1 << 2;
pub const TCA_FLOWER_KEY_CT_FLAGS_TRACKED: u16 = 1 << 3;
pub const TCA_FLOWER_KEY_CT_FLAGS_INVALID: u16 = 1 << 4;
pub const TCA_FLOWER_KEY_CT_FLAGS_REPLY: u16 = 1 << 5;

/// `TCA_ACT_TAB`, the same number as `TCA_ROOT_TAB`.
pub const TCA_ACT_TAB: u16 = 1;
pub const TCA_ROOT_FLAGS: u16 = 2;
pub const TCA_ROOT_COUNT: u16 = 3;
pub const TCA_ROOT_TIME_DELTA: u16 = 4;
pub const TCA_ROOT_EXT_WARN_MSG: u16 = 5;
pub const TCA_ACT_FLAG_LARGE_DUMP_ON: u32 = 1 << 0;
pub const TCA_ACT_FLAG_TERSE_DUMP: u32 = 1 << 1;

pub const TCA_ACT_KIND: u16 = 1;
pub const TCA_ACT_OPTIONS: u16 = 2;
pub const TCA_ACT_INDEX: u16 = 3;
pub const TCA_ACT_STATS: u16 = 4;
pub const TCA_ACT_PAD: u16 = 5;
pub const TCA_ACT_COOKIE: u16 = 6;
pub const TCA_ACT_FLAGS: u16 = 7;
pub const TCA_ACT_HW_STATS: u16 = 8;
pub const TCA_ACT_USED_HW_STATS: u16 = 9;
pub const TCA_ACT_IN_HW_COUNT: u16 = 10;

pub const TCA_ACT_FLAGS_NO_PERCPU_STATS: u32 = 1 << 0;
pub const TCA_ACT_FLAGS_SKIP_HW: u32 = 1 << 1;
pub const TCA_ACT_FLAGS_SKIP_SW: u32 = 1 << 2;
pub const TCA_ACT_HW_STATS_IMMEDIATE: u32 = 1 << 0;
pub const TCA_ACT_HW_STATS_DELAYED: u32 = 1 << 1;
/// The most actions in one filter or request.
pub const TCA_ACT_MAX_PRIO: usize = 32;
/// The longest cookie of an action, in bytes.
pub const TC_COOKIE_MAX_SIZE: usize = 16;

pub const ETH_P_ALL: u16 = 3;
pub const ETH_P_IP: u16 = 0x0800;
pub const ETH_P_ARP: u16 = 0x0806;
pub const ETH_P_RARP: u16 = 0x8035;
pub const ETH_P_8021Q: u16 = 0x8100;
pub const ETH_P_8021AD: u16 = 0x88a8;
pub const ETH_P_MPLS_UC: u16 = 0x8847;
pub const ETH_P_MPLS_MC: u16 = 0x8848;
pub const ETH_P_IPV6: u16 = 0x86dd;
pub const ETH_P_PPP_SES: u16 = 0x8864;
pub const ETH_P_CFM: u16 = 0x8902;

pub const IFLA_IFNAME: u16 = 3;
pub const IFLA_MTU: u16 = 4;
pub const IFLA_QDISC: u16 = 6;
pub const IFLA_TXQLEN: u16 = 13;
pub const IFLA_OPERSTATE: u16 = 16;
pub const IFLA_LINKINFO: u16 = 18;
pub const IFLA_IFALIAS: u16 = 20;
pub const IFLA_STATS64: u16 = 23;
pub const IFLA_EXT_MASK: u16 = 29;
pub const IFLA_NUM_TX_QUEUES: u16 = 31;
pub const IFLA_CARRIER: u16 = 33;
pub const IFLA_CARRIER_CHANGES: u16 = 35;
pub const IFLA_GSO_MAX_SIZE: u16 = 41;
pub const IFLA_PROP_LIST: u16 = 52;
pub const IFLA_ALT_IFNAME: u16 = 53;
pub const IFLA_GRO_MAX_SIZE: u16 = 58;
pub const IFLA_GSO_IPV4_MAX_SIZE: u16 = 63;
pub const IFLA_GRO_IPV4_MAX_SIZE: u16 = 64;
pub const IFLA_NET_NS_FD: u16 = 28;
pub const IFLA_INFO_KIND: u16 = 1;
pub const IFLA_INFO_DATA: u16 = 2;
pub const VETH_INFO_PEER: u16 = 1;
pub const RTEXT_FILTER_SKIP_STATS: u32 = 8;

pub const IFA_ADDRESS: u16 = 1;
pub const IFA_LOCAL: u16 = 2;

pub const IFF_UP: u32 = 1;
pub const IFF_LOWER_UP: u32 = 1 << 16;

/// `IFNAMSIZ`: a device name has at most 15 bytes, and a NUL.
pub const IFNAMSIZ: usize = 16;
/// `ALTIFNAMSIZ`: an alternative device name has at most 127 bytes, and a NUL.
pub const ALTIFNAMSIZ: usize = 128;
/// The longest kind name that the kernel accepts, without its NUL.
pub const KIND_MAX: usize = 15;

/// Length of `struct nlmsghdr`.
pub const NLMSG_HDRLEN: usize = 16;
/// Length of `struct tcmsg`.
pub const TCMSG_LEN: usize = 20;
/// Length of `struct tcamsg`.
pub const TCAMSG_LEN: usize = 4;
/// Length of `struct ifinfomsg`.
pub const IFINFOMSG_LEN: usize = 16;
