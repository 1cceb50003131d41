//! What the tests of this package share.

pub mod captures;
pub mod lab;
pub mod replay;
