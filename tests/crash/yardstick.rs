//! How long something takes where the machine may be busy: seconds of a thread that does nothing but run.
//!
//! On a quiet machine that is the time of the wall. On a busy one such a thread gets no more of the processors than the
//! one that is waited for, so that a limit holds there too, and what sleeps where it should work misses it on both.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Between two looks, of the thread's own time.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Of the kernel's figures for user programs, which are in hundredths of a second on every machine.
const TICK_MS: u64 = 10;

/// A thread that runs until this is dropped.
pub struct Yardstick {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Mark>>>,
}

/// A moment of the wall clock, and for how long the thread had run by then.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Duration,
    ran: Duration,
}

/// All moments at which the thread has looked.
pub struct Marks(Vec<Mark>);

impl Yardstick {
    pub fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        Self { stop, thread: Some(std::thread::spawn(move || run(&told))) }
    }

    /// Ends the thread: what it has seen.
    pub fn stop(mut self) -> Marks {
        self.stop.store(true, Ordering::Relaxed);
        Marks(self.thread.take().expect("it is stopped once").join().expect("it only runs"))
    }
}

impl Drop for Yardstick {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Marks {
    /// For how long the thread has run between two moments, each since 1970.
    pub fn between(&self, from: Duration, to: Duration) -> Duration {
        let ran = |at: Duration| match self.0.partition_point(|mark| mark.at <= at) {
            0 => Duration::ZERO,
            behind => self.0[behind - 1].ran,
        };
        ran(to).saturating_sub(ran(from))
    }

    /// For how long it has run.
    pub fn whole(&self) -> Duration {
        self.0.last().map_or(Duration::ZERO, |mark| mark.ran)
    }
}

fn run(stop: &AtomicBool) -> Vec<Mark> {
    let began = ran();
    let mut marks = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mark = Mark { at: now(), ran: ran().saturating_sub(began) };
        marks.push(mark);
        while ran().saturating_sub(began) < mark.ran + LOOK_EVERY && !stop.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    }
    marks.push(Mark { at: now(), ran: ran().saturating_sub(began) });
    marks
}

/// Since 1970.
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970")
}

/// For how long this thread has had a processor.
fn ran() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/stat").expect("a thread has a status");
    // Behind the name, which may hold anything: from the third field on. User and system time are the 14th and 15th.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_ascii_whitespace();
    let ticks: u64 = fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number of ticks")).sum();
    Duration::from_millis(ticks * TICK_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from_s: u64, to_s: u64, expected_s: u64) {
        let mark = |(at, ran)| Mark { at: Duration::from_secs(at), ran: Duration::from_secs(ran) };
        let marks = Marks([(10, 0), (11, 1), (20, 2), (21, 3)].map(mark).to_vec());
        let seen = marks.between(Duration::from_secs(from_s), Duration::from_secs(to_s));
        assert_eq!(seen, Duration::from_secs(expected_s), "{from_s} to {to_s}");
        assert_eq!(marks.whole(), Duration::from_secs(3));
    }

    #[test]
    fn time_in_which_it_did_not_run_does_not_count() {
        check(10, 21, 3);
        check(11, 19, 0);
        check(11, 20, 1);
        check(0, 5, 0);
        check(0, 99, 3);
    }
}
