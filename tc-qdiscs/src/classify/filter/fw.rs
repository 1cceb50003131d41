//! `fw_classify` of `net/sched/cls_fw.c`.

use std::ops::Range;

use tc_core::Handle;
use tc_core::action::Control;

use super::super::chain::is_negative;
use super::super::{CannotKnow, Outcome, Verdict};
use super::{Body, Scene};

pub(super) fn classify(scene: &mut Scene<'_>, group: Range<usize>) -> Result<Verdict, CannotKnow> {
    let list = scene.list;
    if list[group.clone()].iter().all(|filter| matches!(filter.body, Body::Priority)) {
        return by_mark(scene, group.start);
    }
    // Kernel: the first filter sets the mask of all. Only masks that have a 0 are dumped.
    let mut masks = list[group.clone()].iter().filter_map(|filter| match &filter.body {
        Body::Fw(options) => options.mask,
        _ => None,
    });
    let id = scene.packet.mark & masks.next_back().unwrap_or(u32::MAX);
    for at in group {
        let options = match &list[at].body {
            Body::Priority => continue,
            Body::Fw(options) => options,
            _ => return scene.cannot_know(at, "the options of the filter cannot be read"),
        };
        if list[at].handle.raw() != id {
            scene.misses(at, format!("the mark is {:#x}, not {:#x}", id, list[at].handle.raw()));
            continue;
        }
        match scene.is_from(options.indev.as_deref()) {
            Ok(true) => {}
            Ok(false) => {
                scene.misses(at, "the packet came in from another device");
                continue;
            }
            Err(unknown) => return scene.cannot_know(at, &unknown.reason),
        }
        match scene.matches(at, options.class, options.police.as_ref(), &options.actions)? {
            Verdict::Match { control, .. } if is_negative(control) => {}
            verdict => return Ok(verdict),
        }
    }
    Ok(Verdict::Miss)
}

/// A priority without filters takes the mark for a class.
fn by_mark(scene: &mut Scene<'_>, at: usize) -> Result<Verdict, CannotKnow> {
    let class = Handle::from_raw(scene.packet.mark);
    if class.is_unspec() {
        scene.misses(at, "the packet has no mark");
        return Ok(Verdict::Miss);
    }
    // The qdisc itself finds no class of another one.
    scene.walk.step(scene.list[at].step(Outcome::Matched { class }));
    Ok(Verdict::Match { control: Control::Pass, class })
}
