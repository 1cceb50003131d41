//! `explain`: the way of a packet through a device's filters, actions and qdiscs.
//!
//! It reads the device's objects and sends nothing. The model is `ofproto/trace` of Open vSwitch.

mod pcap;
mod print;
mod read;

use clap::{Arg, ArgMatches};
use tc_qdiscs::classify::{CannotKnow, Direction, End, Packet, Tree, Walk};

use self::print::Explained;
use crate::context::extension::Extension;
use crate::context::failure::Failure;
use crate::context::session::Session;

/// `tc-cli explain`
pub(super) const EXPLAIN: Extension = Extension {
    name: "explain",
    about: "Say which filters, actions and qdiscs a packet meets, and where it ends",
    words: |command| {
        let words = Arg::new("words").value_name("dev DEV [ egress | ingress ] PACKET").num_args(0..);
        command.arg(words.allow_hyphen_values(true).help("The device, and the packets")).after_help(HELP)
    },
    run: |matches, session| run(&Question::of(matches)?, session),
};

const HELP: &str = "\
explain dev DEV [ egress | ingress ] [ police conform | exceed ] PACKET
explain dev DEV [ egress | ingress ] [ police conform | exceed ] pcap FILE [ count N ]

PACKET := PROTOCOL ADDRESS[:PORT] > ADDRESS[:PORT] [ OPTION VALUE ]...
PROTOCOL := tcp | udp | sctp | icmp | icmp6 | arp | ip
OPTION := mark | prio | tcindex | queue | vlan | pcp | tos | ttl | proto | flags |
          type | code | op | smac | dmac | len

The packet is sent (egress, the default) or received (ingress). Quote it, since the shell
reads \">\": tc-cli explain dev eth0 'tcp 10.0.0.1:80 > 10.0.0.9:4711 mark 7 vlan 5'
FILE is a capture of Ethernet frames; the first N packets (10) are explained.
A fact outside the packet that the way depends on ends it with \"cannot know\". \"police\"
gives one: whether packets conform to a police with a rate.";

/// The packets of a capture that are explained if no number is given.
const COUNT: usize = 10;

/// The words of the command.
struct Question {
    device: String,
    direction: Direction,
    conform: Option<bool>,
    packets: Packets,
}

enum Packets {
    Text(String),
    Capture { file: String, count: usize },
}

fn bad(problem: &str) -> Failure {
    Failure::Extension(format!("explain: {problem}; try \"tc-cli explain --help\""))
}

impl Question {
    fn of(matches: &ArgMatches) -> Result<Self, Failure> {
        let words: Vec<&str> =
            matches.get_many::<String>("words").into_iter().flatten().map(String::as_str).collect();
        let [dev, device, rest @ ..] = &words[..] else { return Err(bad("\"dev DEV\" is missing")) };
        if *dev != "dev" {
            return Err(bad(&format!("expected \"dev DEV\" in place of \"{dev}\"")));
        }
        let (mut rest, mut direction, mut conform) = (rest, Direction::Egress, None);
        loop {
            (direction, conform, rest) = match rest {
                ["egress", rest @ ..] => (Direction::Egress, conform, rest),
                ["ingress", rest @ ..] => (Direction::Ingress, conform, rest),
                ["police", "conform", rest @ ..] => (direction, Some(true), rest),
                ["police", "exceed", rest @ ..] => (direction, Some(false), rest),
                ["police", ..] => return Err(bad("after \"police\" expected \"conform\" or \"exceed\"")),
                _ => break,
            };
        }
        let packets = match rest {
            [] => return Err(bad("the packet is missing")),
            ["pcap", file] => Packets::Capture { file: (*file).to_owned(), count: COUNT },
            ["pcap", file, "count", count] => {
                let wrong = |_| bad(&format!("\"{count}\" is no value of \"count\""));
                Packets::Capture { file: (*file).to_owned(), count: count.parse().map_err(wrong)? }
            }
            ["pcap", ..] => return Err(bad("after \"pcap\" expected \"FILE [ count N ]\"")),
            words => Packets::Text(words.join(" ")),
        };
        Ok(Self { device: (*device).to_owned(), direction, conform, packets })
    }

    /// The packets with their names.
    fn packets(&self) -> Result<Vec<(String, Packet)>, Failure> {
        let failed = |problem: String| Failure::Extension(format!("explain: {problem}"));
        match &self.packets {
            Packets::Text(text) => {
                let packet =
                    Packet::from_text(text, self.direction).map_err(|error| failed(error.to_string()))?;
                Ok(vec![(text.clone(), packet)])
            }
            Packets::Capture { file, count } => {
                let bytes = std::fs::read(file).map_err(|error| failed(format!("{file}: {error}")))?;
                let frames =
                    pcap::frames(&bytes, *count).map_err(|error| failed(format!("{file}: {error}")))?;
                let name =
                    |at: usize, frame: &[u8]| format!("packet {} of {file}, {} bytes", at + 1, frame.len());
                let packets = frames.into_iter().enumerate();
                Ok(packets.map(|(at, frame)| (name(at, frame), Packet::new(frame, self.direction))).collect())
            }
        }
    }
}

fn run(question: &Question, session: &mut Session<'_>) -> Result<(), Failure> {
    let packets = question.packets()?;
    let ifindex = session.ifindex(&question.device)?;
    let registry = session.registry;
    let kernel = session.kernel()?.0;
    let names = kernel.names()?;
    let (connection, watch) = (&mut kernel.connection, &mut kernel.watch);
    let tree = watch.read("qdiscs, classes and filters", || read::tree(ifindex, connection))?;
    let explained: Vec<Explained> = packets
        .into_iter()
        .map(|(name, mut packet)| {
            packet.ifindex = ifindex;
            packet.device.clone_from(&question.device);
            if question.direction == Direction::Ingress {
                packet.iif = ifindex;
            }
            let (walk, end) = explain(&mut tree.clone(), &mut packet, question);
            Explained { name, walk, end }
        })
        .collect();
    let printing =
        print::Printing { device: &question.device, direction: question.direction, registry, names: &*names };
    printing.print(&explained, session)
}

fn explain(tree: &mut Tree, packet: &mut Packet, question: &Question) -> (Walk, Result<End, CannotKnow>) {
    let mut walk = Walk::default().conform(question.conform);
    let end = match question.direction {
        Direction::Egress => tree.send(packet, &mut walk),
        Direction::Ingress => tree.receive(packet, &mut walk),
    };
    (walk, end)
}
