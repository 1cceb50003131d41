//! `mall_classify` of `net/sched/cls_matchall.c`.

use std::ops::Range;

use tc_core::uapi::TCA_CLS_FLAGS_SKIP_SW;

use super::super::{CannotKnow, Verdict};
use super::{Body, Scene};

pub(super) fn classify(scene: &mut Scene<'_>, group: Range<usize>) -> Result<Verdict, CannotKnow> {
    let list = scene.list;
    for at in group {
        match &list[at].body {
            Body::Priority => {}
            Body::Matchall(options) if options.flags & TCA_CLS_FLAGS_SKIP_SW != 0 => {
                scene.misses(at, "skip_sw");
            }
            Body::Matchall(options) => return scene.matches(at, options.class, None, &options.actions),
            _ => return scene.cannot_know(at, "the options of the filter cannot be read"),
        }
    }
    Ok(Verdict::Miss)
}
