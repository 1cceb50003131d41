//! The property on a real kernel.

use std::fmt;

use tc_core::{Change, Connection, DumpRequest, Handle, Options, Request, TcType, Verb};
use tests::lab::need::has;
use tests::lab::{Net, count};
use tests::need;

use crate::fields::cases;
use crate::{Boxed, Case};

const ONE: Handle = Handle::qdisc(1);
const CLASS: Handle = Handle::class(1, 1);

/// Kinds that are not tried, and why.
const NOT_TRIED: &[(&str, &str)] =
    &[("taprio", "Linux 6.1 dies of some schedules"), ("plug", "a dump has no options")];

/// Kinds whose kernel refuses a change that names a fixed option at all: a new object is made of the options.
const NEW_EACH: &[(&str, &str)] = &[("fq_codel", "flows"), ("fq_pie", "flows")];

/// The options as text, without netem's seed, which the kernel chooses for each new qdisc.
fn without_seed(options: &dyn fmt::Debug) -> String {
    let text = format!("{options:?}");
    text.split("seed: Some(").next().unwrap_or_default().to_owned()
}

struct Bench<'a> {
    tc: Connection,
    device: i32,
    net: &'a Net,
}

#[test]
fn other_fields_stay_on_the_kernel() {
    need!("sch_htb", "ifb");
    let net = Net::new();
    net.ip("link add d0 numtxqueues 4 type ifb").ok();
    net.ip("link set d0 up").ok();
    let mut tc = Connection::open().unwrap();
    let device = tc.ifindex("d0").unwrap();
    let mut bench = Bench { tc, device, net: &net };
    let (mut kinds, mut fields, mut changes, mut wrong, mut refused) = (0, 0, 0, Vec::new(), Vec::new());
    for case in cases() {
        let kind = case.ops.kind();
        let tried = matches!(case.ops.tc_type(), TcType::Qdisc | TcType::Class);
        if !tried || NOT_TRIED.iter().any(|(name, _)| *name == kind) || !has(&format!("sch_{kind}")) {
            continue;
        }
        kinds += 1;
        for (at, field) in case.fields.iter().enumerate() {
            fields += 1;
            let mut taken = 0;
            let before = bench.renew(&case, &*case.parse());
            for changed in (field.vary)(&*before) {
                match bench.change(&case, &*changed) {
                    Err(error) => refused.push(format!("{} {}: {error}", case.name(), field.name)),
                    Ok(after) => {
                        taken += 1;
                        wrong.extend(case.others_changed(at, &*before, &*after));
                    }
                }
                let again = bench.renew(&case, &*case.parse());
                assert_eq!(without_seed(&before), without_seed(&again), "{}", case.name());
                if taken == 2 {
                    break;
                }
            }
            changes += taken;
            if taken == 0 {
                println!("no change: {} {}", case.name(), field.name);
            }
        }
    }
    for line in &refused {
        println!("refused: {line}");
    }
    count(&format!(
        "read, change, write on the kernel: {changes} changes of {fields} fields of {kinds} kinds, {} refused",
        refused.len()
    ));
    wrong.dedup();
    assert!(changes >= fields, "{changes} changes of {fields} fields");
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

impl Bench<'_> {
    fn request(&self, case: &Case) -> Request<'static> {
        match case.ops.tc_type() {
            TcType::Class => Request::class(self.device).parent(ONE).handle(CLASS).any(),
            _ => Request::qdisc(self.device).parent(Handle::ROOT).handle(ONE).any(),
        }
    }

    /// The object with these options, and as a dump has them.
    fn renew(&mut self, case: &Case, options: &dyn Options) -> Boxed {
        // There may be none.
        let _gone = self.tc.delete(&Request::qdisc(self.device).parent(Handle::ROOT));
        if !case.root.is_empty() {
            self.net.tc(&format!("qdisc add dev d0 root handle 1: {}", case.root)).ok();
        }
        let request = self.request(case);
        let request = request.options_of(case.ops, Some(options));
        let verb = if case.ops.change_semantics().of_qdisc { Verb::Change } else { Verb::Add };
        let made = self.tc.apply(verb, &request);
        made.unwrap_or_else(|error| panic!("{}: {error}", case.name()));
        self.read(case)
    }

    /// The dump after a change, or a new object where the kernel refuses changes.
    fn change(&mut self, case: &Case, options: &dyn Options) -> Result<Boxed, String> {
        let request = self.request(case);
        let is_new = NEW_EACH.iter().any(|(kind, _)| *kind == case.ops.kind());
        let refuses = is_new || case.ops.change_semantics().change == Change::Refused;
        if refuses {
            let _gone = self.tc.delete(&self.request(case));
        }
        let verb = if refuses { Verb::Add } else { Verb::Change };
        let changed = self.tc.apply(verb, &request.options_of(case.ops, Some(options)));
        changed.map_err(|error| error.to_string())?;
        Ok(self.read(case))
    }

    fn read(&mut self, case: &Case) -> Boxed {
        let (select, handle) = match case.ops.tc_type() {
            TcType::Class => (DumpRequest::classes(self.device), CLASS),
            _ => (DumpRequest::qdiscs().device(self.device), ONE),
        };
        let all = self.tc.list(&select).unwrap();
        let mut entries = all.iter().map(|entry| entry.entry().unwrap());
        let entry = entries.find(|entry| entry.header.handle == handle).unwrap();
        case.ops.msg_parse(entry.options().unwrap()).unwrap().as_request()
    }
}
