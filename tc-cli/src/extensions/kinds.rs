//! `kinds`: what this program knows, and whether the running kernel has it.

use crate::context::extension::Extension;
use crate::context::modules::Modules;
use crate::context::session::Session;

/// `tc-cli kinds`
pub(super) const KINDS: Extension = Extension {
    name: "kinds",
    about: "List the known kinds, where they come from, and whether the running kernel has them",
    words: |command| command,
    run: |_, session| {
        list(session);
        Ok(())
    },
};

fn list(session: &mut Session<'_>) {
    let registry = session.registry;
    let kernel = Modules::of_running_kernel();
    let out = &mut session.output.printer;
    out.begin_array("");
    for entry in registry.iter() {
        let (ops, origin) = (entry.ops(), entry.origin());
        let state = kernel.state(ops.tc_type(), ops.kind());
        out.object("", |out| {
            out.item("type", "", ops.tc_type().name(), " ");
            out.item("kind", "", ops.kind(), " ");
            out.item("crate", "", origin.package, " ");
            out.item("version", "", origin.version, " ");
            out.item("kernel", "kernel ", state.name(), "\n");
        });
    }
    out.end_array();
    out.end_document();
}
