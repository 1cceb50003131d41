//! Filters (classifiers).

pub mod matchall;
