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
    pub fn next(&self, now: Timestamp, attempts: u32, jitter: u32) -> Timestamp {
        let _ = (now, attempts, jitter);
        todo!()
    }
}
