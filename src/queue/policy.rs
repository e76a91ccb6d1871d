use crate::base::Timestamp;

/// How long mail is tried. Seconds, as in the settings of the same names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// `queue.retry_seconds`: the pause after the first, second, … failed attempt; the last one repeats. Never empty.
    pub retry_seconds: Vec<u64>,
    /// `queue.expiry_seconds`
    pub expiry_seconds: u64,
    /// `queue.bounce_expiry_seconds`: the same for mail with the null sender.
    pub bounce_expiry_seconds: u64,
    /// `queue.hold_expiry_seconds`: the same for mail that waits for a peer.
    pub hold_expiry_seconds: u64,
    /// `queue.delay_notice_seconds`: after this time the sender is told of the delay, once; 0 for never.
    pub delay_notice_seconds: u64,
}

impl Policy {
    /// When the attempt after the `attempts`-th failed one is made: `attempts` from 1 on; `jitter` in 0..=2000 stands
    /// for -10 % to +10 %, in hundredths of a percent.
    // RFC 5321 §4.5.4.1: the pause grows
    pub fn next(&self, now: Timestamp, attempts: u32, jitter: u32) -> Timestamp {
        let place = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        let pause_s = self.retry_seconds.get(place).or(self.retry_seconds.last()).copied().unwrap_or(0);
        // A second at least, whatever is set: nobody is dialled in a circle.
        let pause_ms = ms(pause_s).max(1000);
        now.plus_ms((pause_ms / 10_000).saturating_mul(part(jitter)) + pause_ms % 10_000 * part(jitter) / 10_000)
    }

    /// How long a message is tried, in milliseconds.
    pub(super) fn expiry_ms(&self, null_sender: bool) -> u64 {
        ms(if null_sender { self.bounce_expiry_seconds } else { self.expiry_seconds })
    }

    /// Whether the sender of a message that came in at `at` is told now that it is delayed, if they were not yet.
    pub(super) fn tells_delay(&self, at: Timestamp, now: Timestamp) -> bool {
        self.delay_notice_seconds > 0 && now >= at.plus_ms(ms(self.delay_notice_seconds))
    }
}

/// Ten-thousandths: 9,000 to 11,000.
fn part(jitter: u32) -> u64 {
    9000 + u64::from(jitter.min(2000))
}

/// Seconds as milliseconds.
pub(super) fn ms(seconds: u64) -> u64 {
    seconds.saturating_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(attempts: u32, jitter: u32, expected_ms: u64) {
        let policy = Policy {
            retry_seconds: vec![60, 300, 3600],
            expiry_seconds: 432_000,
            bounce_expiry_seconds: 172_800,
            hold_expiry_seconds: 1_209_600,
            delay_notice_seconds: 14_400,
        };
        let now = Timestamp(1_795_341_900_000);
        assert_eq!(policy.next(now, attempts, jitter).ms_since(now), expected_ms, "{attempts}, {jitter}");
    }

    #[test]
    fn the_pause_grows_and_then_stays() {
        check(1, 1000, 60_000);
        check(2, 1000, 300_000);
        check(3, 1000, 3_600_000);
        check(4, 1000, 3_600_000);
        check(u32::MAX, 1000, 3_600_000);
        check(0, 1000, 60_000);
    }

    #[test]
    fn it_varies_by_a_tenth() {
        check(1, 0, 54_000);
        check(1, 2000, 66_000);
        check(1, u32::MAX, 66_000);
        check(2, 999, 299_970);
    }
}
