//! The decisions of a plan, on the embedded kernel. Afterwards the kernel has the file's state, and a
//! second plan finds nothing to do.

use tc_core::embedded::{Device, Kernel, Socket, Stored};
use tc_core::link::DeviceNames;
use tc_core::tree::Snapshot;
use tc_core::words::Environment;
use tc_core::{Connection, Registry};

use super::planned::{Line, Planned};
use super::words::{Names, Reader};
use super::{desired, to_text};
use crate::command::{self, Command};
use crate::context::failure::Failure;
use crate::context::session::ParseContext;

/// A machine with `eth0` and `eth1`.
struct World {
    tc: Connection<Socket>,
    names: Box<dyn DeviceNames>,
    machine: Machine,
    /// Whether a plan is carried out.
    applies: bool,
}

#[derive(Debug)]
struct Machine;

impl Environment for Machine {
    fn ifindex(&self, dev: &str) -> Result<i32, String> {
        match dev {
            "eth0" => Ok(1),
            "eth1" => Ok(2),
            _ => Err(format!("Cannot find device \"{dev}\"")),
        }
    }
}

impl World {
    /// One where these commands were run.
    fn with(commands: &[&str]) -> Self {
        let builder = tc_qdiscs::embedded::kinds(Kernel::builder()).kind("odd", Stored::new);
        let kernel = builder.device(Device::new("eth0")).device(Device::new("eth1")).build();
        let mut tc = Connection::over(kernel.connect());
        let names = tc.device_names().unwrap();
        for dev in ["eth0", "eth1"] {
            assert_eq!(tc.ifindex(dev).unwrap(), Machine.ifindex(dev).unwrap());
        }
        let mut world = Self { tc, names, machine: Machine, applies: false };
        commands.iter().for_each(|command| world.run(command));
        world
    }

    fn run(&mut self, command: &str) {
        let words: Vec<_> = command.split_whitespace().collect();
        let context = ParseContext {
            registry: Registry::global().unwrap(),
            environment: &self.machine,
            extensions: &[],
        };
        let Ok(Command::Change(change)) = command::parse(&words, context) else { panic!("{command}") };
        let ifindex = change.dev.map_or(0, |dev| self.machine.ifindex(dev).unwrap());
        self.tc
            .apply(change.verb, &change.request(ifindex, false))
            .unwrap_or_else(|error| panic!("{command}: {error}"));
    }

    fn plan(&mut self, file: &[&str], devices: &[&str]) -> Result<Told, Failure> {
        let reader =
            Reader { registry: Registry::global()?, names: &*self.names, environment: &self.machine };
        let words = |line: &&str| line.split_whitespace().map(str::to_owned).collect();
        let lines = (1..).zip(file.iter().map(words)).collect();
        let devices: Vec<_> = devices.iter().map(|dev| (*dev).to_owned()).collect();
        let lines = desired::borrow(&lines);
        let find = &mut |dev: &str| Machine.ifindex(dev).ok();
        let mut desired = desired::read(&lines, &devices, &reader, find).map_err(|(failure, _)| failure)?;
        assert_eq!(desired.missing, [""; 0]);
        let there = Snapshot::read(&mut self.tc, None, &reader.context()?).map_err(Failure::List)?;
        desired.learn(&there, &reader);
        let planned = Planned::new(&desired, &there, &reader)?;
        let mut done = Vec::new();
        if self.applies {
            let applied = planned.plan.apply(&mut self.tc);
            done.push(applied.into_result().map_err(Failure::List)?);
        }
        Ok(Told { steps: planned.lines, left: planned.left, done })
    }
}

/// The words of a plan.
#[derive(Debug)]
struct Told {
    steps: Vec<Line>,
    left: Vec<String>,
    /// The number of steps carried out.
    done: Vec<usize>,
}

/// The plan that leads from `there` to `file`, which is then carried out: by its words, and by its requests.
#[track_caller]
fn leads(there: &[&str], file: &[&str], steps: &[&str]) {
    leads_of(&[], there, file, steps);
}

#[track_caller]
fn leads_of(devices: &[&str], there: &[&str], file: &[&str], steps: &[&str]) {
    for applies in [false, true] {
        let mut world = World { applies, ..World::with(there) };
        let planned = world.plan(file, devices).unwrap();
        let told: Vec<_> = planned.steps.iter().map(|step| to_text(step).trim_end().to_owned()).collect();
        assert_eq!(told, steps);
        match applies {
            true => assert_eq!(planned.done, [steps.len()]),
            false => planned.steps.iter().for_each(|step| world.run(&step.command)),
        }
        let again = world.plan(file, devices).unwrap().steps;
        assert!(again.is_empty(), "{again:?}");
    }
}

const TBF: &str = "qdisc add dev eth0 root handle 1: tbf rate 1mbit burst 10k limit 20k";
const HTB: &str = "qdisc add dev eth0 root handle 1: htb default 10";
const TOP: &str = "class add dev eth0 parent 1: classid 1:1 htb rate 10mbit burst 10k cburst 10k";
const TEN: &str = "class add dev eth0 parent 1:1 classid 1:10 htb rate 1mbit burst 10k cburst 10k";
const LEAF: &str = "qdisc add dev eth0 parent 1:10 handle 10: pfifo limit 5";
const SINK: &str = "filter add dev eth0 ingress pref 7 protocol all handle 0x1 matchall action drop index 1";

#[test]
fn the_same_tree_needs_nothing() {
    let clsact = "qdisc add dev eth0 clsact";
    for tree in [
        &[TBF][..],
        &[HTB, TOP, TEN, LEAF],
        &[clsact, SINK],
        &["qdisc add dev eth0 root handle 1: plug limit 9"],
    ] {
        leads(tree, tree, &[]);
    }
}

#[test]
fn changeable_options_are_changed_in_place() {
    let desired = "qdisc add dev eth0 root handle 1: tbf rate 2mbit burst 10k limit 20k";
    leads(
        &[TBF],
        &[desired],
        &["qdisc change dev eth0 root handle 1: tbf rate 2mbit burst 10k limit 20k # was rate 1000000bit"],
    );
}

#[test]
fn a_new_handle_is_a_new_qdisc_in_one_step() {
    let (one, two) = (
        "qdisc add dev eth0 root handle 1: pfifo limit 5",
        "qdisc add dev eth0 root handle 2: pfifo limit 5",
    );
    leads(&[one], &[two], &["qdisc replace dev eth0 root handle 2: pfifo limit 5 # was handle 1:"]);
}

#[test]
fn a_moved_handle_is_deleted_before_its_reuse() {
    let prio = "qdisc add dev eth0 root handle 1: prio";
    let at = |band| format!("qdisc add dev eth0 parent 1:{band} handle 9: pfifo limit 5");
    leads(&[prio, &at(1)], &[prio, &at(2)], &["qdisc del dev eth0 parent 1:1 handle 9:", &at(2)]);
}

#[test]
fn another_kind_at_the_root_takes_its_children_along() {
    let prio =
        ["qdisc add dev eth0 root handle 1: prio", "qdisc add dev eth0 parent 1:1 handle 10: pfifo limit 5"];
    // The handle is the old one's: one step would be a change of that one.
    leads(&prio, &[HTB, TOP, TEN, LEAF], &["qdisc del dev eth0 root handle 1:", HTB, TOP, TEN, LEAF]);
    // With another handle the new root comes in one step.
    leads(
        &prio,
        &["qdisc add dev eth0 root handle 2: htb"],
        &["qdisc replace dev eth0 root handle 2: htb # was prio"],
    );
}

#[test]
fn classes_are_deleted_children_first_and_their_qdiscs_go_along() {
    leads(&[HTB, TOP, TEN, LEAF], &[HTB, TOP], &["class del dev eth0 classid 1:10"]);
    leads(
        &[HTB, TOP, TEN, LEAF],
        &[HTB],
        &["class del dev eth0 classid 1:10", "class del dev eth0 classid 1:1"],
    );
}

#[test]
fn a_class_with_another_parent_is_recreated() {
    let moved = "class add dev eth0 parent 1: classid 1:10 htb rate 1mbit burst 10k cburst 10k";
    leads(
        &[HTB, TOP, TEN, LEAF],
        &[HTB, TOP, moved, LEAF],
        &["class del dev eth0 classid 1:10", moved, LEAF],
    );
}

#[test]
fn another_default_class_is_a_new_htb() {
    let desired = "qdisc add dev eth0 root handle 1: htb default 20";
    leads(&[HTB, TOP, TEN], &[desired, TOP, TEN], &["qdisc del dev eth0 root handle 1:", desired, TOP, TEN]);
}

#[test]
fn ingress_and_clsact_replace_each_other() {
    let (ingress, clsact) = ("qdisc add dev eth0 ingress", "qdisc add dev eth0 clsact");
    leads(&[ingress], &[clsact], &["qdisc del dev eth0 ingress", clsact]);
    leads(&[clsact, SINK], &[ingress, SINK], &["qdisc del dev eth0 clsact", ingress, SINK]);
}

#[test]
fn a_filter_in_another_order_is_deleted_and_added() {
    let clsact = "qdisc add dev eth0 clsact";
    let later = SINK.replace("pref 7", "pref 8");
    leads(
        &[clsact, SINK],
        &[clsact, &later],
        &["filter del dev eth0 ingress pref 7 protocol all handle 0x1 matchall", &later],
    );
}

/// A change of matchall is refused.
#[test]
fn a_filter_is_made_anew_while_a_stand_in_has_its_place() {
    let to = |pref: u16, class: &str| {
        format!(
            "filter add dev eth0 parent 1: pref {pref} protocol all handle 0x1 matchall classid 1:{class}"
        )
    };
    let del = |pref: u16| format!("filter del dev eth0 parent 1: pref {pref} protocol all");
    let tree = [HTB, TOP, TEN];
    let with = |filters: &[String]| -> Vec<String> {
        tree.iter().map(|line| (*line).to_owned()).chain(filters.iter().cloned()).collect()
    };
    let leads = |there: &[String], file: &[String], steps: &[String]| {
        let [there, file, steps] = [with(there), with(file), steps.to_vec()].map(|lines| lines.join("\n"));
        let [there, file, steps] = [&there, &file, &steps].map(|text| text.lines().collect::<Vec<_>>());
        self::leads(&there, &file, &steps);
    };
    let (old, handle) = (del(7) + " handle 0x1 matchall", |pref| del(pref) + " matchall");
    let steps = |beside: u16| [to(beside, "1"), old.clone(), to(7, "1"), handle(beside)];
    leads(&[to(7, "10")], &[to(7, "1")], &steps(8));
    let later = to(8, "10");
    leads(&[to(7, "10"), later.clone()], &[to(7, "1"), later.clone()], &steps(6));
    // No priority is free beside it.
    let earlier = to(6, "10");
    leads(
        &[earlier.clone(), to(7, "10"), later.clone()],
        &[earlier, to(7, "1"), later],
        &[old.clone(), to(7, "1")],
    );
    // The action with the index is there, and it is another one.
    let (clsact, pass) = ("qdisc add dev eth0 clsact", SINK.replace("drop", "pass"));
    let steps = ["filter del dev eth0 ingress pref 7 protocol all handle 0x1 matchall", &pass];
    self::leads(&[clsact, SINK], &[clsact, &pass], &steps);
    let other = pass.replace("index 1", "index 2");
    let beside = other.replace("pref 7", "pref 8").replace("action pass", "action gact pass");
    let gone = "filter del dev eth0 ingress pref 8 protocol all matchall";
    self::leads(&[clsact, SINK], &[clsact, &other], &[&beside, steps[0], &other, gone]);
}

#[test]
fn filters_go_before_the_class_to_which_they_lead() {
    let filter = "filter add dev eth0 parent 1: pref 7 protocol all handle 0x1 matchall classid 1:10";
    leads(
        &[HTB, TOP, TEN, filter],
        &[HTB, TOP],
        &[
            "filter del dev eth0 parent 1: pref 7 protocol all handle 0x1 matchall",
            "class del dev eth0 classid 1:10",
        ],
    );
}

#[test]
fn devices_outside_the_file_are_left_alone() {
    let other = TBF.replace("eth0", "eth1");
    leads(&[TBF, &other], &[TBF], &[]);
    leads_of(&["eth1"], &[TBF, &other], &[], &["qdisc del dev eth1 root handle 1:"]);
    leads_of(&["eth1"], &[], &[TBF, &other], &[&other]);
    leads(&[TBF], &[&other], &[&other]);
}

#[test]
fn a_size_table_is_changed_and_removed() {
    let plain = "qdisc add dev eth0 root handle 1: pfifo limit 5";
    let with = "qdisc add dev eth0 root handle 1: stab overhead 20 linklayer atm pfifo limit 5";
    leads(
        &[plain],
        &[with],
        &["qdisc change dev eth0 root handle 1: stab overhead 20 linklayer atm pfifo limit 5 # was no stab"],
    );
    let world = &mut World::with(&[with]);
    let steps = world.plan(&[plain], &[]).unwrap().steps;
    assert!(
        to_text(&steps[0]).starts_with("qdisc change dev eth0 root handle 1: pfifo limit 5 # was stab "),
        "{steps:?}"
    );
    leads(&[with], &[with], &[]);
}

/// The kernel does not report its times, so they cannot be compared.
#[test]
fn an_estimator_alone_is_no_difference() {
    leads(&[TBF], &[&TBF.replace("tbf", "estimator 1s 8s tbf")], &[]);
}

#[test]
fn another_block_is_another_qdisc() {
    let on = |block| format!("qdisc add dev eth0 ingress_block {block} clsact");
    leads(&[&on(3)], &[&on(4)], &["qdisc del dev eth0 clsact", &on(4)]);
    leads(
        &[&on(3)],
        &["qdisc add dev eth0 clsact"],
        &["qdisc del dev eth0 clsact", "qdisc add dev eth0 clsact"],
    );
}

/// An export could express it, so a file without it means its deletion.
#[test]
fn an_unknown_kind_without_options_goes_like_others() {
    let (odd, clsact) = ("qdisc add dev eth0 root handle 1: odd", "qdisc add dev eth0 clsact");
    leads(&[odd, clsact], &[odd, clsact], &[]);
    leads(&[odd, clsact], &[clsact], &["qdisc del dev eth0 root handle 1:"]);
}

#[test]
fn a_file_that_is_no_description_is_refused() {
    for (file, text) in [
        (&["qdisc del dev eth0 root"][..], "only add, replace and change say what there shall be"),
        (&["qdisc show"], "only add, replace and change say what there shall be"),
        (&["actions list action gact"], "only add, replace and change say what there shall be"),
        (&["actions add action drop"], "an action needs its index"),
        (&["actions add action drop index 8 action pass index 9"], "each action needs a line of its own"),
        (&["chain add dev eth0 ingress"], "a chain needs its number"),
        (&[TBF, TBF], "is there twice"),
        (&["qdisc change dev eth0 root handle 1: pfifo limit 5"], "was not added before"),
        (&["qdisc add root pfifo"], "a device is needed"),
        (&["qdisc add dev eth0 handle 1: pfifo"], "a qdisc needs its parent"),
        (&["qdisc add dev eth0 root handle 1:"], "a qdisc needs its kind"),
        (&[HTB, "class add dev eth0 parent 1: htb rate 1mbit"], "a class needs its classid"),
        (&["filter add dev eth0 ingress matchall"], "a filter needs its pref"),
        (&["filter add dev eth0 pref 7 matchall"], "a filter needs its parent"),
    ] {
        let said = World::with(&[]).plan(file, &[]).unwrap_err().to_string();
        assert!(said.contains(text), "{file:?}: {said}");
    }
}

/// The objects left alone, by the words before the colon.
fn left(there: &[&str], file: &[&str]) -> (Vec<String>, Vec<String>) {
    let planned = World::with(there).plan(file, &[]).unwrap();
    (planned.steps.iter().map(|step| step.command.clone()).collect(), planned.left)
}

#[test]
fn object_marked_as_left_out_stays_with_what_is_below() {
    let mark = "#!left-out class dev eth0 classid 1:10";
    let none = (Vec::new(), vec![]);
    assert_eq!(left(&[HTB, TOP, TEN, LEAF], &[HTB, TOP, TEN, LEAF]), none);
    let alone = |words: &str| format!("{words}: the file leaves it out");
    let [class, qdisc] =
        ["class dev eth0 classid 1:10 htb", "qdisc dev eth0 parent 1:10 handle 10: pfifo"].map(alone);
    let both = vec![class, qdisc];
    assert_eq!(left(&[HTB, TOP, TEN, LEAF], &[HTB, TOP, mark]), (vec![], both.clone()));
    // Filters that hang on it, too, and those of another class do not.
    let filter = "filter add dev eth0 parent 10: pref 7 protocol all handle 0x1 matchall action drop";
    let (steps, all) =
        left(&[HTB, TOP, TEN, "qdisc add dev eth0 parent 1:10 handle 10: htb", filter], &[HTB, TOP, mark]);
    assert_eq!((steps.len(), all.len()), (0, 3), "{steps:?} {all:?}");
    let other = "class add dev eth0 parent 1:1 classid 1:20 htb rate 1mbit burst 10k cburst 10k";
    assert_eq!(
        left(&[HTB, TOP, TEN, LEAF, other], &[HTB, TOP, mark]),
        (vec!["class del dev eth0 classid 1:20".into()], both)
    );
    // Elsewhere the mark reports it missing.
    let missing = "class dev eth0 classid 1:10: the file leaves it out, and it is not there";
    assert_eq!(left(&[HTB, TOP], &[HTB, TOP, mark]), (vec![], vec![missing.into()]));
}

#[test]
fn nothing_left_out_goes_with_something_else() {
    let mark = "#!left-out class dev eth0 classid 1:10";
    let other_default = "qdisc add dev eth0 root handle 1: htb default 20";
    for (file, object) in [
        (&[other_default, TOP, mark][..], "class dev eth0 classid 1:10 htb"),
        (&["qdisc add dev eth0 root handle 2: pfifo", mark], "class dev eth0 classid 1:10 htb"),
        (
            &[other_default, TOP, TEN, LEAF, "#!left-out chain dev eth0 parent 1: chain 5"],
            "chain dev eth0 parent 1: chain 5",
        ),
    ] {
        let refused = World::with(&[HTB, TOP, TEN, LEAF]).plan(file, &[]).unwrap_err().to_string();
        assert!(refused.contains(&format!("would be deleted: {object}\n")), "{refused}");
    }
    // Of another device it does not matter.
    let elsewhere = "#!left-out class dev eth1 classid 1:10";
    World::with(&[HTB, TOP]).plan(&[other_default, elsewhere], &[]).unwrap();
    for (file, text) in [
        (
            &[HTB, TOP, TEN, mark][..],
            "class dev eth0 classid 1:10 is described, and it is marked as left out",
        ),
        (&["#!left-out class dev eth0"], "is followed by no place of an object"),
        (&["#!left-outs class dev eth0 classid 1:10"], "is followed by no place of an object"),
    ] {
        let refused = World::with(&[]).plan(file, &[]).unwrap_err().to_string();
        assert!(refused.contains(text), "{file:?}: {refused}");
    }
}

#[test]
fn order_of_siblings_does_not_depend_on_when_they_were_made() {
    let prio = "qdisc add dev eth0 root handle 1: prio bands 4";
    let leaves = [1, 2, 3].map(|n| format!("qdisc add dev eth0 parent 1:{n} handle {n}0: pfifo limit 5"));
    let clsact = "qdisc add dev eth0 clsact";
    let filters = [3, 5].map(|pref| {
        format!("filter add dev eth0 ingress pref {pref} protocol all handle 0x1 matchall action drop")
    });
    let htb = HTB.replace("eth0", "eth1");
    let classes = [1, 2, 0x10]
        .map(|n| format!("class add dev eth1 parent 1: classid 1:{n:x} htb rate 1mbit burst 10k cburst 10k"));
    let orders = [[0, 1, 2], [2, 0, 1], [1, 2, 0]].map(|order| {
        let mut commands = vec![htb.as_str(), prio, clsact];
        for n in order {
            commands.extend([classes[n].as_str(), leaves[n].as_str()]);
            commands.extend(filters.get(n).map(String::as_str));
        }
        let mut world = World::with(&commands);
        let reader = Reader {
            registry: Registry::global().unwrap(),
            names: &*world.names,
            environment: &world.machine,
        };
        let read = Snapshot::read(&mut world.tc, None, &reader.context().unwrap()).unwrap();
        let names = Names::of(&read);
        let line = |object| reader.worded(object, &names).lines[0].join(" ");
        read.objects().iter().map(line).collect::<Vec<_>>()
    });
    assert_eq!(orders[0].len(), 11);
    let is_sorted = |desired: &[String]| {
        let at = |line: &String| orders[0].iter().position(|one| line.replace(" add", "").starts_with(one));
        desired.iter().map(at).collect::<Vec<_>>().is_sorted()
    };
    assert!(is_sorted(&leaves) && is_sorted(&classes) && is_sorted(&filters), "{:#?}", orders[0]);
    assert_eq!(orders[1], orders[0]);
    assert_eq!(orders[2], orders[0]);
}
