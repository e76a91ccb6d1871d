//! Two real servers, of which one is killed at some moment of a swap, again and again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use pillarbox::base::{Random, SeededRandom};
use serde_json::json;

use crate::site::{self, data_file, say};
use crate::swap_site::{Swapper, submit_over, wait_until};

/// Kills of one run; more on demand: `PILLARBOX_SWAP_KILLS`.
const KILLS: u64 = 4;
/// Messages each way in a round.
const MESSAGES: u64 = 8;

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Both sides' files, and the port at which the hub is found each time.
struct Field<'a> {
    folders: [&'a Path; 2],
    port: u16,
}

impl Field<'_> {
    fn hub(&self) -> Swapper {
        Swapper::again(self.folders[0], "hub.test", &["--listen", &format!("smtp=127.0.0.1:{}", self.port)])
    }

    fn branch(&self) -> Swapper {
        Swapper::again(self.folders[1], "branch.test", &[])
    }
}

/// How often each subject is there; the highest number of copies beyond the first, summed.
fn doubles(subjects: &[String], expected: u64) -> usize {
    let mut copies = BTreeMap::<&str, usize>::new();
    for subject in subjects {
        *copies.entry(subject).or_default() += 1;
    }
    assert_eq!(copies.len() as u64, expected, "nothing is lost: {copies:?}");
    subjects.len() - copies.len()
}

#[test]
fn either_side_is_killed_at_any_moment() {
    let seed = from_environment("PILLARBOX_SEED", std::process::id().into());
    say(&format!("seed: PILLARBOX_SEED={seed}"));
    let random = SeededRandom::new(seed);
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    let (mut hub, mut branch, field) = start(&folders);
    let kills = from_environment("PILLARBOX_SWAP_KILLS", KILLS);
    for round in 0..kills {
        let mut talk = hub.submission("hubert");
        let mut other = branch.submission("bea");
        for number in 0..MESSAGES {
            submit_over(&mut talk, "hubert@hub.test", "bea@branch.test", &format!("down-{round}-{number}"));
            submit_over(&mut other, "bea@branch.test", "hubert@hub.test", &format!("up-{round}-{number}"));
        }
        drop((talk, other));
        let verb = if round % 2 == 0 { "atrn" } else { "turn" };
        branch.rest("POST", "/turn/peers/hub/sessions", &json!({"verb": verb})).is(202);
        std::thread::sleep(Duration::from_millis(random.next_u64() % 400));
        if random.next_u64().is_multiple_of(2) {
            hub.site.kill();
            site::check(&data_file(field.folders[0]));
            hub = field.hub();
        } else {
            branch.site.kill();
            site::check(&data_file(field.folders[1]));
            branch = field.branch();
        }
    }
    // The last session goes through: once nothing of an interrupted one is left.
    wait_until("a whole session", || {
        let job = branch.call("hub", &json!({"verb": "atrn"}));
        job["state"] == "succeeded" && hub.waiting("branch.test") == 0 && branch.queue().is_empty()
    });
    assert!(hub.queue().is_empty());
    let twice =
        [doubles(&branch.subjects("bea"), kills * MESSAGES), doubles(&hub.subjects("hubert"), kills * MESSAGES)];
    for (swapper, folder) in [(hub, field.folders[0]), (branch, field.folders[1])] {
        assert!(swapper.site.stop().success());
        site::check(&data_file(folder));
    }
    let uncertain = field.folders.map(super::uncertain);
    for (twice, uncertain) in twice.iter().zip(&uncertain) {
        assert!(twice <= uncertain, "{twice} doubles, {uncertain} uncertain outcomes");
    }
    say(&format!(
        "pillarbox: killed {kills} times in a swap, {MESSAGES} messages each way: none lost, {twice:?} doubled, \
         {uncertain:?} uncertain outcomes"
    ));
}

fn start(folders: &[tempfile::TempDir; 2]) -> (Swapper, Swapper, Field<'_>) {
    let hub = Swapper::start(folders[0].path(), "hub.test", &["hubert"], &[]);
    let branch = Swapper::start(folders[1].path(), "branch.test", &["bea"], &[]);
    hub.put_peer("branch", &["branch.test"], &json!({}));
    let address = hub.site.address("smtp");
    branch.put_provider("hub", &["branch.test", "hub.test"], "branch", address, &hub.fingerprint());
    let field = Field { folders: [folders[0].path(), folders[1].path()], port: address.port() };
    (hub, branch, field)
}
