//! SASL EXTERNAL with somebody else's TLS: openssl makes a key and a certificate, shows it, and asks for its mail by ETRN.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::programs::{has, run};
use crate::swap_site::{Swapper, wait_until};

/// A hub that holds mail for a branch, and the branch's own server, to which the hub sends what is released.
struct Pair {
    hub: Swapper,
    branch: Swapper,
    folders: [tempfile::TempDir; 2],
}

impl Pair {
    fn start() -> Self {
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
        let hub = Swapper::start(folders[0].path(), "hub.test", &["hubert"], &[]);
        let branch = Swapper::start(folders[1].path(), "branch.test", &["bea"], &[]);
        Self { hub, branch, folders }
    }

    /// The branch is known by this certificate.
    fn put(&self, sha256: &str) {
        let fields = json!({
            "verbs": ["etrn", "atrn"],
            "host": "[127.0.0.1]",
            "port": self.branch.site.address("smtp").port(),
            "auth": {"client_cert_sha256": sha256},
        });
        self.hub.put_peer("branch", &["branch.test"], &fields);
    }

    /// What openssl hears when it shows the certificate of that name and says these lines.
    fn say(&self, listener: &str, name: &str, version: &str, lines: &str) -> String {
        let folder = self.folders[1].path();
        let (input, address) = (folder.join("said"), self.hub.site.address(listener).to_string());
        std::fs::write(&input, format!("EHLO branch.test\n{lines}QUIT\n")).expect("what is said is written");
        let mut openssl = Command::new("openssl");
        openssl.args(["s_client", "-quiet", "-verify_quiet", "-crlf", version, "-connect", &address]);
        openssl.args(["-starttls", "smtp"]);
        openssl.args(["-cert", &format!("{name}.pem"), "-key", &format!("{name}.key")]);
        String::from_utf8_lossy(&run(&mut openssl, Some(&input), folder)).into_owned()
    }
}

/// Makes a key of that kind and a certificate; its fingerprint, as openssl writes it.
fn make(folder: &Path, name: &str, kind: &[&str]) -> String {
    let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
    let mut made = Command::new("openssl");
    made.args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=branch.test", "-newkey"]).args(kind);
    run(made.args(["-keyout", &key, "-out", &certificate]), None, folder);
    let mut shown = Command::new("openssl");
    let shown = run(shown.args(["x509", "-noout", "-fingerprint", "-sha256", "-in", &certificate]), None, folder);
    let shown = String::from_utf8_lossy(&shown);
    shown.trim().split_once('=').expect("a fingerprint behind its name").1.to_owned()
}

#[test]
fn openssl_shows_its_certificate_and_is_sent_its_mail() {
    if !has("openssl") {
        return;
    }
    let pair = Pair::start();
    let folder = pair.folders[1].path();
    for (name, kind, version) in [
        ("p256", &["ec", "-pkeyopt", "ec_paramgen_curve:P-256"][..], "-tls1_3"),
        ("rsa", &["rsa:2048"], "-tls1_2"),
        ("rsa-later", &["rsa:2048"], "-tls1_3"),
        ("ed25519", &["ed25519"], "-tls1_3"),
        ("p384", &["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], "-tls1_2"),
    ] {
        pair.put(&make(folder, name, kind));
        if name == "p256" {
            pair.hub.submit("hubert", "bea@branch.test", "waited");
            wait_until("it is held", || pair.hub.waiting("branch.test") == 1);
        }
        for listener in ["smtp", "odmr"] {
            let said = pair.say(listener, name, version, "AUTH EXTERNAL =\nEHLO branch.test\n");
            assert!(
                said.contains("EXTERNAL")
                    && said.split_once("235 2.7.0").is_some_and(|(_, then)| then.contains("250-ATRN")),
                "{said}"
            );
        }
        // It is the peer, to whom it is told what waits.
        let said = pair.say("smtp", name, version, "AUTH EXTERNAL YnJhbmNo\nETRN branch.test\n");
        let expected = if name == "p256" { "253 2.0.0 OK, 1 pending" } else { "25" };
        assert!(said.lines().any(|line| line.starts_with(expected)), "{said}");
        wait_until("its mail", || pair.branch.subjects("bea") == ["waited"]);
    }
    // Another one of the same subject is nobody's.
    make(folder, "another", &["rsa:2048"]);
    let said = pair.say("smtp", "another", "-tls1_3", "AUTH EXTERNAL YnJhbmNo\nETRN branch.test\n");
    assert!(said.contains("535 5.7.8") && said.contains("459 4.7.1"), "{said}");
}
