//! The framework over the embedded kernel, and the embedded kernel itself.

mod connection;
mod faults;
mod links;
mod losses;
mod notices;
mod path;
mod watch;

use super::*;
use crate::{
    AttrWriter, Connection, DecodeError, EncodeError, Fill, FillContext, Handle, Kind, Reader, Request, Verb,
    object,
};

const ETH0: i32 = 2;

/// A kind without words: a change reads it first, and some options take a second
/// request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Gate {
    number: u32,
    later: Option<u32>,
}

impl Kind for Gate {
    type Object = object::Qdisc;
    const KIND: &'static str = "gate";
    const READ_BEFORE_CHANGE: bool = true;

    fn encode(&self, _: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        out.put_u32(self.number);
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self { number: Reader::new(payload).u32()?, later: None })
    }

    fn second_request(&self, _: Verb) -> Option<Self> {
        self.later.map(|number| Self { number, later: None })
    }
}

/// Refuses the number 13.
#[derive(Debug, Default)]
struct GateDiscipline(Stored);

impl Discipline for GateDiscipline {
    fn init(&mut self, options: Option<&[u8]>, place: &Place) -> Result<(), Refusal> {
        if options.is_some_and(|options| *options == 13_u32.to_ne_bytes()) {
            return Err(Refusal::new(libc::ERANGE, "Thirteen is not accepted"));
        }
        self.0.init(options, place)
    }

    fn dump(&self, out: &mut AttrWriter<'_>) -> Fill {
        self.0.dump(out)
    }

    fn enqueue(&mut self, packet: Packet) -> Enqueued {
        self.0.enqueue(packet)
    }

    fn dequeue(&mut self) -> Option<Packet> {
        None
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn queue(&self) -> crate::wire::stats::Queue {
        self.0.queue()
    }
}

fn builder() -> Builder {
    Kernel::builder()
        .device(Device::new("eth0").ifindex(ETH0).alt_name("wan").alt_name("the-line-to-the-world"))
        .kind("pfifo", || Stored::limited(3))
        .kind("tbf", Stored::new)
        .kind("gate", GateDiscipline::default)
}

fn root() -> Request<'static, object::Qdisc> {
    Request::qdisc(ETH0).parent(Handle::ROOT)
}

/// Kind, handle and options of the root qdisc.
fn shown<T: crate::Transport>(tc: &mut Connection<T>) -> (String, Handle, Option<Vec<u8>>) {
    let entry = tc.get(&root()).unwrap();
    (entry.kind().unwrap().to_owned(), entry.header.handle, entry.options().map(<[u8]>::to_vec))
}
