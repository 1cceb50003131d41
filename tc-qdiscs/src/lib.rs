//! The qdisc and class kinds of Linux.
