//! Names of objects that options have by number: devices, routing realms, netfilter sets.

use std::io;
use std::sync::OnceLock;

use tc_core::ipset;
use tc_core::link::{DeviceName, DeviceNames};

/// Later versions of iproute2 have their files in the second folder, where the first one has none.
const FILES: [&str; 2] = ["/etc/iproute2/rt_realms", "/usr/share/iproute2/rt_realms"];

/// The names on this machine, looked up when one is asked for.
#[derive(Debug)]
pub(crate) struct ObjectNames(pub(crate) Box<dyn DeviceNames>);

impl DeviceNames for ObjectNames {
    fn device_name(&self, ifindex: i32) -> io::Result<DeviceName> {
        self.0.device_name(ifindex)
    }

    fn ifindex(&self, name: &str) -> io::Result<i32> {
        self.0.ifindex(name)
    }

    fn realm_name(&self, realm: u8) -> Option<String> {
        realms().iter().find(|(number, _)| *number == realm).map(|(_, name)| name.clone())
    }

    fn ipset_name(&self, index: u16) -> io::Result<String> {
        ipset::name_of(index)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// The realm with this name.
pub(crate) fn realm(name: &str) -> Option<u8> {
    realms().iter().find(|(_, known)| known == name).map(|(realm, _)| *realm)
}

/// The realms with names, read once.
fn realms() -> &'static [(u8, String)] {
    static REALMS: OnceLock<Vec<(u8, String)>> = OnceLock::new();
    REALMS.get_or_init(|| {
        let text = FILES.into_iter().find_map(|file| std::fs::read(file).ok()).unwrap_or_default();
        parse(&String::from_utf8_lossy(&text))
    })
}

/// Lines of a number and a name, after the name that `tc` has for the realm 0; a later name of a realm replaces
/// the one before it. As in `tc`, a malformed line ends the list.
fn parse(text: &str) -> Vec<(u8, String)> {
    let mut realms = vec![(0, "unknown".to_owned())];
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(number) = words.next() else { continue };
        let number = match number.strip_prefix("0x") {
            Some(digits) => u32::from_str_radix(digits, 16).ok(),
            None => number.parse().ok(),
        };
        let (Some(number), Some(name)) = (number, words.next()) else { break };
        let Ok(number) = u8::try_from(number) else { continue };
        realms.retain(|(known, _)| *known != number);
        realms.push((number, name.to_owned()));
    }
    realms
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn realms_are_numbers_and_names() {
        let realms = parse("# reserved\n0 cosmos\n\n0x10\tlan # here\n 256 far\n7 wan\nbroken\n8 later\n");
        let realms: Vec<_> = realms.iter().map(|(realm, name)| (*realm, name.as_str())).collect();
        assert_eq!(realms, [(0, "cosmos"), (16, "lan"), (7, "wan")]);
        assert_eq!(parse(""), [(0, "unknown".to_owned())]);
    }
}
