//! The qdisc, class, filter and action kinds of Linux, `plug` first.
//!
//! Each module of [`qdisc`], [`filter`] and [`action`] is a kind, which registers itself. Each module of
//! [`ematch`] is a test that expressions of filters consist of. A program that finds
//! kinds by name links them with `use tc_qdiscs as _;`.

pub mod action;
pub mod bpf;
#[cfg(feature = "embedded")]
pub mod classify;
mod common;
mod counters;
pub mod ematch;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod filter;
mod params;
pub mod plug;
pub mod qdisc;

// A kind that is new here must not break programs that bring their own.
tc_core::give_way!();

#[doc(no_inline)]
pub use self::{action as act, filter as cls};
#[doc(no_inline)]
pub use qdisc::{
    bfifo, cake, cake_mq, cbs, choke, clsact, codel, drr, dualpi2, etf, ets, fq, fq_codel, fq_pie, gred,
    hfsc, hhf, htb, ingress, mq, mqprio, multiq, netem, noqueue, pfifo, pfifo_fast, pfifo_head_drop, pie,
    prio, qfq, red, sfb, sfq, skbprio, taprio, tbf, teql,
};
