//! The messages of a session to its guardian: h, output is held; f, nothing is; l, the session has ended.

use std::fs;
use std::time::Duration;

use tc_qdiscs::plug::commit::GuardianCommand;

use super::*;

/// The messages that a guardian received from a session.
fn told(on_taint: OnTaint, run: impl FnOnce(&mut OutputCommit<Shared<Odd>>) -> Result<(), Error>) -> String {
    heard(|on_death| {
        let mut world = World::with(on_taint, OnDrop::Taint, 32_768, on_death).unwrap();
        run(&mut world.session).unwrap();
    })
    .unwrap()
}

/// The messages after the guardian's orders; `None` without a guardian.
fn heard(session: impl FnOnce(OnDeath)) -> Option<String> {
    let id = (std::process::id(), std::thread::current().id());
    let heard = std::env::temp_dir().join(format!("tc-plug-heard-{id:?}"));
    let guardian = GuardianCommand::new("sh").arg("-c").arg("printf A >&0; exec cat <&0 >\"$HEARD\"");
    let guardian = guardian.env("HEARD", &heard);
    session(OnDeath::OpenAfter { deadline: Duration::from_secs(60), guardian });
    let text = fs::read_to_string(&heard).ok()?;
    fs::remove_file(&heard).unwrap();
    let (_orders, end) = text.rsplit_once("\nend ").unwrap();
    Some(end.split_once('\n').unwrap().1.to_owned())
}

#[test]
fn a_guardian_hears_of_every_epoch_and_the_end() {
    let words = told(OnTaint::FailClosed, |session| {
        session.start_buffer()?;
        let epoch = session.close()?;
        session.release(epoch, Ack::of(0))?;
        session.open()?;
        session.detach(DetachMode::Remove)
    });
    assert_eq!(words, "hhfl");
}

#[test]
fn a_guardian_hears_the_effect_of_a_taint() {
    for (on_taint, expected) in [(OnTaint::FailClosed, "hhl"), (OnTaint::FailOpen, "hfl")] {
        let words = told(on_taint, |session| {
            session.start_buffer()?;
            session.abort()?;
            session.restart()?;
            session.discard()
        });
        assert_eq!(words, expected, "{on_taint:?}");
    }
}

#[test]
fn a_dropped_session_sends_nothing_more() {
    assert_eq!(told(OnTaint::FailClosed, OutputCommit::start_buffer), "h");
}

/// It opens plugs that could not be deleted.
#[test]
fn a_failed_attach_keeps_its_guardian_if_plugs_remain() {
    let dir = std::env::temp_dir().join(format!("tc-plug-dismissed-{}", std::process::id()));
    let limit = Limit::bytes(32_768.try_into().unwrap());
    let mut seen = [0, 0];
    for (lost, again) in (0..30).flat_map(|lost| [(lost, 0), (lost, 2)]) {
        let kernel = attach::kernel();
        let mut network = None;
        let words = heard(|on_death| {
            let with_guardian =
                |_| AttachOptions::new(limit, OnTaint::FailClosed, on_death).journal_dir(&dir);
            let lose = |tc: &Shared<Socket>| {
                // An answer of the attach, and, two calls later, one of the undo.
                for call in [lost, lost + again] {
                    tc.get().at_call(call, Fault::NoBuffers);
                }
            };
            network =
                attach::attach(&kernel, &dir, &["eth0"], with_guardian, lose).map(|error| error.network());
        });
        let _ = fs::remove_dir_all(&dir);
        let (Some(network), Some(words)) = (network, words) else { continue };
        let left = network != NetworkState::Untouched;
        assert_eq!(words, if left { "" } else { "l" }, "answer {lost} lost: {network:?}");
        seen[usize::from(left)] += 1;
    }
    assert!(seen.iter().all(|times| *times > 0), "{seen:?}");
}
