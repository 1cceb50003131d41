//! Names of devices, asked for when they are printed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tc_core::link::{DeviceName, DeviceNames};

/// Names of devices by index. Each is asked for once a list.
#[derive(Debug)]
pub(crate) struct Devices {
    source: Box<dyn DeviceNames>,
    known: HashMap<i32, DeviceName>,
    ask_again: bool,
}

impl Devices {
    pub(crate) fn new(source: Box<dyn DeviceNames>) -> Self {
        Self { source, known: HashMap::new(), ask_again: false }
    }

    /// Forgets all names: a new list begins.
    pub(crate) fn forget(&mut self) {
        self.known.clear();
    }

    /// Names may change from now on: each is asked for again, and what is known
    /// serves devices that are gone.
    pub(crate) const fn ask_again(&mut self) {
        self.ask_again = true;
    }

    /// The index of a device, if a cheap call finds it.
    pub(crate) fn ifindex(&self, name: &str) -> Option<i32> {
        self.source.ifindex(name).ok()
    }

    /// A device's name, as `tc` writes it also where there is none.
    pub(crate) fn name(&mut self, ifindex: i32) -> DeviceName {
        if ifindex == 0 {
            return DeviceName::of("*");
        }
        let known = self.known.get(&ifindex).copied();
        if let Some(name) = known.filter(|_| !self.ask_again) {
            return name;
        }
        match (self.source.device_name(ifindex), known) {
            (Ok(name), _) => {
                self.known.insert(ifindex, name);
                name
            }
            (Err(_), Some(name)) => name,
            (Err(_), None) => DeviceName::of(&format!("if{ifindex}")),
        }
    }
}

/// The index that was looked up last, for the lines of a batch that follow each
/// other on one device.
///
/// A name means the device that bears it now: one can be renamed, and another
/// get its name, while a batch runs. An index is therefore asked for again
/// after a [`MOMENT`], before lines that came later than it did, and after a
/// failure. What remains is no more than what lies between any look-up and the
/// request that uses it, while that waits for its turn in the kernel.
#[derive(Debug, Default)]
pub(crate) struct Recent(Option<(DeviceName, i32, Instant)>);

/// How long an index counts.
const MOMENT: Duration = Duration::from_millis(1);

impl Recent {
    pub(crate) fn ifindex(&self, name: &str) -> Option<i32> {
        let (known, ifindex, since) = self.0.as_ref()?;
        (known.as_str() == name && since.elapsed() < MOMENT).then_some(*ifindex)
    }

    /// A device was just looked up. (Names that are longer than a device's are
    /// alternative ones and are not kept.)
    pub(crate) fn found(&mut self, name: &str, ifindex: i32) {
        let kept = DeviceName::of(name);
        self.0 = (kept.as_str() == name).then(|| (kept, ifindex, Instant::now()));
    }

    pub(crate) const fn forget(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_counts_for_its_name_and_for_a_moment() {
        let mut recent = Recent::default();
        recent.found("a", 7);
        assert_eq!((recent.ifindex("b"), recent.ifindex("")), (None, None));
        std::thread::sleep(MOMENT);
        assert_eq!(recent.ifindex("a"), None);
        recent.found("a", 8);
        recent.forget();
        assert_eq!(recent.ifindex("a"), None);
        recent.found("a_name_that_is_too_long_for_a_device", 9);
        assert!(recent.0.is_none());
        recent.found("c", 10);
        let since = Instant::now() + Duration::from_secs(60);
        recent.0.as_mut().unwrap().2 = since;
        assert_eq!(recent.ifindex("c"), Some(10));
    }
}
