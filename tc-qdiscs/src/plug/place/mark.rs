//! The marks by which our IFB is found and recognised.

use super::Side;

/// The alias and the alternative name of an IFB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The index of the device whose packets it gets.
    pub(super) device: i32,
    pub(super) side: Side,
    /// Whether there was no clsact or ingress qdisc on the device before.
    pub(super) made_clsact: bool,
}

impl Mark {
    /// The alternative name: one for each device and side.
    pub(super) fn alt_name(device: i32, side: Side) -> String {
        format!("plug-{}-{device}", side.word())
    }

    /// The alias.
    pub(super) fn alias(self) -> String {
        let clsact = if self.made_clsact { "made" } else { "found" };
        format!("{FAMILY}{} of device {}, clsact {clsact}", self.side.word(), self.device)
    }

    /// Reads an alias; `None` if it is not ours.
    pub(super) fn parse(alias: &str) -> Option<Self> {
        let (side, rest) = alias.strip_prefix(FAMILY)?.split_once(" of device ")?;
        let side = [Side::Egress, Side::Ingress].into_iter().find(|known| known.word() == side)?;
        let (device, clsact) = rest.split_once(", clsact ")?;
        let made_clsact = match clsact {
            "made" => true,
            "found" => false,
            _ => return None,
        };
        Some(Self { device: device.parse().ok()?, side, made_clsact })
    }
}

/// How an alias of ours begins.
const FAMILY: &str = "tc plug: ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alias_when_written_and_read() {
        for side in [Side::Egress, Side::Ingress] {
            for made_clsact in [false, true] {
                let mark = Mark { device: 7, side, made_clsact };
                assert_eq!(Mark::parse(&mark.alias()), Some(mark));
            }
        }
        let alias = Mark { device: 7, side: Side::Egress, made_clsact: true }.alias();
        assert_eq!(alias, "tc plug: egress of device 7, clsact made");
    }

    #[test]
    fn alias_when_not_ours() {
        for alias in ["", "uplink", "tc plug: egress", "tc plug: both of device 7, clsact made"] {
            assert_eq!(Mark::parse(alias), None, "{alias}");
        }
        assert_eq!(Mark::parse("tc plug: egress of device x, clsact made"), None);
        assert_eq!(Mark::parse("tc plug: egress of device 7, clsact lost"), None);
    }
}
