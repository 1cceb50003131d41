//! The options before the object: `tc`'s, in its own order of prefixes.

use tc_core::words::{WordError, Words, is_prefix};

use super::extension::{self, Extension, Extensions};
use super::failure::Failure;

/// The options before the object. Reading them does no I/O.
#[derive(Clone, Debug, Default)]
pub(crate) struct Globals {
    /// `-s`, also doubled: counters too.
    pub(crate) stats: bool,
    /// `-d`
    pub(crate) details: bool,
    /// `-r`
    pub(crate) raw: bool,
    /// `-p`
    pub(crate) pretty: bool,
    /// `-j`
    pub(crate) json: bool,
    /// `-g`: classes as a tree.
    pub(crate) graph: bool,
    /// `-iec`
    pub(crate) iec: bool,
    /// `-N`
    pub(crate) numeric: bool,
    /// `-o`
    pub(crate) oneline: bool,
    /// `-br`: filters and actions without their options.
    pub(crate) brief: bool,
    /// `-force`: a batch goes on after a failure.
    pub(crate) force: bool,
    /// `-echo`: show what the kernel made of a request.
    pub(crate) echo: bool,
    /// `-b`
    pub(crate) batch: Option<String>,
    /// `-n`
    pub(crate) netns: Option<String>,
    /// `-nm`: names of classes.
    pub(crate) names: bool,
    /// `-cf`: where they stand.
    pub(crate) names_file: Option<String>,
    /// `-color`
    pub(crate) color: When,
    /// `-t`, `-ts`
    pub(crate) timestamp: Timestamp,
    /// `--dry-run`: print messages instead of sending them.
    pub(crate) dry_run: bool,
    /// `--as-tc`: send the bytes of `tc`.
    pub(crate) as_tc: bool,
    /// `--pipelined`: a batch sends many commands at once, and goes on after a
    /// failure.
    pub(crate) pipelined: bool,
    /// The program has the name `tc`: the options that `tc` does not have are not there.
    pub(crate) as_plain_tc: bool,
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum When {
    #[default]
    Never,
    Always,
    /// On a terminal.
    Auto,
}

/// The form of the time before a notice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Timestamp {
    #[default]
    None,
    Long,
    Short,
}

/// The effect of the options.
pub(crate) enum Parsed<'a> {
    /// The version, and nothing else.
    Version,
    /// The usage text, and nothing else.
    Help,
    /// A command, in the words that are left.
    Run(Globals, Vec<&'a str>),
}

/// One of `tc`'s options.
#[derive(Debug)]
pub(crate) struct GlobalOption {
    /// Its name, which may be shortened.
    pub(crate) name: &'static str,
    /// The name of its value; empty without a value.
    pub(crate) value: &'static str,
    /// One line of help; empty for another name of the same option.
    pub(crate) help: &'static str,
    flag: Flag,
}

/// `tc`'s options in the order in which it compares them: the first that a word
/// is a beginning of is meant.
#[rustfmt::skip]
pub(crate) const OPTIONS: &[GlobalOption] = &[
    option("-stats", Flag::Stats, "", ""),
    option("-statistics", Flag::Stats, "", "Show counters too"),
    option("-details", Flag::Details, "", "Show more details"),
    option("-raw", Flag::Raw, "", "Show raw handles and ticks too"),
    option("-pretty", Flag::Pretty, "", "With -json: indent it"),
    option("-graph", Flag::Graph, "", "Show classes as a tree"),
    option("-Version", Flag::Version, "", "Show the version"),
    option("-iec", Flag::Iec, "", "Show rates in units of 1024"),
    option("-help", Flag::Help, "", "Show the usage text"),
    option("-force", Flag::Force, "", "Go on with a batch after a failure"),
    option("-batch", Flag::Batch, "FILE", "Run the commands of a file, or of standard input (-)"),
    option("-netns", Flag::Netns, "NAME", "Work in another network namespace"),
    option("-Numeric", Flag::Numeric, "", "Show numbers in place of names"),
    option("-names", Flag::Names, "", "Show names of classes"),
    option("-nm", Flag::Names, "", ""),
    option("-cf", Flag::NamesFile, "", ""),
    option("-conf", Flag::NamesFile, "FILE", "Read the names of classes from this file"),
    option("-color", Flag::Color, "WHEN", "Use colours: always, auto or never"),
    option("-timestamp", Flag::Timestamp, "", "Show the time of each notice"),
    option("-tshort", Flag::ShortTimestamp, "", "Show the time of each notice, in short"),
    option("-json", Flag::Json, "", "Show JSON"),
    option("-oneline", Flag::Oneline, "", "Show each object on one line"),
    option("-brief", Flag::Brief, "", "Show filters and actions in brief"),
];

/// The additional options, which can be anywhere.
pub(crate) const EXTENSION_OPTIONS: &[(&str, &str)] = &[
    ("--dry-run", "Show messages in place of sending them"),
    ("--as-tc", "Send the same bytes as tc, rate tables included"),
    ("--pipelined", "Send many commands of a batch at once; go on after a failure"),
];

const fn option(name: &'static str, flag: Flag, value: &'static str, help: &'static str) -> GlobalOption {
    GlobalOption { name, value, help, flag }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flag {
    Stats,
    Details,
    Raw,
    Pretty,
    Graph,
    Version,
    Iec,
    Help,
    Force,
    Batch,
    Netns,
    Numeric,
    Names,
    NamesFile,
    Color,
    Timestamp,
    ShortTimestamp,
    Json,
    Oneline,
    Brief,
    Echo,
}

impl Globals {
    /// Reads the options at the front of the command line, and removes the additional
    /// ones from the rest.
    pub(crate) fn parse<'a>(words: &'a [&'a str], extensions: Extensions) -> Result<Parsed<'a>, Failure> {
        let mut globals = Self { as_plain_tc: extensions.is_empty(), ..Self::default() };
        let mut words = Words::new(words);
        while let Some(word) = words.peek().filter(|word| word.starts_with('-')) {
            words.next();
            if globals.take_extension(word) {
                continue;
            }
            match find(word)? {
                Flag::Version => return Ok(Parsed::Version),
                Flag::Help => return Ok(Parsed::Help),
                flag => globals.set(flag, word, &mut words)?,
            }
        }
        let mut rest = match words.peek().and_then(|word| extension::find(extensions, word)) {
            Some(extension) => globals.take_after(extension, words.rest())?,
            None => words.rest().to_vec(),
        };
        globals.take_extensions(&mut rest);
        Ok(Parsed::Run(globals, rest))
    }

    /// Removes the additional options from the words of a command. They can be anywhere
    /// before `--`: later words belong to another program.
    pub(crate) fn take_extensions(&mut self, words: &mut Vec<&str>) {
        if !words.iter().any(|word| word.starts_with("--")) {
            return;
        }
        let mut ours = true;
        words.retain(|word| {
            ours &= *word != "--";
            !ours || !self.take_extension(word)
        });
    }

    /// Removes `tc`'s options from the words of an additional command, up to `--`. Options of the command
    /// itself stay.
    fn take_after<'a>(
        &mut self,
        extension: &Extension,
        words: &'a [&'a str],
    ) -> Result<Vec<&'a str>, Failure> {
        if !words.iter().any(|word| word.starts_with('-')) {
            return Ok(words.to_vec());
        }
        let definition = extension.definition();
        let mut kept = Vec::with_capacity(words.len());
        let mut rest = Words::new(words);
        while let Some(word) = rest.next() {
            if word == "--" {
                kept.push(word);
                kept.extend(rest.rest());
                break;
            }
            // `-` is standard input, and what follows `dev` is a device.
            let is_option = word.len() > 1 && word.starts_with('-') && kept.last() != Some(&"dev");
            let flag = if is_option && !has_option(&definition, word) { find(word).ok() } else { None };
            match flag {
                None | Some(Flag::Version | Flag::Help | Flag::Batch) => kept.push(word),
                Some(flag) => self.set(flag, word, &mut rest)?,
            }
        }
        Ok(kept)
    }

    fn take_extension(&mut self, word: &str) -> bool {
        match word {
            _ if self.as_plain_tc => return false,
            "--dry-run" => self.dry_run = true,
            "--as-tc" => self.as_tc = true,
            "--pipelined" | "--packed" => self.pipelined = true,
            _ => return false,
        }
        true
    }

    fn set(&mut self, flag: Flag, word: &str, words: &mut Words<'_>) -> Result<(), Failure> {
        match flag {
            Flag::Stats => self.stats = true,
            Flag::Details => self.details = true,
            Flag::Raw => self.raw = true,
            Flag::Pretty => self.pretty = true,
            Flag::Graph => self.graph = true,
            Flag::Iec => self.iec = true,
            Flag::Force => self.force = true,
            Flag::Numeric => self.numeric = true,
            Flag::Names => self.names = true,
            Flag::Json => self.json = true,
            Flag::Oneline => self.oneline = true,
            Flag::Echo => self.echo = true,
            Flag::Timestamp if self.timestamp == Timestamp::None => self.timestamp = Timestamp::Long,
            Flag::Timestamp => {}
            Flag::ShortTimestamp => self.timestamp = Timestamp::Short,
            Flag::Color => self.color = color(word).unwrap_or_default(),
            Flag::Batch => {
                // tc 6.1 prints its usage and succeeds; later versions print this.
                let missing = || Failure::Words("Error: argument \"batch file\" is required".to_owned());
                self.batch = Some(words.next().ok_or_else(missing)?.to_owned());
            }
            Flag::Netns => self.netns = Some(value(words)?),
            Flag::NamesFile => self.names_file = Some(value(words)?),
            Flag::Brief => self.brief = true,
            // These never come here.
            Flag::Version | Flag::Help => {}
        }
        Ok(())
    }
}

/// Whether a command or one of those below it has this long option.
fn has_option(command: &clap::Command, word: &str) -> bool {
    let Some(name) = word.strip_prefix("--") else { return false };
    command.get_arguments().any(|argument| argument.get_long() == Some(name))
        || command.get_subcommands().any(|below| has_option(below, word))
}

fn value(words: &mut Words<'_>) -> Result<String, WordError> {
    words.value().map(str::to_owned)
}

fn find(word: &str) -> Result<Flag, Failure> {
    // With two dashes: the whole name, as shells complete it.
    let whole = |option: &&GlobalOption| word.strip_prefix('-').is_some_and(|name| name == option.name);
    let meant = |option: &&GlobalOption| match option.flag {
        Flag::Color => color(word).is_some(),
        _ => is_prefix(word, option.name),
    };
    let found = OPTIONS.iter().find(whole).or_else(|| OPTIONS.iter().find(meant));
    match (found, word) {
        (Some(option), _) => Ok(option.flag),
        (None, "--version") => Ok(Flag::Version),
        (None, "-echo" | "--echo") => Ok(Flag::Echo),
        (None, _) => Err(Failure::Words(format!("Option \"{word}\" is unknown, try \"tc -help\"."))),
    }
}

/// `-color`, `-color=always`, `-color=auto` or `-color=never`, shortened or not.
fn color(word: &str) -> Option<When> {
    let (name, when) = word.split_once('=').unwrap_or((word, ""));
    if !is_prefix(name, "-color") && name != "--color" {
        return None;
    }
    match when {
        "" | "always" => Some(When::Always),
        "auto" => Some(When::Auto),
        "never" => Some(When::Never),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extensions::EXTENSIONS;

    fn parse(words: &[&str]) -> (Globals, Vec<String>) {
        match Globals::parse(words, EXTENSIONS) {
            Ok(Parsed::Run(globals, rest)) => (globals, rest.into_iter().map(str::to_owned).collect()),
            _ => panic!("{words:?} run nothing"),
        }
    }

    #[test]
    fn a_prefix_means_the_first_option_in_tcs_order() {
        assert!(parse(&["-s"]).0.stats && parse(&["-statis"]).0.stats && parse(&["-"]).0.stats);
        assert_eq!(parse(&["-n", "x"]).0.netns.as_deref(), Some("x"));
        assert!(parse(&["-na"]).0.names && parse(&["-nm"]).0.names && parse(&["-N"]).0.numeric);
        assert_eq!(parse(&["-c", "x"]).0.names_file.as_deref(), Some("x"), "-c is -cf");
        assert_eq!(parse(&["-col"]).0.color, When::Always);
        assert_eq!(parse(&["-color=auto"]).0.color, When::Auto);
        assert_eq!(parse(&["-b", "x"]).0.batch.as_deref(), Some("x"));
        assert_eq!(parse(&["-br"]).0.batch, None);
        assert_eq!(parse(&["-t"]).0.timestamp, Timestamp::Long);
        assert_eq!(parse(&["-ts", "-t"]).0.timestamp, Timestamp::Short);
    }

    #[test]
    fn what_is_no_option_is_named() {
        for word in ["-x", "-e", "-color=x", "-jsons", "--"] {
            let Err(failure) = Globals::parse(&[word], EXTENSIONS) else { panic!("{word} is an option") };
            assert_eq!(failure.to_string(), format!("Option \"{word}\" is unknown, try \"tc -help\"."));
        }
    }

    #[test]
    fn own_options_stand_anywhere() {
        let (globals, rest) = parse(&["--dry-run", "qdisc", "add", "--as-tc"]);
        assert!(globals.dry_run && globals.as_tc);
        assert_eq!(rest, ["qdisc", "add"]);
        let (globals, rest) = parse(&["plug", "--", "make", "--dry-run"]);
        assert!(!globals.dry_run);
        assert_eq!(rest, ["plug", "--", "make", "--dry-run"]);
        assert!(parse(&["--json"]).0.json && parse(&["--color=never"]).0.color == When::Never);
    }

    #[test]
    fn options_of_tc_when_after_an_own_command_then_taken() {
        let (globals, rest) = parse(&["plug", "status", "-j", "--dev", "d0", "-n", "blue", "--dry-run"]);
        assert!(globals.json && globals.dry_run);
        assert_eq!(globals.netns.as_deref(), Some("blue"));
        assert_eq!(rest, ["plug", "status", "--dev", "d0"]);
        let (globals, rest) = parse(&["plug", "hold", "--netns", "a", "-s", "--", "ls", "-j"]);
        assert!(globals.stats && !globals.json && globals.netns.is_none());
        assert_eq!(rest, ["plug", "hold", "--netns", "a", "--", "ls", "-j"]);
        let (globals, rest) = parse(&["diff", "-", "-p", "dev", "-j"]);
        assert!(globals.pretty && !globals.json);
        assert_eq!(rest, ["diff", "-", "dev", "-j"]);
        assert_eq!(parse(&["kinds", "-V", "-h"]).1, ["kinds", "-V", "-h"]);
        // tc's commands keep their words.
        assert_eq!(parse(&["qdisc", "show", "-j"]).1, ["qdisc", "show", "-j"]);
    }
}
