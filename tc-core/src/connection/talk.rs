//! Requests of one answer, for a connection that waits and for one that does not.
//!
//! Whatever takes several steps is written once, as an `async fn` over [`Talk`]. A connection that waits is never
//! pending: [`now`] runs such a function to its end, without a runtime and without an allocation.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;

use crate::connection::exchange::in_time;
use crate::connection::{Connection, Transport};
use crate::exchange::entry::OwnedEntry;
use crate::exchange::error::{Cause, Error};
use crate::exchange::parts::Parts;
use crate::exchange::reply::MessageRange;
use crate::exchange::sans_io::{Expected, Step};
use crate::wire::ack::ExtAck;
use crate::wire::error::{DecodeError, EncodeError};
use crate::wire::message::{Entry, edit_flags};
use crate::wire::uapi::NLM_F_ECHO;
use crate::wire::verb::Verb;

/// A connection, whether it waits or not.
pub(crate) trait Talk {
    type Transport: Transport;

    /// The connection below.
    fn connection(&mut self) -> &mut Connection<Self::Transport>;

    /// The next step of the exchange.
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Result<Step, Box<Cause>>>;
}

impl<T: Transport> Talk for Connection<T> {
    type Transport = T;

    #[inline]
    fn connection(&mut self) -> &mut Self {
        self
    }

    #[inline]
    fn poll_step(&mut self, _: &mut Context<'_>) -> Poll<Result<Step, Box<Cause>>> {
        Self::poll_step(self, in_time)
    }
}

/// Runs work that never has to wait for a waker.
#[inline]
pub(crate) fn now<R>(work: impl Future<Output = R>) -> R {
    let mut work = pin!(work);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(outcome) = work.as_mut().poll(&mut context) {
            return outcome;
        }
    }
}

/// The next step of the exchange.
#[inline]
pub(crate) async fn step<C: Talk>(tc: &mut C) -> Result<Step, Box<Cause>> {
    poll_fn(|context| tc.poll_step(context)).await
}

/// Sends the message that `encode` writes.
pub(crate) fn begin<C: Talk>(
    tc: &mut C,
    expected: Expected,
    encode: impl FnOnce(u32, &mut BytesMut) -> Result<(), EncodeError>,
) -> Result<(), Cause> {
    let tc = tc.connection();
    tc.exchange.begin(tc.transport.port(), expected, encode)?;
    tc.send()
}

/// Sends the message that `encode` writes, and waits for its acknowledgement.
#[inline]
pub(crate) async fn transact<C: Talk>(
    tc: &mut C,
    encode: impl FnOnce(u32, &mut BytesMut) -> Result<(), EncodeError>,
) -> Result<Option<ExtAck>, Cause> {
    let echoes = tc.connection().echo.is_on();
    begin(tc, Expected::Verdict, |sequence, buffer| {
        encode(sequence, buffer)?;
        if echoes {
            edit_flags(buffer, 0, |flags| flags | NLM_F_ECHO);
        }
        Ok(())
    })?;
    let outcome = loop {
        match step(tc).await {
            // It may be shown before it fails: the verdict alone counts.
            Ok(Step::Object(_, place)) if echoes => {
                let tc = tc.connection();
                tc.echo.note(place.bytes(&tc.answer));
            }
            Ok(Step::Verdict(_, Ok(None))) => return Ok(None),
            Ok(Step::Verdict(_, Ok(Some(warning)))) => break Ok(Some(*warning)),
            Ok(Step::Verdict(_, Err(error))) => break Err(Cause::Kernel(*error)),
            Ok(_) => {}
            Err(cause) => break Err(*cause),
        }
    };
    clean(tc, outcome)
}

/// Sends the message that `encode` writes, and waits for the object in reply.
pub(crate) async fn ask<C: Talk>(
    tc: &mut C,
    expected: Expected,
    encode: impl FnOnce(u32, &mut BytesMut) -> Result<(), EncodeError>,
) -> Result<MessageRange, Cause> {
    let is_acknowledged = matches!(expected, Expected::ObjectAndVerdict(_));
    begin(tc, expected, encode)?;
    let stepped = step(tc).await.map_err(|cause| *cause);
    match clean(tc, stepped)? {
        Step::Object(_, place) => Ok(place),
        Step::Verdict(_, Err(error)) => Err(Cause::Kernel(*error)),
        // Kernel: the built-in defaults (noqueue) are acknowledged without the object.
        _ if is_acknowledged => Err(Cause::NotShown),
        _ => Err(DecodeError::Missing { what: "object in the answer" }.into()),
    }
}

/// Sends one message and waits for the kernel's verdict.
#[inline]
pub(crate) async fn apply_one<C: Talk>(
    tc: &mut C,
    verb: Verb,
    request: &Parts<'_>,
) -> Result<Option<ExtAck>, Error> {
    let outcome = transact(tc, |sequence, buffer| request.encode(verb, sequence, buffer)).await;
    outcome.map_err(|cause| Error::new(verb.name(), request.describe(), cause))
}

/// Asks for one object; returns its place in the buffer.
pub(crate) async fn find<C: Talk>(tc: &mut C, request: &Parts<'_>) -> Result<MessageRange, Error> {
    let encode = |sequence, buffer: &mut BytesMut| request.encode(Verb::Get, sequence, buffer);
    let place = ask(tc, Expected::ObjectAndVerdict(None), encode).await;
    place.map_err(|cause| fail(request, cause))
}

/// Asks for one object.
pub(crate) async fn get<'c, C: Talk>(tc: &'c mut C, request: &Parts<'_>) -> Result<Entry<'c>, Error>
where
    C::Transport: 'c,
{
    let place = find(tc, request).await?;
    let message = place.message(&tc.connection().answer);
    Entry::decode(&message).map_err(|error| fail(request, error.into()))
}

/// Asks for one object; `None` if it is not there.
pub(crate) async fn get_if_exists<C: Talk>(
    tc: &mut C,
    request: &Parts<'_>,
) -> Result<Option<OwnedEntry>, Error> {
    match get(tc, request).await {
        Ok(entry) => Ok(Some(OwnedEntry::of(&entry))),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

fn fail(request: &Parts<'_>, cause: Cause) -> Error {
    Error::new(Verb::Get.name(), request.describe(), cause)
}

/// The outcome, with nothing left in the way of the next one if an answer was lost.
#[inline]
pub(crate) fn clean<C: Talk, R>(tc: &mut C, outcome: Result<R, Cause>) -> Result<R, Cause> {
    if matches!(outcome, Err(Cause::AnswerLost(_))) {
        tc.connection().forget_answers();
    }
    outcome
}
