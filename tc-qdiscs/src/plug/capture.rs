//! Capture of a guest's output, so that a plug can hold it.
//!
//! The host *receives* a guest's output on the guest's device (a tap, a vif, a
//! veth), and a plug holds the packets that a device sends. So the packets that
//! arrive on the guest's device are redirected through a new IFB, where a plug
//! holds them. Released packets continue as if the guest's device had just
//! received them.
//!
//! A capture creates the IFB, its plug, and on the guest's device the qdisc
//! `ingress` with one matchall filter for all protocols (a filter of `protocol
//! ip` lets ARP and IPv6 escape) that redirects to the IFB. The filter is
//! added last, so that nothing passes before the plug exists.
//!
//! These packets escape:
//! - packets that the kernel received before the filter existed;
//! - packets that an XDP program on the device forwards, and AF_XDP;
//! - packets moved by hardware switches (SR-IOV, eSwitch), vhost-user and DPDK,
//!   which the kernel never sees; of a macvtap, packets that leave by the device
//!   below it;
//! - copies for sniffers: AF_PACKET sockets on the device receive a packet before
//!   the filter does, and not again when it comes from the IFB.
//!
//! Kernel: while the IFB is down or gone, redirected packets are dropped and do not
//! escape (`net/sched/act_mirred.c`). A change of the IFB's `txqueuelen`, and
//! setting it down, drop the held packets.

use std::hash::{BuildHasher, Hasher, RandomState};

use tc_core::action::{Action, Actions};
use tc_core::link::LinkChange;
use tc_core::uapi::ETH_P_ALL;
use tc_core::{Connection, DumpRequest, Error, Handle, Request, Socket, Transport, object};

use super::Plug;
use crate::action::mirred::{Eaction, Mirred};
use crate::filter::matchall::Matchall;

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
    device: i32,
    name: String,
    ifindex: i32,
    made: Made,
}

/// The objects to remove.
#[derive(Debug, Default)]
struct Made {
    link: bool,
    ingress: bool,
    filter: bool,
}

/// Why a capture did not start or end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// Something else uses the device's ingress. Nothing was changed.
    #[error("device {device} has the qdisc {kind} at its ingress, and that is not a capture")]
    Foreign {
        /// The device's index.
        device: i32,
        /// The qdisc's kind: `ingress` or `clsact`.
        kind: String,
    },
    /// The kernel or the connection failed. Nothing remains.
    #[error(transparent)]
    Tc(#[from] Error),
    /// The kernel failed, and some objects could not be removed.
    #[error("{cause}; left behind: {left}")]
    Left {
        /// The first failure.
        #[source]
        cause: Error,
        /// The remaining objects.
        left: String,
    },
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
        connection.link_by_index(device)?;
        let mut capture = Self { connection, device, name: String::new(), ifindex: 0, made: Made::default() };
        match capture.look()? {
            Found::Nothing => {}
            Found::Foreign(kind) => return Err(CaptureError::Foreign { device, kind }),
            Found::Ours(ifindex) => {
                capture.made = Made { link: false, ingress: true, filter: true };
                if capture.take_up(ifindex)? {
                    return Ok(capture);
                }
                capture.end()?;
            }
        }
        match capture.make(setup) {
            Ok(()) => Ok(capture),
            Err(cause) => Err(capture.end_because_of(cause)),
        }
    }

    /// The index of the IFB, where a plug holds the captured packets.
    pub const fn ifindex(&self) -> i32 {
        self.ifindex
    }

    /// The name of the IFB.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The connection, to use it meanwhile.
    pub const fn connection(&mut self) -> &mut Connection<T> {
        self.connection
    }

    /// Leaves the capture in place.
    pub fn keep(mut self) {
        self.made = Made::default();
    }

    /// Removes everything. Held packets are lost. Filters that others have attached
    /// meanwhile stay, and the ingress qdisc with them.
    pub fn stop(mut self) -> Result<(), CaptureError> {
        self.end()
    }

    fn look(&mut self) -> Result<Found, Error> {
        let place = self.place();
        let kind = match self.connection.get(&place) {
            Ok(entry) => entry.kind().unwrap_or_default().to_owned(),
            Err(error) if error.is_not_found() => return Ok(Found::Nothing),
            Err(error) => return Err(error),
        };
        let filters = DumpRequest::filters(self.device).parent(Handle::FILTER_INGRESS);
        for filter in self.connection.list_confirmed(&filters)? {
            let matchall = filter.entry().and_then(|entry| entry.options_as::<Matchall>());
            let Ok(Some(matchall)) = matchall else { continue };
            let ours = matchall.actions.iter().find(|action| action.cookie == COOKIE);
            if let Some(mirred) = ours.and_then(|action| action.options_as::<Mirred>()) {
                return Ok(Found::Ours(mirred.ifindex));
            }
        }
        Ok(Found::Foreign(kind))
    }

    /// Takes up a capture that leads to this IFB; false if the IFB is gone.
    fn take_up(&mut self, ifindex: i32) -> Result<bool, Error> {
        // Kernel: an action whose device is gone has index 0.
        let link = match ifindex {
            0 => return Ok(false),
            ifindex => self.connection.link_by_index(ifindex),
        };
        match link {
            Ok(link) => {
                (self.name, self.ifindex, self.made.link) = (link.name, ifindex, true);
                Ok(true)
            }
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => {
                // Existing objects stay.
                self.made = Made::default();
                Err(error)
            }
        }
    }

    fn make(&mut self, setup: &CaptureSetup) -> Result<(), Error> {
        self.name = self.unused_name()?;
        let made = self.connection.add_link(&self.name, "ifb");
        self.made.link = may_be_there(&made);
        made?;
        self.ifindex = self.connection.link_by_name(&self.name)?.ifindex;
        let change =
            LinkChange { up: Some(true), tx_queue_len: Some(setup.tx_queue_len), ..LinkChange::default() };
        self.connection.set_link(self.ifindex, &change)?;
        if let Some(bytes) = setup.hold_limit_bytes {
            let plug = Plug::set_limit(bytes);
            let root = Request::qdisc(self.ifindex).parent(Handle::ROOT).handle(Handle::qdisc(1));
            self.connection.add(&root.options(&plug))?;
        }
        let made = self.connection.add(&self.ingress().kind("ingress"));
        self.made.ingress = may_be_there(&made);
        made?;
        let redirect = Action::new(Mirred::to(Eaction::EgressRedirect, self.ifindex)).cookie(COOKIE);
        let matchall = Matchall { actions: Actions::new().with(redirect), ..Matchall::default() };
        let made = self.connection.add(&self.filter().options(&matchall));
        self.made.filter = may_be_there(&made);
        made
    }

    /// A name that no device has, so that one that has it later is ours.
    fn unused_name(&mut self) -> Result<String, Error> {
        loop {
            let number = RandomState::new().build_hasher().finish() as u32;
            let name = format!("cap-{number:08x}");
            match self.connection.link_by_name(&name) {
                Ok(_) => {}
                Err(error) if error.is_not_found() => return Ok(name),
                Err(error) => return Err(error),
            }
        }
    }

    /// Where an ingress or clsact qdisc is.
    fn place(&self) -> Request<'static, object::Qdisc> {
        Request::qdisc(self.device).parent(Handle::INGRESS)
    }

    fn ingress(&self) -> Request<'static, object::Qdisc> {
        self.place().handle(Handle::qdisc(0xffff))
    }

    fn filter(&self) -> Request<'static, object::Filter> {
        let at = Request::filter(self.device).parent(Handle::FILTER_INGRESS).kind("matchall");
        at.priority(PRIORITY).protocol(ETH_P_ALL).handle(Handle::from_raw(1))
    }

    fn end(&mut self) -> Result<(), CaptureError> {
        let (left, first) = self.take_away();
        match first {
            None => Ok(()),
            Some(cause) => Err(CaptureError::Left { cause, left }),
        }
    }

    fn end_because_of(&mut self, cause: Error) -> CaptureError {
        match self.take_away() {
            (_, None) => CaptureError::Tc(cause),
            (left, Some(_)) => CaptureError::Left { cause, left },
        }
    }

    /// Removes the created objects, the last first, and continues after failures.
    /// Returns the remaining ones, with reasons.
    fn take_away(&mut self) -> (String, Option<Error>) {
        let made = std::mem::take(&mut self.made);
        let (filter, ingress, place) = (self.filter(), self.ingress(), self.place());
        let mut left = Vec::new();
        let mut first = None;
        let mut done = |result: Result<(), Error>, what: String| {
            if let Err(error) = result {
                first.get_or_insert(error);
                left.push(what);
            }
        };
        if made.filter {
            let deleted = self.insist(|connection| connection.delete(&filter));
            done(deleted, format!("the filter of device {}", self.device));
        }
        if made.ingress {
            let deleted = self.insist(|connection| {
                let filters = DumpRequest::filters(filter.header().ifindex).parent(Handle::FILTER_INGRESS);
                if !connection.list_confirmed(&filters)?.is_empty() {
                    return Ok(());
                }
                // Kernel: EINVAL if there was one before.
                match connection.delete(&ingress) {
                    Err(error) if error.is_invalid() => connection.get(&place).map(drop),
                    other => other,
                }
            });
            done(deleted, format!("the qdisc ingress of device {}", self.device));
        }
        if made.link {
            let name = self.name.clone();
            let deleted = self.insist(|connection| connection.delete_link_by_name(&name));
            done(deleted, format!("the device {name}"));
        }
        (left.join(", "), first)
    }

    /// An object that is already gone counts as removed.
    fn insist(
        &mut self,
        mut delete: impl FnMut(&mut Connection<T>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            match delete(self.connection) {
                Err(error) if error.is_not_found() => return Ok(()),
                Err(_) if tries < TRIES => {}
                other => return other,
            }
        }
    }
}

impl<T: Transport> Drop for Capture<'_, T> {
    fn drop(&mut self) {
        let _nobody_to_tell = self.end();
    }
}

/// The state of the device's ingress.
enum Found {
    Nothing,
    Foreign(String),
    /// A capture, and the index of its IFB.
    Ours(i32),
}

/// By this a capture's filter is known.
const COOKIE: &[u8] = b"plug-capture";
const PRIORITY: u16 = 1;
const TRIES: u32 = 3;

fn may_be_there(made: &Result<(), Error>) -> bool {
    made.as_ref().err().is_none_or(Error::is_outcome_unknown)
}
