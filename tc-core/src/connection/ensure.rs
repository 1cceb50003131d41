//! Requests that depend on the current state: `ensure`, `get_if_exists`, `delete_if_exists`.

use crate::connection::Connection;
use crate::connection::Transport;
use crate::connection::apply::apply_parts;
use crate::connection::dump::list_in_pieces;
use crate::connection::talk::{self, Talk};
use crate::exchange::dump_request::DumpRequest;
use crate::exchange::entry::OwnedEntry;
use crate::exchange::error::{Cause, Error};
use crate::exchange::parts::Parts;
use crate::exchange::request::Request;
use crate::kind::words::WordsContext;
use crate::kind::{Difference, OptionWords, Registry, Stab, TcOps};
use crate::wire::attr::AttrWriter;
use crate::wire::handle::Handle;
use crate::wire::message::Entry;
use crate::wire::uapi::{TCA_STAB, TCM_IFINDEX_MAGIC_BLOCK};
use crate::wire::verb::{TcType, Verb};

/// The effect of [`Connection::ensure`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ensured {
    /// The object was as requested. Nothing was sent but questions.
    Unchanged,
    /// There was no such object; it was added.
    Added,
    /// The options were changed in place.
    Changed {
        /// The earlier values of the changed options, in words.
        was: String,
    },
    /// Another qdisc took the place of the one that was there.
    Replaced {
        /// The earlier kind, handle or options, in words.
        was: String,
    },
}

impl<T: Transport> Connection<T> {
    /// Makes an object as requested, and does nothing if it is so already.
    ///
    /// The object is looked up by its place: a qdisc by its parent, a class by its handle, a filter by
    /// parent, chain, priority, protocol and handle. Options that the request leaves to the kernel match any
    /// value. A kind without words in the [global registry](Registry::global) is compared byte by byte.
    ///
    /// A qdisc that no change can make so is replaced, with all that is below it. For a class or a filter
    /// the call fails then, and names the difference: delete it first, or [replace](Connection::replace) it.
    ///
    /// Between the look and the change another program can act: an [add](Connection::add) then fails
    /// ([`Error::is_exists`]), and the call can be repeated.
    ///
    /// ```
    /// use tc_core::embedded::{Device, Kernel, Stored};
    /// use tc_core::{Connection, Ensured, Handle, Request};
    ///
    /// let kernel = Kernel::builder().device(Device::new("eth0").ifindex(2)).kind("pfifo", Stored::new).build();
    /// let mut tc = Connection::over(kernel.connect());
    /// let limit = 100u32.to_ne_bytes();
    /// let root = Request::qdisc(2).parent(Handle::ROOT).handle(Handle::qdisc(1)).raw_options("pfifo", &limit);
    /// assert_eq!(tc.ensure(&root)?, Ensured::Added);
    /// assert_eq!(tc.ensure(&root)?, Ensured::Unchanged);
    /// # Ok::<(), tc_core::Error>(())
    /// ```
    pub fn ensure<O>(&mut self, request: &Request<'_, O>) -> Result<Ensured, Error> {
        talk::now(ensure_parts(self, &request.parts))
    }

    /// Asks for one object, as [`Connection::get`] does; `None` if it is not there.
    pub fn get_if_exists<O>(&mut self, request: &Request<'_, O>) -> Result<Option<OwnedEntry>, Error> {
        talk::now(talk::get_if_exists(self, &request.parts))
    }

    /// Deletes an object, as [`Connection::delete`] does; false if it is not there.
    pub fn delete_if_exists<O>(&mut self, request: &Request<'_, O>) -> Result<bool, Error> {
        match self.delete(request) {
            Ok(()) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// See [`Connection::ensure`].
pub(crate) async fn ensure_parts<C: Talk>(tc: &mut C, request: &Parts<'_>) -> Result<Ensured, Error> {
    let fail = |cause: Cause| Error::new("ensure", request.describe(), cause);
    if request.tc_type == TcType::Action {
        return Err(fail(Cause::Refused("an action has no place: give it an index, and replace it".into())));
    }
    let Some(there) = look_up(tc, request).await? else {
        apply_parts(tc, Verb::Add, request).await?;
        return Ok(Ensured::Added);
    };
    let there = there.entry().map_err(|error| fail(error.into()))?;
    match difference(request, &there).map_err(fail)? {
        Difference::None => Ok(Ensured::Unchanged),
        Difference::Change { was } => {
            let mut change = request.clone().with_handle(there.header.handle);
            change.header.info = there.header.info;
            apply_parts(tc, Verb::Change, &change).await?;
            Ok(Ensured::Changed { was })
        }
        Difference::Renew { was } if request.tc_type == TcType::Qdisc => {
            apply_parts(tc, Verb::Replace, request).await?;
            Ok(Ensured::Replaced { was })
        }
        Difference::Renew { was } => Err(fail(Cause::Refused(format!(
            "no change can make it so: it is {was}; delete it first, or replace it"
        )))),
    }
}

/// The object at the request's place.
async fn look_up<C: Talk>(tc: &mut C, request: &Parts<'_>) -> Result<Option<OwnedEntry>, Error> {
    let header = request.header;
    if request.tc_type == TcType::Filter {
        return look_up_filter(tc, request).await;
    }
    let mut place = Request::new(request.tc_type, header.ifindex);
    place = match (request.tc_type, header.parent.is_unspec()) {
        (TcType::Qdisc, false) => place.parent(header.parent),
        _ => place.handle(header.handle),
    };
    // Kernel: a default qdisc has no handle, and an add replaces it.
    let found = talk::get_if_exists(tc, &place.parts).await?;
    Ok(found.filter(|found| found.entry().is_ok_and(|entry| !entry.header.handle.is_unspec())))
}

async fn look_up_filter<C: Talk>(tc: &mut C, request: &Parts<'_>) -> Result<Option<OwnedEntry>, Error> {
    let header = request.header;
    let priority = (header.info >> 16) as u16;
    let protocol = header.info as u16;
    let mut filters = match header.ifindex {
        TCM_IFINDEX_MAGIC_BLOCK => DumpRequest::filters_of_block(header.parent.raw()),
        ifindex => DumpRequest::filters(ifindex).parent(header.parent),
    };
    filters = filters.priority(priority).protocol(u16::from_be(protocol));
    filters = filters.chain(request.chain.unwrap_or(0));
    let fail = |text: String| Error::new("ensure", request.describe(), Cause::Refused(text));
    if priority == 0 {
        return Err(fail("a filter without a priority has no place: give it one".into()));
    }
    let mut found = Vec::new();
    let listed = match list_in_pieces(tc, &filters).await {
        Ok((listed, _)) => listed,
        Err(error) if error.is_not_found() => Vec::new(),
        Err(error) => return Err(error),
    };
    for listed in listed {
        let Ok(entry) = listed.entry() else { continue };
        let is_it = match header.handle.is_unspec() {
            // The head of a priority has no options, and is no filter.
            true => !entry.header.handle.is_unspec() && entry.options().is_some(),
            false => entry.header.handle == header.handle,
        };
        if is_it {
            found.push(listed);
        }
    }
    match found.len() {
        0 | 1 => Ok(found.pop()),
        count => Err(fail(format!("{count} filters have this place: give it a handle"))),
    }
}
/// The step from the object that is there to the requested one.
fn difference(request: &Parts<'_>, there: &Entry<'_>) -> Result<Difference, Cause> {
    let renew = |was: String| Ok(Difference::Renew { was });
    let kind = there.kind()?;
    if !request.kind.is_empty() && request.kind != kind {
        return renew(format!("{} {kind}", request.tc_type));
    }
    let header = request.header;
    if !header.handle.is_unspec() && header.handle != there.header.handle {
        return renew(format!("handle {}", there.header.handle));
    }
    // Kernel: the parent of a topmost class is dumped as the root.
    let parent = if header.parent.minor() == 0 { Handle::ROOT } else { header.parent };
    if request.tc_type == TcType::Class && !header.parent.is_unspec() && parent != there.header.parent {
        return renew(format!("parent {}", there.header.parent));
    }
    let options = options_difference(request, there)?;
    if options != Difference::None {
        return Ok(options);
    }
    let stab = there.attr(TCA_STAB).map(|attr| Stab::decode(&attr)).transpose()?;
    match &request.stab {
        Some(wanted) if Some(wanted.as_dumped()) != stab => {
            let was = stab.map_or("no stab".into(), |stab| format!("stab {stab:?}"));
            Ok(Difference::Change { was })
        }
        _ => Ok(Difference::None),
    }
}

fn options_difference(request: &Parts<'_>, there: &Entry<'_>) -> Result<Difference, Cause> {
    let payload = there.options().unwrap_or_default();
    let global = || Registry::global().ok()?.get(request.tc_type, request.kind);
    let ops: Option<&dyn TcOps> = request.ops.or_else(global);
    let (Some(ops), Some(options)) = (ops, request.options()) else {
        return Ok(raw_difference(request, payload)?);
    };
    // A machine with high-resolution timers.
    let environment = WordsContext::new(Verb::Change).environment;
    let (current, asked) = (ops.msg_parse(payload)?.as_request(), options.as_dumped(environment));
    let words = |options: &dyn crate::kind::Options| {
        let mut words = OptionWords::new();
        ops.to_words(options, &mut words);
        words
    };
    Ok(words(&*asked).difference(&words(&*current), ops.change_semantics()))
}

/// For a kind without words: the bytes.
pub(crate) fn raw_difference(request: &Parts<'_>, there: &[u8]) -> Result<Difference, crate::EncodeError> {
    let wanted = match (request.raw, request.options()) {
        (Some(raw), _) => raw.to_vec(),
        (None, Some(options)) => {
            let mut bytes = bytes::BytesMut::new();
            let mut out = AttrWriter::new(&mut bytes);
            let context = crate::kind::FillContext { verb: Verb::Change, as_tc: false };
            options.fill(&context, &mut out)?;
            out.finish()?;
            bytes.to_vec()
        }
        (None, None) => return Ok(Difference::None),
    };
    Ok(match wanted == there {
        true => Difference::None,
        false => Difference::Change { was: "other options".into() },
    })
}
