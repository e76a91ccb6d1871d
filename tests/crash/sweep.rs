//! The real program, killed while the messages of a deleted mailbox are removed slice by slice: the file is sound with half
//! of them, nobody finds them any more, and the next start removes the rest.

use std::path::Path;
use std::time::{Duration, Instant};

use pillarbox::base::{Random, SeededRandom};
use pillarbox::mailbox::Sweep;
use pillarbox::schema::SCHEMA;
use pillarbox::store::{Options, Store};

use crate::imap::Imap;
use crate::kill::seed;
use crate::site::{self, PASSWORD, Site, data_file, say};

/// Kills of one run, of some seconds each.
const KILLS: u64 = 3;
/// How often the messages are doubled: 2,048 are nine slices, and each is a sync.
const DOUBLINGS: u32 = 11;
/// A fault that no slow machine explains.
const END_LIMIT: Duration = Duration::from_secs(120);
const ALICE: &str = "alice@example.test";

fn serve(folder: &Path) -> Site {
    Site::serve(folder, &["--listen", "imap=127.0.0.1:0"])
}

#[test]
fn killed_while_a_deleted_mailbox_is_swept() {
    let random = SeededRandom::new(seed());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut site = serve(folder.path());
    site.create_accounts(&["alice".to_owned()]);
    let (mut validity, mut in_the_middle) = (0, 0);
    for kill in 0..KILLS {
        let last = fill(&site, &mut validity);
        let mut imap = Imap::login(site.address("imap"), ALICE, PASSWORD).expect("alice logs in");
        if kill % 2 == 0 {
            imap.ok("DELETE Old").expect("the mailbox is deleted");
        } else {
            let (status, _) = site.rest("DELETE", &format!("/api/v1/accounts/{ALICE}"), "");
            assert_eq!(status, 204, "the account is deleted");
        }
        // The first at once, which is in the middle on every machine.
        std::thread::sleep(Duration::from_millis(if kill == 0 { 0 } else { random.next_u64() % 50 }));
        site.kill();
        site::check(&data_file(folder.path()));
        in_the_middle += usize::from(has_more(folder.path()));
        site::check(&data_file(folder.path()));

        site = serve(folder.path());
        site.create_accounts(&["alice".to_owned()]);
        assert_eq!(site.rest("GET", &format!("/api/v1/accounts/{ALICE}/mailboxes/Old"), "").0, 404, "it is gone");
        wait_until_expunged(&site, &last);
    }
    assert!(site.stop().success(), "the server stops");
    site::check(&data_file(folder.path()));
    assert!(!has_more(folder.path()), "nothing is left to be removed");
    say(&format!(
        "pillarbox: killed {KILLS} times behind a deletion, {in_the_middle} of them in the middle of its sweep"
    ));
    assert!(in_the_middle > 0, "no kill was in the middle");
}

/// Makes the mailbox anew and fills it with copies of one message, and another behind them: the id of that. Its
/// UIDVALIDITY is above the one before.
fn fill(site: &Site, validity: &mut u64) -> String {
    let mut imap = Imap::login(site.address("imap"), ALICE, PASSWORD).expect("alice logs in");
    imap.ok("CREATE Old").expect("the name is free");
    imap.append("Old", &[("", b"Subject: one of many\r\n\r\ntext\r\n")]).expect("it is stored");
    let selected = imap.ok("SELECT Old").expect("it is there");
    assert_eq!(selected.untagged.iter().find_map(|response| response.counted("EXISTS")), Some(1), "it is new");
    let given = selected.code_number("UIDVALIDITY").expect("SELECT says it");
    assert!(given > *validity, "{given} behind {validity}");
    *validity = given;
    for _ in 0..DOUBLINGS {
        imap.ok("COPY 1:* Old").expect("they are copied");
    }
    imap.append("Old", &[("", b"Subject: the last\r\n\r\ntext\r\n")]).expect("it is stored");
    let path = format!("/api/v1/accounts/{ALICE}/mailboxes/Old/messages?limit=1");
    let (status, newest) = site.rest("GET", &path, "");
    assert_eq!((status, &newest["items"][0]["uid"]), (200, &((1 << DOUBLINGS) + 1).into()), "{newest}");
    newest["items"][0]["id"].as_str().expect("it has an id").to_owned()
}

/// Whether there is more to be removed than the next slice takes, which is removed by that.
fn has_more(folder: &Path) -> bool {
    let store = Store::open(Options::at(&data_file(folder)), &SCHEMA).expect("the file opens");
    let has_more = store.write_blocking(Sweep).expect("a slice is removed").into_inner();
    store.close();
    has_more
}

/// Waits until the story of the message says that it was removed.
fn wait_until_expunged(site: &Site, id: &str) {
    let end = Instant::now() + END_LIMIT;
    loop {
        let (status, story) = site.rest("GET", &format!("/api/v1/trace/{id}"), "");
        assert_eq!(status, 200, "{story}");
        if story["events"].as_array().is_some_and(|events| events.iter().any(|event| event["kind"] == "expunged")) {
            return;
        }
        assert!(Instant::now() < end, "the sweep does not come to its end: {story}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
