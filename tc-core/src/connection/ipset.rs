//! Names and indexes of netfilter sets, for the ematch `ipset`.
//!
//! UAPI: `IPSET_CMD_GET_BYNAME` and `IPSET_CMD_GET_BYINDEX` of `linux/netfilter/ipset/ip_set.h`. Since Linux
//! 4.20. They need `CAP_NET_ADMIN`.

use std::io;

use bytes::BytesMut;
use netlink_sys::SocketAddr;
use netlink_sys::protocols::NETLINK_NETFILTER;

use crate::wire::attr::{AttrWriter, Attrs, Reader};
use crate::wire::message::Messages;
use crate::wire::uapi::{NLA_F_NET_BYTEORDER, NLM_F_REQUEST, NLMSG_ERROR};

/// The index of the set with this name in the network namespace of the calling thread; `None` if there is no
/// such set.
///
/// ```no_run
/// if let Some(index) = tc_core::ipset::index_of("bulk")? {
///     println!("the set bulk has the index {index}");
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn index_of(name: &str) -> io::Result<Option<u16>> {
    if name.is_empty() || name.len() > MOST_NAME || name.contains('\0') {
        return Ok(None);
    }
    ask(
        GET_BYNAME,
        |out| out.attr_str(SETNAME, name),
        |attrs| {
            let index = attrs.find(INDEX).ok()??;
            index.reader().array().ok().map(u16::from_be_bytes)
        },
    )
}

/// The name of the set with this index in the network namespace of the calling thread; `None` if there is no
/// such set.
pub fn name_of(index: u16) -> io::Result<Option<String>> {
    ask(
        GET_BYINDEX,
        |out| out.attr(INDEX | NLA_F_NET_BYTEORDER, &index.to_be_bytes()),
        |attrs| attrs.find(SETNAME).ok()??.str().ok().map(str::to_owned),
    )
}

/// Sends a command and reads its reply.
fn ask<T>(
    command: u8,
    write: impl FnOnce(&mut AttrWriter<'_>),
    read: impl FnOnce(Attrs<'_>) -> Option<T>,
) -> io::Result<Option<T>> {
    let socket = netlink_sys::Socket::new(NETLINK_NETFILTER)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut request = BytesMut::new();
    let mut out = AttrWriter::new(&mut request);
    out.put_u32(0); // The length.
    out.put_u16(SUBSYSTEM << 8 | u16::from(command));
    out.put_u16(NLM_F_REQUEST);
    out.put_u64(0); // Sequence number and port.
    out.put(&[libc::AF_INET as u8, 0, 0, 0]); // struct nfgenmsg
    out.attr_u8(PROTOCOL, PROTOCOL_VERSION);
    write(&mut out);
    out.finish().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let length = request.len() as u32;
    request[..4].copy_from_slice(&length.to_ne_bytes());
    socket.send(&request, 0)?;
    let mut reply = Vec::with_capacity(REPLY);
    socket.recv(&mut reply, 0)?;
    parse(&reply, command, read)
}

fn parse<T>(reply: &[u8], command: u8, read: impl FnOnce(Attrs<'_>) -> Option<T>) -> io::Result<Option<T>> {
    let invalid = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text.to_owned());
    let message = Messages::new(reply).next().ok_or_else(|| invalid("an empty reply"))?;
    let message = message.map_err(|error| invalid(&error.to_string()))?;
    if message.kind == NLMSG_ERROR {
        let number = Reader::new(message.payload).i32().map_err(|error| invalid(&error.to_string()))?;
        return match -number {
            libc::ENOENT => Ok(None),
            number => Err(io::Error::from_raw_os_error(number)),
        };
    }
    if message.kind != SUBSYSTEM << 8 | u16::from(command) {
        return Err(invalid("a reply of another kind"));
    }
    let attrs = message.payload.get(NFGENMSG..).unwrap_or_default();
    read(Attrs::new(attrs)).map(Some).ok_or_else(|| invalid("a reply without a set"))
}

/// `NFNL_SUBSYS_IPSET`.
const SUBSYSTEM: u16 = 6;
const GET_BYNAME: u8 = 14;
const GET_BYINDEX: u8 = 15;
/// `IPSET_PROTOCOL`.
const PROTOCOL_VERSION: u8 = 7;
const PROTOCOL: u16 = 1;
const SETNAME: u16 = 2;
const INDEX: u16 = 11;

/// `IPSET_MAXNAMELEN`, without the NUL.
const MOST_NAME: usize = 31;
/// The size of `struct nfgenmsg`.
const NFGENMSG: usize = 4;
/// Room for a reply, or for an error with the request in it.
const REPLY: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let length = 16 + payload.len() as u32;
        [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], payload].concat()
    }

    #[test]
    fn replies_are_a_value_nothing_or_an_error() {
        // Protocol 7, and the index 3 in network byte order.
        let reply = message(0x60e, b"\x02\0\0\0\x05\0\x01\0\x07\0\0\0\x06\0\x0b\x40\0\x03\0\0");
        let index = |attrs: Attrs<'_>| attrs.find(INDEX).ok()??.reader().array().ok().map(u16::from_be_bytes);
        assert_eq!(parse(&reply, GET_BYNAME, index).unwrap(), Some(3));
        assert!(parse(&reply, GET_BYINDEX, index).is_err());
        let absent = message(NLMSG_ERROR, &(-libc::ENOENT).to_ne_bytes());
        assert_eq!(parse(&absent, GET_BYNAME, index).unwrap(), None);
        let denied = message(NLMSG_ERROR, &(-libc::EPERM).to_ne_bytes());
        let error = parse(&denied, GET_BYNAME, index).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        for length in 0..reply.len() {
            assert!(parse(&reply[..length], GET_BYNAME, index).is_err(), "{length}");
        }
    }

    #[test]
    fn impossible_names_are_of_no_set() {
        for name in ["", "a name of more than thirty-one bytes", "a\0b"] {
            assert_eq!(index_of(name).unwrap(), None, "{name:?}");
        }
    }
}
