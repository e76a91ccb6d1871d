//! ATRN with somebody else's program: fetchmail fetches by ODMR what we hold for its domain, by CRAM-MD5, which is all that
//! it knows; in the clear from where its peer may come so, and inside TLS that openssl makes.

use std::path::Path;
use std::process::{Command, Stdio};

use pillarbox::base::SystemRandom;
use pillarbox::turn;
use serde_json::{Value, json};

use crate::programs::{has, run, write_private};
use crate::swap_site::{Swapper, wait_until};

/// A server that holds mail for a branch, and the branch's own, which fetchmail hands the mail to.
struct Pair {
    hub: Swapper,
    branch: Swapper,
    secret: String,
    folders: [tempfile::TempDir; 2],
}

impl Pair {
    fn start() -> Self {
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
        let arguments = ["--listen", "odmrs=127.0.0.1:0"];
        let hub = Swapper::start(folders[0].path(), "hub.test", &["hubert"], &arguments);
        let branch = Swapper::start(folders[1].path(), "branch.test", &["bea"], &[]);
        let secret = turn::make_secret(&SystemRandom).expose().clone();
        Self { hub, branch, secret, folders }
    }

    /// The branch is a peer of the hub, with these mechanisms.
    fn put(&self, mechanisms: &[&str], more: &Value) {
        let auth = json!({"sasl_user": "branch", "secret": self.secret, "mechanisms": mechanisms});
        let mut fields = json!({"verbs": ["atrn"], "auth": auth});
        for (key, value) in more.as_object().expect("fields are an object") {
            fields[key] = value.clone();
        }
        self.hub.put_peer("branch", &["branch.test"], &fields);
    }

    /// fetchmail, once, from this listener of the hub: the exit code, and all that it says.
    fn fetch(&self, listener: &str, plugin: &str, password: &str) -> (i32, String) {
        let folder = self.folders[1].path();
        let (from, to) = (self.hub.site.port(listener), self.branch.site.port("smtp"));
        let config = folder.join("fetchmailrc");
        write_private(
            &config,
            &format!(
                "poll 127.0.0.1 with proto ODMR and port {from} {plugin}\n    \
                 user \"branch\" with password \"{password}\" fetchdomains branch.test smtphost \"127.0.0.1/{to}\"\n"
            ),
        );
        let output = Command::new("fetchmail")
            .args(["--nodetach", "--nosyslog", "--verbose", "--pidfile", "fetchmail.pid", "--fetchmailrc"])
            .arg(&config)
            .current_dir(folder)
            .env("HOME", folder)
            .env("FETCHMAILHOME", folder)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .output()
            .expect("fetchmail starts");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&said).into_owned())
    }

    /// Two messages wait, are fetched, and are the branch's newest.
    fn is_fetched(&self, way: &str, listener: &str, plugin: &str) {
        let subjects = [1, 2].map(|number| format!("{way}-{number}"));
        for subject in &subjects {
            self.hub.submit("hubert", "bea@branch.test", subject);
        }
        wait_until("both to be held", || self.hub.waiting("branch.test") == 2);
        let (code, said) = self.fetch(listener, plugin, &self.secret);
        assert_eq!(code, 0, "{said}");
        wait_until("an empty queue", || self.hub.waiting("branch.test") == 0);
        assert!(self.branch.subjects("bea").ends_with(&subjects), "{said}");
        let session = self.hub.ended_session();
        assert_eq!(
            (&session["verb"], &session["state"], &session["sent"]),
            (&json!("atrn"), &json!("done"), &json!(2))
        );
    }
}

#[test]
fn fetchmail_fetches_its_mail() {
    if !has("fetchmail") || !has("openssl") {
        return;
    }
    let pair = Pair::start();
    let near = json!({"networks": ["127.0.0.1/32"], "tls": {"required": false, "mode": "pkix"}});
    pair.put(&["CRAM-MD5"], &near);
    pair.is_fetched("clear", "odmr", "");

    // Nothing is there any more.
    let (code, said) = pair.fetch("odmr", "", &pair.secret);
    assert!(said.contains("453"), "{code}: {said}");

    // Inside TLS, from anywhere; openssl knows the hub by its certificate.
    pair.put(&["SCRAM-SHA-256", "CRAM-MD5"], &json!({}));
    let address = pair.hub.site.address("odmrs");
    let folder = pair.folders[1].path();
    let shown = run(Command::new("openssl").args(["s_client", "-connect", &address.to_string()]), None, folder);
    let shown = String::from_utf8_lossy(&shown);
    let end = "-----END CERTIFICATE-----\n";
    let from = shown.find("-----BEGIN CERTIFICATE-----").expect("a certificate");
    let to = shown.find(end).expect("its end") + end.len();
    let roots = folder.join("hub.pem");
    std::fs::write(&roots, &shown[from..to]).expect("the certificate is written");
    pair.is_fetched("tls", "odmrs", &plugin(&roots));
}

fn plugin(roots: &Path) -> String {
    let roots = roots.display();
    format!(
        "plugin \"openssl s_client -quiet -verify_quiet -partial_chain -CAfile {roots} -verify_return_error -connect %h:%p\""
    )
}

#[test]
fn fetchmail_gets_nothing_that_is_not_its_own() {
    if !has("fetchmail") {
        return;
    }
    let pair = Pair::start();
    pair.put(&["CRAM-MD5"], &json!({}));
    pair.hub.submit("hubert", "bea@branch.test", "kept");
    wait_until("it is held", || pair.hub.waiting("branch.test") == 1);
    // Another secret; a peer that does not have the mechanism; one that comes from elsewhere.
    let (code, said) = pair.fetch("odmr", "", "another");
    assert!(code != 0 && said.contains("535"), "{code}: {said}");
    pair.put(&["SCRAM-SHA-256", "PLAIN"], &json!({}));
    let (code, said) = pair.fetch("odmr", "", &pair.secret);
    assert!(code != 0 && said.contains("504"), "{code}: {said}");
    pair.put(&["CRAM-MD5"], &json!({"networks": ["192.0.2.0/24"], "tls": {"required": false, "mode": "pkix"}}));
    let (code, said) = pair.fetch("odmr", "", &pair.secret);
    assert!(code != 0 && said.contains("504"), "{code}: {said}");
    assert_eq!((pair.hub.waiting("branch.test"), pair.branch.subjects("bea").len()), (1, 0));
    // A secret that a person has thought up is not taken for CRAM-MD5.
    let auth = json!({"sasl_user": "branch", "secret": "correct horse battery staple", "mechanisms": ["CRAM-MD5"]});
    let answer = pair.hub.rest("PATCH", "/turn/peers/branch", &json!({"auth": auth}));
    assert_eq!((answer.status, &answer.body["errors"][0]["pointer"]), (422, &json!("/auth/secret")), "{answer:?}");
}
