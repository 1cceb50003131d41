//! The qdisc and class kinds of Linux, `plug` first.
//!
//! Each module is a kind; each registers itself. A program that wants them by
//! name says `use tc_qdiscs as _;`.

pub mod bfifo;
pub mod cake;
pub mod choke;
pub mod clsact;
pub mod codel;
mod common;
pub mod fq;
pub mod fq_codel;
pub mod fq_pie;
pub mod gred;
pub mod hhf;
pub mod ingress;
pub mod mq;
pub mod mqprio;
pub mod netem;
pub mod noqueue;
pub mod pfifo;
pub mod pfifo_fast;
pub mod pfifo_head_drop;
pub mod pie;
pub mod plug;
pub mod prio;
pub mod red;
pub mod sfb;
pub mod sfq;
pub mod taprio;
