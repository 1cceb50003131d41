//! The shared state of the commands of one run: one connection, one output.

use std::env;
use std::io::{self, IsTerminal as _};

use tc_core::link::DeviceNames;
use tc_core::netns::Namespace;
use tc_core::print::{Color, Form, Style};
use tc_core::words::Environment;
use tc_core::{ChangeWatch, Connection, DumpRequest, Registry};

use super::devices::{Devices, IfindexCache};
use super::environment::Machine;
use super::extension::Extensions;
use super::failure::{Failure, reason};
use super::globals::{Globals, When};
use super::names::ClassNames;
use super::object_names::ObjectNames;
use super::output::Output;
use super::report::Report;

/// The context in which words are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ParseContext<'m> {
    /// The known kinds.
    pub(crate) registry: &'static Registry,
    /// The machine, for the few words that depend on it.
    pub(crate) environment: &'m dyn Environment,
    /// The commands that `tc` does not have.
    pub(crate) extensions: Extensions,
}

/// One run of the program.
#[derive(Debug)]
pub(crate) struct Session<'r> {
    pub(crate) globals: Globals,
    pub(crate) report: &'r Report,
    pub(crate) registry: &'static Registry,
    pub(crate) output: Output,
    pub(crate) names: ClassNames,
    pub(crate) extensions: Extensions,
    pub(crate) machine: Machine,
    kernel: Option<Kernel>,
    recent: IfindexCache,
}

impl<'r> Session<'r> {
    /// Resolves what the options mean on this machine. Nothing is opened yet,
    /// apart from the network namespace that was asked for.
    pub(crate) fn new(globals: Globals, report: &'r Report, extensions: Extensions) -> Result<Self, Failure> {
        if let Some(name) = &globals.netns {
            enter(name)?;
        }
        let form = match (globals.json, globals.pretty) {
            (false, _) => Form::Text,
            (true, false) => Form::Json,
            (true, true) => Form::PrettyJson,
        };
        let output = Output::new(form, style(&globals));
        let machine = Machine::new(*report, globals.netns.is_some());
        let registry = Registry::global()?;
        let names = match globals.names {
            true => ClassNames::load(globals.names_file.as_deref(), report)?,
            false => ClassNames::default(),
        };
        Ok(Self {
            globals,
            report,
            registry,
            output,
            names,
            extensions,
            machine,
            kernel: None,
            recent: IfindexCache::default(),
        })
    }

    /// Writes the output, also of a command that failed. Every failure is reported; the
    /// command's takes precedence.
    pub(crate) fn written(&mut self, done: Result<(), Failure>) -> Result<(), Failure> {
        let written = self.output.flush();
        if let (Err(_), Err(unwritten)) = (&done, &written) {
            self.report.failure(unwritten);
        }
        done.and(written)
    }

    /// Drops cached facts that the next command can make wrong.
    pub(crate) fn before_command(&mut self, is_change: bool) {
        if !is_change {
            // It may take its time, or change devices.
            self.recent.forget();
        } else if let Some(kernel) = &mut self.kernel {
            kernel.watch.close();
        }
    }

    /// The context for words, with this machine.
    pub(crate) const fn parse_context<'m>(&self, machine: &'m Machine) -> ParseContext<'m> {
        ParseContext { registry: self.registry, environment: machine, extensions: self.extensions }
    }

    /// A machine that keeps warnings to itself.
    pub(crate) fn silent_machine(&self) -> Machine {
        self.machine.silent()
    }

    /// Before a batch waits for more lines: what was printed is written, and
    /// what is looked up for them is looked up when they have come.
    pub(crate) fn before_waiting(&mut self) -> Result<(), Failure> {
        self.recent.forget();
        self.output.flush()
    }

    /// The connection and what is printed, each to be borrowed by itself. The
    /// connection is opened when it is first needed.
    pub(crate) fn kernel(&mut self) -> Result<(&mut Kernel, &mut Output), Failure> {
        let kernel = match &mut self.kernel {
            Some(kernel) => kernel,
            none => {
                let kernel = Kernel::open()?;
                self.output.printer.set_names(kernel.names()?);
                none.insert(kernel)
            }
        };
        Ok((kernel, &mut self.output))
    }

    /// Takes the connection out, to be used beside the rest; it is to be
    /// [put back](Self::put_kernel).
    pub(crate) fn take_kernel(&mut self) -> Option<Kernel> {
        let mut kernel = self.kernel.take()?;
        kernel.watch.close();
        Some(kernel)
    }

    pub(crate) fn put_kernel(&mut self, kernel: Kernel) {
        self.kernel = Some(kernel);
    }

    /// The environment of words.
    pub(crate) fn machine(&self) -> Machine {
        self.machine.clone()
    }

    /// The style of the output.
    pub(crate) const fn style(&self) -> Style {
        *self.output.printer.style()
    }

    /// The index of a device.
    pub(crate) fn ifindex(&mut self, name: &str) -> Result<i32, Failure> {
        self.kernel()?.0.ifindex(name)
    }

    /// The index of a device for a change, which may be a [`IfindexCache`] one.
    pub(crate) fn recent_ifindex(&mut self, name: &str) -> Result<i32, Failure> {
        if let Some(ifindex) = self.recent.ifindex(name) {
            return Ok(ifindex);
        }
        let ifindex = self.kernel()?.0.ifindex(name)?;
        self.recent.found(name, ifindex);
        Ok(ifindex)
    }

    /// The index while the connection is taken out; `None` if no cheap call
    /// finds the device.
    pub(crate) fn recent_ifindex_of(&mut self, name: &str, devices: &Devices) -> Option<i32> {
        self.recent.ifindex(name).or_else(|| {
            let ifindex = devices.ifindex(name)?;
            self.recent.found(name, ifindex);
            Some(ifindex)
        })
    }

    /// Clears the cached look-ups.
    pub(crate) fn forget_recent(&mut self) {
        self.recent.forget();
    }
}

/// The kernel's side of a run.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) connection: Connection,
    pub(crate) devices: Devices,
    pub(crate) watch: Watch,
}

impl Kernel {
    fn open() -> Result<Self, Failure> {
        let failed = cannot_open;
        let connection = Connection::open().map_err(failed)?;
        let devices = Devices::new(connection.device_names().map_err(failed)?);
        Ok(Self { connection, devices, watch: Watch::default() })
    }

    /// Names for what prints devices by itself.
    pub(crate) fn names(&self) -> Result<Box<dyn DeviceNames>, Failure> {
        let devices = self.connection.device_names().map_err(cannot_open)?;
        Ok(Box::new(ObjectNames(devices)))
    }

    fn ifindex(&mut self, name: &str) -> Result<i32, Failure> {
        if let Some(ifindex) = self.devices.ifindex(name) {
            return Ok(ifindex);
        }
        // It finds alternative names too, and has the reason of a failure.
        self.connection.ifindex(name).map_err(|error| match error.is_not_found() || name.is_empty() {
            true => Failure::NoDevice(name.to_owned()),
            false => Failure::Request { error, kind: String::new() },
        })
    }
}

/// Detects changes while lists are read. Opened for the first list, and closed before a change: while it is
/// open, each change costs the kernel a notice more.
#[derive(Debug, Default)]
pub(crate) struct Watch(Option<ChangeWatch>);

impl Watch {
    /// Reads lists until nothing changes meanwhile.
    pub(crate) fn read<R>(
        &mut self,
        object: &str,
        work: impl FnMut() -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        self.open()?.read(object, work).map_err(Failure::List)?
    }

    fn open(&mut self) -> Result<&mut ChangeWatch, Failure> {
        Ok(match &mut self.0 {
            Some(watch) => watch,
            none => none.insert(ChangeWatch::open().map_err(cannot_open)?),
        })
    }

    /// Before a list that is shown as it comes.
    pub(crate) fn start(&mut self, report: &Report) {
        let started = match self.open() {
            Ok(watch) => watch.reset().map_err(|error| error.to_string()),
            Err(failure) => Err(failure.to_string()),
        };
        if let Err(error) = started {
            report.warning(&format!("{UNKNOWN}: {error}"));
            self.close();
        }
    }

    /// After such a list, if it took several datagrams: warns if something changed meanwhile.
    pub(crate) fn end(&mut self, select: &DumpRequest, report: &Report) {
        // Without a watch the warning is already printed.
        let Some(watch) = &mut self.0 else { return };
        match watch.changed(select) {
            Ok(false) => {}
            Ok(true) => report.warning(CHANGED),
            Err(error) => report.warning(&format!("{UNKNOWN}: {error}")),
        }
    }

    fn close(&mut self) {
        self.0 = None;
    }
}

/// As [`tc_core::Cause::Interrupted`] has it.
const CHANGED: &str = "The list changed while it was read: entries may be missing or doubled.";
const UNKNOWN: &str = "Cannot see whether the list changed while it was read";

fn cannot_open(error: tc_core::Error) -> Failure {
    Failure::System(format!("Cannot open netlink socket: {error}"))
}

fn enter(name: &str) -> Result<(), Failure> {
    let failed = |text: String| {
        move |error: tc_core::Error| {
            Failure::Words(match error.cause() {
                tc_core::Cause::System(error) => format!("{text}: {}", reason(error)),
                cause => format!("{text}: {cause}"),
            })
        }
    };
    let namespace = Namespace::open(super::environment::path(name))
        .map_err(failed(format!("Cannot open network namespace \"{name}\"")))?;
    namespace.enter().map_err(failed(format!("setting the network namespace \"{name}\" failed")))
}

fn style(globals: &Globals) -> Style {
    Style {
        stats: globals.stats,
        details: globals.details,
        raw: globals.raw,
        iec: globals.iec,
        numeric: globals.numeric,
        pretty: globals.pretty,
        oneline: globals.oneline,
        color: has_color(globals).then(palette),
    }
}

fn has_color(globals: &Globals) -> bool {
    let unwanted = || env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match globals.color {
        _ if globals.json => false,
        When::Never => false,
        When::Always => true,
        When::Auto => io::stdout().is_terminal() && !unwanted(),
    }
}

/// `COLORFGBG` is `foreground;background`, where 0 to 6 and 8 are dark.
fn palette() -> Color {
    let colors = env::var("COLORFGBG").unwrap_or_default();
    match colors.rsplit_once(';').map(|(_, background)| background.as_bytes()) {
        Some([b'0'..=b'6' | b'8']) => Color::Dark,
        _ => Color::Light,
    }
}
