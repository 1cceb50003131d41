//! The judge: compares the replies of the clients with the states of the backups at their takeover.

use std::collections::BTreeMap;

use super::words::{CLIENTS, Reply, Request, State};

/// The replies, and the states that include them.
#[derive(Default)]
pub(crate) struct Ledger {
    /// The state from which the backup of each generation went on.
    takeovers: Vec<State>,
    /// Replies of generations that are not taken over yet.
    open: Vec<Reply>,
    /// Which request got which count, in the history that was seen.
    history: BTreeMap<u64, Request>,
    /// How many replies were checked.
    pub(crate) checked: u64,
    /// Per client.
    pub(crate) of_clients: [u64; CLIENTS],
    /// Replies that a client received and the backup lacks.
    pub(crate) missing: Vec<Reply>,
    /// Replies with a count that another request was seen to have.
    pub(crate) twice: Vec<Reply>,
}

impl Ledger {
    /// The next generation took over from this state.
    pub(crate) fn takeover(&mut self, state: State) {
        self.takeovers.push(state);
    }

    /// Clients saw these replies. Each is judged as soon as its generation has been taken over.
    pub(crate) fn seen(&mut self, replies: Vec<Reply>) {
        for reply in self.open.drain(..).chain(replies).collect::<Vec<_>>() {
            match self.takeovers.get(reply.generation as usize).copied() {
                None => self.open.push(reply),
                Some(backup) => self.judge(reply, &backup),
            }
        }
    }

    /// How many requests were overtaken by a later one of the same client, as far as it was seen.
    pub(crate) fn overtaken(&self) -> usize {
        let mut seen = State::default();
        let overtaken = self.history.values().filter(|request| {
            let overtaken = request.number < seen.last[request.client as usize];
            seen.count(**request, 0);
            overtaken
        });
        overtaken.count()
    }

    /// The takeover states that lack received replies.
    pub(crate) fn ignorant(&self) -> Vec<(u32, State)> {
        let mut generations: Vec<u32> = self.missing.iter().map(|reply| reply.generation).collect();
        generations.dedup();
        generations.into_iter().map(|of| (of, self.takeovers[of as usize])).collect()
    }

    fn judge(&mut self, reply: Reply, backup: &State) {
        self.checked += 1;
        self.of_clients[reply.request.client as usize] += 1;
        if !backup.knows(&reply) {
            self.missing.push(reply);
        }
        if *self.history.entry(reply.count).or_insert(reply.request) != reply.request {
            self.twice.push(reply);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn reply(generation: u32, client: u32, number: u64, count: u64) -> Reply {
        Reply { request: Request { client, number }, generation, count }
    }

    fn state(count: u64, first: u64, second: u64) -> State {
        let mut last = [0; CLIENTS];
        (last[0], last[1]) = (first, second);
        State { count, last }
    }

    #[test]
    fn a_known_reply_is_no_violation_at_any_time() {
        let mut ledger = Ledger::default();
        ledger.seen(vec![reply(0, 0, 1, 1)]);
        assert_eq!(ledger.checked, 0, "not taken over yet");
        ledger.takeover(state(3, 2, 1));
        ledger.seen(vec![reply(0, 1, 1, 2), reply(1, 0, 3, 4)]);
        ledger.takeover(state(4, 3, 1));
        ledger.seen(vec![reply(0, 0, 2, 3)]);
        assert_eq!((ledger.checked, ledger.missing.len(), ledger.twice.len()), (4, 0, 0));
    }

    #[test]
    fn an_overtaken_request_is_known() {
        let mut server = State::default();
        let replies: Vec<Reply> =
            [1, 3, 2].map(|number| server.count(Request { client: 0, number }, 0)).into();
        let mut ledger = Ledger::default();
        ledger.takeover(server);
        ledger.seen(replies);
        assert_eq!((ledger.checked, ledger.missing.len(), ledger.overtaken()), (3, 0, 1));
    }

    #[test]
    fn an_unknown_reply_is_found() {
        let mut ledger = Ledger::default();
        ledger.takeover(state(3, 2, 1));
        let late = reply(0, 0, 3, 4);
        ledger.seen(vec![late]);
        assert_eq!(ledger.missing, [late]);
        // The backup counts on, and somebody else gets the same count.
        ledger.takeover(state(4, 2, 2));
        let again = reply(1, 1, 2, 4);
        ledger.seen(vec![again]);
        assert_eq!((ledger.missing.len(), ledger.twice), (1, vec![again]));
        let mut ledger = Ledger::default();
        ledger.takeover(state(3, 1, 2));
        ledger.seen(vec![reply(0, 0, 2, 3)]);
        assert_eq!(ledger.missing.len(), 1, "the count is known, and the request is not");
    }
}
