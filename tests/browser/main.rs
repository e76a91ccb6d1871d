//! The admin page in a real browser: Debian's Chromium, driven by playwright-core, under the page's own policy.
//!
//! Each test is one journey: a server with known accounts and a world outside, and a script in `journeys/` that uses the
//! page as people do. `harness.mjs` says what fails all of them. Pictures of every view are written into
//! `target/screenshots`, for people to look at. Without Chromium, Node or what `tests/browser/fetch` fetches a test is
//! skipped with a line that says so, or fails with `PILLARBOX_TESTS_ALL=1`.

#[path = "../world/dns.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod dns;
#[path = "../interop/programs.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod programs;
#[path = "../world/sink.rs"]
#[allow(dead_code, reason = "shared with other tests and benches")]
mod sink;
#[path = "../interop/site.rs"]
#[allow(dead_code, reason = "shared with other tests and benches")]
mod site;
#[path = "../interop/swap_site.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod swap_site;
#[path = "../interop/swap_talk.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod swap_talk;
#[path = "../interop/wire.rs"]
#[allow(dead_code, reason = "shared with other tests and benches")]
mod wire;
mod world;

use std::process::Command;

use programs::has;
use site::say;
use world::{World, fetched};

/// Whether there is a browser and what drives it.
fn is_possible() -> bool {
    if !has("node") || !has("chromium") {
        return false;
    }
    let fetch = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/fetch");
    let is_there = Command::new(fetch).arg("check").status().is_ok_and(|status| status.success());
    assert!(is_there || std::env::var_os("PILLARBOX_TESTS_ALL").is_none_or(|all| all != "1"), "needs {fetch}");
    if !is_there {
        say(&format!("SKIPPED: needs {fetch}"));
    }
    is_there
}

/// Runs a journey against a world of its own.
fn journey(name: &str) {
    if is_possible() {
        World::new().run(name, &[]);
    }
}

#[test]
fn the_types_of_the_page_hold() {
    if is_possible() {
        let check = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/fetch");
        let output = Command::new(check).arg("types").output().expect("the check runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(fetched().join("node_modules/typescript").exists());
    }
}

/// Fetches the packages anew: only where all is tested.
#[test]
fn the_bundled_module_is_what_its_packages_make() {
    if std::env::var_os("PILLARBOX_TESTS_ALL").is_none_or(|all| all != "1") {
        say("SKIPPED: web-admin/vendor/make --check, without PILLARBOX_TESTS_ALL=1");
        return;
    }
    let make = concat!(env!("CARGO_MANIFEST_DIR"), "/web-admin/vendor/make");
    let output = Command::new(make).arg("--check").output().expect("the script runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn overview() {
    journey("overview");
}

#[test]
fn queue() {
    journey("queue");
}

#[test]
fn queue_rules() {
    journey("queue_rules");
}

#[test]
fn long_queue() {
    journey("long_queue");
}

#[test]
fn message() {
    journey("message");
}

#[test]
fn trace() {
    journey("trace");
}

#[test]
fn turn() {
    if is_possible() {
        let world = World::new();
        let branch = world.branch();
        let address = branch.site.address("smtp");
        world.run(
            "turn",
            &[
                ("PEER_HOST", format!("[{}]", address.ip())),
                ("PEER_PORT", address.port().to_string()),
                ("PEER_SHA256", branch.fingerprint()),
                ("PEER_SECRET", swap_site::SECRET.to_owned()),
            ],
        );
    }
}

#[test]
fn keyboard() {
    journey("keyboard");
}

#[test]
fn gallery() {
    journey("gallery");
}

#[test]
fn kept() {
    journey("kept");
}

#[test]
fn roles() {
    journey("roles");
}

#[test]
fn about() {
    journey("about");
}

#[test]
fn accounts() {
    journey("accounts");
}

#[test]
fn aliases() {
    journey("aliases");
}

#[test]
fn audit() {
    journey("audit");
}

#[test]
fn backups() {
    journey("backups");
}

#[test]
fn maintenance() {
    journey("maintenance");
}

#[test]
fn one_message_comes_back_from_a_backup() {
    journey("restore");
}

#[test]
fn domains() {
    journey("domains");
}

#[test]
fn hostile() {
    journey("hostile");
}

#[test]
fn login() {
    journey("login");
}

#[test]
fn mailboxes() {
    journey("mailboxes");
}

#[test]
fn settings() {
    journey("settings");
}

#[test]
fn tokens() {
    journey("tokens");
}

#[test]
fn setup() {
    if is_possible() {
        World::bare().run("setup", &[]);
    }
}
