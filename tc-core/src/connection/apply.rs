//! Requests that take more than one message.
//!
//! Most kinds need one message. Some must be read before a change
//! ([`Kind::READ_BEFORE_CHANGE`](crate::Kind::READ_BEFORE_CHANGE)), or need a
//! second request ([`Kind::second_request`](crate::Kind::second_request)).

use crate::connection::Connection;
use crate::connection::Transport;
use crate::connection::talk::{self, Talk, apply_one};
use crate::exchange::error::{Cause, Error};
use crate::exchange::parts::Parts;
use crate::exchange::request::Request;
use crate::kind::Stab;
use crate::wire::ack::ExtAck;
use crate::wire::handle::Handle;
use crate::wire::uapi::TCA_STAB;
use crate::wire::verb::Verb;

impl<T: Transport> Connection<T> {
    /// Carries a request out, and returns the kernel's warning, if any.
    ///
    /// One message and its answer. For some kinds the object is read before a
    /// change, and a second request follows. If the second request of an add fails,
    /// the new object is deleted.
    pub fn apply<O>(&mut self, verb: Verb, request: &Request<'_, O>) -> Result<Option<ExtAck>, Error> {
        self.apply_parts(verb, &request.parts)
    }

    pub(crate) fn apply_parts(&mut self, verb: Verb, request: &Parts<'_>) -> Result<Option<ExtAck>, Error> {
        match request.reads_first(verb) {
            false => talk::now(apply_one(self, verb, request)),
            true => talk::now(apply_parts(self, verb, request)),
        }
    }
}

/// Carries a request out; see [`Connection::apply`].
pub(crate) async fn apply_parts<C: Talk>(
    tc: &mut C,
    verb: Verb,
    request: &Parts<'_>,
) -> Result<Option<ExtAck>, Error> {
    if !request.reads_first(verb) {
        return apply_one(tc, verb, request).await;
    }
    let there = match verb {
        Verb::Add => Found::Nothing,
        _ => find(tc, request).await?,
    };
    let first = match (&there, verb) {
        (Found::Own(own), _) => own.address(request.clone()),
        (Found::Foreign(what), Verb::Change) => {
            let cause = Cause::Refused(format!("there is {what}, which is not made a {}", request.kind));
            return Err(Error::new(verb.name(), request.describe(), cause));
        }
        // An object that appears in between is not touched: the kernel reports the missing one.
        (Found::Nothing, Verb::Change) if request.header.handle.is_unspec() => {
            request.clone().with_handle(NOBODYS)
        }
        _ => request.clone(),
    };
    let warning = apply_one(tc, verb, &first).await?;
    let Some(options) = request.options().and_then(|options| options.second_request(verb)) else {
        return Ok(warning);
    };
    second_request(tc, verb, request, &*options, !matches!(there, Found::Own(_))).await?;
    Ok(warning)
}

async fn second_request<C: Talk>(
    tc: &mut C,
    verb: Verb,
    request: &Parts<'_>,
    options: &dyn crate::kind::Options,
    made: bool,
) -> Result<(), Error> {
    // The first part was carried out.
    let partly = |error: Error| error.map_cause(|cause| Cause::Partly(Box::new(cause)));
    let gone = || {
        let cause = Cause::Refused("it was taken away at once".into());
        partly(Error::new(verb.name(), request.describe(), cause))
    };
    let Found::Own(own) = find(tc, request).await.map_err(partly)? else { return Err(gone()) };
    let second = own.address(request.clone().other_options(options));
    let Err(error) = apply_one(tc, Verb::Change, &second).await else { return Ok(()) };
    if !made || verb != Verb::Add {
        return Err(partly(error));
    }
    // All or nothing.
    match apply_one(tc, Verb::Delete, &second).await {
        Ok(_) => Err(error),
        Err(_) => Err(partly(error)),
    }
}

/// The object at the request's place.
async fn find<C: Talk>(tc: &mut C, request: &Parts<'_>) -> Result<Found, Error> {
    let header = request.header;
    let mut place = Request::new(request.tc_type, header.ifindex).parent(header.parent);
    if header.parent.is_unspec() {
        place = place.handle(header.handle);
    }
    let entry = match talk::get(tc, &place.parts).await {
        Ok(entry) => entry,
        Err(error) if error.is_not_found() => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    let (kind, handle) = (entry.kind().unwrap_or("?"), entry.header.handle);
    if handle.is_unspec() {
        return Ok(Found::Nothing); // a default of the kernel's
    }
    if kind != request.kind {
        return Ok(Found::Foreign(format!("{} {kind} {handle}", request.tc_type)));
    }
    if !header.handle.is_unspec() && header.handle != handle {
        return Ok(Found::Nothing); // another one of the kind: the kernel refuses
    }
    let stab = entry.attr(TCA_STAB).map(|attr| Stab::decode(&attr)).transpose();
    let stab = stab.map_err(|error| {
        let why = format!("the size table that is there would be lost: it cannot be read ({error})");
        Error::new("look for", request.describe(), Cause::Refused(why))
    })?;
    Ok(Found::Own(Own { handle, stab }))
}

/// A handle that the kernel never chooses by itself: it counts from 8001: up.
const NOBODYS: Handle = Handle::qdisc(0x7fff);

/// The object at a request's place.
enum Found {
    Nothing,
    Own(Own),
    /// Of another kind: which, in words.
    Foreign(String),
}

/// An object that is there and of the right kind.
struct Own {
    handle: Handle,
    stab: Option<Stab>,
}

impl Own {
    /// The request, addressed to this object by its handle, with the size table
    /// that a change would remove.
    fn address<'a>(&self, request: Parts<'a>) -> Parts<'a> {
        let stab = request.stab.or(self.stab);
        Parts { stab, ..request.with_handle(self.handle) }
    }
}
