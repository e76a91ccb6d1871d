//! Mail that we send on: an alias that leads elsewhere, and a smarthost that wants a login.

use pillarbox::trace::Kind;
use serde_json::json;

use super::{Outside, Program, alice, mailbox, note};
use crate::dns::Zone;
use crate::mails;
use crate::site::PASSWORD;

#[test]
fn an_alias_leads_from_exim_to_postfix() {
    if !Program::Postfix.is_here() || !Program::Exim.is_here() {
        return;
    }
    let world = Outside::new(Zone::new().mail("postfix.test", "127.0.0.2").mail("exim.test", "127.0.0.3"));
    let site = world.serve_new(&[]);
    let body = json!({"targets": ["carol@postfix.test", "bob@example.test"]});
    let (status, answer) = site.rest("PUT", "/api/v1/aliases/team@example.test", &body.to_string());
    assert_eq!(status, 201, "{answer}");
    let (postfix, exim) = (Program::Postfix.start(&world), Program::Exim.start(&world));
    exim.send("dave@exim.test", &["team@example.test"], &note("for-the-team"));
    let received = postfix.wait_for("carol", 1);
    mails::assert_same("for the team", &note("for-the-team"), &received[0]);
    mails::assert_same("for the team", &note("for-the-team"), &mailbox(&site, "bob")[0]);

    // What can't be delivered there comes from a stranger: no stranger is told, and our postmaster is.
    let body = json!({"targets": ["nobody@postfix.test"]});
    let (status, answer) = site.rest("PUT", "/api/v1/aliases/gone@example.test", &body.to_string());
    assert_eq!(status, 201, "{answer}");
    exim.send("dave@exim.test", &["gone@example.test"], &note("for-gone"));
    let told = super::wait_for_mail(&site, "postmaster", 1);
    assert!(String::from_utf8_lossy(&told[0]).contains("nobody@postfix.test"));
    assert!(exim.mailbox("dave").is_empty(), "no backscatter");
    let stories = world.stop(site);
    assert_eq!(stories.queued, 0);
    assert_eq!(stories.story("for-the-team@example.test").of(Kind::Relayed).len(), 1);
    assert_eq!(stories.story("for-gone@example.test").of(Kind::Failed).len(), 1);
}

#[test]
fn a_smarthost_wants_a_login() {
    if !Program::Postfix.is_here() {
        return;
    }
    // The domains' own servers are not asked for: they don't exist.
    let world = Outside::new(Zone::new().address("smarthost.test", "127.0.0.2"));
    let site = world.serve_new(&[]);
    let postfix = Program::Postfix.start(&world);
    let route = |secret: &str| {
        let body = json!({
            "match": {"default": true},
            "kind": "relay",
            "host": "smarthost.test",
            "port": postfix.submission().port(),
            "tls": "required",
            "auth": {"user": "carol@postfix.test", "secret": secret},
        });
        let (status, answer) = site.rest("PUT", "/api/v1/routes/smarthost", &body.to_string());
        assert!(status == 200 || status == 201, "{status} {answer}");
    };
    // A wrong password keeps the mail waiting.
    route("a-wrong-password");
    let content = note("by-smarthost");
    alice(&site).submit("alice@example.test", &["chris@postfix.test"], &content).expect("it is taken");
    postfix.wait_for_log(&["SASL", "authentication failed"]);
    assert!(postfix.mailbox("chris").is_empty());
    route(PASSWORD);
    let received = postfix.wait_for("chris", 1);
    mails::assert_same("by smarthost", &content, &received[0]);
    postfix.wait_for_log(&["sasl_method=", "sasl_username=carol@postfix.test"]);

    let stories = world.stop(site);
    let story = stories.story("by-smarthost@example.test");
    assert!(story.of(Kind::Deferred).iter().any(|event| event.stage.as_deref() == Some("login")), "{:?}", story.events);
    assert_eq!(story.of(Kind::Relayed)[0].server.as_deref(), Some("smarthost.test"));
    assert!(story.of(Kind::Relayed)[0].tls.is_some());
}
