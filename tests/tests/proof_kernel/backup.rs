//! A replica's first life: it takes in checkpoints, until the server is dead.

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};

use nix::poll::{PollFd, PollFlags, poll};
use tests::random::Chance;

use super::replica::{BASE, Orders, backup_path};
use super::words::{Checkpoint, State};

/// Receives checkpoints until the server dies. Returns the last one, and their number.
///
/// Checkpoints in flight are lost then, as on the line from a dead machine.
pub(crate) fn stand_by(orders: &Orders, test: &UnixStream) -> (State, u64) {
    let mut chance = Chance(orders.seed);
    let path = backup_path(&orders.dir, orders.generation);
    let listener = UnixListener::bind(&path).unwrap();
    wait_for(&listener, test);
    let (mut server, _) = listener.accept().unwrap();
    fs::remove_file(&path).unwrap();
    let (mut state, mut epochs) = (None, 0);
    while wait_for(&server, test) && !is_dead(&server, on_its_way_ms(orders, &mut chance)) {
        let mut bytes = [0; Checkpoint::BYTES];
        if server.read_exact(&mut bytes).is_err() {
            break;
        }
        let checkpoint = Checkpoint::decode(&bytes);
        state = Some(checkpoint.state);
        epochs += u64::from(checkpoint.epoch != BASE);
        if server.write_all(&checkpoint.epoch.to_be_bytes()).is_err() {
            break;
        }
    }
    (state.expect("a server is killed only after its first checkpoint"), epochs)
}

/// How long a checkpoint is on its way: often less than an epoch, and often not.
fn on_its_way_ms(orders: &Orders, chance: &mut Chance) -> usize {
    let most = if chance.is(50) { orders.line_ms } else { 2 };
    chance.below(most)
}

/// Waits until there is something to read. The process ends if the test has ended.
fn wait_for(what: impl AsFd, test: &UnixStream) -> bool {
    let mut fds =
        [PollFd::new(what.as_fd(), PollFlags::POLLIN), PollFd::new(test.as_fd(), PollFlags::empty())];
    poll(&mut fds, 60_000_u16).unwrap();
    assert!(fds[1].any() != Some(true), "the test has ended");
    fds[0].any() == Some(true)
}

/// Whether the other end is gone, now or within some milliseconds.
fn is_dead(server: &UnixStream, within_ms: usize) -> bool {
    let mut fds = [PollFd::new(server.as_fd(), PollFlags::empty())];
    poll(&mut fds, u8::try_from(within_ms).unwrap()).unwrap() > 0
}
