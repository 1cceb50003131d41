//! Objects besides qdiscs, classes and filters and their parts. Commands of a description do not express
//! them, so an export names them.

use std::collections::{BTreeSet, HashSet};
use std::thread;
use std::time::Duration;

use tc_core::tree::{FilterId, LeftOut, On, Place, Snapshot};
use tc_core::uapi::TCA_CHAIN;
use tc_core::{Action, Connection, DumpRequest, Error, Handle, TcType, Transport};

use super::words::{Names, Reader};
use crate::context::failure::Failure;

/// How long actions of deleted filters may take to go.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(5);

/// A lost object, and the reason.
pub(super) struct Lost {
    pub(super) object: &'static str,
    pub(super) left_out: LeftOut,
    pub(super) why: String,
}

/// Chains that have a template, and chains without a filter: filters make neither.
pub(super) fn chains<T: Transport>(
    snapshot: &Snapshot,
    names: &Names,
    tc: &mut Connection<T>,
) -> Result<Vec<Lost>, Failure> {
    let filters: HashSet<(On, Handle, u32)> = snapshot
        .objects()
        .iter()
        .filter_map(|object| match object.place() {
            Place::Filter(FilterId { on, parent, chain, .. }) => Some((*on, *parent, *chain)),
            _ => None,
        })
        .collect();
    let mut lost = Vec::new();
    for hook in snapshot.hooks() {
        for listed in or_none(tc.list(&hook.filters.chains()))? {
            let Ok(entry) = listed.entry() else { continue };
            let chain = entry.attr(TCA_CHAIN).and_then(|attr| attr.u32().ok()).unwrap_or_default();
            // Kernel: of a device's hooks it reports only the qdisc.
            let on = entry.block().map_or(On::Device(entry.header.ifindex), On::Block);
            let parent = hook.parent;
            let why = match entry.kind() {
                Ok(template) => format!("it has a template of {template}"),
                // Chain 0 comes with its block.
                Err(_) if chain == 0 || filters.contains(&(on, parent, chain)) => continue,
                Err(_) => "it has no filter".to_owned(),
            };
            let (why, left_out) =
                (format!("{why}, and chains are not exported"), LeftOut::chain(on, parent, chain));
            lost.push(Lost { object: "chain", left_out, why });
        }
    }
    lost.sort_by_cached_key(|lost| match &lost.left_out {
        LeftOut::Chain { on: On::Device(ifindex), parent, chain } => {
            (names.name(*ifindex).into_owned(), parent.raw(), *chain)
        }
        LeftOut::Chain { on: On::Block(block), chain, .. } => (String::new(), *block, *chain),
        _ => Default::default(),
    });
    Ok(lost)
}

/// Actions that no filter of the export brings along.
pub(super) fn actions<T: Transport>(
    snapshot: &Snapshot,
    reader: &Reader<'_>,
    tc: &mut Connection<T>,
) -> Result<Vec<Lost>, Failure> {
    let held: HashSet<(&str, u32)> = snapshot
        .objects()
        .iter()
        .flat_map(|object| object.held_actions())
        .map(|(kind, index)| (kind.as_str(), *index))
        .collect();
    let registered = reader.registry.iter().map(|entry| entry.ops());
    let registered = registered.filter(|ops| ops.tc_type() == TcType::Action).map(|ops| ops.kind());
    // The kernel lists one kind at a time.
    let kinds: BTreeSet<&str> = registered.collect();
    let mut waited = Duration::ZERO;
    loop {
        let mut loose = Vec::new();
        for kind in &kinds {
            // Terse dumps have an action's kind and index, for every kind.
            for listed in or_none(tc.list_confirmed(&DumpRequest::actions(kind).terse()))? {
                let Ok(actions) = listed.entry().and_then(|entry| entry.actions()) else { continue };
                let of = |action: &Action| (action.kind().to_owned(), action.index.unwrap_or_default());
                loose.extend(actions.iter().map(of).filter(|(kind, index)| !held.contains(&(kind, *index))));
            }
        }
        // Kernel: those of a deleted filter go a little later.
        if loose.is_empty() || waited >= PATIENCE {
            let why = "no exported filter has it, and actions by themselves are not exported";
            loose.sort();
            let lost = |(kind, index)| Lost {
                object: "action",
                left_out: LeftOut::Action { kind, index },
                why: why.to_owned(),
            };
            return Ok(loose.into_iter().map(lost).collect());
        }
        thread::sleep(PAUSE);
        waited += PAUSE;
    }
}

/// A list, or nothing where the kernel has no such things.
fn or_none<L: Default>(listed: Result<L, Error>) -> Result<L, Failure> {
    match listed {
        Err(error) if error.is_not_found() || error.is_unsupported() => Ok(L::default()),
        listed => listed.map_err(Failure::List),
    }
}
