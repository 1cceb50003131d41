//! The qdiscs, classes and filters of a device, and the way of a packet through them.

use std::collections::BTreeMap;

use tc_core::action::Control;
use tc_core::embedded::Choice;
use tc_core::message::Entry;
use tc_core::uapi::{TCA_EGRESS_BLOCK, TCA_INGRESS_BLOCK};
use tc_core::{DecodeError, FilterPlace, Handle, TcType};

use super::{CannotKnow, Classful, Filter, Filters, Packet, Step, Verdict, Walk};

/// A qdisc.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Qdisc {
    /// The kind.
    pub kind: String,
    /// The handle; unspecified for a default qdisc.
    pub handle: Handle,
    /// The parent: the root, the ingress, or a class.
    pub parent: Handle,
    /// The payload of `TCA_OPTIONS`.
    pub options: Option<Vec<u8>>,
    /// The shared block of its filters: at ingress, or its only one.
    pub ingress_block: Option<u32>,
    /// The shared block of the filters at egress.
    pub egress_block: Option<u32>,
}

/// A class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeClass {
    /// The id.
    pub id: Handle,
    /// The parent: a class, or the qdisc.
    pub parent: Handle,
}

/// All of a device.
///
/// Filled from the entries of dumps: see `tc-cli explain`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tree {
    qdiscs: Vec<Qdisc>,
    classes: Vec<TreeClass>,
    filters: BTreeMap<Handle, Filters>,
}

/// The end of a packet's way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// It waits in a qdisc, below a class if there is one.
    Queued {
        /// The qdisc; unspecified for a default one.
        qdisc: Handle,
        /// The kind.
        kind: String,
        /// The class.
        class: Option<Handle>,
    },
    /// The device sends it at once: there is no queue, or htb sends it directly.
    Sent,
    /// The protocols of the machine receive it.
    Received,
    /// It is dropped.
    Dropped,
    /// An action took it: `mirred`, or `trap`.
    Stolen,
}

/// The qdiscs that pass packets to their only class.
const ONE_CLASS: &[&str] = &["tbf", "netem", "red", "cbs", "etf", "sfb", "dualpi2"];
/// The qdiscs that have filters for flows, which are no classes.
const FLOWS: &[&str] = &["sfq", "fq_codel", "cake", "choke", "sfb", "fq_pie"];
/// `TCQ_MAX_DEPTH` and some.
const DEEPEST: usize = 16;

impl Tree {
    /// Adds a qdisc or a class of a dump. Entries of other types have no effect.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<(), DecodeError> {
        let number = |kind| entry.attr(kind).and_then(|attr| attr.u32().ok());
        match entry.tc_type() {
            TcType::Qdisc => self.qdiscs.push(Qdisc {
                kind: entry.kind()?.to_owned(),
                handle: entry.header.handle,
                parent: entry.header.parent,
                options: entry.options().map(<[u8]>::to_vec),
                ingress_block: number(TCA_INGRESS_BLOCK),
                egress_block: number(TCA_EGRESS_BLOCK),
            }),
            TcType::Class => {
                self.classes.push(TreeClass { id: entry.header.handle, parent: entry.header.parent });
            }
            TcType::Filter | TcType::Action => {}
        }
        Ok(())
    }

    /// Adds a filter of a dump, in the dump's order, to a place: the hook of clsact, a qdisc or a class.
    pub fn add_filter(&mut self, place: Handle, entry: &Entry<'_>) -> Result<(), DecodeError> {
        let filter = Filter::new(entry.kind()?, &FilterPlace::of(entry), entry.options());
        self.filters.entry(place).or_default().push(filter);
        Ok(())
    }

    /// The qdiscs.
    pub fn qdiscs(&self) -> &[Qdisc] {
        &self.qdiscs
    }

    /// The places that can have filters: those of the ingress and clsact, and each qdisc and inner class.
    pub fn places(&self) -> Vec<Handle> {
        let mut places = Vec::new();
        for qdisc in &self.qdiscs {
            match qdisc.kind.as_str() {
                "clsact" => places.extend([Handle::FILTER_INGRESS, Handle::FILTER_EGRESS]),
                "ingress" => places.push(Handle::FILTER_INGRESS),
                _ if qdisc.handle.is_unspec() => {}
                kind if FLOWS.contains(&kind) => places.push(qdisc.handle),
                kind => {
                    if Classful::new(kind, qdisc.handle, qdisc.options.as_deref()).is_some() {
                        places.push(qdisc.handle);
                        let is_inner = |class: &&TreeClass| {
                            let is_below = class.id.qdisc_of() == qdisc.handle && class.id != qdisc.handle;
                            is_below && matches!(kind, "htb" | "hfsc")
                        };
                        places.extend(self.classes.iter().filter(is_inner).map(|class| class.id));
                    }
                }
            }
        }
        places
    }

    /// The shared block that has the filters of a place.
    pub fn block_of(&self, place: Handle) -> Option<u32> {
        let hook = self.qdiscs.iter().find(|qdisc| qdisc.parent == Handle::INGRESS)?;
        match place {
            Handle::FILTER_INGRESS => hook.ingress_block,
            Handle::FILTER_EGRESS => hook.egress_block,
            _ => None,
        }
    }

    /// The classes without children.
    pub fn leaves(&self) -> Vec<Handle> {
        self.classes.iter().map(|class| class.id).filter(|class| self.is_leaf(*class)).collect()
    }

    /// Whether this is a class without children.
    pub fn is_leaf(&self, class: Handle) -> bool {
        let is_there = self.classes.iter().any(|other| other.id == class);
        is_there && !self.classes.iter().any(|other| other.parent == class) && class.minor() != 0
    }

    /// The filters of a place.
    pub fn filters(&self, place: Handle) -> Option<&Filters> {
        self.filters.get(&place)
    }

    /// Leads a packet that the device sends: through the hook at egress and the qdiscs.
    pub fn send(&mut self, packet: &mut Packet, walk: &mut Walk) -> Result<End, CannotKnow> {
        if let Some(end) = self.hook(Handle::FILTER_EGRESS, "egress", packet, walk)? {
            return Ok(end);
        }
        let (mut parent, mut class) = (Handle::ROOT, None);
        for _ in 0..DEEPEST {
            let Some(qdisc) = self.qdiscs.iter().find(|qdisc| qdisc.parent == parent).cloned() else {
                return Ok(match class {
                    None => End::Sent,
                    // The default qdisc of a class is not listed.
                    class => End::Queued { qdisc: Handle::UNSPEC, kind: "pfifo".to_owned(), class },
                });
            };
            walk.step(Step::Qdisc { handle: qdisc.handle, kind: qdisc.kind.clone() });
            match self.enter(&qdisc, packet, walk)? {
                Way::Class(chosen) => (parent, class) = (chosen, Some(chosen)),
                Way::Waits => {
                    return Ok(End::Queued { qdisc: qdisc.handle, kind: qdisc.kind, class });
                }
                Way::End(end) => return Ok(end),
            }
        }
        Err(CannotKnow::new("the way through qdiscs that are nested too deeply"))
    }

    /// Leads a packet that the device received: through the hook at ingress.
    pub fn receive(&mut self, packet: &mut Packet, walk: &mut Walk) -> Result<End, CannotKnow> {
        let end = self.hook(Handle::FILTER_INGRESS, "ingress", packet, walk)?;
        Ok(end.unwrap_or(End::Received))
    }

    /// `sch_handle_egress` and `sch_handle_ingress`.
    fn hook(
        &mut self,
        place: Handle,
        name: &str,
        packet: &mut Packet,
        walk: &mut Walk,
    ) -> Result<Option<End>, CannotKnow> {
        let Some(filters) = self.filters.get_mut(&place) else { return Ok(None) };
        walk.step(Step::Place { name: name.to_owned() });
        Ok(match filters.classify(packet, walk)? {
            Verdict::Miss => None,
            Verdict::Match { control: Control::Drop, .. } => Some(End::Dropped),
            Verdict::Match { control: Control::Stolen | Control::Trap | Control::Other(5), .. } => {
                Some(End::Stolen)
            }
            Verdict::Match { control: Control::Pass, class } => {
                packet.tc_index = class.minor();
                None
            }
            Verdict::Match { .. } => None,
        })
    }

    /// The way of a packet in one qdisc.
    fn enter(&mut self, qdisc: &Qdisc, packet: &mut Packet, walk: &mut Walk) -> Result<Way, CannotKnow> {
        let handle = qdisc.handle;
        let below = |minor| Handle::class(handle.major(), minor);
        let has_child = |class: Handle| self.qdiscs.iter().any(|child| child.parent == class);
        match qdisc.kind.as_str() {
            "noqueue" => return Ok(Way::End(End::Sent)),
            "mq" => {
                let is_child = |child: &&Qdisc| child.parent.qdisc_of() == handle && child.parent.minor() > 0;
                return match self.qdiscs.iter().filter(is_child).collect::<Vec<_>>()[..] {
                    [child] => Ok(Way::Class(child.parent)),
                    _ => Err(CannotKnow::new("the transmit queue that the device chooses")),
                };
            }
            "mqprio" | "taprio" | "multiq" | "cake_mq" => {
                return Err(CannotKnow::new(format!("the queue that {} chooses", qdisc.kind)));
            }
            kind if FLOWS.contains(&kind) && self.filters.contains_key(&handle) => {
                return Err(CannotKnow::new(format!("the result of filters for the flows of {kind}")));
            }
            kind if ONE_CLASS.contains(&kind) && !handle.is_unspec() && has_child(below(1)) => {
                return Ok(Way::Class(below(1)));
            }
            _ => {}
        }
        let Some(mut classful) = Classful::new(&qdisc.kind, handle, qdisc.options.as_deref()) else {
            return Ok(Way::Waits);
        };
        let of_qdisc = self.classes.iter().filter(|class| class.id.qdisc_of() == handle);
        let parent = |class: &TreeClass| if class.parent == Handle::ROOT { handle } else { class.parent };
        classful.classes =
            of_qdisc.filter(|class| class.id != handle).map(|class| (class.id, parent(class))).collect();
        let filters = &mut self.filters;
        let priority = packet.priority;
        let chosen = classful.choose(priority, &mut |place: Handle| -> Result<_, CannotKnow> {
            let Some(filters) = filters.get_mut(&place) else { return Ok(Verdict::Miss.into()) };
            let name = if place.minor() == 0 { format!("qdisc {place}") } else { format!("class {place}") };
            walk.step(Step::Place { name });
            filters.classify(packet, walk).map(Into::into)
        })?;
        Ok(match chosen.choice {
            Choice::Class(class) => {
                walk.step(Step::Class { class, why: chosen.why.to_owned() });
                Way::Class(class)
            }
            Choice::Own => {
                walk.step(Step::Note { text: format!("sent directly: {}", chosen.why) });
                Way::End(End::Sent)
            }
            Choice::Dropped => {
                walk.step(Step::Note { text: format!("dropped: {}", chosen.why) });
                Way::End(End::Dropped)
            }
            Choice::Stolen => Way::End(End::Stolen),
        })
    }
}

enum Way {
    Class(Handle),
    Waits,
    End(End),
}
