//! The modules of the running kernel.

use std::fs;

use tc_core::TcType;

/// Whether the kernel has a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    BuiltIn,
    Loaded,
    /// As a module that it loads when asked to.
    Loadable,
    Absent,
    Unknown,
}

impl State {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Loaded => "loaded",
            Self::Loadable => "loadable",
            Self::Absent => "absent",
            Self::Unknown => "unknown",
        }
    }
}

/// The kernel's modules according to its files; `None` if they cannot be read.
/// Nothing is asked of the kernel that would load a module.
pub(crate) struct Modules {
    loaded: Option<String>,
    built_in: Option<String>,
    loadable: Option<String>,
    symbols: Option<String>,
}

/// How the names of a kind's functions end: `tbf_init`, `drr_init_qdisc`.
const INITS: [&str; 3] = ["_init", "_init_qdisc", "_qdisc_init"];

impl Modules {
    pub(crate) fn of_running_kernel() -> Self {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let folder = format!("/lib/modules/{}", release.trim());
        let read = |path: &str| fs::read_to_string(path).ok().filter(|text| !text.is_empty());
        let built_in = read(&format!("{folder}/modules.builtin"));
        // Long, and needed only where that file is missing.
        let symbols = if built_in.is_none() { read("/proc/kallsyms") } else { None };
        let loadable = read(&format!("{folder}/modules.dep"));
        Self { loaded: fs::read_to_string("/proc/modules").ok(), built_in, loadable, symbols }
    }

    pub(crate) fn state(&self, tc_type: TcType, kind: &str) -> State {
        // Part of every kernel with traffic control (net/sched/sch_generic.c,
        // sch_fifo.c, sch_mq.c).
        if matches!(kind, "pfifo" | "bfifo" | "pfifo_head_drop" | "pfifo_fast" | "noqueue" | "mq") {
            return State::BuiltIn;
        }
        let module = module(tc_type, kind);
        let has = |text: &Option<String>, found: &dyn Fn(&str) -> bool| {
            text.as_deref().is_some_and(|text| text.lines().any(found))
        };
        let loaded = format!("{module} ");
        let file = format!("/{module}.ko");
        // A module is named in brackets, a built-in symbol is not.
        let symbols = INITS.map(|init| format!(" {kind}{init}"));
        if has(&self.loaded, &|line| line.starts_with(&loaded)) {
            State::Loaded
        } else if has(&self.built_in, &|line| line.ends_with(&file)) {
            State::BuiltIn
        } else if has(&self.loadable, &|line| line.split(':').next().is_some_and(|path| path.contains(&file)))
        {
            State::Loadable
        } else if has(&self.symbols, &|line| symbols.iter().any(|symbol| line.ends_with(symbol))) {
            State::BuiltIn
        } else if self.built_in.is_some() && self.loadable.is_some()
            || self.loaded.is_none() && self.symbols.is_some()
        {
            // All files are there, or the kernel has no modules at all.
            State::Absent
        } else {
            State::Unknown
        }
    }
}

/// The module of a kind; a class is its qdisc's business.
pub(crate) fn module(tc_type: TcType, kind: &str) -> String {
    match (tc_type, kind) {
        (TcType::Filter, kind) => format!("cls_{kind}"),
        (TcType::Action, kind) => format!("act_{kind}"),
        (_, "clsact") => "sch_ingress".into(),
        (_, "cake_mq") => "sch_cake".into(),
        (_, kind) => format!("sch_{kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(built_in: Option<&str>) -> Modules {
        Modules {
            loaded: Some("sch_tbf 20480 0 - Live 0x0\n".into()),
            built_in: built_in.map(str::to_owned),
            loadable: Some("kernel/net/sched/sch_plug.ko.xz: kernel/lib/x.ko\n".into()),
            symbols: Some("0000 t red_init\n0000 t sfq_init [sch_sfq]\n".into()),
        }
    }

    #[test]
    fn files_tell_what_the_kernel_has() {
        let all = modules(Some("kernel/net/sched/sch_fq.ko\n"));
        for (kind, state) in [
            ("pfifo", State::BuiltIn),
            ("tbf", State::Loaded),
            ("fq", State::BuiltIn),
            ("plug", State::Loadable),
            ("red", State::BuiltIn),
            ("sfq", State::Absent),
            ("x", State::Absent),
        ] {
            assert_eq!(all.state(TcType::Qdisc, kind), state, "{kind}");
        }
        assert_eq!(modules(None).state(TcType::Class, "htb"), State::Unknown);
        assert_eq!(module(TcType::Qdisc, "clsact"), "sch_ingress");
        assert_eq!(module(TcType::Qdisc, "cake_mq"), "sch_cake");
    }
}
