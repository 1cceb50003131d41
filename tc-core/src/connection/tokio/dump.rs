//! Lists that are read asynchronously.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::{AsyncTransport, Connection};
use crate::connection::talk::Talk as _;
use crate::connection::{DumpEntry, dump};
use crate::exchange::dump_request::DumpRequest;
use crate::exchange::entry::OwnedEntry;
use crate::exchange::error::{Cause, Error};
use crate::exchange::sans_io::Step;

/// A list that is being read; see [`Connection::dump`].
///
/// [`next`](Self::next) lends each object from the receive buffer. As a [`Stream`] it copies them. Dropped early, it
/// leaves the rest to the next request on the connection, which passes it over.
#[derive(Debug)]
pub struct Dump<'c, T: AsyncTransport> {
    connection: &'c mut Connection<T>,
    select: DumpRequest,
}

impl<'c, T: AsyncTransport> Dump<'c, T> {
    pub(super) const fn new(connection: &'c mut Connection<T>, select: DumpRequest) -> Self {
        Self { connection, select }
    }

    /// The next object; `None` at the end.
    ///
    /// Cancel safety: a *question*. No object is lost.
    pub async fn next(&mut self) -> Result<Option<DumpEntry<'_>>, Error> {
        let next = dump::next(self.connection).await;
        let place = next.map_err(|cause| Error::new("list", dump::plural(&self.select), cause))?;
        Ok(place.map(|place| DumpEntry::at(place, &self.connection.connection().answer)))
    }

    /// How many datagrams with objects have come up to now; see [`Dump::pieces`](crate::Dump::pieces).
    pub fn pieces(&mut self) -> usize {
        self.connection.connection().exchange.pieces()
    }
}

/// The objects, each in its own memory.
impl<T: AsyncTransport + Unpin> Stream for Dump<'_, T> {
    type Item = Result<OwnedEntry, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { connection, select } = self.get_mut();
        let fail = |cause: Cause| Some(Err(Error::new("list", dump::plural(select), cause)));
        Poll::Ready(match ready!(connection.poll_step(context)) {
            Ok(Step::Object(_, place)) => {
                Some(Ok(OwnedEntry::copy(place.bytes(&connection.connection().answer))))
            }
            Ok(Step::Verdict(_, Err(error))) => fail(Cause::Kernel(*error)),
            Ok(_) => None,
            Err(cause) => fail(*cause),
        })
    }
}
