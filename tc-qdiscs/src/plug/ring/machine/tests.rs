use super::*;

fn machine(bands: u8, devices: u8) -> Machine {
    Machine::new(Depth::new(bands).unwrap(), devices, Policy::Close)
}

/// Carries an order out; each command is answered by `queued` packets.
fn order(machine: &mut Machine, order: Order, queued: u32) -> (Vec<Command>, Reply) {
    let mut sent = Vec::new();
    let mut output = machine.step(Input::Order(order));
    loop {
        match output {
            Output::Done(reply) => return (sent, reply),
            Output::Wait => panic!("all answers were given"),
            Output::Send(Sent { turn, commands }) => {
                sent.extend(commands.as_slice());
                output = Output::Wait;
                for device in 0..machine.devices {
                    for command in 0..commands.as_slice().len() as u8 {
                        let outcome = Outcome::Done { queued };
                        output = machine.step(Input::Answer(Answer { turn, device, command, outcome }));
                    }
                }
            }
        }
    }
}

fn protected(bands: u8) -> Machine {
    let mut machine = machine(bands, 2);
    assert_eq!(order(&mut machine, Order::Start, 0), (vec![Command::Buffer(0)], Reply::Started));
    machine
}

const fn release(epoch: u64) -> Order {
    Order::Release { epoch, acknowledged: epoch }
}

#[test]
fn close_plugs_the_next_band_before_the_map_leads_to_it() {
    use Command::{Buffer, Look, Map, Open};
    let mut machine = protected(3);
    let (sent, reply) = order(&mut machine, Order::Close, 3);
    assert_eq!((sent, reply), (vec![Buffer(1), Map(1), Look(0)], Reply::Closed { epoch: 0 }));
    let (sent, reply) = order(&mut machine, release(0), 3);
    assert_eq!((sent, reply), (vec![Open(0)], Reply::Released { epoch: 0 }));
    let (sent, _) = order(&mut machine, Order::Close, 0);
    assert_eq!(sent, [Buffer(2), Map(2), Look(1), Look(0)], "band 0 is looked at");
    assert_eq!(order(&mut machine, Order::Tend, 0).0, [Buffer(0)], "and plugged when empty");
    assert_eq!(order(&mut machine, Order::Tend, 0).0, []);
}

#[test]
fn close_when_all_bands_are_full() {
    let mut machine = protected(4);
    for epoch in 0..3 {
        assert_eq!(order(&mut machine, Order::Close, 0).1, Reply::Closed { epoch });
    }
    let full = Reply::Refused(Refusal::Full { oldest: 0 });
    assert_eq!(order(&mut machine, Order::Close, 0), (vec![], full));
    assert_eq!(order(&mut machine, release(0), 1).1, Reply::Released { epoch: 0 });
    // Band 0 still drains, and is plugged first.
    let (sent, reply) = order(&mut machine, Order::Close, 1);
    assert_eq!((&sent[..2], reply), (&[Command::Buffer(0), Command::Map(0)][..], Reply::Closed { epoch: 3 }));
}

#[test]
fn release_when_epoch_or_acknowledgement_is_another() {
    let mut machine = protected(4);
    assert_eq!(order(&mut machine, release(0), 0).1, Reply::Refused(Refusal::NotClosed));
    order(&mut machine, Order::Close, 0);
    order(&mut machine, Order::Close, 0);
    for (epoch, acknowledged, refusal) in [
        (1, 1, Refusal::OutOfOrder { oldest: 0 }),
        (0, 1, Refusal::OtherAck),
        (2, 2, Refusal::NotClosed),
        (9, 9, Refusal::NotClosed),
    ] {
        let refused = order(&mut machine, Order::Release { epoch, acknowledged }, 0);
        assert_eq!(refused, (vec![], Reply::Refused(refusal)), "{epoch}, {acknowledged}");
    }
    order(&mut machine, release(0), 0);
    assert_eq!(order(&mut machine, release(0), 0).1, Reply::Refused(Refusal::NotClosed), "twice");
    assert_eq!(order(&mut machine, Order::Open, 0).1, Reply::Refused(Refusal::Outstanding { oldest: 1 }));
}

#[test]
fn answers_when_repeated_late_or_unknown() {
    let mut machine = protected(2);
    let Output::Send(Sent { turn, commands }) = machine.step(Input::Order(Order::Close)) else { panic!() };
    assert_eq!(machine.step(Input::Order(Order::Close)), Output::Done(Reply::Refused(Refusal::Busy)));
    let answer =
        |turn, device, command| Answer { turn, device, command, outcome: Outcome::Done { queued: 0 } };
    let count = commands.as_slice().len() as u8;
    for command in 0..count {
        for stray in [answer(turn - 1, 0, command), answer(turn, 2, command), answer(turn, 0, count)] {
            assert_eq!(machine.step(Input::Answer(stray)), Output::Wait);
        }
        for _ in 0..2 {
            assert_eq!(machine.step(Input::Answer(answer(turn, 1, command))), Output::Wait);
        }
    }
    for command in 0..count - 1 {
        assert_eq!(machine.step(Input::Answer(answer(turn, 0, command))), Output::Wait);
    }
    let last = machine.step(Input::Answer(answer(turn, 0, count - 1)));
    assert_eq!(last, Output::Done(Reply::Closed { epoch: 0 }));
}

#[test]
fn one_failed_answer_taints_and_a_restart_begins_empty() {
    let mut machine = protected(2);
    order(&mut machine, Order::Close, 0);
    let Output::Send(sent) = machine.step(Input::Order(release(0))) else { panic!() };
    let failed = |device, outcome| Answer { turn: sent.turn, device, command: 0, outcome };
    assert_eq!(machine.step(Input::Answer(failed(0, Outcome::Failed))), Output::Wait);
    let Output::Send(policy) = machine.step(Input::Answer(failed(1, Outcome::Done { queued: 0 }))) else {
        panic!("the policy follows")
    };
    assert_eq!(policy.commands.as_slice(), [Command::Renew(0), Command::Renew(1)]);
    assert_eq!(machine.state(), State::Tainted);
    for device in 0..2 {
        for command in 0..2 {
            let outcome = Outcome::Done { queued: 0 };
            machine.step(Input::Answer(Answer { turn: policy.turn, device, command, outcome }));
        }
    }
    assert_eq!(order(&mut machine, Order::Close, 0).1, Reply::Refused(Refusal::State(State::Tainted)));
    let (sent, reply) = order(&mut machine, Order::Restart, 0);
    assert_eq!(sent, [Command::Renew(0), Command::Renew(1), Command::Map(1)]);
    assert_eq!((reply, machine.state(), machine.epoch()), (Reply::Restarted, State::Protected, 2));
    assert_eq!(order(&mut machine, release(0), 0).1, Reply::Refused(Refusal::NotClosed), "a void token");
}

#[test]
fn distrust_while_a_release_is_under_way_taints_after_it() {
    let mut machine = protected(2);
    order(&mut machine, Order::Close, 0);
    let Output::Send(sent) = machine.step(Input::Order(release(0))) else { panic!() };
    assert_eq!(machine.step(Input::Distrust), Output::Wait);
    for device in 0..2 {
        let answer = Answer { turn: sent.turn, device, command: 0, outcome: Outcome::Done { queued: 0 } };
        let output = machine.step(Input::Answer(answer));
        assert_eq!(matches!(output, Output::Send(_)), device == 1, "{output:?}");
    }
    assert_eq!(machine.state(), State::Tainted);
}
