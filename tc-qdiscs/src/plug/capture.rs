//! Capture of a guest's output, so that a plug can hold it.
//!
//! The host *receives* a guest's output on the guest's device (a tap, a vif, a
//! veth), and a plug holds the packets that a device sends. So the packets that
//! arrive on the guest's device are redirected through a new IFB, where a plug
//! holds them. Released packets continue as if the guest's device had just
//! received them.
//!
//! A capture is a [redirect](super::place) of the device's ingress with a plug at the
//! root of the IFB. Its filter matches all protocols (a filter of `protocol ip` lets
//! ARP and IPv6 escape), and is added last, so that nothing passes before the plug
//! exists. The page of [`place`](super::place) lists the packets that escape.

use tc_core::{Connection, Error, Handle, Request, Socket, Transport};

use super::Plug;
use super::place::{Clsact, PlaceError, Redirect, RedirectSetup, Side};

/// The options of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaptureSetup {
    /// `txqueuelen` of the IFB, in packets. Kernel: when this number is queued after
    /// its qdisc, the qdisc stops for a moment.
    pub tx_queue_len: u32,
    /// The limit in bytes of the IFB's plug, `1:` at its root. `None`: no plug; packets
    /// pass until the caller adds a qdisc.
    pub hold_limit_bytes: Option<u32>,
}

impl Default for CaptureSetup {
    /// A plug of 100 MB.
    fn default() -> Self {
        Self { tx_queue_len: 10_000, hold_limit_bytes: Some(100_000_000) }
    }
}

/// A guest's output, redirected through an IFB.
///
/// [`Capture::stop`], or dropping this value, removes all of it; packets still held
/// are lost, so release them first. [`Capture::keep`] leaves it in place beyond the
/// end of the program; the next [`Capture::start`] on the device resumes it.
///
/// ```no_run
/// use tc_core::{Connection, Handle, Request};
/// use tc_qdiscs::plug::{Capture, CaptureSetup, Plug};
///
/// let mut tc = Connection::open()?;
/// let tap = tc.ifindex("tap0")?;
/// let mut capture = Capture::start(&mut tc, tap, &CaptureSetup::default())?;
/// let release = Plug::release_indefinite();
/// let plug = Request::qdisc(capture.ifindex()).parent(Handle::ROOT).handle(Handle::qdisc(1));
/// capture.connection().change(&plug.options(&release))?;
/// capture.stop()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Capture<'c, T: Transport = Socket> {
    connection: &'c mut Connection<T>,
    redirect: Redirect,
    /// It goes when this value goes.
    ends: bool,
}

/// Why a capture did not start or end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The device cannot be captured. Nothing was changed.
    #[error(transparent)]
    Place(PlaceError),
    /// The kernel or the connection failed. Nothing remains.
    #[error(transparent)]
    Tc(#[from] Error),
    /// The kernel failed, and some objects could not be removed.
    #[error("{cause}; left behind: {left}")]
    Left {
        /// The first failure.
        cause: Error,
        /// The remaining objects.
        left: String,
    },
}

impl From<PlaceError> for CaptureError {
    fn from(error: PlaceError) -> Self {
        match error {
            PlaceError::Tc(error) => Self::Tc(error),
            PlaceError::Left { cause, left } => Self::Left { cause, left },
            other => Self::Place(other),
        }
    }
}

impl<'c, T: Transport> Capture<'c, T> {
    /// Starts to capture the packets that arrive on the device with this index, or
    /// resumes an existing capture.
    ///
    /// A resumed capture keeps its plug as it is. One whose IFB is gone is created
    /// anew. After an error nothing is left, unless the error lists it.
    pub fn start(
        connection: &'c mut Connection<T>,
        device: i32,
        setup: &CaptureSetup,
    ) -> Result<Self, CaptureError> {
        let place = RedirectSetup::default().tx_queue_len(setup.tx_queue_len);
        let redirect = Redirect::prepare(connection, device, Side::Ingress, &place)?;
        let mut capture = Self { connection, redirect, ends: false };
        if capture.redirect.is_connected() {
            capture.ends = true;
            return Ok(capture);
        }
        match capture.connect(setup) {
            Ok(()) => {
                capture.ends = true;
                Ok(capture)
            }
            Err(cause) => Err(capture.undo(cause)),
        }
    }

    fn connect(&mut self, setup: &CaptureSetup) -> Result<(), PlaceError> {
        if let Some(bytes) = setup.hold_limit_bytes {
            let plug = Plug::set_limit(bytes);
            let root = Request::qdisc(self.redirect.ifindex()).parent(Handle::ROOT).handle(Handle::qdisc(1));
            match self.connection.add(&root.options(&plug)) {
                // That of a capture that did not get further.
                Err(error) if error.is_exists() && !self.redirect.is_new() => {}
                other => other?,
            }
        }
        self.redirect.connect(self.connection)
    }

    fn undo(self, cause: PlaceError) -> CaptureError {
        if !self.redirect.is_new() {
            return cause.into();
        }
        match (self.redirect.clone().remove(self.connection, Clsact::Remove), cause) {
            (Ok(()), PlaceError::Left { cause, .. }) => CaptureError::Tc(cause),
            (Ok(()), cause) => cause.into(),
            (Err(PlaceError::Left { left, .. }), PlaceError::Tc(cause) | PlaceError::Left { cause, .. }) => {
                CaptureError::Left { cause, left }
            }
            (Err(error), _) => error.into(),
        }
    }

    /// The index of the IFB, where a plug holds the captured packets.
    pub const fn ifindex(&self) -> i32 {
        self.redirect.ifindex()
    }

    /// The name of the IFB.
    pub fn name(&self) -> &str {
        self.redirect.name()
    }

    /// The connection, to use it meanwhile.
    pub const fn connection(&mut self) -> &mut Connection<T> {
        self.connection
    }

    /// Leaves the capture in place.
    pub fn keep(mut self) {
        self.ends = false;
    }

    /// Removes everything. Held packets are lost. Filters that others have attached
    /// meanwhile stay, and the clsact qdisc with them; so does a qdisc that was there
    /// before.
    pub fn stop(mut self) -> Result<(), CaptureError> {
        Ok(self.end()?)
    }

    fn end(&mut self) -> Result<(), PlaceError> {
        self.ends = false;
        self.redirect.clone().remove(self.connection, Clsact::Remove)
    }
}

impl<T: Transport> Drop for Capture<'_, T> {
    fn drop(&mut self) {
        if self.ends {
            let _nobody_to_tell = self.end();
        }
    }
}
