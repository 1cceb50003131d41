//! `completions` and `man`: made from the definitions of all commands.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command};
use clap_complete::{Shell, generate};
use tc_core::{Registered, TcOps, TcType};

use crate::command::class::CLASS;
use crate::command::filter::{CHAIN, FILTER};
use crate::command::qdisc::QDISC;
use crate::command::{actions, monitor};
use crate::context::extension::Extension;
use crate::context::failure::Failure;
use crate::context::globals::{EXTENSION_OPTIONS, OPTIONS};
use crate::context::output;
use crate::context::session::Session;

/// `tc-cli completions SHELL`
pub(super) const COMPLETIONS: Extension = Extension {
    name: "completions",
    about: "Write a completion script for a shell",
    words: |command| {
        let shells = clap::value_parser!(Shell);
        command.arg(Arg::new("shell").required(true).value_parser(shells).help("The shell"))
    },
    run: |matches, session| {
        let Some(shell) = matches.get_one::<Shell>("shell") else { return Ok(()) };
        let mut script = Vec::new();
        generate(*shell, &mut tree(session), "tc-cli", &mut script);
        output::say(&String::from_utf8_lossy(&script))
    },
};

/// `tc-cli man`
pub(super) const MAN: Extension = Extension {
    name: "man",
    about: "Write the man page, as roff",
    words: |command| command,
    run: |_, session| {
        let mut page = Vec::new();
        clap_mangen::Man::new(tree(session)).render(&mut page).map_err(Failure::Output)?;
        output::say(&String::from_utf8_lossy(&page))
    },
};

/// All commands, as clap sees them.
fn tree(session: &Session<'_>) -> Command {
    let mut tree = Command::new("tc-cli")
        .about("Show and change traffic control, as tc does")
        .disable_help_flag(true)
        .disable_help_subcommand(true);
    for option in OPTIONS.iter().filter(|option| !option.help.is_empty()) {
        let mut arg = Arg::new(option.name).help(option.help).long(&option.name[1..]);
        arg = match option.value {
            "" => arg.action(ArgAction::SetTrue),
            // -color=auto
            value if option.name == "-color" => arg.value_name(value).num_args(0..=1).require_equals(true),
            value => arg.value_name(value),
        };
        tree = tree.arg(arg);
    }
    for (name, help) in EXTENSION_OPTIONS {
        tree = tree.arg(Arg::new(*name).long(&name[2..]).help(*help).action(ArgAction::SetTrue));
    }
    let kinds = |tc_type: TcType| -> Vec<&'static str> {
        let ops = session.registry.iter().map(Registered::ops);
        ops.filter(|ops| ops.tc_type() == tc_type).map(TcOps::kind).collect()
    };
    let qdisc = object("qdisc", "Queueing disciplines", &QDISC.words(), &kinds(TcType::Qdisc));
    let class = object("class", "Classes of qdiscs", &CLASS.words(), &kinds(TcType::Class));
    let filter = object("filter", "Filters", &FILTER.words(), &kinds(TcType::Filter));
    let chain = object("chain", "Chains of filters", &CHAIN.words(), &kinds(TcType::Filter));
    let actions =
        object("actions", "Actions that stand for themselves", &actions::words(), &kinds(TcType::Action));
    let monitor = object("monitor", "Show changes as they happen", &[("", monitor::WORDS)], &[]);
    tree.subcommands([qdisc, class, filter, chain, actions, monitor])
        .subcommands(session.extensions.iter().map(Extension::definition))
}

/// An object, with verbs that take words in any order, and kinds.
fn object(
    name: &'static str,
    about: &'static str,
    verbs: &[(&'static str, &'static [&'static str])],
    kinds: &[&'static str],
) -> Command {
    let mut object = Command::new(name).about(about).disable_help_flag(true);
    for (verb, parameters) in verbs {
        let kinds = if *verb == "show" { &[] } else { kinds };
        let values = PossibleValuesParser::new(parameters.iter().chain(kinds).copied());
        let words = Arg::new("words").num_args(0..).value_parser(values).help("As tc has them");
        object = match *verb {
            "" => object.arg(words),
            verb => object.subcommand(Command::new(verb).disable_help_flag(true).arg(words)),
        };
    }
    object
}
