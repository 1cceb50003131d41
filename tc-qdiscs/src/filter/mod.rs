//! Filters (classifiers).

mod address;
pub mod basic;
pub mod bpf;
pub mod cgroup;
pub mod flow;
pub mod flower;
pub mod fw;
pub mod matchall;
pub mod route;
pub mod u32;

use tc_core::action::Actions;
use tc_core::words::{WordError, Words};
use tc_core::{Handle, Kind as _};

use crate::action::police::Police;

/// The class after `classid` or `flowid`.
fn class_of(words: &mut Words<'_>) -> Result<Handle, WordError> {
    words.value()?.parse().map_err(|_| WordError::Kind("Illegal \"classid\"".into()))
}

/// The device after `indev`.
fn indev_of(words: &mut Words<'_>) -> Result<String, WordError> {
    let name = words.next().ok_or_else(|| WordError::Kind("Illegal indev".into()))?;
    // The kernel refuses a longer name; tc sends its first 16 bytes.
    match name.len() {
        _ if name.contains('\0') => {
            Err(WordError::Kind(format!("Illegal indev {name:?}: a device name has no NUL")))
        }
        0..=15 => Ok(name.to_owned()),
        _ => {
            Err(WordError::Kind(format!("Illegal indev \"{name}\": a device name has at most 15 characters")))
        }
    }
}

/// The actions of a filter, its own police among them.
fn held_actions(police: Option<&Police>, actions: &Actions) -> Vec<(String, u32)> {
    let police = police.map(|police| (Police::KIND.to_owned(), police.index));
    police.into_iter().chain(actions.indices()).collect()
}

/// Refuses actions beside a filter's own `police`: the kernel ignores them.
fn police_or_actions(police: Option<&Police>, actions: &Actions) -> Result<(), String> {
    match police {
        Some(_) if !actions.is_empty() => {
            Err("\"police\" and \"action\" are mutually exclusive: use \"action police\" in the list".into())
        }
        _ => Ok(()),
    }
}
