//! Devices, asynchronously.

use std::ffi::OsStr;

use super::request::{add_link, delete_link, set_link};
use super::{Link, LinkChange, LinkDetails, LinkPackets, find, link_by_name, marked};
use crate::connection::tokio::{AsyncTransport, Connection};
use crate::exchange::error::{Cause, Error};
use crate::wire::device::DeviceNames;

impl<T: AsyncTransport> Connection<T> {
    /// The index of a device; see [`Connection::ifindex`](crate::Connection::ifindex).
    ///
    /// Cancel safety: a *question*.
    pub async fn ifindex(&mut self, name: impl AsRef<OsStr>) -> Result<i32, Error> {
        self.link_by_name(name).await.map(|link| link.ifindex)
    }

    /// A device by its name; see [`Connection::link_by_name`](crate::Connection::link_by_name).
    ///
    /// Cancel safety: a *question*.
    pub async fn link_by_name(&mut self, name: impl AsRef<OsStr>) -> Result<Link, Error> {
        link_by_name(self, name.as_ref()).await
    }

    /// A device by its index; see [`Connection::link_by_index`](crate::Connection::link_by_index).
    ///
    /// Cancel safety: a *question*.
    pub async fn link_by_index(&mut self, ifindex: i32) -> Result<Link, Error> {
        find(self, ifindex, false, Link::decode).await
    }

    /// The details of a device; see [`Connection::link_details`](crate::Connection::link_details).
    ///
    /// Cancel safety: a *question*.
    pub async fn link_details(&mut self, ifindex: i32) -> Result<LinkDetails, Error> {
        find(self, ifindex, false, LinkDetails::decode).await
    }

    /// The packets that a device has counted; see [`Connection::link_packets`](crate::Connection::link_packets).
    ///
    /// Cancel safety: a *question*.
    pub async fn link_packets(&mut self, ifindex: i32) -> Result<Option<LinkPackets>, Error> {
        find(self, ifindex, true, marked::decode).await
    }

    /// The names of devices, on demand.
    pub fn device_names(&self) -> Result<Box<dyn DeviceNames>, Error> {
        let names = self.transport().device_names();
        names.map_err(|error| Error::new("open", "device names", Cause::System(error)))
    }

    /// Makes a device of a kind that needs no options; see [`Connection::add_link`](crate::Connection::add_link).
    ///
    /// Cancel safety: a *change*.
    pub async fn add_link(&mut self, name: &str, kind: &str) -> Result<(), Error> {
        add_link(self, name, kind).await
    }

    /// Changes a device; see [`Connection::set_link`](crate::Connection::set_link).
    ///
    /// Cancel safety: a *change*.
    pub async fn set_link(&mut self, ifindex: i32, change: &LinkChange) -> Result<(), Error> {
        set_link(self, ifindex, change).await
    }

    /// Deletes a device; see [`Connection::delete_link`](crate::Connection::delete_link).
    ///
    /// Cancel safety: a *change*.
    pub async fn delete_link(&mut self, ifindex: i32) -> Result<(), Error> {
        delete_link(self, ifindex).await
    }
}
