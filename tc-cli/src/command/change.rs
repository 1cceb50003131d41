//! Requests: the words that qdiscs and classes share, and what becomes of them.

use std::sync::LazyLock;

use tc_core::ack::ExtAck;
use tc_core::words::{WordError, Words, WordsContext};
use tc_core::{
    Cause, ClassIds, Connection, Error, Estimator, FilterPlace, Handle, Options, Request, Stab, TcOps,
    TcType, Verb,
};

use super::dry_run;
use crate::context::failure::{Failure, sentence};
use crate::context::session::{ParseContext, Session};
use crate::show::Place;
use crate::show::{Show, Shown};

/// One request, with the device still a name.
#[derive(Debug)]
pub(crate) struct Change<'a> {
    pub(crate) tc_type: TcType,
    pub(crate) verb: Verb,
    pub(crate) dev: Option<&'a str>,
    pub(crate) handle: Handle,
    pub(crate) parent: Handle,
    pub(crate) kind: &'a str,
    pub(crate) ops: Option<&'static dyn TcOps>,
    pub(crate) options: Option<Box<dyn Options>>,
    pub(crate) stab: Option<Stab>,
    pub(crate) estimator: Option<Estimator>,
    pub(crate) ingress_block: Option<u32>,
    pub(crate) egress_block: Option<u32>,
    /// Of a filter.
    pub(crate) place: Place,
}

impl<'a> Change<'a> {
    pub(crate) const fn new(tc_type: TcType, verb: Verb) -> Self {
        Self {
            tc_type,
            verb,
            dev: None,
            handle: Handle::UNSPEC,
            parent: Handle::UNSPEC,
            kind: "",
            ops: None,
            options: None,
            stab: None,
            estimator: None,
            ingress_block: None,
            egress_block: None,
            place: Place::NONE,
        }
    }

    /// Reads the value of `dev`.
    pub(crate) fn take_dev(&mut self, words: &mut Words<'a>) -> Result<(), WordError> {
        let name = words.value()?;
        if self.dev.is_some() {
            return Err(WordError::duplicate("dev", name));
        }
        self.dev = device_name(name);
        Ok(())
    }

    /// Reads the value of `parent`.
    pub(crate) fn take_parent(&mut self, words: &mut Words<'a>) -> Result<(), WordError> {
        let word = words.value()?;
        if !self.parent.is_unspec() {
            return Err(WordError::duplicate("parent", word));
        }
        self.parent = class_id(word, "invalid parent ID")?;
        Ok(())
    }

    /// Reads the values of `estimator`.
    pub(crate) fn take_estimator(&mut self, words: &mut Words<'a>) -> Result<(), WordError> {
        if self.estimator.is_some() {
            return Err(WordError::duplicate("estimator", words.value()?));
        }
        self.estimator = Some(Estimator::parse_words(words)?);
        Ok(())
    }

    /// Reads the kind's own words, which are all that are left.
    pub(crate) fn take_kind(
        &mut self,
        kind: &'a str,
        words: Words<'a>,
        context: ParseContext<'_>,
    ) -> Result<(), Failure> {
        self.take_kind_at(&FilterPlace::default(), kind, words, context).map(drop)
    }

    /// Reads the kind's own words, which are all that are left; returns the
    /// handle of a filter, if the kind is known.
    pub(crate) fn take_kind_at(
        &mut self,
        place: &FilterPlace<'_>,
        kind: &'a str,
        mut words: Words<'a>,
        context: ParseContext<'_>,
    ) -> Result<Option<Handle>, Failure> {
        self.kind = kind;
        self.ops = context.registry.get(self.tc_type, kind);
        let Some(ops) = self.ops else { return self.without_ops(kind, &words, context).map(|()| None) };
        let words_context = WordsContext { verb: self.verb, dev: self.dev, environment: context.environment };
        let read =
            ops.parse_words_at(&mut words, &words_context, place).and_then(|read| match words.peek() {
                None => Ok(read),
                Some(word) => Err(WordError::what_is(word)),
            });
        let (options, handle) = read.map_err(|error| kind_failure(error, ops.usage()))?;
        self.options = options;
        Ok(Some(handle))
    }

    /// A kind of which no operations are known. Without words it is sent as it stands, but for a class:
    /// the kernel takes the class of any kind for one of the qdisc that it is in.
    fn without_ops(&self, kind: &str, words: &Words<'_>, context: ParseContext<'_>) -> Result<(), Failure> {
        let unknown = |word: &str| Failure::UnknownKind {
            tc_type: self.tc_type,
            kind: kind.to_owned(),
            word: word.to_owned(),
        };
        match (self.tc_type, words.peek()) {
            (TcType::Class, _) if context.registry.get(TcType::Qdisc, kind).is_some() => {
                Err(Failure::Kind(format!("Error: Qdisc \"{kind}\" is classless.")))
            }
            (TcType::Class, word) => Err(unknown(word.unwrap_or_default())),
            (_, Some(word)) => Err(unknown(word)),
            (_, None) => Ok(()),
        }
    }

    /// The request, on the device with this index.
    pub(crate) fn request(&self, ifindex: i32, as_tc: bool) -> Request<'_> {
        let request = self.bare_request(ifindex).as_tc(as_tc);
        match self.ops {
            Some(ops) => request.options_of(ops, self.options.as_deref()),
            None => request,
        }
    }

    /// The request, which owns the options.
    pub(crate) fn into_request(self, ifindex: i32) -> Request<'a> {
        let request = self.bare_request(ifindex);
        match (self.options, self.ops) {
            (Some(options), _) => request.with_boxed_options(options),
            (None, Some(ops)) => request.options_of(ops, None),
            (None, None) => request,
        }
    }

    /// The request without options.
    fn bare_request(&self, ifindex: i32) -> Request<'a> {
        let mut request =
            Request::new(self.tc_type, ifindex).handle(self.handle).parent(self.parent).kind(self.kind);
        if self.tc_type == TcType::Filter {
            request = self.place.request(request);
        }
        if let Some(stab) = &self.stab {
            request = request.stab(stab);
        }
        if let Some(estimator) = self.estimator {
            request = request.estimator(estimator);
        }
        if let Some(block) = self.ingress_block {
            request = request.ingress_block(block);
        }
        if let Some(block) = self.egress_block {
            request = request.egress_block(block);
        }
        request
    }

    /// Asks the kernel for it.
    pub(crate) fn run(&self, session: &mut Session<'_>) -> Result<(), Failure> {
        report_estimator(self.estimator, session);
        if session.globals.dry_run {
            return self.dry_run(session);
        }
        let ifindex = self.dev.map(|dev| session.recent_ifindex(dev)).transpose()?.unwrap_or(0);
        let request = self.request(ifindex, session.globals.as_tc);
        if self.verb == Verb::Get {
            return self.show(&request, session);
        }
        let verb = self.verb;
        carry_out(self.tc_type, self.kind, session, |connection| connection.apply(verb, &request))
    }

    /// Asks for the object and shows it.
    fn show(&self, request: &Request<'_>, session: &mut Session<'_>) -> Result<(), Failure> {
        let (registry, names, report) = (session.registry, session.names.clone(), session.report);
        let (kernel, output) = session.kernel()?;
        let entry = kernel.connection.get(request).map_err(Failure::Filter)?;
        let place = Place { block: self.place.block, chains: self.place.chains, ..Place::NONE };
        let show = Show { one_device: self.dev.is_some(), one_place: place, ..Show::all(registry, &names) };
        output.printer.begin_array("");
        let mut shown = Shown::new(&mut output.printer, &mut kernel.devices);
        show.entry(self.tc_type, &entry, &mut shown);
        shown.warnings.iter().for_each(|warning| report.warning(warning));
        output.printer.end_array();
        output.printer.end_document();
        Ok(())
    }

    /// Prints the message instead of sending it. A device that is not there
    /// has the index 0.
    fn dry_run(&self, session: &mut Session<'_>) -> Result<(), Failure> {
        let ifindex = self.dev.and_then(|dev| session.ifindex(dev).ok()).unwrap_or(0);
        let request = self.request(ifindex, session.globals.as_tc);
        let out = &mut session.output.printer;
        out.begin_array("");
        let shown = dry_run::show(self.verb, &request, self.dev.unwrap_or_default(), out);
        out.end_array();
        out.end_document();
        shown.map_err(|error| Failure::Kind(error.to_string()))
    }
}

/// With `-r` tc shows an estimator as the kernel has it.
pub(crate) fn report_estimator(estimator: Option<Estimator>, session: &Session<'_>) {
    if let Some(Estimator { interval, ewma_log }) = estimator.filter(|_| session.globals.raw) {
        session.report.warning(&format!("[estimator i={interval} e={ewma_log}]"));
    }
}

/// Carries out a request for an object of this type, and shows the kernel's warning and echo.
pub(crate) fn carry_out(
    tc_type: TcType,
    kind: &str,
    session: &mut Session<'_>,
    apply: impl FnOnce(&mut Connection) -> Result<Option<ExtAck>, Error>,
) -> Result<(), Failure> {
    let echo = session.globals.echo;
    let (kernel, _) = session.kernel()?;
    kernel.connection.set_echo(echo);
    let warning = apply(&mut kernel.connection).map_err(|error| refused(error, tc_type, kind))?;
    if let Some(message) = warning.and_then(|ext_ack| ext_ack.message) {
        session.report.warning(&sentence("Warning", &message));
    }
    if echo { show_echo(tc_type, session) } else { Ok(()) }
}

/// Shows what the kernel made of a request.
fn show_echo(tc_type: TcType, session: &mut Session<'_>) -> Result<(), Failure> {
    let (registry, names, report) = (session.registry, session.names.clone(), session.report);
    let (kernel, output) = session.kernel()?;
    output.printer.begin_array("");
    let show = Show::all(registry, &names);
    for echoed in kernel.connection.take_echo() {
        let Ok(entry) = echoed.entry() else { continue };
        let mut shown = Shown::new(&mut output.printer, &mut kernel.devices);
        show.entry(tc_type, &entry, &mut shown);
        shown.warnings.iter().for_each(|warning| report.warning(warning));
    }
    output.printer.end_array();
    output.printer.end_document();
    Ok(())
}

/// A request that failed.
pub(crate) fn refused(error: Error, tc_type: TcType, kind: &str) -> Failure {
    match (error.cause(), tc_type) {
        // The kind's error, as if its parser had returned it.
        (Cause::Encode(wrong), _) => Failure::Kind(wrong.to_string()),
        (_, TcType::Filter) => Failure::Filter(error),
        _ => Failure::Request { error, kind: kind.to_owned() },
    }
}

/// The value of `dev`. As in `tc`, an empty one counts as absent.
pub(crate) fn device_name(name: &str) -> Option<&str> {
    Some(name).filter(|name| !name.is_empty())
}

/// Reads the handle of a class, or of a qdisc as a parent; or one's name, where
/// tc knows numbers alone.
pub(crate) fn class_id(word: &str, wrong: &str) -> Result<Handle, WordError> {
    word.parse().or_else(|_| by_name(word, |_| true, wrong))
}

/// Reads the handle of a qdisc, or its name.
pub(crate) fn qdisc_handle(word: &str, wrong: &str) -> Result<Handle, WordError> {
    Handle::parse_qdisc(word).or_else(|_| by_name(word, |handle| handle.minor() == 0, wrong))
}

/// A handle by its name in libnl's file, which is read when a word first is no number.
fn by_name(word: &str, fits: impl Fn(&Handle) -> bool, wrong: &str) -> Result<Handle, WordError> {
    static IDS: LazyLock<Result<ClassIds, String>> =
        LazyLock::new(|| ClassIds::load().map_err(|error| error.to_string()));
    let ids = IDS.as_ref().map_err(|error| WordError::invalid(error, word))?;
    // A number that is wrong here is no name.
    let named = Some(word).filter(|word| word.parse::<Handle>().is_err()).and_then(|word| ids.handle(word));
    named.filter(fits).ok_or_else(|| WordError::invalid(wrong, word))
}

/// Errors of `tc`'s helpers end the program; errors of the kind do not.
pub(crate) fn kind_failure(error: WordError, usage: &str) -> Failure {
    match error {
        WordError::Help => Failure::Kind(usage.to_owned()),
        WordError::KindUsage(text) => Failure::Kind(format!("{text}\n{usage}")),
        WordError::Kind(text) => Failure::Kind(text),
        error => error.into(),
    }
}
