//! Requests for devices (`net/core/rtnetlink.c`), as far as traffic control
//! meets them.

use bytes::BytesMut;

use super::device::Device;
use super::discipline::Refusal;
use super::fill::Head;
use super::policy::{self, Table};
use super::qdisc::Notices;
use super::state::{Ask, State};
use crate::wire::attr::Reader;
use crate::wire::uapi::*;

type Attributes<'a> = Table<'a, { policy::LINK_ATTRS }>;

/// The largest and smallest MTU of a device that is no loopback.
const MTUS: std::ops::RangeInclusive<u32> = 68..=65_535;

/// `struct ifinfomsg`, as far as it is looked at.
struct Header {
    ifindex: i32,
    flags: u32,
    change: u32,
}

fn header(payload: &[u8]) -> Header {
    let mut reader = Reader::new(payload);
    let _family_and_type = reader.skip(4);
    let ifindex = reader.i32().unwrap_or_default();
    let (flags, change) = (reader.u32().unwrap_or_default(), reader.u32().unwrap_or_default());
    Header { ifindex, flags, change }
}

fn number(attributes: &Attributes<'_>, kind: u16) -> Option<u32> {
    attributes[usize::from(kind)].and_then(|attr| attr.u32().ok())
}

impl State {
    /// `RTM_GETLINK` for one device.
    pub(super) fn get_link(&mut self, ask: Ask<'_>) -> Result<BytesMut, Refusal> {
        if ask.message.payload.len() < IFINFOMSG_LEN {
            return Err(Refusal::new(libc::EINVAL, "Invalid header for get link"));
        }
        let attributes: Attributes<'_> = policy::parse(ask.message.payload, IFINFOMSG_LEN, policy::link)?;
        let header = header(ask.message.payload);
        let position = if header.ifindex > 0 {
            self.position(header.ifindex)?
        } else {
            self.by_name(&attributes).ok_or(Refusal::errno(libc::EINVAL))??
        };
        let mut answer = BytesMut::new();
        let head = Head { kind: RTM_NEWLINK, flags: 0, sequence: ask.message.sequence, port: ask.port };
        self.devices[position].fill_link(&mut answer, head, 0);
        Ok(answer)
    }

    /// The device that an attribute names; `None` if there is no such
    /// attribute. Kernel: either attribute finds either sort of name, but the
    /// first is at most 15 bytes long.
    fn by_name(&self, attributes: &Attributes<'_>) -> Option<Result<usize, Refusal>> {
        let attr = attributes[usize::from(IFLA_IFNAME)].or(attributes[usize::from(IFLA_ALT_IFNAME)])?;
        let named = |device: &Device| {
            attr.str().is_ok_and(|name| device.name == name || device.alt_names.iter().any(|n| n == name))
        };
        Some(self.devices.iter().position(named).ok_or(Refusal::errno(libc::ENODEV)))
    }

    /// `RTM_NEWLINK`: changes a device, or makes an `ifb` or `dummy`.
    pub(super) fn new_link(&mut self, ask: Ask<'_>) -> Result<Notices, Refusal> {
        let attributes: Attributes<'_> = policy::parse(ask.message.payload, IFINFOMSG_LEN, policy::link)?;
        let header = header(ask.message.payload);
        let flags = ask.message.flags;
        if header.ifindex < 0 {
            return Err(Refusal::new(libc::EINVAL, "ifindex can't be negative"));
        }
        let (specified, found) = match header.ifindex {
            0 => match self.by_name(&attributes) {
                Some(found) => (true, found.ok()),
                None => (false, None),
            },
            ifindex => (true, self.position(ifindex).ok()),
        };
        if let Some(position) = found {
            if flags & NLM_F_EXCL != 0 {
                return Err(Refusal::errno(libc::EEXIST));
            }
            if flags & NLM_F_REPLACE != 0 {
                return Err(Refusal::errno(libc::EOPNOTSUPP));
            }
            return self.devices[position].set(&header, &attributes);
        }
        if flags & NLM_F_CREATE == 0 || !specified {
            return Err(Refusal::errno(libc::ENODEV));
        }
        let name = attributes[usize::from(IFLA_IFNAME)].and_then(|attr| attr.str().ok());
        let info = attributes[usize::from(IFLA_LINKINFO)];
        let kind = info.and_then(|info| info.attrs().find(IFLA_INFO_KIND).ok().flatten());
        let kind = kind.and_then(|kind| kind.str().ok());
        let unknown = Refusal::new(libc::EOPNOTSUPP, "Unknown device type");
        let (Some(name), Some(kind @ ("ifb" | "dummy"))) = (name, kind) else { return Err(unknown) };
        self.last_ifindex += 1;
        let mut device = Device::new(self.kinds.clone(), self.last_ifindex, name.to_owned(), 1);
        device.kind = kind.to_owned();
        (device.tx_queue_len, device.queueless) = if kind == "ifb" { (32, false) } else { (1000, true) };
        let mut notices = vec![device.notice(RTM_NEWLINK, u32::MAX)];
        notices.extend(device.set(&header, &attributes)?);
        self.devices.push(device);
        Ok(notices)
    }

    /// `RTM_SETLINK`.
    pub(super) fn set_link(&mut self, ask: Ask<'_>) -> Result<Notices, Refusal> {
        let attributes: Attributes<'_> = policy::parse(ask.message.payload, IFINFOMSG_LEN, policy::link)?;
        let header = header(ask.message.payload);
        let position = if header.ifindex > 0 {
            self.position(header.ifindex)?
        } else {
            self.by_name(&attributes).ok_or(Refusal::errno(libc::EINVAL))??
        };
        self.devices[position].set(&header, &attributes)
    }

    /// `RTM_NEWLINKPROP`: gives a device alternative names.
    pub(super) fn new_link_names(&mut self, ask: Ask<'_>) -> Result<Notices, Refusal> {
        let attributes: Attributes<'_> = policy::parse(ask.message.payload, IFINFOMSG_LEN, policy::link)?;
        let header = header(ask.message.payload);
        let position = if header.ifindex > 0 {
            self.position(header.ifindex)?
        } else {
            self.by_name(&attributes).ok_or(Refusal::errno(libc::EINVAL))??
        };
        let Some(names) = attributes[usize::from(IFLA_PROP_LIST)] else { return Ok(Notices::new()) };
        for name in names.attrs().filter_map(Result::ok).filter(|name| name.kind == IFLA_ALT_IFNAME) {
            let name = name.str().map_err(|_| Refusal::errno(libc::EINVAL))?;
            let taken = |device: &Device| device.name == name || device.alt_names.iter().any(|n| n == name);
            if self.devices.iter().any(taken) {
                return Err(Refusal::errno(libc::EEXIST));
            }
            self.devices[position].alt_names.push(name.to_owned());
        }
        Ok(vec![self.devices[position].notice(RTM_NEWLINK, 0)])
    }

    /// `RTM_DELLINK`; hardware stays.
    pub(super) fn delete_link(&mut self, ask: Ask<'_>) -> Result<Notices, Refusal> {
        let attributes: Attributes<'_> = policy::parse(ask.message.payload, IFINFOMSG_LEN, policy::link)?;
        let header = header(ask.message.payload);
        let position = if header.ifindex > 0 {
            self.position(header.ifindex)?
        } else {
            self.by_name(&attributes).ok_or(Refusal::errno(libc::EINVAL))??
        };
        if self.devices[position].kind.is_empty() {
            return Err(Refusal::errno(libc::EOPNOTSUPP));
        }
        Ok(vec![self.remove(position)])
    }

    /// Removes a device with all its qdiscs, which cause no notices; returns the
    /// device's notice.
    pub(super) fn remove(&mut self, position: usize) -> BytesMut {
        self.devices.remove(position).notice(RTM_DELLINK, u32::MAX)
    }
}

impl Device {
    /// `do_setlink`.
    fn set(&mut self, header: &Header, attributes: &Attributes<'_>) -> Result<Notices, Refusal> {
        let mut notices = Notices::new();
        if let Some(mtu) = number(attributes, IFLA_MTU).filter(|mtu| *mtu != self.mtu) {
            self.set_mtu(mtu)?;
            notices.push(self.notice(RTM_NEWLINK, 0));
        }
        if let Some(length) = number(attributes, IFLA_TXQLEN).filter(|length| *length != self.tx_queue_len) {
            self.set_tx_queue_len(length);
            notices.push(self.notice(RTM_NEWLINK, 0));
        }
        if let Some(alias) = attributes[usize::from(IFLA_IFALIAS)].and_then(|attr| attr.str().ok()) {
            self.alias = alias.to_owned();
            notices.push(self.notice(RTM_NEWLINK, 0));
        }
        // Kernel: without a mask, all flags change.
        let change = if header.change == 0 && header.flags != 0 { u32::MAX } else { header.change };
        let up = header.flags & IFF_UP != 0;
        if change & IFF_UP != 0 && up != self.up {
            self.set_up(up);
            notices.push(self.notice(RTM_NEWLINK, IFF_UP));
        }
        Ok(notices)
    }

    fn set_mtu(&mut self, mtu: u32) -> Result<(), Refusal> {
        if !self.loopback && mtu < *MTUS.start() {
            return Err(Refusal::new(libc::EINVAL, "mtu less than device minimum"));
        }
        if !self.loopback && mtu > *MTUS.end() {
            return Err(Refusal::new(libc::EINVAL, "mtu greater than device maximum"));
        }
        self.mtu = mtu;
        Ok(())
    }

    /// Kernel: this purges the qdiscs.
    fn set_tx_queue_len(&mut self, length: u32) {
        self.tx_queue_len = length;
        if self.up {
            self.deactivate();
            self.activate();
        }
    }

    /// Kernel: the qdiscs are purged when the device goes down, and stay.
    pub(super) fn set_up(&mut self, up: bool) {
        self.up = up;
        if up { self.activate() } else { self.deactivate() }
    }

    /// Kernel: a lost carrier purges the qdiscs as well.
    pub(super) fn set_carrier(&mut self, carrier: bool) {
        if self.carrier == carrier {
            return;
        }
        self.carrier = carrier;
        self.carrier_changes += 1;
        match (self.up, carrier) {
            (true, true) => self.activate(),
            (true, false) => self.deactivate(),
            (false, _) => {}
        }
    }

    pub(super) fn notice(&self, kind: u16, changed: u32) -> BytesMut {
        let mut notice = BytesMut::new();
        self.fill_link(&mut notice, Head { kind, flags: 0, sequence: 0, port: 0 }, changed);
        notice
    }
}
