//! Lists of qdiscs, classes and filters.

use rustix::io::Errno;
use tc_core::message::Entry;
use tc_core::uapi::{TCA_EGRESS_BLOCK, TCA_INGRESS_BLOCK};
use tc_core::{Cause, Connection, DumpRequest, Handle, TcType};

use crate::context::failure::Failure;
use crate::context::session::{Kernel, Session};
use crate::show::Place;
use crate::show::{Show, Shown, graph};

/// The objects to list, with the device still a name. Unspecified fields select
/// all.
#[derive(Debug)]
pub(crate) struct List<'a> {
    pub(crate) tc_type: TcType,
    pub(crate) dev: Option<&'a str>,
    pub(crate) parent: Handle,
    pub(crate) handle: Handle,
    /// Classes of this qdisc alone.
    pub(crate) qdisc: Handle,
    pub(crate) invisible: bool,
    /// Of filters.
    pub(crate) place: Place,
}

impl<'a> List<'a> {
    pub(crate) const fn new(tc_type: TcType) -> Self {
        Self {
            tc_type,
            dev: None,
            parent: Handle::UNSPEC,
            handle: Handle::UNSPEC,
            qdisc: Handle::UNSPEC,
            invisible: false,
            place: Place::NONE,
        }
    }

    /// Lists them, as the kernel sends them.
    pub(crate) fn run(&self, session: &mut Session<'_>) -> Result<(), Failure> {
        let ifindex = self.dev.map(|dev| session.ifindex(dev)).transpose()?.unwrap_or(0);
        let report = session.report;
        let names = session.names.clone();
        let as_graph = session.globals.graph && self.tc_type == TcType::Class && !session.globals.json;
        let terse = session.globals.brief;
        let show = Show {
            one_device: ifindex != 0,
            one_qdisc: !self.qdisc.is_unspec(),
            one_parent: self.parent,
            one_place: self.place,
            ..Show::all(session.registry, &names)
        };
        let (Kernel { connection, devices, watch }, output) = session.kernel()?;
        devices.forget();
        if let Some(block) = self.place.block {
            find_block(block, connection)?;
        }
        let mut select = self.select(ifindex, terse);
        // Kernel: most kinds of filter have no terse dump, and end the list.
        if terse
            && connection
                .list(&select)
                .is_err_and(|error| error.errno() == Some(Errno::MSGSIZE.raw_os_error()))
        {
            select = self.select(ifindex, false);
        }
        watch.start(report);
        if as_graph {
            let classes = connection.list(&select).map_err(Failure::List)?;
            watch.end(&select, report);
            let mut shown = Shown::new(&mut output.printer, devices);
            graph::draw(&show, &classes, &mut shown);
            shown.warnings.iter().for_each(|warning| report.warning(warning));
            return Ok(());
        }
        let mut dump = connection.dump(&select).map_err(Failure::List)?;
        output.printer.begin_array("");
        let ended = loop {
            let listed = match dump.next() {
                Ok(Some(listed)) => listed,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            match listed.entry() {
                Ok(entry) if self.is_selected(&entry) => {
                    let mut shown = Shown::new(&mut output.printer, devices);
                    show.entry(self.tc_type, &entry, &mut shown);
                    shown.warnings.iter().for_each(|warning| report.warning(warning));
                    output.flush_piece()?;
                }
                Ok(_) => {}
                Err(error) => report.warning(&format!("{} that cannot be read: {error}", self.tc_type)),
            }
        };
        let is_one_piece = dump.pieces() <= 1;
        drop(dump);
        output.printer.end_array();
        output.printer.end_document();
        if !is_one_piece && ended.is_ok() {
            watch.end(&select, report);
        }
        match ended {
            Err(error) if matches!(error.cause(), Cause::Interrupted(_)) => {
                output.flush()?;
                report.warning("Dump was interrupted and may be inconsistent.");
                Ok(())
            }
            ended => ended.map_err(Failure::List),
        }
    }

    fn select(&self, ifindex: i32, terse: bool) -> DumpRequest {
        let select = DumpRequest::new(self.tc_type, ifindex);
        match self.tc_type {
            // The kernel selects classes by parent, and qdiscs not at all.
            TcType::Class => select.parent(self.parent),
            TcType::Filter => self.place.select(select.parent(self.parent), terse),
            _ if self.invisible => select.invisible(),
            _ => select,
        }
    }

    fn is_selected(&self, entry: &Entry<'_>) -> bool {
        let header = &entry.header;
        let is = |wanted: Handle, found: Handle| wanted.is_unspec() || wanted == found;
        match self.tc_type {
            TcType::Filter => true,
            TcType::Class => is(self.qdisc, header.handle.qdisc_of()) && is(self.handle, header.handle),
            _ => is(self.handle, header.handle) && is(self.parent, header.parent),
        }
    }
}

/// Kernel: of a block that is not there it lists nothing, without an error.
fn find_block(block: u32, connection: &mut Connection) -> Result<(), Failure> {
    let qdiscs = connection.list_confirmed(&DumpRequest::qdiscs()).map_err(Failure::List)?;
    let has =
        |entry: &Entry<'_>, attribute: u16| entry.attr(attribute).is_some_and(|attr| attr.u32() == Ok(block));
    let found = qdiscs.iter().filter_map(|qdisc| qdisc.entry().ok());
    let mut found = found;
    let found = found.any(|qdisc| has(&qdisc, TCA_INGRESS_BLOCK) || has(&qdisc, TCA_EGRESS_BLOCK));
    if found { Ok(()) } else { Err(Failure::Kind(format!("Cannot find block \"{block}\""))) }
}
