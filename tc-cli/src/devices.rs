//! Names of devices, asked for when they are printed.

use std::collections::HashMap;

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
    pub(crate) fn name(&mut self, ifindex: i32) -> String {
        if ifindex == 0 {
            return "*".into();
        }
        let known = self.known.get(&ifindex);
        if let Some(name) = known.filter(|_| !self.ask_again) {
            return name.as_str().into();
        }
        match (self.source.device_name(ifindex), known) {
            (Ok(name), _) => {
                self.known.insert(ifindex, name);
                name.as_str().into()
            }
            (Err(_), Some(name)) => name.as_str().into(),
            (Err(_), None) => format!("if{ifindex}"),
        }
    }
}
