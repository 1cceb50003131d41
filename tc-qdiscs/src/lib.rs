//! The qdisc and class kinds of Linux, `plug` first.
//!
//! Each module is a kind; each registers itself. A program that wants them by
//! name says `use tc_qdiscs as _;`.

pub mod bfifo;
pub mod clsact;
pub mod embedded;
pub mod fq_codel;
pub mod htb;
pub mod ingress;
pub mod mq;
pub mod noqueue;
pub mod pfifo;
pub mod pfifo_fast;
pub mod pfifo_head_drop;
pub mod plug;
pub mod prio;
pub mod tbf;
