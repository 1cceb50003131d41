//! Connections and followers for programs on tokio: feature `tokio`.
//!
//! The same requests, lists, answers and errors as those of [`tc_core::Connection`](crate::Connection), and the same
//! exchange below. A [`Connection`] and a [`Follower`] have to be opened and used within a runtime that has I/O and
//! time enabled; tokio panics otherwise.
//!
//! **The kernel works within the system calls.** It carries a request out while it is sent, and makes each part of a
//! list while the part before it is received; both wait for the rtnl lock, tens of milliseconds while links are made
//! or destroyed. The thread waits with them, as with a file. A program that must not have such pauses keeps its
//! connection in a separate task on a runtime of several threads.
//!
//! # Cancel safety
//!
//! A future that is dropped leaves a connection that can be used: late answers are passed over, and an abandoned list
//! is read to its end by the next request for one. Each method says whether a request can have been carried out:
//!
//! - *Questions* change nothing. They can be dropped at any time.
//! - *Changes* are sent when the future is first polled. Dropped before, nothing was done; dropped afterwards, the
//!   outcome is unknown, as after a timeout: look before you try again.
//! - [`Follower::next`] and [`Monitor::receive`] lose nothing: a list that had begun begins anew.
//!
//! ```no_run
//! use tc_core::tokio::{Connection, Follower};
//! use tc_core::{Handle, Request, monitor::Event};
//!
//! # async fn example() -> Result<(), tc_core::Error> {
//! let mut tc = Connection::open()?;
//! let eth0 = tc.ifindex("eth0").await?;
//! tc.replace(&Request::qdisc(eth0).parent(Handle::ROOT).kind("pfifo")).await?;
//! let mut follower = Follower::open()?;
//! loop {
//!     if let Event::DeviceGone(ifindex) = follower.next().await? {
//!         println!("device {ifindex} is gone");
//!     }
//! }
//! # }
//! ```

mod connection;
mod dump;
mod follow;
mod group;
mod socket;

pub use connection::Connection;
pub use dump::Dump;
pub use follow::{Events, Follower, Monitor, OwnedEvent};
pub use group::RequestGroup;
pub use socket::{AsyncTransport, Socket};
