use crate::base::{Timestamp, limits};
use crate::queue::Attempt;

/// How many sessions some servers get: few at first, one more with each message that they take, half as many when they
/// say no or nothing. And where nobody there can be reached any more, none but now and then one that tries.
///
/// Pure: the clock is passed in.
#[derive(Debug)]
pub(super) struct Pace {
    /// Sessions that run.
    sessions: usize,
    /// Sessions that may.
    limit: usize,
    /// Sessions in a row that could not reach anybody.
    failures: u32,
    /// Nobody is dialled, or one at a time.
    circuit: Option<Circuit>,
}

/// Too many in a row could not reach anybody.
#[derive(Debug)]
struct Circuit {
    /// When the next one may try.
    again_at: Timestamp,
    /// What happened last, for those that are put off by it.
    attempt: Attempt,
}

/// Whether a session may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entered {
    /// It has.
    Yes,
    /// As many run as may.
    Full,
    /// Nobody there can be reached, as others have found a moment ago.
    Broken(Box<Attempt>),
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { sessions: 0, limit: limits::SESSIONS_AT_FIRST, failures: 0, circuit: None }
    }

    /// Begins a session, if one may.
    pub(super) fn enter(&mut self, now: Timestamp) -> Entered {
        match &self.circuit {
            Some(circuit) if now < circuit.again_at || self.sessions > 0 => {
                Entered::Broken(Box::new(circuit.attempt.clone()))
            }
            None if self.sessions >= self.limit => Entered::Full,
            _ => {
                self.sessions += 1;
                Entered::Yes
            }
        }
    }

    /// Whether a session may begin now.
    pub(super) fn has_room(&self, now: Timestamp) -> bool {
        match &self.circuit {
            Some(circuit) => now >= circuit.again_at && self.sessions == 0,
            None => self.sessions < self.limit,
        }
    }

    /// A session has ended.
    pub(super) fn leave(&mut self) {
        self.sessions = self.sessions.saturating_sub(1);
    }

    /// A server has answered, and taken so many messages: so many more sessions may run, up to `limit_max`.
    pub(super) fn answered(&mut self, taken: usize, limit_max: usize) {
        (self.failures, self.circuit) = (0, None);
        self.limit = self.limit.saturating_add(taken).min(limit_max.max(1));
    }

    /// A server has put something off, or was silent: half as many sessions may run.
    pub(super) fn slowed(&mut self) {
        self.limit = (self.limit / 2).max(1);
    }

    /// A session has reached nobody. With enough of them in a row none is begun for a while; each one more that tries
    /// doubles it.
    pub(super) fn unreached(&mut self, now: Timestamp, attempt: Attempt) {
        self.slowed();
        // Those that were under way when the circuit opened say nothing new.
        if self.circuit.as_ref().is_some_and(|circuit| now < circuit.again_at) {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        let Some(more) = self.failures.checked_sub(limits::CIRCUIT_FAILURES) else { return };
        let pause_ms = limits::CIRCUIT_MS.saturating_mul(1 << more.min(16)).min(limits::CIRCUIT_MS_MAX);
        self.circuit = Some(Circuit { again_at: now.plus_ms(pause_ms), attempt });
    }

    /// An operator wants it to be tried now.
    pub(super) fn forgive(&mut self) {
        (self.failures, self.circuit) = (0, None);
    }

    /// Whether nothing would be lost if it were forgotten.
    pub(super) fn is_idle(&self, now: Timestamp) -> bool {
        let is_over = |circuit: &Circuit| now > circuit.again_at.plus_ms(limits::TROUBLE_MS);
        self.sessions == 0 && self.circuit.as_ref().is_none_or(is_over)
    }

    /// Whether nobody there can be reached: who asks is told so at once.
    pub(super) fn is_broken(&self) -> bool {
        self.circuit.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Enhanced;
    use crate::queue::{Stage, Words};

    const NOW: Timestamp = Timestamp(1_000_000);

    fn attempt() -> Attempt {
        Attempt {
            at: NOW,
            actor: "test".into(),
            server: None,
            server_ip: None,
            tls: None,
            stage: Stage::Connect,
            words: Words::own(Enhanced(4, 4, 1), "refused"),
            duration_ms: 0,
        }
    }

    /// What is done, as in `+` a session wants to begin, `-` one ends, `3` so many messages are taken, `s` slowed, `x`
    /// unreached, `.` a second passes; says of each session that wants to begin `y`, `f` or `b`.
    fn check(steps: &str, expected: &str) {
        let (mut pace, mut now, mut seen) = (Pace::new(), NOW, String::new());
        for step in steps.chars() {
            match step {
                '+' => {
                    let had_room = pace.has_room(now);
                    let entered = pace.enter(now);
                    assert_eq!(had_room, entered == Entered::Yes);
                    seen.push(match entered {
                        Entered::Yes => 'y',
                        Entered::Full => 'f',
                        Entered::Broken(_) => 'b',
                    });
                }
                '-' => pace.leave(),
                's' => pace.slowed(),
                'x' => pace.unreached(now, attempt()),
                '.' => now = now.plus_ms(1000),
                _ => pace.answered(step.to_digit(10).unwrap() as usize, 5),
            }
        }
        assert_eq!(seen, expected, "{steps}");
    }

    #[test]
    fn sessions_rise_with_what_is_taken_and_fall_by_half() {
        assert_eq!(limits::SESSIONS_AT_FIRST, 2);
        check("+++", "yyf");
        check("+++1++", "yyfyf");
        check("9++++++", "yyyyyf");
        check("9s+++", "yyf");
        check("sss++", "yf");
        check("sss1+++", "yyf");
        check("++-++", "yyyf");
    }

    #[test]
    fn a_circuit_opens_after_some_in_a_row_and_is_tried_ever_more_seldom() {
        assert_eq!((limits::CIRCUIT_FAILURES, limits::CIRCUIT_MS), (3, 5000));
        check("+x-+x-+x-+", "yyyb");
        check("+x-+x-+0-+x-+x-++", "yyyyyyf");
        // Five seconds, then one tries; ten then.
        check("xxx....+.++", "byb");
        check("xxx.....+x-.........+.+", "yby");
        // What was under way says nothing new.
        check("xxxxxx.....+", "y");
        // An answer closes it.
        check("xxx.....+1-++", "yyy");
    }
}
