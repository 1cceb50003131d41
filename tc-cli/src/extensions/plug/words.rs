//! Arguments of several commands.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches};
use tc_core::units::{parse_rate, parse_size, parse_time_ns};
use tc_qdiscs::plug::commit::{GuardianCommand, JOURNAL_DIR, Limit, OnDeath, OnTaint, TrafficLoad};

use crate::context::environment::path;
use crate::context::failure::Failure;

pub(super) fn dev() -> Arg {
    Arg::new("dev").long("dev").value_name("DEV").required(true).help("The device")
}

pub(super) fn devs() -> Arg {
    dev().action(ArgAction::Append).help("The device; may be given more than once")
}

/// `plug limit` asks for it.
pub(super) fn limit() -> Arg {
    let read = |text: &str| match parse_size(text).map(NonZeroU32::new) {
        Ok(Some(bytes)) => Ok(Limit::bytes(bytes)),
        Ok(None) => Err("a limit of 0 drops every packet".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let help = "The most bytes held, such as 16M; packets above it are dropped";
    Arg::new("limit").long("limit").value_name("SIZE").required(true).value_parser(read).help(help)
}

/// The limit of a session, or the numbers from which it is computed.
pub(super) fn limits() -> [Arg; 4] {
    let help = "The most bytes held (of a ring: in each band), such as 16M; packets above it are dropped. \
                Computed from --rate, --epoch and --replication, or that of plug attach, where it is not given";
    let rate = Arg::new("rate").long("rate").value_name("RATE").value_parser(rate);
    let epoch = Arg::new("epoch").long("epoch").value_name("TIME").value_parser(time);
    let replication = Arg::new("replication").long("replication").value_name("TIME").value_parser(time);
    [
        limit().required(false).help(help),
        rate.help("The most that the device sends, such as 1gbit").conflicts_with("limit"),
        epoch.help("The longest time that an epoch is open, such as 25ms").requires("rate"),
        replication.help("The longest time from its end to its acknowledgement").requires("rate"),
    ]
}

fn rate(text: &str) -> Result<u64, String> {
    match parse_rate(text) {
        Ok(0) => Err("a rate of 0 sends nothing".to_owned()),
        Ok(rate) => Ok(rate),
        Err(error) => Err(error.to_string()),
    }
}

pub(super) fn max_hold() -> Arg {
    let help = "The longest time that packets are held, such as 2s or 500ms; then they are released";
    Arg::new("max-hold").long("max-hold").value_name("TIME").value_parser(time).help(help)
}

pub(super) fn on_death() -> Arg {
    let values = PossibleValuesParser::new(["open", "closed"]);
    let help = "If this process dies: release held packets (open), or hold them until plug rescue (closed)";
    Arg::new("on-death").long("on-death").required(true).value_parser(values).help(help)
}

pub(super) fn journal_dir() -> Arg {
    let help = "The directory of journals";
    let dir = Arg::new("journal-dir").long("journal-dir").value_name("DIR").help(help);
    dir.default_value(JOURNAL_DIR).value_parser(|word: &str| Ok::<_, Infallible>(path(word)))
}

pub(super) fn the_dev(words: &ArgMatches) -> &str {
    words.get_one::<String>("dev").map_or("", String::as_str)
}

pub(super) fn the_devs(words: &ArgMatches) -> Vec<&str> {
    words.get_many::<String>("dev").into_iter().flatten().map(String::as_str).collect()
}

pub(super) fn the_limit(words: &ArgMatches) -> Limit {
    // clap has asked for it.
    words.get_one("limit").copied().unwrap_or(Limit::bytes(NonZeroU32::MIN))
}

/// The limit of a session: as given, as computed, or that of the plugs of `plug attach`.
pub(super) fn the_session_limit(
    name: &str,
    words: &ArgMatches,
    attached: impl Iterator<Item = u32>,
) -> Result<Limit, Failure> {
    let refused = |why: String| Failure::Words(format!("plug {name}: {why}; nothing was changed"));
    if let Some(limit) = words.get_one::<Limit>("limit") {
        return Ok(*limit);
    }
    let time = |word: &str| words.try_get_one::<Duration>(word).ok().flatten().copied();
    let Some(&bytes_per_second) = words.get_one::<u64>("rate") else {
        let limit = attached.filter_map(NonZeroU32::new).max().map(Limit::bytes);
        return limit.ok_or_else(|| {
            refused("--limit SIZE is needed, or --rate, --epoch and --replication to compute it".to_owned())
        });
    };
    // A hold is one epoch, which ends at its deadline.
    let deadline = time("max-hold").filter(|_| name == "hold");
    let (epoch, replication) = match (time("epoch").or(deadline), time("replication")) {
        (Some(epoch), Some(replication)) => (epoch, replication),
        (Some(epoch), None) if name == "hold" => (epoch, Duration::ZERO),
        (None, _) if name == "hold" => {
            return Err(refused("--rate needs --max-hold or --epoch, the longest time of a hold".to_owned()));
        }
        _ => return Err(refused("--rate needs --epoch and --replication".to_owned())),
    };
    let load = TrafficLoad { bytes_per_second, epoch, pause: Duration::ZERO, replication };
    load.limit().map_err(|error| refused(error.to_string()))
}

/// What `--on-death` and `--max-hold` come to. The guardian waits a moment longer
/// than the controller, which lets go in better order.
pub(super) fn the_policy(name: &str, words: &ArgMatches) -> Result<(OnTaint, OnDeath), Failure> {
    const GRACE: Duration = Duration::from_secs(1);
    let deadline = words.get_one::<Duration>("max-hold").copied();
    match (words.get_one::<String>("on-death").map(String::as_str), deadline) {
        (Some("open"), Some(deadline)) => {
            let program = std::env::current_exe()
                .map_err(|error| Failure::System(format!("plug {name}: who am I: {error}")))?;
            let guardian = GuardianCommand::new(program).arg("plug").arg("guardian");
            let deadline = deadline.saturating_add(GRACE);
            Ok((OnTaint::FailOpen, OnDeath::OpenAfter { deadline, guardian }))
        }
        (Some("open"), None) => Err(Failure::Words(format!(
            "plug {name}: --on-death open needs --max-hold, the time after which a controller that hangs counts as \
             dead; nothing was changed"
        ))),
        _ => Ok((OnTaint::FailClosed, OnDeath::StayClosed)),
    }
}

/// A time with its unit: a bare number means something else to everybody.
fn time(text: &str) -> Result<Duration, String> {
    let expected = "a time with a unit, such as 2s or 500ms";
    let ns = parse_time_ns(text).map_err(|error| error.to_string())?;
    let bare = text.ends_with(|last: char| last.is_ascii_digit() || last == '.');
    match u64::try_from(ns) {
        Ok(ns) if ns > 0 && !bare => Ok(Duration::from_nanos(ns)),
        _ => Err(expected.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(time("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["2", "0s", "-1s", "x", ""] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
