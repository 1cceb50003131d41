//! `basic_classify` of `net/sched/cls_basic.c`.

use std::ops::Range;

use super::super::chain::is_negative;
use super::super::{CannotKnow, Verdict};
use super::{Body, Scene, ematch};

pub(super) fn classify(scene: &mut Scene<'_>, group: Range<usize>) -> Result<Verdict, CannotKnow> {
    let list = scene.list;
    for at in group {
        let options = match &list[at].body {
            Body::Priority => continue,
            Body::Basic(options) => options,
            _ => return scene.cannot_know(at, "the options of the filter cannot be read"),
        };
        scene.hits[at].seen += 1;
        match ematch::matches(&options.ematches, scene.packet) {
            Ok(true) => {}
            Ok(false) => {
                scene.misses(at, format!("not {}", options.ematches));
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
