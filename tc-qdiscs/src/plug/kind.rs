//! `plug`: words, bytes and meaning of one request.
//!
//! The queue holds packets, in order, up to a limit in bytes, and drops the rest. A
//! new plug holds. `buffer` ends an epoch: the packets held so far belong to it.
//! `release_one` releases the epoch that ended last.
//! `release_indefinite` lets everything pass until the next `buffer`.
//!
//! UAPI: `struct tc_plug_qopt { int action; __u32 limit; }`, bare, not a nest.
//!
//! Kernel, `net/sched/sch_plug.c`:
//! - on creation the action is ignored and the limit is taken, so that options
//!   without a limit make a queue that drops everything: here a request that
//!   names no limit creates with the kernel's default, and the action follows;
//! - on a change the limit is ignored unless it is the action;
//! - nothing can be read back: a dump has no options.

use tc_core::print::Printer;
use tc_core::units::parse_size;
use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{
    AttrWriter, ChangeSemantics, DecodeError, EncodeError, Fill, FillContext, Kind, OptionWords, Reader,
    Syntax, Verb, object,
};

tc_core::register!(Plug);

/// The operation of a plug (`TCQ_PLUG_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// `TCQ_PLUG_BUFFER`: end the current epoch and hold the next one.
    ///
    /// Kernel: packets of an earlier epoch that are still held count for this one:
    /// release the epoch before the last first.
    Buffer,
    /// `TCQ_PLUG_RELEASE_ONE`: release the packets of the epoch that ended last.
    ReleaseOne,
    /// `TCQ_PLUG_RELEASE_INDEFINITE`: release everything, and pass packets until the
    /// next [`Action::Buffer`].
    ReleaseIndefinite,
}

/// A request to a plug: a limit, an action, or both.
///
/// ```
/// use tc_core::{Handle, Request};
/// use tc_qdiscs::plug::Plug;
///
/// // A new plug that holds up to 10 MB, from the start.
/// let plug = Plug::set_limit(10_000_000);
/// let request = Request::qdisc(2).parent(Handle::ROOT).handle(Handle::qdisc(1)).options(&plug);
/// # let _ = request;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plug {
    /// Most bytes held. `None` leaves it as it is; for a new plug it is then
    /// `txqueuelen` packets of the device's MTU. 0 drops every packet.
    pub limit_bytes: Option<u32>,
    /// The operation. A new plug holds, with [`Action::Buffer`] and without an action.
    pub action: Option<Action>,
}

impl Plug {
    /// Ends the current epoch and holds the next one.
    pub const fn buffer() -> Self {
        Self { limit_bytes: None, action: Some(Action::Buffer) }
    }

    /// Lets the epoch go that ended last.
    pub const fn release_one() -> Self {
        Self { limit_bytes: None, action: Some(Action::ReleaseOne) }
    }

    /// Lets everything go, until the next [`Plug::buffer`].
    pub const fn release_indefinite() -> Self {
        Self { limit_bytes: None, action: Some(Action::ReleaseIndefinite) }
    }

    /// Sets the limit in bytes. Held packets stay.
    pub const fn set_limit(bytes: u32) -> Self {
        Self { limit_bytes: Some(bytes), action: None }
    }

    /// Sets the action.
    #[must_use]
    pub const fn action(mut self, action: Action) -> Self {
        self.action = Some(action);
        self
    }

    /// Sets the limit.
    #[must_use]
    pub const fn limit(mut self, bytes: u32) -> Self {
        self.limit_bytes = Some(bytes);
        self
    }
}

impl Kind for Plug {
    type Object = object::Qdisc;
    const KIND: &'static str = "plug";
    const READ_BEFORE_CHANGE: bool = true;
    const CHANGE: ChangeSemantics =
        ChangeSemantics::USUAL.not_dumped(&["limit", "block, release, release_indefinite"]);

    fn encode(&self, context: &FillContext, out: &mut AttrWriter<'_>) -> Result<Fill, EncodeError> {
        let (action, limit) = match (self.limit_bytes, self.action, context.verb) {
            (Some(limit), ..) => (LIMIT, limit),
            (None, Some(action), Verb::Change) => (action.number(), 0),
            (None, ..) => return Ok(Fill::Absent),
        };
        out.put_i32(action);
        out.put_u32(limit);
        Ok(Fill::Written)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let (action, limit) = (reader.i32()?, reader.u32()?);
        Ok(match action {
            BUFFER => Self::buffer(),
            RELEASE_ONE => Self::release_one(),
            RELEASE_INDEFINITE => Self::release_indefinite(),
            LIMIT => Self::set_limit(limit),
            _ => return Err(DecodeError::Malformed { what: "plug action" }),
        })
    }

    fn second_request(&self, verb: Verb) -> Option<Self> {
        let told = match (verb, self.limit_bytes) {
            (Verb::Change, None) => true,                          // the action was all
            (Verb::Add, _) => self.action == Some(Action::Buffer), // new plugs hold
            _ => false,
        };
        self.action.filter(|_| !told).map(|action| Self { limit_bytes: None, action: Some(action) })
    }
}

impl Syntax for Plug {
    const USAGE: &'static str = "Usage: ... plug [block | release | release_indefinite | limit NUMBER]\n";

    fn parse_words(words: &mut Words<'_>, context: &WordsContext<'_>) -> Result<Option<Self>, WordError> {
        let mut plug = Self::default();
        while let Some(word) = words.next() {
            // tc's words, and those of libnl's functions and of nl-qdisc-add.
            match word {
                "block" | "buffer" | "--buffer" => plug.action = Some(Action::Buffer),
                "release" | "release_one" | "--release-one" => plug.action = Some(Action::ReleaseOne),
                "release_indefinite" | "--release-indefinite" => {
                    plug.action = Some(Action::ReleaseIndefinite)
                }
                "limit" | "set_limit" | "--limit" => {
                    let illegal = |value: &str| format!("Illegal value for \"limit\": \"{value}\"");
                    plug.limit_bytes = Some(words.parse(parse_size, illegal)?);
                }
                "help" => return Err(WordError::Help),
                word => return Err(WordError::KindUsage(format!("plug: unknown parameter \"{word}\""))),
            }
        }
        if plug.limit_bytes == Some(0) {
            context.environment.warn("plug: a limit of 0 drops every packet");
        }
        Ok((plug != Self::default()).then_some(plug))
    }

    fn print(&self, _: &mut Printer) {
        // As tc: the kernel sends no options, and tc shows none.
    }

    fn to_words(&self, out: &mut OptionWords<'_>) {
        // Of no dump: the kernel reports nothing.
        if let Some(bytes) = self.limit_bytes {
            out.not_dumped("limit", format!("limit {bytes}"));
        }
        if let Some(action) = self.action {
            out.not_dumped("action", action.word());
        }
    }
}

const BUFFER: i32 = 0;
const RELEASE_ONE: i32 = 1;
const RELEASE_INDEFINITE: i32 = 2;
const LIMIT: i32 = 3;

impl Action {
    const fn number(self) -> i32 {
        match self {
            Self::Buffer => BUFFER,
            Self::ReleaseOne => RELEASE_ONE,
            Self::ReleaseIndefinite => RELEASE_INDEFINITE,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Buffer => "block",
            Self::ReleaseOne => "release",
            Self::ReleaseIndefinite => "release_indefinite",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use tc_core::{Handle, Request};

    fn parse(words: &[&str]) -> Result<Option<Plug>, WordError> {
        Plug::parse_words(&mut Words::new(words), &WordsContext::new(Verb::Add))
    }

    fn message(verb: Verb, plug: &Plug) -> Vec<u8> {
        let mut buffer = BytesMut::new();
        Request::qdisc(1).parent(Handle::ROOT).options(plug).encode(verb, 0, &mut buffer).unwrap();
        buffer.to_vec()
    }

    #[test]
    fn the_message_is_tcs() {
        // tc qdisc add dev lo root plug limit 32768 (iproute2 6.1)
        #[rustfmt::skip]
        let expected = [
            0x3c, 0, 0, 0, 0x24, 0, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0,
            0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
            9, 0, 1, 0, b'p', b'l', b'u', b'g', 0, 0, 0, 0,
            12, 0, 2, 0, 3, 0, 0, 0, 0, 0x80, 0, 0,
        ];
        assert_eq!(message(Verb::Add, &Plug::set_limit(32768)), expected);
    }

    #[test]
    fn a_new_plug_never_gets_a_limit_that_nobody_asked_for() {
        let bare = message(Verb::Add, &Plug::default());
        for plug in [Plug::buffer(), Plug::release_one(), Plug::release_indefinite()] {
            for verb in [Verb::Add, Verb::Replace] {
                assert_eq!(message(verb, &plug)[36..], bare[36..], "{plug:?}: no options at all");
            }
        }
    }

    #[test]
    fn what_the_first_message_cannot_say_follows() {
        let both = Plug::release_indefinite().limit(9);
        let action = Some(Plug::release_indefinite());
        assert_eq!(both.second_request(Verb::Add), action);
        assert_eq!(both.second_request(Verb::Change), action);
        assert_eq!(Plug::release_indefinite().second_request(Verb::Replace), action);
        assert_eq!(Plug::release_indefinite().second_request(Verb::Change), None);
        assert_eq!(Plug::buffer().second_request(Verb::Add), None, "a new plug holds");
        assert_eq!(Plug::buffer().second_request(Verb::Replace), Some(Plug::buffer()), "an old one may not");
        assert_eq!(Plug::set_limit(9).second_request(Verb::Replace), None);
    }

    #[test]
    fn words_of_tc_and_of_libnl_mean_the_same() {
        for (words, plug) in [
            (&["block"][..], Plug::buffer()),
            (&["buffer"], Plug::buffer()),
            (&["--release-one"], Plug::release_one()),
            (&["release"], Plug::release_one()),
            (&["release_indefinite"], Plug::release_indefinite()),
            (&["limit", "16M"], Plug::set_limit(16 << 20)),
            (&["limit", "9", "block"], Plug::buffer().limit(9)),
        ] {
            assert_eq!(parse(words), Ok(Some(plug)), "{words:?}");
        }
        assert_eq!(parse(&[]), Ok(None), "no words, no options");
    }

    #[test]
    fn bad_words_have_tcs_text() {
        let text = |words: &[&str]| parse(words).unwrap_err().to_string();
        assert_eq!(text(&["limit", "x"]), "Illegal value for \"limit\": \"x\"");
        assert_eq!(text(&["limit"]), WordError::Incomplete.to_string());
        assert_eq!(text(&["open"]), "plug: unknown parameter \"open\"");
    }

    #[test]
    fn payloads_when_short_are_errors_and_when_longer_are_read() {
        assert!(Plug::decode(&[3, 0, 0, 0, 1, 0, 0]).is_err());
        assert!(Plug::decode(&[9, 0, 0, 0, 1, 0, 0, 0]).is_err());
        assert_eq!(Plug::decode(&[3, 0, 0, 0, 1, 0, 0, 0, 7]), Ok(Plug::set_limit(1)));
    }
}
