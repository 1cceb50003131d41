//! The options of a ring session, and its sites.

use derive_setters::Setters;

use crate::plug::commit::AttachOptions;
use crate::plug::place::{Clsact, Place, RedirectSetup};
use crate::plug::ring::Depth;

/// How a ring session is made.
///
/// ```
/// use tc_qdiscs::plug::commit::{Limit, OnDeath, OnTaint, AttachOptions};
/// use tc_qdiscs::plug::ring::{Depth, RingOptions};
///
/// let limit = Limit::bytes(16_000_000.try_into()?);
/// let options = RingOptions::new(AttachOptions::new(limit, OnTaint::FailClosed, OnDeath::StayClosed));
/// let options = options.depth(Depth::new(4)?);
/// # let _ = options;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Setters)]
#[non_exhaustive]
pub struct RingOptions {
    /// The choices of every session. The limit is that of each band, so one epoch must
    /// fit. A ring chooses its own handles, and needs no watch over transmit queues:
    /// [`AttachOptions::handles`] is refused, and [`AttachOptions::accept_unwatched_queues`] has no effect.
    pub attach: AttachOptions,
    /// The number of bands, 8 by default.
    pub depth: Depth,
    /// The options of the IFBs.
    pub redirect: RedirectSetup,
    /// The fate of the clsact qdiscs at a detach: by default they stay.
    pub clsact: Clsact,
}

impl RingOptions {
    /// A ring of 8 bands.
    pub fn new(attach: AttachOptions) -> Self {
        Self {
            attach,
            depth: Depth::default(),
            redirect: RedirectSetup::default(),
            clsact: Clsact::default(),
        }
    }
}

impl From<AttachOptions> for RingOptions {
    fn from(attach: AttachOptions) -> Self {
        Self::new(attach)
    }
}

/// A device, and the place of its ring.
///
/// ```
/// use tc_core::Handle;
/// use tc_qdiscs::plug::place::Place;
/// use tc_qdiscs::plug::ring::Site;
///
/// let egress = Site::from("eth0");
/// assert_eq!(egress, Site::new("eth0", Place::Egress));
/// let web = Site::new("eth0", Place::Class(Handle::class(1, 4)));
/// # let _ = web;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// The device's name.
    pub device: String,
    /// Where the ring stands.
    pub place: Place,
}

impl Site {
    /// A place of a device.
    pub fn new(device: impl Into<String>, place: Place) -> Self {
        Self { device: device.into(), place }
    }
}

impl From<&str> for Site {
    /// The device's egress.
    fn from(device: &str) -> Self {
        Self::new(device, Place::Egress)
    }
}
