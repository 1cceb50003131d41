//! Requests for classes: `tc_ctl_tclass` of `net/sched/sch_api.c` (6.1).

use bytes::BytesMut;

use super::device::{Device, Id};
use super::discipline::Refusal;
use super::fill::Head;
use super::policy;
use super::qdisc::{Attributes, Notices};
use super::state::{Ask, State};
use crate::wire::handle::Handle;
use crate::wire::message::TcHeader;
use crate::wire::uapi::*;

impl State {
    /// `RTM_NEWTCLASS`, `RTM_DELTCLASS` and `RTM_GETTCLASS`.
    pub(super) fn control_class(&mut self, ask: Ask<'_>) -> Result<Notices, Refusal> {
        let attributes = policy::parse(ask.message.payload, TCMSG_LEN, policy::tc)?;
        let header = super::state::tc_header(&ask)?;
        let position = self.position(header.ifindex)?;
        self.devices[position].control_class(&ask, &header, &attributes)
    }
}

impl Device {
    fn control_class(
        &mut self,
        ask: &Ask<'_>,
        header: &TcHeader,
        attributes: &Attributes<'_>,
    ) -> Result<Notices, Refusal> {
        let (qdisc, parent) = self.address(header)?;
        let id = self.lookup(qdisc).ok_or(Refusal::errno(libc::ENOENT))?;
        let classes = self.qdiscs.get(&id).and_then(|qdisc| qdisc.discipline.classes());
        let classes = classes.ok_or(Refusal::errno(libc::EINVAL))?;
        let class = match header.handle {
            Handle::UNSPEC if parent == Handle::ROOT => qdisc,
            Handle::UNSPEC => Handle::UNSPEC,
            handle => Handle::class(qdisc.major(), handle.minor()),
        };
        let there = if class.is_unspec() { None } else { classes.find(class) };
        let notice = |device: &Self, class, kind| {
            let mut datagram = BytesMut::new();
            let head = Head { kind, flags: 0, sequence: ask.message.sequence, port: ask.port };
            device.fill_class(&mut datagram, head, id, class);
            vec![datagram]
        };
        match (ask.message.kind, there) {
            (RTM_NEWTCLASS, None) if ask.message.flags & NLM_F_CREATE != 0 => {}
            (_, None) => return Err(Refusal::errno(libc::ENOENT)),
            (RTM_NEWTCLASS, Some(_)) if ask.message.flags & NLM_F_EXCL != 0 => {
                return Err(Refusal::errno(libc::EEXIST));
            }
            (RTM_NEWTCLASS, Some(_)) => {}
            (RTM_DELTCLASS, Some(class)) => {
                let told = notice(self, class, RTM_DELTCLASS);
                let listed = classes.lists_restored_leaves();
                self.edit_classes(id, listed, |classes| classes.delete_class(class))?;
                return Ok(told);
            }
            (_, Some(class)) => return Ok(notice(self, class, RTM_NEWTCLASS)),
        }
        if attributes[usize::from(TCA_INGRESS_BLOCK)].or(attributes[usize::from(TCA_EGRESS_BLOCK)]).is_some()
        {
            return Err(Refusal::new(libc::EOPNOTSUPP, "Shared blocks are not supported for classes"));
        }
        if class == Handle::ROOT {
            let text = "Cannot create traffic class with classid TC_H_ROOT";
            return Err(Refusal::new(libc::EINVAL, text));
        }
        let options = attributes[usize::from(TCA_OPTIONS)].map(|attr| attr.payload);
        self.edit_classes(id, true, |classes| classes.change_class(class, parent, options))?;
        Ok(notice(self, class, RTM_NEWTCLASS))
    }

    /// The qdisc that a class request is for, and the parent in full.
    fn address(&self, header: &TcHeader) -> Result<(Handle, Handle), Refusal> {
        let root = || self.get(self.root).map_or(Handle::UNSPEC, |root| root.handle);
        let own = header.handle.qdisc_of();
        if header.parent == Handle::ROOT {
            return Ok((if own.is_unspec() { root() } else { own }, header.parent));
        }
        let above = header.parent.qdisc_of();
        let qdisc = match (own.is_unspec(), above.is_unspec()) {
            (false, false) if own != above => return Err(Refusal::errno(libc::EINVAL)),
            (false, _) => own,
            (true, false) => above,
            (true, true) => root(),
        };
        let parent = match header.parent {
            Handle::UNSPEC => Handle::UNSPEC,
            parent => Handle::class(qdisc.major(), parent.minor()),
        };
        Ok((qdisc, parent))
    }

    fn edit_classes(
        &mut self,
        id: Id,
        listed: bool,
        edit: impl FnOnce(&mut dyn super::discipline::Classes) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let classes = self.qdiscs.get_mut(&id).and_then(|qdisc| qdisc.discipline.classes_mut());
        edit(classes.ok_or(Refusal::errno(libc::EOPNOTSUPP))?)?;
        self.fill_leaves(id, listed);
        Ok(())
    }
}
