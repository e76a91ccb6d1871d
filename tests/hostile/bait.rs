//! A server with mail that waits for peers, on real sockets, for thieves.

use serde_json::{Value, json};

use crate::real::swap_roles::take_all;
use crate::real::swap_site::{Swapper, wait_until};
use crate::real::swap_talk::Talk;

/// The server, its peers and their mail.
pub struct Bait {
    /// The server.
    pub hub: Swapper,
    before: Vec<(String, u64, String)>,
    _folder: tempfile::TempDir,
}

impl Bait {
    /// With two messages for `branch`, one for `rival`, and one each for peers that may not fetch: `off` is disabled,
    /// `far` is to come from elsewhere, `caller` is dialled, `slow` has only ETRN.
    pub fn lay() -> Self {
        Self::with(&[])
    }

    /// The same with more arguments.
    pub fn with(arguments: &[&str]) -> Self {
        let mut bait = Self::empty(arguments);
        for name in ["branch", "branch", "rival", "off", "far", "caller", "slow"] {
            bait.hub.submit("hubert", &format!("user@{name}.test"), &format!("for-{name}"));
        }
        wait_until("all to be held", || bait.state().iter().filter(|(_, _, state)| state == "held").count() == 7);
        bait.before = bait.state();
        bait
    }

    /// With the peers and without mail.
    pub fn empty(arguments: &[&str]) -> Self {
        let bait = Self::without_peers(arguments);
        bait.hub.put_peer("branch", &["branch.test"], &json!({}));
        bait.hub.put_peer("rival", &["rival.test"], &json!({}));
        bait.hub.put_peer("off", &["off.test"], &json!({"enabled": false}));
        bait.hub.put_peer("far", &["far.test"], &json!({"networks": ["192.0.2.0/24"]}));
        let pin = "00".repeat(32);
        let tls = json!({"mode": "pinned", "server_cert_sha256": pin});
        let dialled = json!({"direction": "initiate", "host": "[127.0.0.1]", "port": 9, "tls": tls});
        bait.hub.put_peer("caller", &["caller.test"], &dialled);
        bait.hub.put_peer("slow", &["slow.test"], &json!({"verbs": ["etrn"]}));
        bait
    }

    /// Without peers.
    pub fn without_peers(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let hub = Swapper::start(folder.path(), "hub.test", &["hubert"], arguments);
        Self { hub, before: Vec::new(), _folder: folder }
    }

    /// What waits, its attempts and its state.
    fn state(&self) -> Vec<(String, u64, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut state: Vec<_> = self
            .hub
            .queue()
            .iter()
            .map(|entry| (text(&entry["id"]), entry["attempts"].as_u64().unwrap_or(u64::MAX), text(&entry["state"])))
            .collect();
        state.sort();
        state
    }

    /// Everything waits as it did: nothing was taken, tried or moved.
    pub fn is_untouched(&self) {
        assert_eq!(self.state(), self.before);
    }

    /// Whom it was for fetches it: everything is there, and the peer's place is free.
    pub fn goes_to_branch(&self) {
        let mut talk = self.hub.as_peer("smtp", "branch");
        // What waits is free again a moment before the last thief's session is over.
        wait_until("the peer's place", || {
            let reply = talk.ask("ATRN branch.test");
            assert!(reply.starts_with("250") || reply.starts_with("450 4.3.2"), "{reply}");
            reply.starts_with("250")
        });
        assert_eq!(take_all(&mut talk), ["for-branch", "for-branch"]);
        wait_until("an empty queue for the branch", || self.hub.waiting("branch.test") == 0);
    }

    /// A session on a listener behind EHLO, in the clear.
    pub fn talk(&self, listener: &str) -> Talk {
        let mut talk = Talk::dial(self.hub.site.address(listener));
        talk.expect("220");
        talk.say("EHLO branch.test", "250");
        talk
    }
}
