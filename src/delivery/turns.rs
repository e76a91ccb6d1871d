use std::collections::HashMap;

use crate::base::limits;

/// What a recipient costs its sender at ordinary priority.
const ORDINARY: u64 = 8;

/// Whose turn it is: senders are served round about, whatever each has in the queue, and so much the more often the higher
/// the priority of what they send. Nobody waits for ever: who is not served comes nearer to the front with each who is.
///
/// It is the start-time fair queueing of routers. Each sender stands at a place, which what is begun for it moves back;
/// the lowest place goes first; and who comes back after a while stands where the one stood that was served last, so
/// that nobody saves turns up.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Where the sender stood that was served last.
    now: u64,
    /// Those that stand behind it.
    places: HashMap<String, u64>,
}

impl Turns {
    /// Where a sender stands: the lowest goes first.
    pub(super) fn place(&self, sender: &str) -> u64 {
        self.places.get(sender).copied().unwrap_or(0).max(self.now)
    }

    /// So many recipients of a message of that priority are being served.
    pub(super) fn served(&mut self, sender: &str, recipients: usize, priority: i8) {
        let place = self.place(sender);
        self.now = place;
        let cost = cost(priority).saturating_mul(u64::try_from(recipients).unwrap_or(u64::MAX));
        self.places.insert(sender.to_owned(), place.saturating_add(cost));
        if self.places.len() > limits::SENDERS_IN_TURN {
            self.forget();
        }
    }

    /// Who stands at the front anyway needs no row; where all stand behind it, all begin anew.
    fn forget(&mut self) {
        let now = self.now;
        self.places.retain(|_, place| *place > now);
        if self.places.len() > limits::SENDERS_IN_TURN / 2 {
            self.now = self.places.values().copied().max().unwrap_or(now);
            self.places.clear();
        }
    }
}

/// What a recipient costs: a priority that is higher by three halves it.
// RFC 6710 §5: "SHOULD be processed with priority", and none before all others
fn cost(priority: i8) -> u64 {
    match priority {
        ..=-7 => ORDINARY * 8,
        -6..=-4 => ORDINARY * 4,
        -3..=-1 => ORDINARY * 2,
        0..=2 => ORDINARY,
        3..=5 => ORDINARY / 2,
        6..=8 => ORDINARY / 4,
        9.. => ORDINARY / 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who is served when each has always something: of each, its priority. Says how often each had its turn.
    fn check(senders: &[(&str, i8)], turns: usize, expected: &[usize]) {
        let mut line = Turns::default();
        let mut counts = vec![0; senders.len()];
        for _ in 0..turns {
            let next = (0..senders.len()).min_by_key(|at| (line.place(senders[*at].0), *at)).unwrap();
            line.served(senders[next].0, 1, senders[next].1);
            counts[next] += 1;
        }
        assert_eq!(counts, expected, "{senders:?}");
    }

    #[test]
    fn senders_are_served_round_about() {
        check(&[("a", 0)], 5, &[5]);
        check(&[("a", 0), ("b", 0)], 10, &[5, 5]);
        check(&[("a", 0), ("b", 0), ("c", 0)], 9, &[3, 3, 3]);
    }

    #[test]
    fn a_higher_priority_goes_more_often_and_starves_nobody() {
        check(&[("high", 9), ("ordinary", 0)], 90, &[80, 10]);
        check(&[("low", -9), ("ordinary", 0)], 90, &[10, 80]);
        check(&[("low", -9), ("high", 9)], 650, &[10, 640]);
    }

    #[test]
    fn many_recipients_are_as_many_turns() {
        let mut line = Turns::default();
        line.served("bulk", 100, 0);
        for _ in 0..100 {
            assert!(line.place("one") < line.place("bulk"));
            line.served("one", 1, 0);
        }
        assert!(line.place("one") >= line.place("bulk"));
    }

    #[test]
    fn nobody_saves_turns_up() {
        let mut line = Turns::default();
        (0..1000).for_each(|_| line.served("busy", 1, 0));
        line.served("new", 1, 0);
        assert!(line.place("new") >= line.place("busy"), "one turn, not a thousand");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut line = Turns::default();
        for number in 0..limits::SENDERS_IN_TURN * 3 {
            line.served(&number.to_string(), 1, 0);
            assert!(line.places.len() <= limits::SENDERS_IN_TURN);
        }
    }
}
