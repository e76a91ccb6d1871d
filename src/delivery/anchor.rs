use crate::base::{Clock, Timestamp};

/// A wall clock that is further off than this has jumped; less is drift, and followed.
const JUMP_MS: u64 = 2000;
/// Jumps that are remembered; older ones are as good as over.
const GAPS_MAX: usize = 8;

/// The time of the schedule. It is that of the wall clock, so that nothing is given up, or told to be of a time, that
/// nobody's clock shows; but a jump of the wall clock makes nothing due.
///
/// When it jumps forward, what was due in the time that was jumped over waits as long as it would have: that stretch is
/// a gap, which closes as time passes. (What was due behind the jump comes earlier by it, once; the next pause is
/// counted from then.) When it jumps back, what was stamped before would stand still for as long: it is to be recalled
/// ([`crate::queue::Recall`]), and no gap reaches behind now.
#[derive(Debug)]
pub(super) struct Anchor {
    wall: u64,
    monotonic: u64,
    gaps: Vec<Gap>,
    went_back: bool,
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
        Self { wall: clock.now().0, monotonic: clock.monotonic_ms(), gaps: Vec::new(), went_back: false }
    }

    /// What time it is by the schedule.
    pub(super) fn now(&mut self, clock: &dyn Clock) -> Timestamp {
        let (wall, monotonic) = (clock.now().0, clock.monotonic_ms());
        let passed = monotonic.saturating_sub(self.monotonic);
        let expected = self.wall.saturating_add(passed);
        (self.wall, self.monotonic) = (wall, monotonic);
        for gap in &mut self.gaps {
            gap.from = gap.from.plus_ms(passed);
            gap.to = gap.to.min(Timestamp(wall));
        }
        self.gaps.retain(|gap| gap.from < gap.to);
        if wall > expected.saturating_add(JUMP_MS) {
            // It jumped at some time since the last look: what was stamped after that may not fall into the gap.
            let to = Timestamp(wall.saturating_sub(passed).max(expected));
            let from = Timestamp(expected);
            if from < to {
                self.gaps.push(Gap { from, to });
            }
            if self.gaps.len() > GAPS_MAX {
                self.gaps.remove(0);
            }
        }
        self.went_back |= expected > wall.saturating_add(JUMP_MS);
        if wall.abs_diff(expected) > JUMP_MS {
            let (was, now) = (Timestamp(expected), Timestamp(wall));
            tracing::warn!(event = "clock_set", %was, %now, "the wall clock was set: dates and ages are by the new one");
        }
        Timestamp(wall)
    }

    /// The gaps that are open, as of the last look, in the order of the schedule.
    pub(super) fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Whether the wall clock has jumped back since this was last asked.
    pub(super) fn take_back(&mut self) -> bool {
        std::mem::take(&mut self.went_back)
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
        // Back: so does the schedule.
        check(&[("back", 24)], &[(0, -24)]);
        check(&[("back", 24), ("pass", 5)], &[(0, -19)]);
        // There and back again.
        check(&[("ahead", 24), ("back", 24), ("pass", 1)], &[(0, 1)]);
        check(&[("ahead", 87_600), ("pass", 1), ("back", 87_600), ("pass", 1)], &[(0, 2)]);
        check(&[("back", 24), ("ahead", 24), ("pass", 1)], &[(0, -23), (0, 1)]);
        // Half of the way back: what was due before the jump still waits.
        check(&[("ahead", 24), ("pass", 1), ("back", 12), ("pass", 1)], &[(0, 2), (13, 14)]);
        check(&[("ahead", 24), ("ahead", 24), ("back", 36), ("pass", 1)], &[(0, 1), (12, 13)]);
    }

    #[test]
    fn a_jump_back_is_told_once() {
        let clock = TurnedClock::new(Timestamp(DAY));
        let mut anchor = Anchor::new(&clock);
        for (back_ms, expected) in [(0, false), (JUMP_MS, false), (JUMP_MS + 1, true), (0, false), (HOUR, true)] {
            clock.set(Timestamp(clock.now().0 - back_ms));
            assert_eq!(anchor.now(&clock), clock.now());
            assert_eq!(anchor.take_back(), expected, "{back_ms}");
        }
        clock.set(Timestamp(9 * DAY));
        anchor.now(&clock);
        assert!(!anchor.take_back());
    }

    #[test]
    fn drift_is_followed() {
        let clock = TurnedClock::new(Timestamp(DAY));
        let mut anchor = Anchor::new(&clock);
        for drift in [1001, 999] {
            for _ in 0..100 {
                clock.advance_ms(1000);
                clock.set(Timestamp(clock.now().0 - 1000 + drift));
                assert_eq!(anchor.now(&clock), clock.now());
            }
        }
        assert_eq!(anchor.gaps(), []);
        assert!(!anchor.take_back());
    }
}
