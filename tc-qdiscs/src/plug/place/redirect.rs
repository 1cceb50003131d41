//! A device's packets, led through an IFB.

use std::ops::RangeInclusive;

use derive_setters::Setters;
use tc_core::link::{LinkChange, NewLink};
use tc_core::{Connection, Error, Handle, Request, Transport, Verb, object};

use super::Side;
use super::error::PlaceError;
use super::filters::{
    Ours, await_readers, check_device, clsact, cookie, delete_filters, delete_unused_clsact, filter,
    filters_to, gone_is_fine, insist, look_at_hook, selects_alike, unused_name, waiting_in_clsacts_way,
};
use super::mark::Mark;
use super::matching::Match;

/// The options of a redirect.
#[derive(Clone, Debug, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct RedirectSetup {
    /// `txqueuelen` of the IFB, in packets: 10,000 by default. Kernel: when this number
    /// is queued after its qdisc, the qdisc stops for a moment.
    pub tx_queue_len: u32,
    /// The priority of the filter, 1 by default: filters with lower ones see the packets
    /// before, and may keep them from being held. Not 0.
    pub priority: u16,
    /// The packets that are redirected: those that one of these filters matches. Each filter has a
    /// separate priority, from [`RedirectSetup::priority`] upwards. Without a filter, the default,
    /// all packets are.
    pub matches: Vec<Match>,
}

impl RedirectSetup {
    /// The number of filters.
    fn filters(&self) -> u16 {
        (self.matches.len() as u16).max(1)
    }
}

impl Default for RedirectSetup {
    fn default() -> Self {
        Self { tx_queue_len: 10_000, priority: 1, matches: Vec::new() }
    }
}

/// A filter: its request, its kind, and its options.
type Filter = (Request<'static, object::Filter>, &'static str, Vec<u8>);

/// The fate of the device's clsact qdisc when a redirect ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Clsact {
    /// It stays, and no packet is lost.
    #[default]
    Keep,
    /// It goes, if the redirect made it and no filter is left on it. Kernel: this resets
    /// the device's queues, and packets are lost.
    Remove,
}

/// A device's packets of one side, led through an IFB.
///
/// Dropping this value changes nothing: the redirect stays, and
/// [`Redirect::find`] or [`Redirect::prepare`] takes it up again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    mark: Mark,
    priority: u16,
    matches: Vec<Match>,
    /// The number of filters.
    filters: u16,
    /// They take some packets and not all.
    is_selective: bool,
    name: String,
    ifindex: i32,
    is_new: bool,
    is_connected: bool,
    /// Our filter is there, and leads to an IFB that is gone: it drops all packets.
    has_stale_filter: bool,
    /// The packets that a new clsact purged.
    purged: u32,
}

impl Redirect {
    /// Makes the IFB for a device's side, marked and up, or takes up the one that is
    /// there. The device itself is not touched, and its packets go on as before, until
    /// [`Redirect::connect`].
    ///
    /// Everything that can fail is tried first: the kinds that the kernel needs are
    /// tried on the new IFB. An IFB that is taken up keeps its qdiscs and its packets.
    pub fn prepare<T: Transport>(
        tc: &mut Connection<T>,
        device: i32,
        side: Side,
        setup: &RedirectSetup,
    ) -> Result<Self, PlaceError> {
        let name = check_device(tc, device)?;
        let last = setup.priority.saturating_add(setup.filters() - 1);
        let hook = look_at_hook(tc, device, &name, side, setup.priority..=last)?;
        if let Some(mut found) = Self::find(tc, device, side)? {
            let leading = hook.ours.iter().filter(|ours| ours.leads_to == found.ifindex).count();
            found.is_connected = leading != 0;
            found.has_stale_filter = !hook.ours.is_empty() && !found.is_connected;
            if found.is_connected {
                let wanted = cookie(&setup.matches, found.mark.made_clsact);
                let alike = hook.ours.iter().all(|ours| selects_alike(&ours.cookie, &wanted));
                if !alike || leading != usize::from(setup.filters()) {
                    return Err(PlaceError::OtherMatches { device: name, side });
                }
            } else {
                found.priority = setup.priority;
            }
            (found.matches, found.filters) = (setup.matches.clone(), setup.filters());
            found.is_selective = !setup.matches.is_empty() || hook.ours.iter().any(Ours::is_selective);
            if !tc.link_by_index(found.ifindex)?.is_up() {
                tc.set_link(found.ifindex, &LinkChange { up: Some(true), ..LinkChange::default() })?;
            }
            return Ok(found);
        }
        let made_clsact = hook.ours.first().map_or(!hook.has_qdisc, Ours::made_clsact);
        let mut made = Self::make(tc, Mark { device, side, made_clsact }, setup)?;
        made.has_stale_filter = !hook.ours.is_empty();
        made.is_selective |= hook.ours.iter().any(Ours::is_selective);
        Ok(made)
    }

    /// The redirect of a device's side, if there is one. Changes nothing.
    ///
    /// [`PlaceError::NameTaken`] if somebody else's device has the name of our IFB.
    pub fn find<T: Transport>(
        tc: &mut Connection<T>,
        device: i32,
        side: Side,
    ) -> Result<Option<Self>, PlaceError> {
        let name = Mark::alt_name(device, side);
        let link = match tc.link_by_name(&name) {
            Ok(link) => link,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mark = Mark::parse(&tc.link_details(link.ifindex)?.alias);
        match mark.filter(|mark| link.kind == "ifb" && mark.device == device && mark.side == side) {
            None => Err(PlaceError::NameTaken { name, device: link.name }),
            Some(mark) => {
                let filters = filters_to(tc, mark, link.ifindex)?;
                let priority = filters.iter().map(|filter| filter.priority).min();
                Ok(Some(Self {
                    mark,
                    priority: priority.unwrap_or(RedirectSetup::default().priority),
                    matches: Vec::new(),
                    filters: (filters.len() as u16).max(1),
                    is_selective: filters.iter().any(Ours::is_selective),
                    name: link.name,
                    ifindex: link.ifindex,
                    is_new: false,
                    is_connected: priority.is_some(),
                    has_stale_filter: false,
                    purged: 0,
                }))
            }
        }
    }

    /// The redirect that an IFB belongs to; `None` if it is no IFB of ours.
    pub fn of_ifb<T: Transport>(tc: &mut Connection<T>, ifindex: i32) -> Result<Option<Self>, PlaceError> {
        let details = match tc.link_details(ifindex) {
            Ok(details) => details,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Some(mark) = Mark::parse(&details.alias) else { return Ok(None) };
        match Self::find(tc, mark.device, mark.side) {
            Ok(found) => Ok(found.filter(|redirect| redirect.ifindex == ifindex)),
            Err(PlaceError::NameTaken { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn make<T: Transport>(
        tc: &mut Connection<T>,
        mark: Mark,
        setup: &RedirectSetup,
    ) -> Result<Self, PlaceError> {
        let name = unused_name(tc)?;
        let alt_name = Mark::alt_name(mark.device, mark.side);
        let link = NewLink {
            name: &name,
            kind: "ifb",
            alias: &mark.alias(),
            alt_name: &alt_name,
            tx_queue_len: setup.tx_queue_len,
        };
        let made = tc.add_marked_link(&link);
        let mut redirect = Self {
            mark,
            priority: setup.priority,
            matches: setup.matches.clone(),
            filters: setup.filters(),
            is_selective: !setup.matches.is_empty(),
            name,
            ifindex: 0,
            is_new: true,
            is_connected: false,
            has_stale_filter: false,
            purged: 0,
        };
        let tried = match made {
            // Kernel: "Unknown device type".
            Err(error) if error.is_unsupported() || error.is_unknown_kind() => {
                return Err(PlaceError::NoModule { needed: "ifb".to_owned(), error });
            }
            Err(error) => Err(PlaceError::Tc(error)),
            Ok(()) => redirect.try_kinds(tc),
        };
        match tried {
            Ok(()) => Ok(redirect),
            Err(cause) => Err(redirect.undo(tc, cause)),
        }
    }

    /// Adds qdisc and filters to the new IFB, and takes them away again: one send, so that
    /// no death leaves them there.
    fn try_kinds<T: Transport>(&mut self, tc: &mut Connection<T>) -> Result<(), PlaceError> {
        self.ifindex = tc.link_by_name(&self.name)?.ifindex;
        let clsact = clsact(self.ifindex);
        let filters = self.filters(self.ifindex, self.ifindex)?;
        let mut tried = vec![(Verb::Add, clsact.clone().any(), "clsact".to_owned())];
        for (request, kind, options) in &filters {
            let needed = format!("{kind} with mirred");
            tried.push((Verb::Add, request.clone().raw_options(kind, options).any(), needed));
        }
        tried.push((Verb::Delete, clsact.any(), "clsact".to_owned()));
        let mut pack = tc.group();
        for (verb, request, _) in &tried {
            pack.push(*verb, request)?;
        }
        let mut failed = None;
        pack.send(|index, outcome| {
            if let (Err(cause), Some((verb, request, needed)), None) = (outcome, tried.get(index), &failed) {
                failed = Some((needed.clone(), Error::new(verb.name(), request.describe(), cause)));
            }
        })?;
        match failed {
            None => Ok(()),
            Some((needed, error)) if error.is_not_found() || error.is_unknown_kind() => {
                Err(PlaceError::NoModule { needed, error })
            }
            Some((_, error)) => Err(error.into()),
        }
    }

    /// Leads the device's packets to the IFB, whose qdiscs must be there by now: adds
    /// clsact to the device if it has none, and then the filter.
    ///
    /// Kernel: a new clsact stops and resets the root queue: packets of this moment can
    /// be lost. After an error the IFB stays, and the device is as it was.
    pub fn connect<T: Transport>(&mut self, tc: &mut Connection<T>) -> Result<(), PlaceError> {
        if self.is_connected {
            return Ok(());
        }
        let device = self.mark.device;
        let waiting = waiting_in_clsacts_way(tc, device)?;
        let added = match tc.add(&clsact(device)) {
            Ok(()) => {
                self.purged = waiting;
                true
            }
            // Kernel: one that is there, of either kind.
            Err(error) if error.is_exists() || error.is_invalid() => false,
            Err(error) if error.is_outcome_unknown() => {
                return Err(self.undo_connect(tc, true, error));
            }
            Err(error) => return Err(error.into()),
        };
        match self.add_filters(tc) {
            Ok(()) => {
                (self.is_connected, self.has_stale_filter) = (true, false);
                Ok(())
            }
            Err(error) => Err(self.undo_connect(tc, added, error)),
        }
    }

    /// The filters on a device, with their kinds and the options that lead to an IFB.
    fn filters(&self, device: i32, ifb: i32) -> Result<Vec<Filter>, PlaceError> {
        let (side, cookie) = (self.mark.side, cookie(&self.matches, self.mark.made_clsact));
        let all = [Match::all()];
        let matches = if self.matches.is_empty() { &all[..] } else { &self.matches };
        let filter = |numbered: (usize, &Match)| {
            let options = numbered.1.redirect_to(ifb, &cookie)?;
            Ok((filter(device, side, self.priority, numbered), numbered.1.kind(), options))
        };
        matches.iter().enumerate().map(filter).collect()
    }

    /// Adds the filters. Those that lead to an IFB that is gone were deleted before: until then they
    /// drop what is to be held.
    fn add_filters<T: Transport>(&self, tc: &mut Connection<T>) -> Result<(), Error> {
        let refused = |error: PlaceError| {
            Error::new("add", self.filters_name(), tc_core::Cause::Refused(error.to_string()))
        };
        let filters = self.filters(self.mark.device, self.ifindex).map_err(refused)?;
        if self.has_stale_filter {
            self.delete_filters(tc)?;
        }
        let mut pack = tc.group();
        for (request, kind, options) in &filters {
            pack.push(Verb::Add, &request.clone().raw_options(kind, options))?;
        }
        let mut failed = None;
        pack.send(|index, outcome| {
            if let (Err(cause), Some((request, ..)), None) = (outcome, filters.get(index), &failed) {
                failed = Some(Error::new("add", request.describe(), cause));
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn delete_filters<T: Transport>(&self, tc: &mut Connection<T>) -> Result<(), Error> {
        let all_at = (!self.is_selective).then_some(self.priority);
        delete_filters(tc, self.mark.device, self.mark.side, all_at)
    }

    fn undo_connect<T: Transport>(
        &mut self,
        tc: &mut Connection<T>,
        added: bool,
        cause: Error,
    ) -> PlaceError {
        let mut left = Vec::new();
        if cause.is_outcome_unknown() || self.filters > 1 {
            let filter = insist(|| self.delete_filters(tc));
            left.extend(filter.err().map(|_| self.filters_name()));
        }
        if added && left.is_empty() {
            let gone = insist(|| delete_unused_clsact(tc, self.mark.device));
            left.extend(gone.err().map(|_| self.clsacts_name()));
        }
        match left.is_empty() {
            true => PlaceError::Tc(cause),
            false => {
                // For a later removal.
                self.is_connected = true;
                PlaceError::Left { cause, left: left.join(", ") }
            }
        }
    }

    /// Takes the filter off: the device's packets go their own way. The IFB stays, and
    /// sends what its qdisc lets go. No packet comes to it any more when this returns.
    pub fn disconnect<T: Transport>(&mut self, tc: &mut Connection<T>) -> Result<(), PlaceError> {
        insist(|| self.delete_filters(tc))?;
        await_readers();
        // The clsact qdisc is still to be removed.
        (self.is_connected, self.is_new) = (false, false);
        Ok(())
    }

    /// Whether the IFB has passed on every packet that its qdisc let go before this call.
    /// (`true` if the kernel does not count them, or the IFB is gone.)
    pub fn is_drained<T: Transport>(&self, tc: &mut Connection<T>) -> Result<bool, PlaceError> {
        // Kernel: a CPU takes several packets from the qdisc at once (`try_bulk_dequeue_skb`), and
        // no counter has them before the IFB gets them.
        await_readers();
        match tc.link_packets(self.ifindex) {
            // Kernel: an IFB counts a packet as received when its qdisc gives it, and as sent
            // when it is back on its way.
            Ok(packets) => Ok(packets.is_none_or(|all| all.received <= all.sent + all.receive_drops)),
            Err(error) if error.is_not_found() => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes filter and IFB, and the clsact if that is wanted. Packets that the IFB
    /// still has are lost. Objects of others stay, and a clsact with them.
    pub fn remove<T: Transport>(mut self, tc: &mut Connection<T>, fate: Clsact) -> Result<(), PlaceError> {
        let (left, first) = self.take_away(tc, fate);
        match first {
            None => Ok(()),
            Some(cause) => Err(PlaceError::Left { cause, left }),
        }
    }

    /// The index of the IFB, where the hold's qdisc stands.
    pub const fn ifindex(&self) -> i32 {
        self.ifindex
    }

    /// The name of the IFB.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The index of the device.
    pub const fn device(&self) -> i32 {
        self.mark.device
    }

    /// The side of the device.
    pub const fn side(&self) -> Side {
        self.mark.side
    }

    /// The priority of the filter, or of the first one.
    pub const fn priority(&self) -> u16 {
        self.priority
    }

    /// The priorities of the filters.
    pub const fn priorities(&self) -> RangeInclusive<u16> {
        self.priority..=self.priority.saturating_add(self.filters - 1)
    }

    /// The parent of the filter.
    pub(in crate::plug) const fn hook(&self) -> Handle {
        self.mark.side.hook()
    }

    /// The packets that waited in the device's root qdisc when [`Redirect::connect`] added a new clsact:
    /// the kernel dropped them. 0 if a clsact was there.
    pub const fn purged_packets(&self) -> u32 {
        self.purged
    }

    /// Whether the IFB is new: nothing was taken up.
    pub const fn is_new(&self) -> bool {
        self.is_new
    }

    /// Whether the filter leads the device's packets to the IFB.
    pub const fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// Whether the device had no clsact or ingress qdisc before the redirect.
    pub const fn made_clsact(&self) -> bool {
        self.mark.made_clsact
    }

    fn undo<T: Transport>(&mut self, tc: &mut Connection<T>, cause: PlaceError) -> PlaceError {
        let deleted = insist(|| gone_is_fine(tc.delete_link_by_name(&self.name)));
        match (deleted, cause) {
            (Ok(()), cause) => cause,
            (Err(_), PlaceError::Tc(cause) | PlaceError::NoModule { error: cause, .. }) => {
                PlaceError::Left { cause, left: format!("the device {}", self.name) }
            }
            (Err(cause), _) => PlaceError::Left { cause, left: format!("the device {}", self.name) },
        }
    }

    /// Removes our objects, the last first, and continues after failures. Returns the
    /// remaining ones, and the first failure.
    fn take_away<T: Transport>(&mut self, tc: &mut Connection<T>, fate: Clsact) -> (String, Option<Error>) {
        let Mark { device, made_clsact, .. } = self.mark;
        let mut left = Vec::new();
        let mut first = None;
        let mut note = |result: Result<(), Error>, object: String| {
            if let Err(error) = result {
                first.get_or_insert(error);
                left.push(object);
            }
        };
        // A new redirect that was never connected has nothing on the device.
        if self.is_connected || self.has_stale_filter || !self.is_new {
            note(insist(|| self.delete_filters(tc)), self.filters_name());
            if fate == Clsact::Remove && made_clsact {
                note(insist(|| delete_unused_clsact(tc, device)), self.clsacts_name());
            }
        }
        let link = insist(|| gone_is_fine(tc.delete_link_by_name(&self.name)));
        note(link, format!("the device {}", self.name));
        (left.join(", "), first)
    }

    fn filters_name(&self) -> String {
        format!("the filter of device {}", self.mark.device)
    }

    fn clsacts_name(&self) -> String {
        format!("the qdisc clsact of device {}", self.mark.device)
    }
}
