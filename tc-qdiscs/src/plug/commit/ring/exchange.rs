//! How a ring session drives its machine: commands out, answers in.

use tc_core::message::Entry;
use tc_core::{Cause, Done, Handle, Transport, Verb};

use super::objects::Objects;
use super::session::{Ring, RingSite};
use crate::plug::Plug;
use crate::plug::commit::device::Counters;
use crate::plug::commit::error::NetworkState;
use crate::plug::commit::inspect::gone;
use crate::plug::commit::root::at;
use crate::plug::commit::taint::{Taint, TaintCause};
use crate::plug::ring::machine::{Answer, Command, Input, Machine, Outcome, Output, Reply, Sent};

impl<T: Transport> Ring<T> {
    /// Sends what the machine wants to send, until it replies.
    pub(super) fn drive(&mut self, mut output: Output) -> Reply {
        loop {
            output = match output {
                Output::Done(reply) => return reply,
                Output::Send(sent) => self.exchange(&sent),
                // Every command has been answered, so the machine does not wait.
                Output::Wait => return Reply::Tainted { carried_out: false },
            };
        }
    }

    /// One datagram, command by command for all devices, and its answers.
    fn exchange(&mut self, sent: &Sent) -> Output {
        if sent.commands.as_slice().iter().any(|command| matches!(command, Command::Renew(_))) {
            self.find_plugs();
        }
        let devices = self.sites.len();
        let Self { tc, sites, machine, fault, options, .. } = self;
        let commands = sent.commands.as_slice();
        let limit = Plug::set_limit(options.attach.limit.get());
        let (buffer, open) = (Plug::buffer(), Plug::release_indefinite());
        let mut output = Output::Wait;
        let mut pack = tc.group();
        let mut failed = None;
        for command in commands {
            for site in sites.iter() {
                let objects = &site.objects;
                let pushed = match *command {
                    Command::Buffer(band) => {
                        pack.push_shown(Verb::Change, &objects.plug(band).options(&buffer))
                    }
                    Command::Open(band) => pack.push_shown(Verb::Change, &objects.plug(band).options(&open)),
                    Command::Look(band) => pack.push_shown(Verb::Get, &objects.plug(band)),
                    Command::Map(band) => {
                        pack.push_shown(Verb::Change, &objects.prio().options(&objects.map(band)))
                    }
                    Command::Renew(band) => {
                        pack.push(Verb::Replace, &objects.next_plug(band).0.options(&limit))
                    }
                };
                if let Err(error) = pushed {
                    failed.get_or_insert(error.to_string());
                }
            }
        }
        let mut told = |index: usize, outcome: Result<Done<'_>, Cause>, machine: &mut Machine| {
            let (number, device) = (index / devices, index % devices);
            let (Some(command), Some(site)) = (commands.get(number), sites.get_mut(device)) else { return };
            let outcome = match judge(site, *command, outcome) {
                Ok(queued) => Outcome::Done { queued },
                Err(cause) => {
                    fault.get_or_insert_with(|| Taint::new(&site.name, cause));
                    Outcome::Failed
                }
            };
            let (device, command) = (device as u8, number as u8);
            output = machine.step(Input::Answer(Answer { turn: sent.turn, device, command, outcome }));
        };
        if failed.is_none() {
            let done = pack.send(|index, outcome| told(index, outcome, machine));
            failed = done.err().map(|error| error.to_string());
        }
        if let Some(why) = failed {
            // Nothing was sent.
            for index in 0..commands.len() * devices {
                let (device, command) = ((index % devices) as u8, (index / devices) as u8);
                let cause = TaintCause::Command { doing: "a datagram", why: why.clone() };
                self.fault.get_or_insert_with(|| Taint::new("", cause));
                let answer = Answer { turn: sent.turn, device, command, outcome: Outcome::Failed };
                output = self.machine.step(Input::Answer(answer));
            }
        }
        output
    }

    /// Which plugs the bands have: a new one must have another handle, or the request
    /// would change the old one.
    fn find_plugs(&mut self) {
        for site in &mut self.sites {
            let found = Objects::find(&mut self.tc, site.objects.ifindex, site.objects.root);
            if let Ok(Some(found)) = found {
                site.objects = found;
            }
        }
    }

    /// Closes the devices one by one, where not all could be closed at once: new plugs for
    /// a ring that is there, a closed plug where the ring is gone.
    pub(super) fn shut_each(&mut self) -> NetworkState {
        let limit = self.options.attach.limit.get();
        let Self { tc, sites, .. } = self;
        let each = sites.iter_mut().map(|site| {
            let Objects { ifindex, root, parent, .. } = site.objects;
            match Objects::find(tc, ifindex, root) {
                Ok(Some(mut ring)) => match ring.renew(tc, limit) {
                    Ok(_) => NetworkState::HeldAnew,
                    Err(_) => NetworkState::Unknown,
                },
                Ok(None) => {
                    let spare = Handle::qdisc(root.major() + 1);
                    let plug = Plug::set_limit(limit);
                    match tc.apply_as_it_is(Verb::Add, &at(ifindex, spare).parent(parent).options(&plug)) {
                        Ok(_) => NetworkState::HeldAnew,
                        Err(error) if error.errno() == Some(ENODEV) => NetworkState::Gone,
                        Err(_) => NetworkState::Unknown,
                    }
                }
                Err(_) => NetworkState::Unknown,
            }
        });
        // A device that is gone does not decide for the others.
        let worst = |one: NetworkState, other: NetworkState| match (one, other) {
            (NetworkState::Gone, other) | (other, NetworkState::Gone) => other,
            (one, other) => one.max(other),
        };
        each.reduce(worst).unwrap_or(NetworkState::Unknown)
    }
}

const ENODEV: i32 = 19;

/// Records an answer. Returns how many packets the qdisc has.
fn judge(site: &mut RingSite, command: Command, outcome: Result<Done<'_>, Cause>) -> Result<u32, TaintCause> {
    let message = match (outcome, command) {
        (Ok(Done::Shown(message)), _) => message,
        (Ok(Done::Acknowledged(_)), Command::Renew(band)) => {
            let (_, handle) = site.objects.next_plug(band);
            site.objects.is_now(band, handle);
            if let Some(counters) = site.bands.get_mut(usize::from(band)) {
                counters.renew();
            }
            return Ok(0);
        }
        (Ok(Done::Acknowledged(_)), _) => {
            let why = "the kernel did not show the qdisc".to_owned();
            return Err(TaintCause::Command { doing: name(command), why });
        }
        (Err(cause), _) => {
            let doing = name(command);
            return Err(gone(&cause).unwrap_or_else(|| TaintCause::Command { doing, why: cause.to_string() }));
        }
    };
    let entry = Entry::decode(&message)?;
    let kind = entry.kind()?;
    let expected = if matches!(command, Command::Map(_)) { "prio" } else { "plug" };
    if kind != expected {
        return Err(TaintCause::NotOurs { kind: kind.to_owned(), handle: entry.header.handle });
    }
    let counters = Counters::of(&entry)?;
    let band = usize::from(command.band());
    if let (false, Some(now)) = (matches!(command, Command::Map(_)), site.bands.get_mut(band)) {
        (now.packets, now.bytes, now.drops) = (counters.qlen, counters.backlog, counters.drops);
    }
    Ok(counters.qlen)
}

const fn name(command: Command) -> &'static str {
    match command {
        Command::Buffer(_) => "BUFFER",
        Command::Map(_) => "a change of the priomap",
        Command::Open(_) => "RELEASE_INDEFINITE",
        Command::Renew(_) => "a new plug",
        Command::Look(_) => "a look at the plug",
    }
}
