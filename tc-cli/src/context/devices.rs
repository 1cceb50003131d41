//! Names of devices, asked for when they are printed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tc_core::link::{DeviceName, DeviceNames};

/// Names of devices by index.
#[derive(Debug)]
pub(crate) struct Devices {
    source: Box<dyn DeviceNames>,
    /// The one that was asked for last: the kernel lists device after device.
    last: Option<(i32, DeviceName)>,
    /// All that were asked for, where they serve devices that are gone.
    known: Option<BTreeMap<i32, DeviceName>>,
}

impl Devices {
    pub(crate) fn new(source: Box<dyn DeviceNames>) -> Self {
        Self { source, last: None, known: None }
    }

    /// Forgets the name that is known: a new list begins.
    pub(crate) const fn forget(&mut self) {
        self.last = None;
    }

    /// Names may change from now on: each is looked up again, and cached names serve
    /// deleted devices.
    pub(crate) fn ask_again(&mut self) {
        self.known.get_or_insert_default();
    }

    /// The index of a device, if a cheap call finds it.
    pub(crate) fn ifindex(&self, name: &str) -> Option<i32> {
        self.source.ifindex(name).ok()
    }

    /// A device's name, as `tc` writes it, also for a missing device.
    pub(crate) fn name(&mut self, ifindex: i32) -> DeviceName {
        if ifindex == 0 {
            return DeviceName::of("*");
        }
        let last = self.last.filter(|(last, _)| *last == ifindex && self.known.is_none());
        if let Some((_, name)) = last {
            return name;
        }
        let asked = self.source.device_name(ifindex).ok();
        let known = || self.known.as_ref()?.get(&ifindex).copied();
        let name = asked.or_else(known).unwrap_or_else(|| DeviceName::of(&format!("if{ifindex}")));
        self.last = Some((ifindex, name));
        if let Some(known) = &mut self.known {
            known.insert(ifindex, name);
        }
        name
    }
}

/// The index that was looked up last, for the lines of a batch that follow each
/// other on one device.
///
/// A name means the device that bears it now: one can be renamed, and another
/// get its name, while a batch runs. An index is therefore looked up
/// again after a [`MOMENT`], before later lines, and after a failure. The remaining
/// window is that between any look-up and the request that uses it.
#[derive(Debug, Default)]
pub(crate) struct IfindexCache(Option<(String, i32, Instant)>);

/// How long an index counts.
const MOMENT: Duration = Duration::from_millis(1);

impl IfindexCache {
    pub(crate) fn ifindex(&self, name: &str) -> Option<i32> {
        let (known, ifindex, since) = self.0.as_ref()?;
        (known == name && since.elapsed() < MOMENT).then_some(*ifindex)
    }

    /// A device was just looked up.
    pub(crate) fn found(&mut self, name: &str, ifindex: i32) {
        self.0 = Some((name.to_owned(), ifindex, Instant::now()));
    }

    pub(crate) fn forget(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_cached_by_name_for_a_moment() {
        let mut recent = IfindexCache::default();
        recent.found("a", 7);
        assert_eq!((recent.ifindex("b"), recent.ifindex("")), (None, None));
        std::thread::sleep(MOMENT);
        assert_eq!(recent.ifindex("a"), None);
        recent.found("a", 8);
        recent.forget();
        assert_eq!(recent.ifindex("a"), None);
        recent.found("c", 10);
        let since = Instant::now() + Duration::from_secs(60);
        recent.0.as_mut().unwrap().2 = since;
        assert_eq!(recent.ifindex("c"), Some(10));
    }
}
