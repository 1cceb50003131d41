//! The qdisc and class kinds of Linux, `plug` first.
//!
//! Each module is a kind; each registers itself. A program that wants them by
//! name says `use tc_qdiscs as _;`.

pub mod act;
pub mod cls;
pub mod pfifo;
pub mod plug;
