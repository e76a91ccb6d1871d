//! The real program, killed while mail is read and put in order: what was answered with OK is so after the restart,
//! what was answered as gone is not back, no UID comes twice, and no MODSEQ goes backwards.
//!
//! Editors have their mailboxes to themselves, so that each knows exactly what is in them, but for the one command that
//! the kill has cut off. Movers take what comes by SMTP out of an INBOX into another mailbox.

mod editor;
mod mover;
mod shelf;

use std::path::Path;
use std::time::{Duration, Instant};

use pillarbox::base::SeededRandom;

use crate::imap::Imap;
use crate::kill::compare::{self, Expect};
use crate::kill::load::{Load, Mix, Outcome, RECIPIENTS_MAX};
use crate::kill::{count_from_environment, load_time, seed};
use crate::site::{self, Site, data_file, say};
use crate::wire::Smtp;
use crate::yardstick::Yardstick;
use editor::Editor;
use mover::Mover;

/// Kills of one run; 10 in tests/all, 1,000 on demand: `PILLARBOX_IMAP_KILLS`.
const KILLS: u64 = 3;
/// Of the longest load.
const LOAD_MS_MAX: f64 = 2000.0;
/// So many messages are acknowledged before the first kill.
const ACKNOWLEDGED_MIN: usize = 20;
/// Until the next greeting, as a thread that only runs sees it: on a quiet machine that takes tenths of a second.
const RESTART_LIMIT: Duration = Duration::from_secs(15);
const EDITORS: u64 = 4;
const MOVERS: u64 = 2;
/// SMTP sessions that send to the movers.
const SENDERS: usize = 4;
/// Octets of the largest message that comes by SMTP.
const SENT_BYTES_MAX: f64 = 100_000.0;

fn address(kind: &str, number: u64) -> String {
    format!("{kind}{number}@example.test")
}

fn serve(folder: &Path) -> Site {
    Site::serve(folder, &["--listen", "imap=127.0.0.1:0"])
}

#[test]
fn killed_while_imap_works() {
    let seed = seed();
    let random = SeededRandom::new(seed);
    let kills = count_from_environment("PILLARBOX_IMAP_KILLS", KILLS);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut site = serve(folder.path());
    let names = (0..EDITORS).map(|n| format!("e{n}")).chain((0..MOVERS).map(|n| format!("m{n}")));
    site.create_accounts(&names.collect::<Vec<_>>());
    let mut editors: Vec<Editor> =
        (0..EDITORS).map(|number| Editor::new(site.address("imap"), address("e", number), seed ^ number)).collect();
    let movers: Vec<String> = (0..MOVERS).map(|number| address("m", number)).collect();
    let (mut done, mut undecided, mut happened, mut moved, mut delivered) = (0, 0, 0, 0, 0);
    let mut slowest = Duration::ZERO;
    for kill in 0..kills {
        let (imap, smtp) = (site.address("imap"), site.address("smtp"));
        let sessions = (0..SENDERS).map(|_| Smtp::connect(smtp).expect("the server greets a sender")).collect();
        let mix = Mix {
            recipients: movers.clone(),
            recipients_max: RECIPIENTS_MAX,
            sender: None,
            size_bytes_max: SENT_BYTES_MAX,
        };
        let load = Load::over(sessions, &mix, seed.wrapping_add(kill << 32));
        let editing: Vec<_> =
            editors.drain(..).map(|editor| std::thread::spawn(move || editor.work_until_the_end(imap))).collect();
        let moving: Vec<_> = movers
            .iter()
            .map(|user| Mover::new(user))
            .map(|mover| std::thread::spawn(move || mover.work_until_the_end(imap)))
            .collect();
        if kill == 0 {
            load.wait_for(ACKNOWLEDGED_MIN);
        }
        std::thread::sleep(load_time(&random, LOAD_MS_MAX));
        site.kill();
        let attempts = load.finish();
        editors = editing.into_iter().map(|editor| editor.join().expect("an editor does not fail")).collect();
        let moves: Vec<Mover> = moving.into_iter().map(|mover| mover.join().expect("a mover does not fail")).collect();

        let (started, yardstick) = (Instant::now(), Yardstick::start());
        site = serve(folder.path());
        let imap = site.address("imap");
        Imap::connect(imap).expect("the server greets");
        slowest = slowest.max(started.elapsed());
        let ran = yardstick.stop().whole();
        assert!(ran < RESTART_LIMIT, "a greeting after {ran:?} of a thread that only runs");
        for editor in &mut editors {
            let verified = editor.verify(imap);
            done += verified.done;
            undecided += usize::from(verified.undecided);
            happened += usize::from(verified.happened);
        }
        for (mover, user) in moves.iter().zip(&movers) {
            let contents = mover.verify(imap);
            let compared = compare::compare(user, contents.into_iter(), &attempts, Expect::Acknowledged);
            assert!(compared.faults.is_empty(), "{}", compared.faults.join("\n"));
            moved += mover.acknowledged();
            mover::empty(imap, user);
        }
        let acknowledged = attempts.iter().filter(|attempt| attempt.outcome == Outcome::Acknowledged);
        delivered += acknowledged.map(|attempt| attempt.recipients.len()).sum::<usize>();
    }
    assert!(site.stop().success(), "the server stops");
    site::check(&data_file(folder.path()));
    say(&format!(
        "pillarbox: killed {kills} times while IMAP worked: {done} commands that were answered are as they were answered, of \
         {undecided} cut off {happened} have happened, whole; {moved} of {delivered} delivered copies moved, each there once; \
         slowest greeting after a kill: {slowest:?}"
    ));
    assert!(done > 0 && moved > 0, "the load had commands answered");
}
