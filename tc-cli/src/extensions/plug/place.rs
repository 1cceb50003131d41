//! `--where`, `--match`, `--depth` and `--pref`: the place of a hold, and the packets that it takes.

use clap::{Arg, ArgAction, ArgMatches};
use tc_core::uapi::{ETH_P_ALL, ETH_P_IP, ETH_P_IPV6};
use tc_core::units::parse_u32;
use tc_core::words::{Words, WordsContext};
use tc_core::{Handle, Kind, Options, TcType, Verb, protocol, words};
use tc_qdiscs::filter::matchall::Matchall;
use tc_qdiscs::plug::place::{Match, Place, RedirectSetup};
use tc_qdiscs::plug::ring::Depth;

use crate::context::failure::Failure;
use crate::context::session::Session;

/// The words, as they were given.
#[derive(Clone, Debug)]
pub(super) struct Placement {
    /// `None`: where a plug of `plug attach` is, or else the egress.
    pub(super) place: Option<Place>,
    pub(super) depth: Option<Depth>,
    /// The filters of the redirect.
    pub(super) setup: RedirectSetup,
}

pub(super) fn words() -> [Arg; 4] {
    let place = Arg::new("where").long("where").value_name("PLACE").value_parser(place);
    let depth = Arg::new("depth").long("depth").value_name("BANDS").value_parser(depth);
    let matching = Arg::new("match").long("match").value_name("FILTER").action(ArgAction::Append);
    let pref = Arg::new("pref").long("pref").value_name("PRIORITY").value_parser(priority);
    [
        place.help(
            "What is held: egress (default; the device keeps its root qdisc), ingress (what the device receives: a \
             guest's output), root (one plug instead of the root qdisc, or with --depth a ring), or class:1:4",
        ),
        matching.help(
            "Hold only packets of this filter, such as 'flower ip_proto tcp dst_port 443'; may be given more than \
             once. Without the word protocol a filter of IP addresses or ports is one of IPv4 and one of IPv6",
        ),
        depth.help(
            "The bands of the ring, 2 to 16 (default 8): one for the open epoch, the others for closed epochs that \
             wait for their acknowledgement",
        ),
        pref.help("The priority of the redirect's first filter (default 1)"),
    ]
}

impl Placement {
    /// Reads them. Bad words have changed nothing.
    pub(super) fn of(name: &str, words: &ArgMatches, session: &Session<'_>) -> Result<Self, Failure> {
        let refused = |why: String| Failure::Words(format!("plug {name}: {why}; nothing was changed"));
        let place = words.get_one::<Place>("where").copied();
        let mut matches = Vec::new();
        for text in words.get_many::<String>("match").into_iter().flatten() {
            let read = read_match(text, session);
            matches.extend(read.map_err(|why| refused(format!("--match '{text}': {why}")))?);
        }
        let mut setup = RedirectSetup::default().matches(matches);
        let pref = words.get_one::<u16>("pref").copied();
        setup.priority = pref.unwrap_or(setup.priority);
        let redirects = place.is_none_or(|place| place.side().is_some());
        if !redirects && (pref.is_some() || !setup.matches.is_empty()) {
            return Err(refused("--match and --pref are for --where egress and ingress".to_owned()));
        }
        Ok(Self { place, depth: words.get_one::<Depth>("depth").copied(), setup })
    }

    /// Whether one plug at the root is meant.
    pub(super) fn is_plain_root(&self) -> bool {
        self.place == Some(Place::Root) && self.depth.is_none()
    }

    /// Whether words mean a ring.
    pub(super) fn names_a_ring(&self) -> bool {
        let chosen = self.place.is_some() || self.depth.is_some() || !self.setup.matches.is_empty();
        chosen && !self.is_plain_root()
    }
}

fn place(text: &str) -> Result<Place, String> {
    let class =
        |text: &str| text.parse::<Handle>().ok().filter(|class| class.minor() != 0 && class.major() != 0);
    match text {
        "egress" => Ok(Place::Egress),
        "ingress" => Ok(Place::Ingress),
        "root" => Ok(Place::Root),
        _ => match text.strip_prefix("class:").and_then(class) {
            Some(class) => Ok(Place::Class(class)),
            None => Err("egress, ingress, root, or a class such as class:1:4".to_owned()),
        },
    }
}

fn depth(text: &str) -> Result<Depth, String> {
    let bands = parse_u32(text).map_err(|error| error.to_string())?;
    let depth = Depth::new(u8::try_from(bands).unwrap_or(u8::MAX));
    depth.map_err(|_| format!("a ring has 2 to {} bands, not {bands}", Depth::MOST))
}

fn priority(text: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(priority) if priority > 0 => Ok(priority),
        _ => Err("a number from 1 to 65535".to_owned()),
    }
}

/// Reads `[protocol PROTOCOL] [handle HANDLE] KIND WORDS`: one filter, or one of IPv4 and one of IPv6.
fn read_match(text: &str, session: &Session<'_>) -> Result<Vec<Match>, String> {
    let all = words::split(text);
    let mut words = Words::new(&all);
    let (mut given, mut handle, mut kind) = (None, None, None);
    while let Some(word) = words.next() {
        match word {
            "protocol" => {
                let value = words.value().map_err(|error| error.to_string())?;
                given = Some(protocol::parse(value).ok_or_else(|| format!("protocol {value} is not known"))?);
            }
            "handle" => handle = Some(words.value().map_err(|error| error.to_string())?),
            kind_word => {
                kind = Some(kind_word);
                break;
            }
        }
    }
    let kind = kind.ok_or("the kind of a filter is missing")?;
    let ops =
        session.registry.get(TcType::Filter, kind).ok_or_else(|| format!("no filter is called {kind}"))?;
    let handle = handle.map(|text| ops.parse_handle(text)).transpose().map_err(|error| error.to_string())?;
    let machine = session.silent_machine();
    let read = |protocol: u16| {
        let mut words = words.clone();
        let mut place = tc_core::FilterPlace::default();
        place.protocol = Some(protocol);
        place.priority = Some(1);
        place.parent = Handle::FILTER_EGRESS;
        let context = WordsContext { verb: Verb::Add, dev: None, environment: &machine };
        let read = ops.parse_words_at(&mut words, &context, &place).map_err(|error| first_line(&error))?;
        if let Some(word) = words.peek() {
            return Err(format!("what is \"{word}\"?"));
        }
        let all = || (kind == Matchall::KIND).then(|| Box::new(Matchall::default()) as Box<dyn Options>);
        let options = read.0.or_else(all).ok_or("the filter has no words")?;
        let matching = made(protocol, &*options)?;
        let handle = handle.or(Some(read.1).filter(|handle| !handle.is_unspec()));
        Ok(handle.map_or_else(|| matching.clone(), |handle| matching.clone().handle(handle)))
    };
    if let Some(protocol) = given {
        return read(protocol).map(|one| vec![one]);
    }
    let why = match read(ETH_P_ALL) {
        Ok(one) => return Ok(vec![one]),
        Err(why) => why,
    };
    let both: Vec<_> =
        [ETH_P_IP, ETH_P_IPV6].into_iter().filter_map(|protocol| read(protocol).ok()).collect();
    if both.is_empty() { Err(why) } else { Ok(both) }
}

fn made(protocol: u16, options: &dyn Options) -> Result<Match, String> {
    Match::new(protocol, options).map_err(|error| error.to_string())
}

fn first_line(error: &dyn std::fmt::Display) -> String {
    error.to_string().lines().next().unwrap_or_default().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_when_read() {
        assert_eq!(place("egress"), Ok(Place::Egress));
        assert_eq!(place("class:1:4"), Ok(Place::Class(Handle::class(1, 4))));
        for wrong in ["", "Egress", "class:", "class:1:", "class::4", "class:x", "1:4"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn depths_when_out_of_range() {
        assert_eq!(depth("2").map(Depth::bands), Ok(2));
        assert_eq!(depth("16").map(Depth::closed_epochs), Ok(15));
        for wrong in ["0", "1", "17", "256", "258", "x", "-1", ""] {
            assert!(depth(wrong).is_err(), "{wrong}");
        }
        assert_eq!(depth("17"), Err("a ring has 2 to 16 bands, not 17".to_owned()));
        assert!(priority("0").is_err() && priority("65536").is_err() && priority("7") == Ok(7));
    }
}
