//! The usage text.

/// The text for `help`.
pub(super) const USAGE: &str = "\
Usage: ... flower\t[ MATCH-LIST ] [ verbose ]
\t\t\t[ skip_sw | skip_hw ]
\t\t\t[ action ACTION-SPEC ] [ classid CLASSID | hw_tc TC ]

Where: MATCH-LIST := [ MATCH-LIST ] MATCH
       MATCH := { indev DEV | dst_mac LLADDR | src_mac LLADDR | l2_miss { 0 | 1 } |
                  num_of_vlans NUMBER | vlan_id VID | vlan_prio PRIO | vlan_ethtype TYPE |
                  cvlan_id VID | cvlan_prio PRIO | cvlan_ethtype TYPE |
                  pppoe_sid SID | ppp_proto PPP-PROTO | cfm CFM |
                  mpls LSE-LIST | mpls_label LABEL | mpls_tc TC | mpls_bos BOS | mpls_ttl TTL |
                  ip_proto { tcp | udp | sctp | icmp | icmpv6 | l2tp | esp | ah | NUMBER } |
                  ip_tos TOS | ip_ttl TTL | ip_flags FLAGS | dst_ip PREFIX | src_ip PREFIX |
                  dst_port PORTS | src_port PORTS | tcp_flags FLAGS | type TYPE | code CODE |
                  l2tpv3_sid SID | spi INDEX |
                  arp_op { request | reply | NUMBER } | arp_tip PREFIX | arp_sip PREFIX |
                  arp_tha LLADDR | arp_sha LLADDR |
                  enc_key_id ID | enc_dst_ip PREFIX | enc_src_ip PREFIX | enc_dst_port PORT |
                  enc_tos TOS | enc_ttl TTL | enc_flags FLAGS |
                  geneve_opts CLASS:TYPE:DATA,... | vxlan_opts GBP | erspan_opts VER:INDEX:DIR:HWID |
                  gtp_opts TYPE:QFI | pfcp_opts TYPE:SEID |
                  ct_state STATE | ct_zone ZONE | ct_mark MARK | ct_label LABEL }
       LSE-LIST := lse depth DEPTH [ label LABEL ] [ tc TC ] [ bos BOS ] [ ttl TTL ] [ LSE-LIST ]
       CFM := { mdl LEVEL | op OPCODE }
       PORTS := PORT | PORT/MASK | PORT-PORT
       STATE := {+|-}{ trk | new | est | rel | inv | rpl }...
       FLAGS of ip_flags := [no]frag/[no]firstfrag; of enc_flags := [no]{ tuncsum | tundf | tunoam | tuncrit }/...
       Most values take a mask after a slash, an LLADDR also a number of bits.
       CLASSID, ip_proto and tcp_flags are hexadecimal.
";
