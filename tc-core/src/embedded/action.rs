//! Requests for actions: `tc_ctl_action` and `tc_dump_action` of
//! `net/sched/act_api.c` (6.1). An action is kept as it was given, and does
//! nothing.

use bytes::BytesMut;

use super::discipline::Refusal;
use super::fill::{Head, message};
use super::qdisc::{Notices, no};
use super::state::{Ask, State};
use crate::wire::attr::{Attr, AttrWriter, Attrs, align};
use crate::wire::uapi::*;

/// The attribute with the parameters of every kind of action (`TCA_GACT_PARMS`
/// and its like). The index is the first field.
const PARAMETERS: u16 = 2;

/// A shared action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Action {
    pub(super) kind: String,
    index: u32,
    options: Vec<u8>,
    cookie: Vec<u8>,
}

const NO_INDEX: Refusal = no(libc::ENOENT, "TC action with specified index not found");

impl State {
    /// `RTM_NEWACTION` and `RTM_DELACTION`.
    pub(super) fn modify_actions(&mut self, ask: Ask<'_>) -> Result<Notices, Refusal> {
        let list = list(&ask)?;
        let flags = ask.message.flags;
        // All of them, or none.
        let mut actions = self.actions.clone();
        let concerned = match ask.message.kind {
            RTM_NEWACTION => {
                let made = list.iter().map(|attr| self.make_action(attr, flags, &mut actions));
                made.collect::<Result<Vec<_>, _>>()?
            }
            _ if flags & NLM_F_ROOT != 0 => {
                let kind = list.first().map(kind_of).transpose()?.unwrap_or_default();
                if !self.kinds.has_action(kind) {
                    return Err(no(libc::EINVAL, "Cannot flush unknown TC action"));
                }
                let (gone, left) = actions.into_iter().partition(|action: &Action| action.kind == kind);
                actions = left;
                gone
            }
            _ => {
                let take = |attr: &Attr<'_>| position(attr, &actions).map(|at| actions[at].clone());
                let gone = list.iter().map(take).collect::<Result<Vec<_>, _>>()?;
                actions.retain(|action| !gone.contains(action));
                gone
            }
        };
        self.actions = actions;
        Ok(vec![actions_message(&concerned, head(&ask, ask.message.kind), false)])
    }

    /// `RTM_GETACTION` of actions with known indices.
    pub(super) fn get_actions(&self, ask: Ask<'_>) -> Result<BytesMut, Refusal> {
        let get = |attr: &Attr<'_>| position(attr, &self.actions).map(|at| self.actions[at].clone());
        let found = list(&ask)?.iter().map(get).collect::<Result<Vec<_>, _>>()?;
        Ok(actions_message(&found, head(&ask, RTM_NEWACTION), false))
    }

    fn make_action(&self, attr: &Attr<'_>, flags: u16, actions: &mut Vec<Action>) -> Result<Action, Refusal> {
        let kind = kind_of(attr)?;
        if !self.kinds.has_action(kind) {
            return Err(no(libc::ENOENT, "Failed to load TC action module"));
        }
        let part = |kind| attr.attrs().find(kind).ok().flatten().map(|attr| attr.payload.to_vec());
        let mut options = part(TCA_ACT_OPTIONS).ok_or(Refusal::errno(libc::EINVAL))?;
        let place = index_place(&options).ok_or(Refusal::errno(libc::EINVAL))?;
        let asked = options[place..].first_chunk().copied().map(u32::from_ne_bytes).unwrap_or_default();
        let of_kind = |index| move |action: &Action| action.kind == kind && action.index == index;
        let index = match asked {
            0 => (1..u32::MAX).find(|index| !actions.iter().any(of_kind(*index))).unwrap_or(1),
            index => index,
        };
        options[place..place + 4].copy_from_slice(&index.to_ne_bytes());
        let cookie = part(TCA_ACT_COOKIE).unwrap_or_default();
        let action = Action { kind: kind.to_owned(), index, options, cookie };
        match actions.iter().position(of_kind(index)) {
            Some(_) if flags & NLM_F_REPLACE == 0 => return Err(Refusal::errno(libc::EEXIST)),
            Some(at) => actions[at] = action.clone(),
            None => actions.push(action.clone()),
        }
        Ok(action)
    }
}

/// The kind that a dump asks for.
pub(super) fn asked_kind(ask: &Ask<'_>) -> Result<String, Refusal> {
    list(ask)?.first().map_or(Err(Refusal::errno(libc::EINVAL)), |attr| Ok(kind_of(attr)?.to_owned()))
}

pub(super) fn actions_message(actions: &[Action], head: Head, counted: bool) -> BytesMut {
    let mut datagram = BytesMut::new();
    message(&mut datagram, head, |out| {
        out.extend_from_slice(&[0; TCAMSG_LEN]);
        let mut out = AttrWriter::new(out);
        if counted {
            out.attr_u32(TCA_ROOT_COUNT, actions.len() as u32);
        }
        let mut list = out.nest(TCA_ACT_TAB);
        for (order, action) in (1..).zip(actions) {
            let mut nest = list.nest(order);
            nest.attr_str(TCA_ACT_KIND, &action.kind);
            if !action.cookie.is_empty() {
                nest.attr(TCA_ACT_COOKIE, &action.cookie);
            }
            nest.attr(TCA_ACT_OPTIONS | NLA_F_NESTED, &action.options);
        }
    });
    datagram
}

const fn head(ask: &Ask<'_>, kind: u16) -> Head {
    Head { kind, flags: 0, sequence: ask.message.sequence, port: ask.port }
}

/// The actions that a request names, in their order.
fn list<'a>(ask: &Ask<'a>) -> Result<Vec<Attr<'a>>, Refusal> {
    let attributes = ask.message.payload.get(TCAMSG_LEN..).ok_or(Refusal::errno(libc::EINVAL))?;
    let table = Attrs::new(attributes).find(TCA_ACT_TAB).ok().flatten();
    let table = table.ok_or(no(libc::EINVAL, "Netlink action attributes missing"))?;
    table.attrs().take(TCA_ACT_MAX_PRIO).collect::<Result<_, _>>().map_err(|_| Refusal::errno(libc::EINVAL))
}

fn kind_of<'a>(attr: &Attr<'a>) -> Result<&'a str, Refusal> {
    let kind = attr.attrs().find(TCA_ACT_KIND).ok().flatten().and_then(|kind| kind.str().ok());
    kind.ok_or(no(libc::EINVAL, "TC action kind must be specified"))
}

fn position(attr: &Attr<'_>, actions: &[Action]) -> Result<usize, Refusal> {
    let kind = kind_of(attr)?;
    let index = attr.attrs().find(TCA_ACT_INDEX).ok().flatten().and_then(|index| index.u32().ok());
    let index = index.ok_or(no(libc::EINVAL, "Invalid TC action index value"))?;
    actions.iter().position(|action| action.kind == kind && action.index == index).ok_or(NO_INDEX)
}

/// The offset of the index in the options.
fn index_place(options: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let attr = Attrs::new(options.get(at..)?).next()?.ok()?;
        if attr.kind == PARAMETERS {
            return (attr.payload.len() >= 4).then_some(at + 4);
        }
        at += 4 + align(attr.payload.len());
    }
}
