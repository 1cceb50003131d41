//! The messages between clients, server and backup, of fixed length.

use std::fmt;
use std::str::FromStr;

/// How many clients there are: two UDP and one TCP each, over IPv4 and over IPv6.
pub(crate) const CLIENTS: usize = 6;

/// A client's request to count one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) client: u32,
    /// Grows with each request of the client.
    pub(crate) number: u64,
}

impl Request {
    pub(crate) const BYTES: usize = 12;

    pub(crate) fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&self.client.to_be_bytes());
        bytes[4..].copy_from_slice(&self.number.to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (client, number) = bytes.split_first_chunk::<4>()?;
        let client = u32::from_be_bytes(*client);
        let known = usize::try_from(client).is_ok_and(|client| client < CLIENTS);
        Some(Self { client, number: word(number)? }).filter(|_| known)
    }
}

/// A server's reply: it was the `count`th request of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) request: Request,
    /// The number of the server: 0 is the first, and each backup that takes over is the next one.
    pub(crate) generation: u32,
    pub(crate) count: u64,
}

impl Reply {
    pub(crate) const BYTES: usize = Request::BYTES + 12;

    pub(crate) fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..12].copy_from_slice(&self.request.encode());
        bytes[12..16].copy_from_slice(&self.generation.to_be_bytes());
        bytes[16..].copy_from_slice(&self.count.to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let request = Request::decode(bytes.get(..Request::BYTES)?)?;
        let (generation, count) = bytes.get(Request::BYTES..)?.split_first_chunk::<4>()?;
        Some(Self { request, generation: u32::from_be_bytes(*generation), count: word(count)? })
    }
}

/// The state of a server, and the contents of a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// How many requests were counted.
    pub(crate) count: u64,
    /// The highest number that was counted of each client; one request may overtake another.
    pub(crate) last: [u64; CLIENTS],
}

impl State {
    /// Counts one more.
    pub(crate) fn count(&mut self, request: Request, generation: u32) -> Reply {
        self.count += 1;
        let last = &mut self.last[request.client as usize];
        *last = request.number.max(*last);
        Reply { request, generation, count: self.count }
    }

    /// Whether this state includes a reply.
    pub(crate) fn knows(&self, reply: &Reply) -> bool {
        reply.count <= self.count && reply.request.number <= self.last[reply.request.client as usize]
    }
}

/// A state and the number of the epoch that it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) epoch: u64,
    pub(crate) state: State,
}

impl Checkpoint {
    pub(crate) const BYTES: usize = 16 + 8 * CLIENTS;

    pub(crate) fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let words = [self.epoch, self.state.count].into_iter().chain(self.state.last);
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; Self::BYTES]) -> Self {
        let mut words = bytes.as_chunks::<8>().0.iter().map(|bytes| u64::from_be_bytes(*bytes));
        let mut next = || words.next().unwrap_or_default();
        let (epoch, count) = (next(), next());
        Self { epoch, state: State { count, last: std::array::from_fn(|_| next()) } }
    }
}

/// For a line of text.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.count)?;
        self.last.iter().try_for_each(|last| write!(f, " {last}"))
    }
}

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Result<Vec<u64>, _> = text.split_whitespace().map(str::parse).collect();
        match words.as_deref() {
            Ok([count, last @ ..]) => {
                let last = last.try_into().map_err(|_| format!("not a state: {text}"))?;
                Ok(Self { count: *count, last })
            }
            _ => Err(format!("not a state: {text}")),
        }
    }
}

fn word(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().map(u64::from_be_bytes).ok()
}
