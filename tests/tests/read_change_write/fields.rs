//! Every kind with its public fields. `every_field_is_listed` fails for a kind or a field that is missing here.

use tc_core::uapi::ETH_P_IP;
use tc_qdiscs as kinds;

use crate::{Case, case};

/// Kinds without a field to change, with reasons.
pub(crate) const NO_FIELDS: &[(&str, &str)] = &[
    ("qdisc cake_mq", "the fields of cake"),
    ("qdisc clsact", "no options"),
    ("qdisc drr", "no options"),
    ("qdisc gred", "a dump is a list of queues, and each request is of one queue"),
    ("qdisc ingress", "no options"),
    ("qdisc mq", "no options"),
    ("qdisc multiq", "the kernel counts the bands"),
    ("qdisc noqueue", "no options"),
    ("qdisc pfifo_fast", "never sent"),
    ("qdisc qfq", "no options"),
    ("qdisc teql0", "no options"),
];

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case!(
            kinds::filter::basic::Basic,
            "",
            "match cmp(u8 at 9 eq 6) and not meta(nf_mark eq 7) classid 1:1",
            [actions, class, ematches, police, reported]
        ),
        case!(
            kinds::filter::cgroup::Cgroup,
            "",
            "match cmp(u8 at 9 eq 6) or meta(pkt_len gt 5)",
            [actions, ematches, police]
        ),
        case!(
            kinds::filter::flow::Flow,
            "",
            "hash keys src,dst and 0xff xor 0xf rshift 3 addend 9 divisor 16 baseclass 1:5 perturb 10 \
             match cmp(u8 at 9 eq 6)",
            [actions, addend, base_class, divisor, ematches, keys, mask, mode, perturb, police, rshift, xor]
        ),
        case!(
            kinds::filter::route::Route,
            "",
            "from 2 to 10 classid 1:1",
            [actions, class, from, from_dev, police, to]
        ),
        case!(kinds::pfifo::Pfifo, "", "limit 100", [limit_packets]),
        case!(kinds::bfifo::Bfifo, "", "limit 3000", [limit_bytes]),
        case!(kinds::pfifo_head_drop::PfifoHeadDrop, "", "limit 100", [limit_packets]),
        case!(kinds::plug::Plug, "", "limit 32768", [action, limit_bytes]),
        case!(kinds::prio::Prio, "", "bands 4", [bands, multiqueue, priomap]),
        case!(
            kinds::ets::Ets,
            "",
            "bands 4 strict 1 quanta 3000 4000 5000",
            [bands, priomap, quanta_bytes, strict]
        ),
        case!(
            kinds::tbf::Tbf,
            "",
            "rate 100mbit burst 1600 limit 20000 peakrate 200mbit mtu 1514 mpu 64 overhead 4",
            [burst, limit_bytes, peak, rate.rate, rate.overhead, rate.mpu, rate.linklayer]
        ),
        case!(
            kinds::htb::Htb,
            "",
            "default 10 r2q 5 direct_qlen 100",
            [debug, default_minor, direct_qlen_packets, offload, r2q, reported]
        ),
        case!(
            kinds::htb::HtbClass,
            "htb",
            "rate 100mbit ceil 200mbit burst 1600 cburst 3000 quantum 3000 prio 2 overhead 4",
            [
                burst,
                cburst,
                ceil.rate,
                ceil.overhead,
                ceil.mpu,
                ceil.linklayer,
                level,
                offload,
                prio,
                quantum_bytes,
                rate.rate,
                rate.overhead,
                rate.mpu,
                rate.linklayer
            ]
        ),
        case!(kinds::hfsc::Hfsc, "", "default 10", [default_minor]),
        case!(
            kinds::hfsc::HfscClass,
            "hfsc",
            "sc m1 2mbit d 10ms m2 1mbit ul m2 8mbit",
            [link_share, real_time, upper_limit]
        ),
        case!(kinds::drr::DrrClass, "drr", "quantum 3000", [quantum_bytes]),
        case!(kinds::qfq::QfqClass, "qfq", "weight 5 maxpkt 1600", [max_packet_bytes, weight]),
        case!(kinds::ets::EtsClass, "ets bands 3", "quantum 3000", [quantum_bytes]),
        case!(
            kinds::fq_codel::FqCodel,
            "",
            "limit 1000 flows 512 target 6ms interval 90ms quantum 1514 memory_limit 16mb ecn ce_threshold 2ms drop_batch 32",
            [
                ce_threshold_selector,
                ce_threshold,
                drop_batch_packets,
                ecn,
                flows,
                interval,
                limit_packets,
                memory_limit_bytes,
                quantum_bytes,
                target
            ]
        ),
        case!(
            kinds::codel::Codel,
            "",
            "limit 500 target 6ms interval 90ms ecn ce_threshold 2ms",
            [ce_threshold, ecn, interval, limit_packets, target]
        ),
        case!(
            kinds::fq::Fq,
            "",
            "limit 5000 flow_limit 50 quantum 3000 initial_quantum 15000 maxrate 100mbit buckets 256 refill_delay 50ms low_rate_threshold 1mbit orphan_mask 511 timer_slack 20us ce_threshold 5ms horizon 5s horizon_cap",
            [
                bands,
                buckets_log,
                ce_threshold,
                default_rate,
                flow_limit_packets,
                horizon_drop,
                horizon,
                initial_quantum_bytes,
                limit_packets,
                low_rate_threshold,
                max_rate,
                offload_horizon,
                orphan_mask,
                pacing,
                quantum_bytes,
                refill_delay,
                timer_slack,
                weights
            ]
        ),
        case!(
            kinds::fq_pie::FqPie,
            "",
            "limit 5000 flows 256 target 20ms tupdate 20ms alpha 3 beta 21 quantum 1600 memory_limit 16mb ecn_prob 20 ecn",
            [
                alpha,
                beta,
                bytemode,
                dq_rate_estimator,
                ecn,
                ecn_prob_percent,
                flows,
                limit_packets,
                memory_limit_bytes,
                quantum_bytes,
                target,
                tupdate
            ]
        ),
        case!(
            kinds::pie::Pie,
            "",
            "limit 500 target 20ms tupdate 20ms alpha 3 beta 21 ecn bytemode",
            [alpha, beta, bytemode, dq_rate_estimator, ecn, limit_packets, target, tupdate]
        ),
        case!(
            kinds::red::Red,
            "",
            "limit 100000 min 10000 max 30000 avpkt 1000 burst 20 bandwidth 10mbit probability 0.02 ecn",
            [
                average_log,
                cell_log,
                damping,
                early_drop_block,
                flags,
                limit_bytes,
                mark_block,
                max_bytes,
                max_probability,
                min_bytes,
                probability_log
            ]
        ),
        case!(
            kinds::choke::Choke,
            "",
            "limit 1000 min 100 max 300 burst 150 avpkt 1000 bandwidth 10mbit probability 0.02 ecn",
            [
                average_log,
                cell_log,
                damping,
                flags,
                limit_packets,
                max_packets,
                max_probability,
                min_packets,
                probability_log
            ]
        ),
        case!(
            kinds::sfb::Sfb,
            "",
            "limit 500 max 30 target 20 increment 0.01 decrement 0.001",
            [
                decrement,
                increment,
                limit_packets,
                max_packets,
                penalty_burst_packets,
                penalty_rate_pps,
                rehash,
                target_packets,
                warmup
            ]
        ),
        case!(
            kinds::sfq::Sfq,
            "",
            "limit 100 perturb 10 quantum 3000 divisor 256 flows 100 depth 50 headdrop redflowlimit 60000 min 8000 max 20000 avpkt 1000 burst 20 probability 0.1 ecn",
            [depth_packets, divisor, flows, headdrop, limit_packets, perturb_secs, quantum_bytes, red]
        ),
        case!(kinds::skbprio::Skbprio, "", "limit 64", [limit_packets]),
        case!(
            kinds::hhf::Hhf,
            "",
            "limit 500 quantum 1600 hh_limit 1000 reset_timeout 20ms admit_bytes 65536 evict_timeout 500ms non_hh_weight 3",
            [
                admit_bytes,
                evict_timeout,
                hh_limit,
                limit_packets,
                non_hh_weight,
                quantum_bytes,
                reset_timeout
            ]
        ),
        case!(
            kinds::cbs::Cbs,
            "",
            "hicredit 30 locredit -1470 sendslope -980000 idleslope 20000 offload 0",
            [hicredit_bytes, idleslope_kbit, locredit_bytes, offload, sendslope_kbit]
        ),
        case!(
            kinds::etf::Etf,
            "",
            "clockid CLOCK_TAI delta 200000",
            [clock, deadline_mode, delta_ns, offload, skip_sock_check]
        ),
        case!(
            kinds::netem::Netem,
            "",
            "limit 500 delay 100ms 10ms 25% loss 1% 5% duplicate 2% corrupt 1% 2% reorder 5% 3% gap 3 rate 1mbit 5 6 7 slot 1ms 2ms packets 5 bytes 6000",
            [
                correlations,
                corrupt,
                delay_ns,
                distribution,
                duplicate,
                ecn,
                gap,
                jitter_ns,
                limit_packets,
                loss,
                loss_model,
                rate,
                reorder,
                seed,
                slot,
                slot_distribution
            ]
        ),
        case!(
            kinds::cake::Cake,
            "",
            "bandwidth 10mbit diffserv4 hosts nat wash no-split-gso ack-filter rtt 50ms overhead 18 mpu 64 memlimit 4mb fwmark 255",
            [
                ack_filter,
                autorate_ingress,
                bandwidth,
                diffserv,
                flow_mode,
                framing,
                fwmark,
                ingress,
                memory_limit_bytes,
                mpu,
                nat,
                overhead,
                raw,
                rtt,
                split_gso,
                target,
                wash
            ]
        ),
        case!(
            kinds::mqprio::Mqprio,
            "",
            "num_tc 2 map 0 1 queues 1@0 1@1 hw 0",
            [classes, max_rates, min_rates, mode, preemption, shaper]
        ),
        case!(
            kinds::taprio::Taprio,
            "",
            "num_tc 2 map 0 1 queues 1@0 1@1 base-time 4000000000000000000 clockid CLOCK_TAI sched-entry S 01 200000 sched-entry S 02 300000",
            [admin, by_class, classes, clock, flags, schedule, txtime_delay]
        ),
        case!(
            kinds::dualpi2::Dualpi2,
            "",
            "limit 500 target 20ms tupdate 20ms alpha 0.16 beta 3.2",
            [
                classic_protection_percent,
                coupling_factor,
                drop_early,
                drop_on_overload,
                ecn_mask,
                limit_packets,
                memory_limit_bytes,
                min_qlen_step_packets,
                split_gso,
                step_threshold_packets,
                step_threshold,
                tuning
            ]
        ),
        case!(kinds::act::gact::Gact, "", "drop index 7", [control, index, random, reported]),
        case!(
            kinds::act::mirred::Mirred,
            "",
            "egress redirect dev lo index 7",
            [block, control, eaction, ifindex, index, reported]
        ),
        case!(
            kinds::action::skbedit::Skbedit,
            "",
            "mark 1/0xff index 7",
            [index, control, queue_mapping, queue_mapping_max, priority, mark, mask, ptype, flags, reported]
        ),
        case!(kinds::action::csum::Csum, "", "iph tcp index 7", [index, control, update, reported]),
        case!(
            kinds::action::vlan::Vlan,
            "",
            "push id 5 priority 3 index 7",
            [index, control, operation, id, protocol, priority, dst_mac, src_mac, reported]
        ),
        case!(kinds::action::connmark::Connmark, "", "zone 5 index 7", [index, control, zone, reported]),
        case!(
            kinds::action::nat::Nat,
            "",
            "egress 10.0.0.0/24 1.2.3.0 index 7",
            [index, control, old, new, mask, flags, reported]
        ),
        case!(
            kinds::action::ctinfo::Ctinfo,
            "",
            "dscp 0x3f 0x40 cpmark 0xff zone 3 index 7",
            [index, control, zone, dscp_mask, dscp_statemask, cpmark_mask, reported, counters]
        ),
        case!(kinds::action::simple::Simple, "", "sdata hello index 7", [index, control, data, reported]),
        case!(
            kinds::action::skbmod::Skbmod,
            "",
            "set dmac 2:0:0:0:0:1 etype 0x800 index 7",
            [index, control, dmac, smac, etype, swap_mac, ecn, reported]
        ),
        case!(
            kinds::action::pedit::Pedit,
            "",
            "ex munge ip ttl set 5 index 7",
            [index, control, extended, keys, reported]
        ),
        case!(
            kinds::action::tunnel_key::TunnelKey,
            "",
            "set src_ip 10.0.0.1 dst_ip 10.0.0.2 id 7 dst_port 4789 vxlan_opts 257 tos 16 ttl 64 nocsum index 7",
            [
                index, control, operation, src, dst, key_id, dst_port, options, tos, ttl, no_csum, no_frag,
                reported
            ]
        ),
        case!(
            kinds::action::ct::Ct,
            "",
            "commit zone 3 mark 5/0xff label 0102 nat src addr 10.0.0.1 port 80 helper ipv4-tcp-ftp index 7",
            [index, control, commit, force, clear, zone, mark, label, nat, helper, reported]
        ),
        case!(
            kinds::action::gate::Gate,
            "",
            "base-time 1s cycle-time 600us cycle-time-ext 100 priority 3 sched-entry open 200us 4 9000 index 7",
            [
                index,
                control,
                priority,
                clock,
                flags,
                base_time_ns,
                cycle_time,
                cycle_time_extension,
                entries,
                reported
            ]
        ),
        case!(
            kinds::action::ife::Ife,
            "",
            "encode allow mark use prio 5 use tcindex 7 type 0xdead dst 2:0:0:0:0:1 index 7",
            [index, control, encodes, ethertype, dst, src, mark, prio, tcindex, reported]
        ),
        case!(
            kinds::action::bpf::Bpf,
            "",
            "bytecode '1,6 0 0 1' index 7",
            [index, control, program, reported]
        ),
        case!(
            kinds::filter::bpf::Bpf,
            "",
            "bytecode '1,6 0 0 1' classid 1:1",
            [program, class, direct_action, flags, police, actions]
        ),
        case!(
            kinds::action::sample::Sample,
            "",
            "rate 10 group 4 trunc 64 index 7",
            [index, control, rate, group, trunc_size, reported]
        ),
        case!(
            kinds::action::mpls::Mpls,
            "",
            "push label 5 tc 3 ttl 64 bos 1 index 7",
            [index, control, operation, protocol, label, tc, ttl, bos, reported]
        ),
        case!(
            kinds::action::police::Police,
            "",
            "rate 1mbit burst 10k mtu 2k peakrate 2mbit drop index 7",
            [average, burst, conform, exceed, index, mtu, packets, peak, rate, reported]
        ),
        case!(kinds::filter::fw::Fw, "", "classid 1:1", [actions, class, indev, mask, police]),
        case!(
            kinds::filter::u32::U32,
            "",
            "match u32 1 0xff at 0 classid 1:1",
            [actions, class, counters, divisor, flags, indev, link, mark, police, selector, table]
        ),
        case!(
            kinds::filter::flower::Flower,
            "",
            "indev lo dst_mac 2:0:0:0:0:1/24 ip_proto tcp ip_tos 16/fc src_ip 10.0.0.0/8 dst_port 80 tcp_flags 2/17 ip_flags nofrag enc_key_id 7 ct_state +trk ct_zone 5 ct_mark 7/0xff vxlan_opts 5/0xff classid 1:1",
            [indev, dst_mac, src_mac, eth_type, num_of_vlans, vlan_id, vlan_prio, vlan_ethtype, cvlan_id, cvlan_prio, cvlan_ethtype, pppoe_sid, ppp_proto, mpls, ip_proto, ip_tos, ip_ttl, src_ip, dst_ip, src_port, src_port_range, dst_port, dst_port_range, tcp_flags, icmp_type, icmp_code, l2tpv3_sid, spi, arp_op, arp_sip, arp_tip, arp_sha, arp_tha, ip_flags, enc_key_id, enc_src_ip, enc_dst_ip, enc_src_port, enc_dst_port, enc_tos, enc_ttl, enc_opts, enc_flags, ct_state, ct_zone, ct_mark, ct_label, cfm, l2_miss, hash, class, actions, skip_hw, skip_sw, verbose, reported]
        )
        .with_protocol(ETH_P_IP),
        case!(kinds::cls::matchall::Matchall, "", "classid 1:1", [actions, class, flags, hits]),
    ]
}
