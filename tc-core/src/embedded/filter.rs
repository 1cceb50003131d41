//! Requests for filters: `tc_new_tfilter`, `tc_del_tfilter` and `tc_get_tfilter`
//! of `net/sched/cls_api.c` (6.1). A filter is kept as it was given.

use bytes::BytesMut;

use super::classifier::PlacedFilter;
use super::device::{Device, Id};
use super::discipline::Refusal;
use super::fill::{Head, message};
use super::kinds::Kinds;
use super::policy;
use super::qdisc::{Attributes, Notices, no};
use super::state::{Ask, State};
use crate::wire::attr::AttrWriter;
use crate::wire::handle::Handle;
use crate::wire::message::TcHeader;
use crate::wire::uapi::*;

/// A filter of a qdisc, a class or a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Filter {
    /// Its number among all filters of the kernel.
    pub(super) number: u64,
    pub(super) parent: Handle,
    pub(super) chain: u32,
    pub(super) priority: u32,
    /// In the network's byte order, as in `tcm_info`.
    pub(super) protocol: u16,
    handle: Handle,
    kind: String,
    options: Option<Vec<u8>>,
}

impl Filter {
    /// The filter as a [`Classifier`](super::Classifier) sees it.
    pub(super) fn placed(&self) -> PlacedFilter<'_> {
        PlacedFilter {
            number: self.number,
            chain: self.chain,
            priority: u16::try_from(self.priority).unwrap_or(u16::MAX),
            protocol: u16::from_be(self.protocol),
            handle: self.handle,
            kind: &self.kind,
            options: self.options.as_deref(),
        }
    }

    fn is_at(&self, place: &Place) -> bool {
        (self.parent, self.chain, self.priority) == (place.parent, place.chain, place.priority)
    }
}

/// Where a request points.
struct Place {
    qdisc: Id,
    parent: Handle,
    chain: u32,
    priority: u32,
    protocol: u16,
}

/// The first priority that the kernel assigns by itself. It counts down from here.
const AUTOMATIC: u32 = 0xc000;

const NOT_FOUND: Refusal = no(libc::ENOENT, "Filter with specified priority/protocol not found");

impl State {
    /// `RTM_NEWTFILTER` and `RTM_DELTFILTER`.
    pub(super) fn modify_filter(&mut self, ask: Ask<'_>) -> Result<Notices, Refusal> {
        let (position, header, attributes) = self.filter_request(&ask)?;
        match ask.message.kind {
            RTM_NEWTFILTER => self.devices[position].new_filter(&ask, &header, &attributes),
            _ => self.devices[position].delete_filters(&ask, &header, &attributes),
        }
    }

    /// `RTM_GETTFILTER` of one filter.
    pub(super) fn get_filter(&mut self, ask: Ask<'_>) -> Result<BytesMut, Refusal> {
        let (position, header, attributes) = self.filter_request(&ask)?;
        self.devices[position].get_filter(&ask, &header, &attributes)
    }

    fn filter_request<'a>(&self, ask: &Ask<'a>) -> Result<(usize, TcHeader, Attributes<'a>), Refusal> {
        let attributes = policy::parse(ask.message.payload, TCMSG_LEN, policy::tc)?;
        let header = super::state::tc_header(ask)?;
        if header.ifindex == TCM_IFINDEX_MAGIC_BLOCK {
            return Err(no(libc::EINVAL, "Block of given index was not found"));
        }
        Ok((self.position(header.ifindex)?, header, attributes))
    }
}

impl Device {
    fn new_filter(
        &mut self,
        ask: &Ask<'_>,
        header: &TcHeader,
        attributes: &Attributes<'_>,
    ) -> Result<Notices, Refusal> {
        let has = |flag: u16| ask.message.flags & flag != 0;
        let mut place = self.filter_place(header, attributes)?;
        let kind = kind_of(attributes)?;
        if place.priority == 0 && !has(NLM_F_CREATE) {
            return Err(no(libc::ENOENT, "Invalid filter command with priority of zero"));
        }
        let known = kind.is_none_or(|kind| self.kinds.has_filter(kind));
        let Some(filters) = self.qdiscs.get_mut(&place.qdisc).map(|qdisc| &mut qdisc.filters) else {
            return Err(NOT_FOUND);
        };
        let need = || no(libc::ENOENT, "Need both RTM_NEWTFILTER and NLM_F_CREATE to create a new filter");
        let first = filters.iter().find(|filter| filter.is_at(&place) && place.priority != 0);
        let kind = match (first, kind) {
            (Some(first), _) if first.protocol != place.protocol && place.protocol != 0 => {
                return Err(Refusal { errno: libc::EINVAL, ..NOT_FOUND });
            }
            (Some(first), Some(kind)) if kind != first.kind => {
                return Err(no(libc::EINVAL, "Specified filter kind does not match existing one"));
            }
            (Some(first), _) => {
                place.protocol = first.protocol;
                first.kind.clone()
            }
            (None, Some(kind)) if place.protocol != 0 => {
                if !has(NLM_F_CREATE) {
                    return Err(need());
                }
                if !known {
                    return Err(no(libc::ENOENT, "TC classifier not found"));
                }
                kind.to_owned()
            }
            (None, _) => return Err(no(libc::EINVAL, "Filter kind and protocol must be specified")),
        };
        if place.priority == 0 {
            let here =
                filters.iter().filter(|filter| (filter.parent, filter.chain) == (place.parent, place.chain));
            let least = here.map(|filter| filter.priority).min();
            place.priority = least.map_or(AUTOMATIC, |least| least.saturating_sub(1).max(1));
        }
        let there = filters.iter().position(|filter| filter.is_at(&place) && filter.handle == header.handle);
        let taken = |handle| filters.iter().any(|filter| filter.is_at(&place) && filter.handle == handle);
        let handle = match (there, header.handle) {
            (Some(_), _) if has(NLM_F_EXCL) => return Err(no(libc::EEXIST, "Filter already exists")),
            (None, _) if !has(NLM_F_CREATE) => return Err(need()),
            (None, Handle::UNSPEC) => {
                (1..).map(Handle::from_raw).find(|handle| !taken(*handle)).unwrap_or(Handle::UNSPEC)
            }
            (_, handle) => handle,
        };
        let filter = Filter {
            number: self.kinds.next_filter(),
            parent: place.parent,
            chain: place.chain,
            priority: place.priority,
            protocol: place.protocol,
            handle,
            kind,
            options: attributes[usize::from(TCA_OPTIONS)].map(|attr| attr.payload.to_vec()),
        };
        let head = Head { kind: RTM_NEWTFILTER, ..head(ask) };
        let notice = filter_message(self.ifindex, &filter, &self.kinds, head);
        match there {
            Some(at) => {
                let gone = std::mem::replace(&mut filters[at], filter);
                self.kinds.forget(&[gone]);
            }
            None => {
                // Chains are in the order of priorities.
                let at = filters.partition_point(|other| {
                    (other.chain, other.priority) <= (filter.chain, filter.priority)
                });
                filters.insert(at, filter);
            }
        }
        Ok(vec![notice])
    }

    fn delete_filters(
        &mut self,
        ask: &Ask<'_>,
        header: &TcHeader,
        attributes: &Attributes<'_>,
    ) -> Result<Notices, Refusal> {
        let place = self.filter_place(header, attributes)?;
        let kind = kind_of(attributes)?;
        let (ifindex, kinds) = (self.ifindex, self.kinds.clone());
        let head = Head { kind: RTM_DELTFILTER, ..head(ask) };
        let Some(filters) = self.qdiscs.get_mut(&place.qdisc).map(|qdisc| &mut qdisc.filters) else {
            return Err(NOT_FOUND);
        };
        if place.priority == 0 {
            if place.protocol != 0 || !header.handle.is_unspec() || kind.is_some() {
                return Err(no(libc::ENOENT, "Cannot flush filters with protocol, handle or kind set"));
            }
            let goes = |filter: &Filter| (filter.parent, filter.chain) == (place.parent, place.chain);
            return Ok(take_out(filters, goes, ifindex, &kinds, head));
        }
        if !filters.iter().any(|filter| filter.chain == place.chain && filter.parent == place.parent) {
            return Err(no(libc::ENOENT, "Cannot find specified filter chain"));
        }
        find(filters, &place, kind)?;
        if header.handle.is_unspec() {
            return Ok(take_out(filters, |filter| filter.is_at(&place), ifindex, &kinds, head));
        }
        let goes = |filter: &Filter| filter.is_at(&place) && filter.handle == header.handle;
        let told = take_out(filters, goes, ifindex, &kinds, head);
        if told.is_empty() { Err(no(libc::ENOENT, "Specified filter handle not found")) } else { Ok(told) }
    }

    fn get_filter(
        &self,
        ask: &Ask<'_>,
        header: &TcHeader,
        attributes: &Attributes<'_>,
    ) -> Result<BytesMut, Refusal> {
        let place = self.filter_place(header, attributes)?;
        if place.priority == 0 {
            return Err(no(libc::ENOENT, "Invalid filter command with priority of zero"));
        }
        let filters = self.qdiscs.get(&place.qdisc).map(|qdisc| qdisc.filters.as_slice()).unwrap_or_default();
        find(filters, &place, kind_of(attributes)?)?;
        let found = filters.iter().find(|filter| filter.is_at(&place) && filter.handle == header.handle);
        let found = found.ok_or(no(libc::ENOENT, "Specified filter handle not found"))?;
        Ok(filter_message(self.ifindex, found, &self.kinds, Head { kind: RTM_NEWTFILTER, ..head(ask) }))
    }

    /// `__tcf_qdisc_find` and `__tcf_qdisc_cl_find`.
    fn filter_place(&self, header: &TcHeader, attributes: &Attributes<'_>) -> Result<Place, Refusal> {
        let (qdisc, parent) = self.filter_parent(header.parent)?;
        let chain = attributes[usize::from(TCA_CHAIN)].and_then(|attr| attr.u32().ok()).unwrap_or(0);
        Ok(Place {
            qdisc,
            parent,
            chain,
            priority: header.info >> 16,
            protocol: (header.info & 0xffff) as u16,
        })
    }

    /// The qdisc that a filter's parent belongs to, and the parent in full.
    pub(super) fn filter_parent(&self, parent: Handle) -> Result<(Id, Handle), Refusal> {
        let root = || self.get(self.root).map_or(Handle::UNSPEC, |root| root.handle);
        let parent = if parent.is_unspec() { root() } else { parent };
        let hooks = [Handle::FILTER_INGRESS, Handle::FILTER_EGRESS];
        let id = self.lookup(parent.qdisc_of()).ok_or(no(libc::EINVAL, "Parent Qdisc doesn't exists"))?;
        let Some(qdisc) = self.get(Some(id)) else { return Err(Refusal::errno(libc::EINVAL)) };
        if qdisc.discipline.nature().ingress {
            // Kernel: clsact has the two hooks; ingress takes any class as its one.
            let known = qdisc.kind != "clsact" || hooks.contains(&parent);
            return if known { Ok((id, parent)) } else { Err(Refusal::errno(libc::EOPNOTSUPP)) };
        }
        let classes = qdisc.discipline.classes().ok_or(no(libc::EINVAL, "Qdisc not classful"))?;
        let whole = parent.minor() == 0;
        if !whole && classes.find(parent).is_none() {
            return Err(no(libc::ENOENT, "Specified class doesn't exist"));
        }
        Ok((id, parent))
    }
}

pub(super) fn filter_message(ifindex: i32, filter: &Filter, kinds: &Kinds, head: Head) -> BytesMut {
    let mut datagram = BytesMut::new();
    fill_filter(&mut datagram, ifindex, filter, kinds, head);
    datagram
}

/// `tcf_fill_node`.
pub(super) fn fill_filter(out: &mut BytesMut, ifindex: i32, filter: &Filter, kinds: &Kinds, head: Head) {
    let info = filter.priority << 16 | u32::from(filter.protocol);
    let header = TcHeader { family: 0, ifindex, handle: filter.handle, parent: filter.parent, info };
    message(out, head, |out| {
        header.encode(out);
        let mut out = AttrWriter::new(out);
        out.attr_str(TCA_KIND, &filter.kind);
        out.attr_u32(TCA_CHAIN, filter.chain);
        if let Some(options) = &filter.options {
            match kinds.classifier() {
                Some(classifier) => out.attr(TCA_OPTIONS, &classifier.dump(&filter.placed())),
                None => out.attr(TCA_OPTIONS, options),
            }
        }
    });
}

const fn head(ask: &Ask<'_>) -> Head {
    Head { kind: 0, flags: 0, sequence: ask.message.sequence, port: ask.port }
}

fn kind_of<'a>(attributes: &Attributes<'a>) -> Result<Option<&'a str>, Refusal> {
    let kind = attributes[usize::from(TCA_KIND)].map(|attr| attr.str()).transpose();
    kind.map_err(|_| no(libc::EINVAL, "Specified TC filter name too long"))
}

fn find(filters: &[Filter], place: &Place, kind: Option<&str>) -> Result<(), Refusal> {
    let filter = filters.iter().find(|filter| filter.is_at(place)).ok_or(NOT_FOUND)?;
    if place.protocol != 0 && filter.protocol != place.protocol {
        return Err(Refusal { errno: libc::EINVAL, ..NOT_FOUND });
    }
    if kind.is_some_and(|kind| kind != filter.kind) {
        return Err(no(libc::EINVAL, "Specified filter kind does not match existing one"));
    }
    Ok(())
}

fn take_out(
    filters: &mut Vec<Filter>,
    goes: impl Fn(&Filter) -> bool,
    ifindex: i32,
    kinds: &Kinds,
    head: Head,
) -> Notices {
    let (gone, left): (Vec<_>, Vec<_>) = filters.drain(..).partition(|filter| goes(filter));
    *filters = left;
    let told = gone.iter().map(|filter| filter_message(ifindex, filter, kinds, head)).collect();
    kinds.forget(&gone);
    told
}
