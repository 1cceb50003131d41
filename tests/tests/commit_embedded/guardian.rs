//! What a session tells its guardian: h, output is held; f, nothing is; l, the session has ended.

use std::fs;
use std::time::Duration;

use tc_qdiscs::plug::commit::GuardianCommand;

use super::*;

/// What a guardian was told by a session that went so.
fn told(on_taint: OnTaint, run: impl FnOnce(&mut OutputCommit<Shared<Odd>>) -> Result<(), Error>) -> String {
    let id = (std::process::id(), std::thread::current().id());
    let heard = std::env::temp_dir().join(format!("tc-plug-heard-{id:?}"));
    let guardian = GuardianCommand::new("sh").arg("-c").arg("printf A >&0; exec cat <&0 >\"$HEARD\"");
    let guardian = guardian.env("HEARD", &heard);
    let on_death = OnDeath::OpenAfter { deadline: Duration::from_secs(60), guardian };
    let mut world = World::with(on_taint, OnDrop::Taint, 32_768, on_death).unwrap();
    run(&mut world.session).unwrap();
    drop(world);
    let text = fs::read_to_string(&heard).unwrap();
    fs::remove_file(&heard).unwrap();
    let (_orders, end) = text.rsplit_once("\nend ").unwrap();
    end.split_once('\n').unwrap().1.to_owned()
}

#[test]
fn a_guardian_is_told_of_every_epoch_and_of_the_end() {
    let words = told(OnTaint::FailClosed, |session| {
        session.start_buffer()?;
        let epoch = session.close()?;
        session.release(epoch, Ack::of(0))?;
        session.open()?;
        session.detach(Plugs::Remove)
    });
    assert_eq!(words, "hhfl");
}

#[test]
fn a_guardian_is_told_what_a_taint_made_of_the_network() {
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
fn a_session_that_is_dropped_says_nothing_more() {
    assert_eq!(told(OnTaint::FailClosed, OutputCommit::start_buffer), "h");
}
