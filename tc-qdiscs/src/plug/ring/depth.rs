//! The number of bands of a ring.

/// The number of bands of a ring, 2 to 16: one for the open epoch, and one for
/// each closed epoch that waits for its acknowledgement.
///
/// ```
/// use tc_qdiscs::plug::ring::Depth;
///
/// assert_eq!(Depth::default().bands(), 8);
/// assert_eq!(Depth::new(2)?.closed_epochs(), 1);
/// assert!(Depth::new(17).is_err());
/// # Ok::<(), tc_qdiscs::plug::ring::DepthError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Depth(u8);

/// A number of bands that no ring has. Kernel: `TCQ_PRIO_BANDS` is 16, and a prio
/// has 2 bands at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a ring has 2 to 16 bands, not {bands}")]
pub struct DepthError {
    /// The number that was given.
    pub bands: u8,
}

impl Depth {
    /// The most bands.
    pub const MOST: u8 = 16;

    /// A ring of this many bands.
    pub const fn new(bands: u8) -> Result<Self, DepthError> {
        match bands {
            2..=Self::MOST => Ok(Self(bands)),
            _ => Err(DepthError { bands }),
        }
    }

    /// The number of bands.
    pub const fn bands(self) -> u8 {
        self.0
    }

    /// How many closed epochs can be outstanding.
    pub const fn closed_epochs(self) -> u8 {
        self.0 - 1
    }

    /// The most devices of a session: one send carries what a close needs for all of
    /// them, and a restart needs a request for each band and the map.
    pub const fn devices(self) -> u8 {
        128 / (self.0 + 1)
    }
}

impl Default for Depth {
    /// 8 bands.
    fn default() -> Self {
        Self(8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_when_out_of_range() {
        for bands in [0, 1, 17, 255] {
            assert_eq!(Depth::new(bands), Err(DepthError { bands }));
        }
        assert_eq!(DepthError { bands: 17 }.to_string(), "a ring has 2 to 16 bands, not 17");
    }
}
