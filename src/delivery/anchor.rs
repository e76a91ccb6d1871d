use crate::base::{Clock, Timestamp};

/// A wall clock that is further ahead than this has jumped; less is drift, and followed.
const JUMP_MS: u64 = 2000;
/// Jumps that are remembered; older ones are as good as over.
const GAPS_MAX: usize = 8;

/// The time of the schedule. It goes on by the monotonic clock. When the wall clock jumps forward, so does it, since
/// what comes in from then on is stamped with that; but what was due in the time that was jumped over waits as long as
/// it would have: that stretch is a gap, which closes as time passes. (What was due behind the jump comes earlier by it,
/// once; the next pause is counted from then.) When the wall clock jumps back, it does not: what is scheduled would stand
/// still for as long.
#[derive(Debug)]
pub(super) struct Anchor {
    wall: u64,
    monotonic: u64,
    gaps: Vec<Gap>,
}

/// What lies behind `from` and before `to` is not due, although `to` is past. `from` moves with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

impl Anchor {
    /// Begins with what the wall clock shows.
    pub(super) fn new(clock: &dyn Clock) -> Self {
        Self { wall: clock.now().0, monotonic: clock.monotonic_ms(), gaps: Vec::new() }
    }

    /// What time it is by the schedule.
    pub(super) fn now(&mut self, clock: &dyn Clock) -> Timestamp {
        let (wall, monotonic) = (clock.now().0, clock.monotonic_ms());
        let passed = monotonic.saturating_sub(self.monotonic);
        self.monotonic = monotonic;
        for gap in &mut self.gaps {
            gap.from = gap.from.plus_ms(passed);
        }
        self.gaps.retain(|gap| gap.from < gap.to);
        self.wall = self.wall.saturating_add(passed);
        if wall > self.wall.saturating_add(JUMP_MS) {
            // It jumped at some time since the last look: what was stamped after that may not fall into the gap.
            let to = Timestamp(wall.saturating_sub(passed).max(self.wall));
            let from = Timestamp(self.wall);
            if from < to {
                self.gaps.push(Gap { from, to });
            }
            if self.gaps.len() > GAPS_MAX {
                self.gaps.remove(0);
            }
        }
        self.wall = self.wall.max(wall);
        Timestamp(self.wall)
    }

    /// The gaps that are open, as of the last look, in the order of the schedule.
    pub(super) fn gaps(&self) -> &[Gap] {
        &self.gaps
    }
}

/// The stretches of the schedule that are due: first and last moment.
pub(super) fn due_spans(now: Timestamp, gaps: &[Gap]) -> Vec<(Timestamp, Timestamp)> {
    let (mut spans, mut from) = (Vec::with_capacity(gaps.len() + 1), Timestamp(0));
    for gap in gaps {
        spans.push((from, gap.from));
        from = gap.to;
    }
    spans.push((from, now));
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::TurnedClock;

    const HOUR: u64 = 60 * 60 * 1000;
    const DAY: u64 = 24 * HOUR;

    /// Turns a clock that begins on day 100; says what is due then, in hours since that day.
    fn check(turns: &[(&str, u64)], expected: &[(i64, i64)]) {
        let start = 100 * DAY;
        let clock = TurnedClock::new(Timestamp(start));
        let mut anchor = Anchor::new(&clock);
        let mut now = anchor.now(&clock);
        for (turn, hours) in turns {
            match *turn {
                "pass" => clock.advance_ms(hours * HOUR),
                "ahead" => clock.set(Timestamp(clock.now().0 + hours * HOUR)),
                "back" => clock.set(Timestamp(clock.now().0 - hours * HOUR)),
                _ => unreachable!(),
            }
            now = anchor.now(&clock);
        }
        let hours = |at: Timestamp| (at.0 as i64 - start as i64) / HOUR as i64;
        let seen: Vec<_> = due_spans(now, anchor.gaps()).iter().map(|(from, to)| (hours(*from), hours(*to))).collect();
        let expected: Vec<_> = expected
            .iter()
            .enumerate()
            .map(|(place, span)| (if place == 0 { -2400 } else { span.0 }, span.1))
            .collect();
        assert_eq!(seen, expected, "{turns:?}");
    }

    #[test]
    fn a_jump_of_the_wall_clock_neither_storms_nor_stalls() {
        check(&[], &[(0, 0)]);
        check(&[("pass", 3)], &[(0, 3)]);
        // A day ahead: what is due in that day still waits, what comes in now is due.
        check(&[("ahead", 24)], &[(0, 0), (24, 24)]);
        check(&[("ahead", 24), ("pass", 5)], &[(0, 5), (24, 29)]);
        check(&[("ahead", 24), ("pass", 24)], &[(0, 48)]);
        check(&[("ahead", 24), ("pass", 1), ("ahead", 24), ("pass", 1)], &[(0, 2), (24, 26), (49, 50)]);
        check(&[("ahead", 87_600), ("pass", 1)], &[(0, 1), (87_600, 87_601)]);
        // Back: the schedule goes on.
        check(&[("back", 24)], &[(0, 0)]);
        check(&[("back", 24), ("pass", 5)], &[(0, 5)]);
        // There and back again.
        check(&[("ahead", 24), ("back", 24), ("pass", 1)], &[(0, 1), (24, 25)]);
        check(&[("back", 24), ("ahead", 24), ("pass", 1)], &[(0, 1)]);
    }

    #[test]
    fn drift_is_followed() {
        let clock = TurnedClock::new(Timestamp(DAY));
        let mut anchor = Anchor::new(&clock);
        for _ in 0..100 {
            clock.advance_ms(1000);
            clock.set(Timestamp(clock.now().0 + 1));
            assert_eq!(anchor.now(&clock), clock.now());
        }
        assert_eq!(anchor.gaps(), []);
    }
}
