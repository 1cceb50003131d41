//! Several requests in one datagram.

use super::{AsyncTransport, Connection};
use crate::connection::talk::Talk as _;
use crate::connection::{Done, group};
use crate::exchange::error::{Cause, Error};
use crate::exchange::request::Request;
use crate::wire::verb::Verb;

/// Requests that go to the kernel in one send, each with its own outcome; see
/// [`tc_core::RequestGroup`](crate::RequestGroup).
#[derive(Debug)]
pub struct RequestGroup<'c, T: AsyncTransport> {
    connection: &'c mut Connection<T>,
}

impl<'c, T: AsyncTransport> RequestGroup<'c, T> {
    pub(super) fn new(connection: &'c mut Connection<T>) -> Self {
        connection.connection().group();
        Self { connection }
    }

    /// Adds a request that is answered by an acknowledgement, and returns its index. An error leaves the group as it
    /// was.
    pub fn push<O>(&mut self, verb: Verb, request: &Request<'_, O>) -> Result<usize, Error> {
        group::push(&mut self.connection.connection().exchange, verb, &request.parts, |flags| flags)
    }

    /// Adds a request that is answered by the object itself; see
    /// [`RequestGroup::push_shown`](crate::RequestGroup::push_shown).
    pub fn push_shown<O>(&mut self, verb: Verb, request: &Request<'_, O>) -> Result<usize, Error> {
        group::push(&mut self.connection.connection().exchange, verb, &request.parts, group::shown)
    }

    /// Sends all requests, and reports the outcome of each once; see
    /// [`RequestGroup::send`](crate::RequestGroup::send).
    ///
    /// Cancel safety: a *change*. The outcomes that were not reported yet are unknown.
    pub async fn send(self, each: impl FnMut(usize, Result<Done<'_>, Cause>)) -> Result<(), Error> {
        group::send(self.connection, each).await
    }
}
