//! The qdisc and class kinds of Linux, `plug` first.
//!
//! Each module is a kind; each registers itself. A program that wants them by
//! name says `use tc_qdiscs as _;`.

pub mod cbs;
pub mod drr;
pub mod etf;
pub mod ets;
pub mod hfsc;
pub mod htb;
pub mod multiq;
pub mod pfifo;
pub mod plug;
pub mod qfq;
pub mod skbprio;
pub mod tbf;
pub mod teql;
