//! The actions of a filter: `tcf_action_exec`.

mod change;
mod pedit;
mod vlan;

pub(super) use change::data_start;

use tc_core::action::{Action, Actions, Control};
use tc_core::uapi::TCA_ACT_MAX_PRIO;

use super::{ActionHits, CannotKnow, Copied, Direction, Hits, Packet, Step, Walk};
use crate::action::csum::Csum;
use crate::action::gact::{Gact, Random};
use crate::action::mirred::{Eaction, Mirred};
use crate::action::nat::Nat;
use crate::action::pedit::Pedit;
use crate::action::police::Police;
use crate::action::sample::Sample;
use crate::action::simple::Simple;
use crate::action::skbedit::Skbedit;
use crate::action::tunnel_key::TunnelKey;
use crate::action::vlan::Vlan;

/// Runs the actions of a filter, or its own police.
pub(super) fn execute(
    police: Option<&Police>,
    actions: &Actions,
    packet: &mut Packet,
    hits: &mut Hits,
    walk: &mut Walk,
) -> Result<Control, CannotKnow> {
    let own = police.map(|police| Action::new(*police));
    // Kernel: actions beside a police are ignored.
    let list: Vec<&Action> = match &own {
        Some(police) => vec![police],
        None => actions.iter().collect(),
    };
    let (mut at, mut jumps) = (0, TCA_ACT_MAX_PRIO);
    let mut control = Control::Pass;
    while let Some(action) = list.get(at) {
        let counters = hits.action(at);
        let mut effect = String::new();
        let index = index_of(action);
        control = match run(action, packet, counters, walk, &mut effect) {
            Ok(control) => control,
            Err(unknown) => {
                let effect = format!("cannot know: {}", unknown.reason);
                let control = Control::Continue;
                walk.step(Step::Action { kind: action.kind().to_owned(), index, control, effect });
                return Err(unknown);
            }
        };
        walk.step(Step::Action { kind: action.kind().to_owned(), index, control, effect });
        at = match control {
            Control::Pipe => at + 1,
            // Kernel: counted from the start of the list.
            Control::Jump(count) => {
                jumps -= 1;
                let target = count as usize & JUMP_MASK;
                if target == 0 || target > list.len() || jumps == 0 {
                    return Ok(Control::Pass);
                }
                target
            }
            _ => return Ok(control),
        };
    }
    Ok(control)
}

/// `TCA_ACT_MAX_PRIO_MASK`.
const JUMP_MASK: usize = 0x1ff;

fn index_of(action: &Action) -> u32 {
    let list = Actions::new().with(action.clone());
    list.indices().first().map_or(0, |(_, index)| *index)
}

/// Runs one action.
fn run(
    action: &Action,
    packet: &mut Packet,
    hits: &mut ActionHits,
    walk: &mut Walk,
    effect: &mut String,
) -> Result<Control, CannotKnow> {
    let control = if let Some(gact) = action.options_as::<Gact>() {
        gact_control(gact)?
    } else if let Some(mirred) = action.options_as::<Mirred>() {
        self::mirred(mirred, packet, walk, effect)?
    } else if let Some(police) = action.options_as::<Police>() {
        self::police(police, packet, hits, walk, effect)?
    } else if let Some(skbedit) = action.options_as::<Skbedit>() {
        change::skbedit(skbedit, packet, hits, effect)?
    } else if let Some(vlan) = action.options_as::<Vlan>() {
        vlan::run(vlan, packet, hits, effect)?
    } else if let Some(pedit) = action.options_as::<Pedit>() {
        pedit::run(pedit, packet, hits, effect)?
    } else if let Some(nat) = action.options_as::<Nat>() {
        change::nat(nat, packet, hits, effect)?
    } else if let Some(csum) = action.options_as::<Csum>() {
        "checksums are set; their bytes are not known".clone_into(effect);
        csum.control
    } else if let Some(simple) = action.options_as::<Simple>() {
        simple.control
    } else if let Some(sample) = action.options_as::<Sample>() {
        sample.control
    } else if let Some(tunnel) = action.options_as::<TunnelKey>() {
        "the metadata of a tunnel are set or removed".clone_into(effect);
        tunnel.control
    } else {
        return Err(CannotKnow::new(format!("the effect of the action {}", action.kind())));
    };
    hits.packets += 1;
    hits.bytes += u64::from(packet.counted_bytes);
    if control == Control::Drop && action.options_as::<Gact>().is_some() {
        hits.drops += 1;
    }
    Ok(control)
}

/// `tcf_gact_act`.
fn gact_control(gact: &Gact) -> Result<Control, CannotKnow> {
    match gact.random {
        None | Some(Random { ptype: 0, .. }) => Ok(gact.control),
        Some(Random { pval: 0..=1, control, .. }) => Ok(control),
        Some(Random { ptype: 2, .. }) => Err(CannotKnow::new("how many packets a counting gact has seen")),
        Some(_) => Err(CannotKnow::new("the random number of a gact")),
    }
}

/// `tcf_mirred_act`, for a device that is up.
fn mirred(
    mirred: &Mirred,
    packet: &Packet,
    walk: &mut Walk,
    effect: &mut String,
) -> Result<Control, CannotKnow> {
    let (to_ingress, redirected) = match mirred.eaction {
        Eaction::EgressRedirect => (false, true),
        Eaction::EgressMirror => (false, false),
        Eaction::IngressRedirect => (true, true),
        Eaction::IngressMirror => (true, false),
        _ => return Err(CannotKnow::new("the direction of a mirred")),
    };
    if mirred.block.is_some() {
        return Err(CannotKnow::new("the devices of the block of a mirred"));
    }
    let copied = Copied { ifindex: mirred.ifindex, to_ingress, redirected, packet: packet.clone() };
    let what = if redirected { "redirected to" } else { "copied to" };
    let side = if to_ingress { "ingress" } else { "egress" };
    *effect = format!("{what} the {side} of device {}, if that is up", mirred.ifindex);
    walk.copies.push(copied);
    Ok(mirred.control)
}

/// `tcf_police_act`. The tokens depend on the time and on the packets before.
fn police(
    police: &Police,
    packet: &Packet,
    hits: &mut ActionHits,
    walk: &Walk,
    effect: &mut String,
) -> Result<Control, CannotKnow> {
    if police.average.is_some() {
        return Err(CannotKnow::new("the average rate of a police"));
    }
    // Kernel: at ingress the Ethernet header counts for the MTU.
    let header = if packet.direction == Direction::Ingress { packet.network } else { 0 };
    let bytes = u64::from(packet.counted_bytes) + header as u64;
    let has_rate = police.rate.is_some() || police.packets.is_some();
    let conforms = if police.mtu != 0 && bytes > u64::from(police.mtu) {
        false
    } else if has_rate {
        walk.conform.ok_or_else(|| CannotKnow::new("whether the packet conforms to the police"))?
    } else {
        true
    };
    let control = if conforms { police.conform } else { police.exceed };
    *effect = if conforms { "conforms" } else { "exceeds" }.to_owned();
    if !conforms {
        hits.overlimits += 1;
    }
    // Kernel: a conforming packet that is dropped counts only beside a rate.
    if control == Control::Drop && (!conforms || has_rate) {
        hits.drops += 1;
    }
    Ok(control)
}

#[cfg(test)]
mod tests;
