//! The qdisc and class kinds of Linux, `plug` first.
//!
//! Each module is a kind; each registers itself. A program that wants them by
//! name says `use tc_qdiscs as _;`.

pub mod act;
pub mod bfifo;
pub mod cake;
pub mod cake_mq;
pub mod cbs;
pub mod choke;
pub mod cls;
pub mod clsact;
pub mod codel;
mod common;
pub mod drr;
pub mod dualpi2;
pub mod embedded;
pub mod etf;
pub mod ets;
pub mod fq;
pub mod fq_codel;
pub mod fq_pie;
pub mod gred;
pub mod hfsc;
pub mod hhf;
pub mod htb;
pub mod ingress;
pub mod mq;
pub mod mqprio;
pub mod multiq;
pub mod netem;
pub mod noqueue;
mod params;
pub mod pfifo;
pub mod pfifo_fast;
pub mod pfifo_head_drop;
pub mod pie;
pub mod plug;
pub mod prio;
pub mod qfq;
pub mod red;
pub mod sfb;
pub mod sfq;
pub mod skbprio;
pub mod taprio;
pub mod tbf;
pub mod teql;
