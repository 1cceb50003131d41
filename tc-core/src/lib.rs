//! Generic Linux traffic control over netlink.
