//! The class that a qdisc chooses: `htb_classify`, `prio_classify` and their like.

use std::collections::BTreeMap;

use tc_core::embedded::{Choice, Classified};
use tc_core::{Handle, Kind as _};

use super::{CannotKnow, Verdict};
use crate::qdisc::{drr::Drr, ets::Ets, hfsc::Hfsc, htb::Htb, prio::Prio, qfq::Qfq};
use tc_core::action::Control;

/// A qdisc whose classes are chosen by priority and filters.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Classful {
    /// The handle of the qdisc.
    pub handle: Handle,
    /// The classes with their parents; a class of the top has the qdisc as its parent.
    pub classes: BTreeMap<Handle, Handle>,
    rule: Rule,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    /// htb, with the minor number of the default class.
    Htb(u32),
    Hfsc(u16),
    /// prio and ets: the number of bands, and the band of each priority.
    Bands(u16, [u8; 16]),
    /// drr and qfq.
    Named,
}

/// The result of a qdisc with its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chosen {
    /// The result.
    pub choice: Choice,
    /// The reason.
    pub why: &'static str,
}

const BY_PRIORITY: &str = "by the packet's priority";
const BY_FILTER: &str = "by a filter";
const BY_DEFAULT: &str = "by default";

const fn chosen(class: Handle, why: &'static str) -> Chosen {
    Chosen { choice: Choice::Class(class), why }
}

impl Classful {
    /// A qdisc of htb, hfsc, prio, ets, drr or qfq, from its options; `None` for other kinds and for
    /// options that cannot be read.
    pub fn new(kind: &str, handle: Handle, options: Option<&[u8]>) -> Option<Self> {
        let payload = options.unwrap_or_default();
        let rule = match kind {
            Htb::KIND => Rule::Htb(Htb::decode(payload).ok()?.default_minor),
            Hfsc::KIND => Rule::Hfsc(Hfsc::decode(payload).ok()?.default_minor),
            Prio::KIND => {
                let prio = Prio::decode(payload).ok()?;
                Rule::Bands(u16::try_from(prio.bands).ok()?, prio.priomap)
            }
            Ets::KIND => {
                let ets = Ets::decode(payload).ok()?;
                let mut bands = [ets.bands.saturating_sub(1); 16];
                bands.iter_mut().zip(&ets.priomap).for_each(|(band, given)| *band = *given);
                Rule::Bands(ets.bands.into(), bands)
            }
            Drr::KIND | Qfq::KIND => Rule::Named,
            _ => return None,
        };
        Some(Self { handle, classes: BTreeMap::new(), rule })
    }

    /// Chooses a class. `filters` runs those of a place: the qdisc or an inner class.
    pub fn choose<E>(
        &self,
        priority: u32,
        filters: &mut dyn FnMut(Handle) -> Result<Classified, E>,
    ) -> Result<Chosen, E> {
        match &self.rule {
            Rule::Htb(default) => {
                let level = |class: Handle| self.level(class);
                htb_class(self.handle, *default, &level, priority, filters)
            }
            Rule::Hfsc(default) => self.hfsc(*default, priority, filters),
            Rule::Bands(bands, map) => band(self.handle, *bands, map, priority, filters),
            Rule::Named => self.named(priority, filters),
        }
    }

    /// 0 for a leaf; `None` for a class that is not there. The root class of hfsc is the qdisc itself.
    fn level(&self, class: Handle) -> Option<u32> {
        let is_root = matches!(self.rule, Rule::Hfsc(_)) && class == self.handle;
        if !is_root && !self.classes.contains_key(&class) {
            return None;
        }
        // Deeper trees do not exist, and parents of bad input can form a circle.
        let (mut level, mut here) = (0, vec![class]);
        while level < self.classes.len() as u32 {
            let is_below = |(_, parent): &(&Handle, &Handle)| here.contains(parent);
            let below: Vec<Handle> = self.classes.iter().filter(is_below).map(|(class, _)| *class).collect();
            if below.is_empty() {
                break;
            }
            (level, here) = (level + 1, below);
        }
        Some(level)
    }

    /// `hfsc_classify`.
    fn hfsc<E>(
        &self,
        default: u16,
        priority: u32,
        filters: &mut dyn FnMut(Handle) -> Result<Classified, E>,
    ) -> Result<Chosen, E> {
        let named = Handle::from_raw(priority);
        if named.qdisc_of() == self.handle && self.level(named) == Some(0) {
            return Ok(chosen(named, BY_PRIORITY));
        }
        let mut head = self.level(self.handle).unwrap_or(0);
        let mut place = self.handle;
        for _ in 0..MOST_INNER {
            let class = match filters(place)? {
                Classified::Miss => break,
                Classified::Match(class) => class,
                Classified::Dropped => return Ok(Chosen { choice: Choice::Dropped, why: BY_FILTER }),
                Classified::Stolen => return Ok(Chosen { choice: Choice::Stolen, why: BY_FILTER }),
            };
            let Some(level) = self.level(class) else { break };
            if level == 0 {
                return Ok(chosen(class, BY_FILTER));
            }
            // Kernel: only filters of inner classes must lead downwards (`hfsc_bind_tcf`).
            if class == self.handle {
                return Ok(CIRCLE);
            }
            if level >= head && place != self.handle {
                break;
            }
            (head, place) = (level, class);
        }
        let default = Handle::class(self.handle.major(), default);
        Ok(match self.level(default) {
            Some(0) => chosen(default, BY_DEFAULT),
            _ => Chosen { choice: Choice::Dropped, why: "there is no default class" },
        })
    }

    /// `drr_classify` and `qfq_classify`.
    fn named<E>(
        &self,
        priority: u32,
        filters: &mut dyn FnMut(Handle) -> Result<Classified, E>,
    ) -> Result<Chosen, E> {
        let named = Handle::from_raw(priority);
        if named.qdisc_of() == self.handle && self.classes.contains_key(&named) {
            return Ok(chosen(named, BY_PRIORITY));
        }
        Ok(match filters(self.handle)? {
            Classified::Match(class) if self.classes.contains_key(&class) => chosen(class, BY_FILTER),
            Classified::Stolen => Chosen { choice: Choice::Stolen, why: BY_FILTER },
            Classified::Dropped => Chosen { choice: Choice::Dropped, why: BY_FILTER },
            Classified::Match(_) | Classified::Miss => {
                Chosen { choice: Choice::Dropped, why: "no filter leads to a class" }
            }
        })
    }
}

/// `htb_classify`. `level` is 0 for a leaf, and `None` for a class that is not there.
pub(crate) fn htb_class<E>(
    handle: Handle,
    default: u32,
    level: &dyn Fn(Handle) -> Option<u32>,
    priority: u32,
    filters: &mut dyn FnMut(Handle) -> Result<Classified, E>,
) -> Result<Chosen, E> {
    let direct = |why| Chosen { choice: Choice::Own, why };
    let named = Handle::from_raw(priority);
    if named == handle {
        return Ok(direct(BY_PRIORITY));
    }
    let mut place = match level(named) {
        Some(0) => return Ok(chosen(named, BY_PRIORITY)),
        Some(_) => named,
        None => handle,
    };
    for step in 0.. {
        if step == MOST_INNER {
            return Ok(CIRCLE);
        }
        let class = match filters(place)? {
            Classified::Miss => break,
            Classified::Match(class) => class,
            Classified::Dropped => return Ok(Chosen { choice: Choice::Dropped, why: BY_FILTER }),
            Classified::Stolen => return Ok(Chosen { choice: Choice::Stolen, why: BY_FILTER }),
        };
        if class == handle {
            return Ok(direct(BY_FILTER));
        }
        match level(class) {
            Some(0) => return Ok(chosen(class, BY_FILTER)),
            Some(_) => place = class,
            None => break,
        }
    }
    let default = Handle::class(handle.major(), default as u16);
    Ok(match level(default) {
        Some(0) => chosen(default, BY_DEFAULT),
        _ => direct("there is no default class"),
    })
}

/// Kernel, `htb_classify` and `hfsc_classify`: no bound is there, so that filters in a circle of inner classes never end.
const MOST_INNER: usize = 64;
const CIRCLE: Chosen =
    Chosen { choice: Choice::Dropped, why: "the filters lead in a circle, which Linux never leaves" };

/// `prio_classify` and `ets_classify`.
pub(crate) fn band<E>(
    handle: Handle,
    bands: u16,
    map: &[u8; 16],
    priority: u32,
    filters: &mut dyn FnMut(Handle) -> Result<Classified, E>,
) -> Result<Chosen, E> {
    let class = |band: u8| Handle::class(handle.major(), u16::from(band) + 1);
    let named = Handle::from_raw(priority);
    let (minor, why) = if named.qdisc_of() == handle {
        (named.minor(), BY_PRIORITY)
    } else {
        match filters(handle)? {
            Classified::Match(class) => (class.minor(), BY_FILTER),
            Classified::Dropped => return Ok(Chosen { choice: Choice::Dropped, why: BY_FILTER }),
            Classified::Stolen => return Ok(Chosen { choice: Choice::Stolen, why: BY_FILTER }),
            Classified::Miss => {
                let priority = if named.major() == 0 { priority as usize & 15 } else { 0 };
                return Ok(chosen(class(map[priority]), "by the map of priorities"));
            }
        }
    };
    Ok(match (1..=bands).contains(&minor) {
        true => chosen(Handle::class(handle.major(), minor), why),
        false => chosen(class(map[0]), "by the map of priorities, since there is no such band"),
    })
}

impl From<Verdict> for Classified {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Miss => Self::Miss,
            Verdict::Match { control: Control::Drop, .. } => Self::Dropped,
            Verdict::Match { control: Control::Stolen | Control::Trap | Control::Other(QUEUED), .. } => {
                Self::Stolen
            }
            Verdict::Match { class, .. } => Self::Match(class),
        }
    }
}

/// `TC_ACT_QUEUED`.
const QUEUED: i32 = 5;

/// For callers without a fact that is missing.
impl From<CannotKnow> for tc_core::embedded::Unclassified {
    fn from(unknown: CannotKnow) -> Self {
        Self { reason: unknown.reason }
    }
}
