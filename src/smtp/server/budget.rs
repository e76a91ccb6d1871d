use std::time::Duration;

use tokio::time::Instant;

use crate::base::limits;

/// The time and the octets that a session may take, whatever it does.
pub(super) struct Budget {
    ends: Instant,
    bytes_left: u64,
}

/// The pace that data must keep: after a time of grace, a number of octets a second on average.
pub(super) struct Pace {
    began: Instant,
    bytes: u64,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self { ends: now + Duration::from_secs(limits::SMTP_SESSION_S), bytes_left: limits::SMTP_SESSION_BYTES }
    }

    /// So many octets have come.
    pub(super) fn spend(&mut self, bytes: usize) {
        self.bytes_left = self.bytes_left.saturating_sub(bytes as u64);
    }

    pub(super) fn is_spent(&self, now: Instant) -> bool {
        self.bytes_left == 0 || self.ends <= now
    }

    /// The earlier of `deadline` and the session's own end.
    pub(super) fn cap(&self, deadline: Instant) -> Instant {
        deadline.min(self.ends)
    }
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { began: now, bytes: 0 }
    }

    /// So many octets have come.
    pub(super) fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// The client was kept waiting by us: that is not its fault.
    pub(super) fn excuse(&mut self, waited: Duration) {
        self.began += waited;
    }

    /// When the next octets must have come.
    pub(super) fn deadline(&self) -> Instant {
        let seconds = limits::DATA_GRACE_S + self.bytes / limits::DATA_RATE_BYTES_PER_S;
        self.began + Duration::from_secs(seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_an_end() {
        let now = Instant::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let mut budget = Budget::new(now);
        let end = limits::SMTP_SESSION_S;
        assert_eq!((budget.cap(after(10)), budget.cap(after(end + 1))), (after(10), after(end)));
        assert!(!budget.is_spent(after(end - 1)) && budget.is_spent(after(end)));
        budget.spend(limits::SMTP_SESSION_BYTES as usize - 1);
        assert!(!budget.is_spent(now));
        budget.spend(1);
        assert!(budget.is_spent(now));
    }

    #[test]
    fn data_must_keep_its_pace() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        let check = |pace: &Pace, seconds| assert_eq!(pace.deadline(), now + Duration::from_secs(seconds));
        check(&pace, limits::DATA_GRACE_S);
        pace.add(10 * limits::DATA_RATE_BYTES_PER_S as usize);
        check(&pace, limits::DATA_GRACE_S + 10);
        pace.excuse(Duration::from_secs(7));
        check(&pace, limits::DATA_GRACE_S + 17);
    }
}
