//! The real program, told to stop under load: it takes leave of everybody, loses nothing, and leaves a file that needs
//! no repair.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use pillarbox::base::{Random, SeededRandom};

use crate::kill::compare::Expect;
use crate::kill::load::{Ended, Load, Mix, Outcome, RECIPIENTS_MAX, SIZE_BYTES_MAX};
use crate::kill::{accounts, addresses, count_from_environment, empty, seed, serve, verify};
use crate::site::{self, data_file, say};
use crate::start::repairs;
use crate::wire::Smtp;

/// Stops of one run; 50 on demand: `PILLARBOX_STOPS`.
const STOPS: u64 = 5;
/// Senders of a load on a machine that can carry it.
const SENDERS: usize = 16;
/// So many messages are acknowledged before a stop.
const ACKNOWLEDGED_MIN: usize = 20;
/// A fault that no slow machine explains.
const END_LIMIT: Duration = Duration::from_secs(60);

#[test]
fn stopped_under_load() {
    let seed = seed();
    let random = SeededRandom::new(seed);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut site = serve(folder.path(), None);
    site.create_accounts(&accounts());
    let stops = count_from_environment("PILLARBOX_STOPS", STOPS);
    let (mut acknowledged, mut were_cut_off, mut senders, mut stop) = (0, 0, SENDERS, 0);
    let (mut slowest_leave, mut slowest_end) = (Duration::ZERO, Duration::ZERO);
    while stop < stops {
        let smtp = site.address("smtp");
        let mut idle = Smtp::connect(smtp).expect("the server greets");
        let load = start_load(smtp, senders, seed.wrapping_add(random.next_u64()));
        load.wait_for(ACKNOWLEDGED_MIN);
        std::thread::sleep(Duration::from_millis(random.next_u64() % 800));
        let asked = Instant::now();
        site.terminate();
        // Within five seconds: then what is left is cut off without a word.
        assert_eq!(idle.reply().expect("a last word").code, 421, "who does nothing is told");
        slowest_leave = slowest_leave.max(asked.elapsed());
        let (attempts, ends) = load.finish_with_ends();
        let all_ended = asked.elapsed();
        let status = site.wait(END_LIMIT);
        slowest_end = slowest_end.max(asked.elapsed());
        assert_eq!(status.code(), Some(0), "SIGTERM ends the server with success");
        // What a slow machine can't carry to its end within five seconds is cut off, and the log says so. Then the next
        // load is half as large; that a single sender is cut off no slow machine explains.
        let cut_off = cut_off(folder.path());
        if cut_off > were_cut_off {
            assert!(senders > 1, "a lone sender was cut off");
            (were_cut_off, senders) = (cut_off, senders / 2);
        } else {
            // One in the middle of its content may find the connection gone before it can read the 421.
            let took_leave = |end: &Ended| matches!(end, Ended::ServiceClosing | Ended::InContent);
            assert!(ends.iter().all(took_leave), "all take leave: {ends:?}");
            assert!(ends.contains(&Ended::ServiceClosing) || senders == 1, "421 was seen: {ends:?}");
            stop += 1;
        }
        assert!(all_ended < END_LIMIT, "all sessions ended after {all_ended:?}");
        site::check(&data_file(folder.path()));
        site = serve(folder.path(), None);
        assert_eq!(repairs(folder.path()), 0, "what was stopped needs no repair");
        verify(&site, &attempts, Expect::Acknowledged);
        acknowledged += attempts.iter().filter(|attempt| attempt.outcome == Outcome::Acknowledged).count();
        empty(&site);
    }
    assert!(acknowledged > 0, "the load had messages acknowledged");
    say(&format!(
        "pillarbox: stopped {stops} times: {acknowledged} acknowledged messages each there once, no repair; 421 after at most \
         {slowest_leave:?}, the end after at most {slowest_end:?}, {were_cut_off} more were cut off at the end of their time"
    ));
}

fn start_load(smtp: SocketAddr, senders: usize, seed: u64) -> Load {
    let sessions = (0..senders).map(|_| Smtp::connect(smtp).expect("the server greets a sender")).collect();
    // A lone one has nothing to send that takes long.
    let size_bytes_max = SIZE_BYTES_MAX / (SENDERS / senders) as f64;
    Load::over(
        sessions,
        &Mix { recipients: addresses(), recipients_max: RECIPIENTS_MAX, sender: None, size_bytes_max },
        seed,
    )
}

/// How often sessions were cut off when the server stopped.
fn cut_off(folder: &Path) -> usize {
    fs::read_to_string(folder.join("stderr.log")).expect("the log is read").matches("sessions were cut off").count()
}
