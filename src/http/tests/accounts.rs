use std::time::Duration;

use actix_web::http::Method;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::session::{PASSWORD, browse};
use super::{Site, ask};
use crate::base::{Address, QueueId, Secret};
use crate::directory::{LoginError, Protocol, Scope};
use crate::job::JobState;
use crate::queue::{Open, OpenAttempt, Recover, Sending};
use crate::trace::{Event, Kind, Record, Subject};

const ANN: &str = "/api/v1/accounts/ann@x.test";

impl Site {
    async fn logs_in(&self, password: &str, protocol: Protocol) -> bool {
        let password = Secret::new(password.to_owned());
        match self.context.authenticator.authenticate("ann@x.test", &password, protocol, None).await {
            Ok(_) => true,
            Err(LoginError::Refused) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// A job at its end.
    async fn job_at_its_end(&self, id: &str) -> Value {
        let number = id.parse().unwrap();
        let state = || crate::job::job(&self.context.store.view().unwrap(), number).unwrap().unwrap().state;
        while matches!(state(), JobState::Queued | JobState::Running) {
            actix_web::rt::time::sleep(Duration::from_millis(5)).await;
        }
        self.get(&format!("/api/v1/jobs/{id}")).await.body
    }

    async fn app_password(&self, body: Value) -> (String, String) {
        let seen = self.write(Method::POST, &format!("{ANN}/app-passwords"), body).await;
        assert_eq!(seen.status, 201, "{}", seen.body);
        let text = |name: &str| seen.body[name].as_str().unwrap().to_owned();
        (text("id"), text("secret"))
    }
}

#[actix_web::test]
async fn an_app_password_is_for_one_program() {
    let site = Site::new();
    site.person("ann@x.test", &["user"]).await;
    let (id, secret) = site.app_password(json!({"name": "phone", "protocols": ["imap", "submission"]})).await;
    assert_eq!((secret.len(), secret.split('-').count()), (34, 7));
    let before = site.context.authenticator.verifications();
    for (protocol, expected) in
        [(Protocol::Imap, true), (Protocol::Submission, true), (Protocol::Pop3, false), (Protocol::Http, false)]
    {
        assert_eq!(site.logs_in(&secret, protocol).await, expected, "{protocol}");
    }
    // No slow hash for what a machine has made: only where it was none of them.
    assert_eq!(site.context.authenticator.verifications(), before + 2);
    assert!(site.logs_in(&secret.replace('-', " ").to_uppercase(), Protocol::Imap).await);
    assert!(site.logs_in(&secret.replace('-', ""), Protocol::Imap).await);
    assert!(!site.logs_in(&secret[..33], Protocol::Imap).await);
    assert!(site.logs_in(PASSWORD, Protocol::Imap).await, "the main password stays good");
    assert_eq!(site.send(site.login("ann@x.test", &secret)).await.status, 401, "never for the page");
    let (_, other) = site.app_password(json!({"name": "laptop"})).await;
    assert!(site.logs_in(&other, Protocol::Pop3).await);
    // Its use is noted, and its secret is shown nowhere again.
    site.write(Method::PUT, "/api/v1/domains/y.test", json!({})).await;
    let list = site.get(&format!("{ANN}/app-passwords")).await;
    let row = list.body["items"].as_array().unwrap().iter().find(|row| row["id"] == id.as_str()).unwrap().clone();
    assert_eq!((&row["name"], &row["protocols"]), (&json!("phone"), &json!(["imap", "submission"])));
    assert!(row["last_used_at"].is_string() && row.get("secret").is_none());
    assert!(!list.body.to_string().contains(&secret));
    assert_eq!(site.send(site.admin(Method::DELETE, &format!("{ANN}/app-passwords/{id}"))).await.status, 204);
    assert_eq!(site.send(site.admin(Method::DELETE, &format!("{ANN}/app-passwords/{id}"))).await.status, 404);
    assert!(!site.logs_in(&secret, Protocol::Imap).await);
    assert!(site.logs_in(&other, Protocol::Imap).await);
    // They go with the account.
    assert_eq!(site.send(site.admin(Method::DELETE, ANN)).await.status, 204);
    site.person("ann@x.test", &["user"]).await;
    assert!(!site.logs_in(&other, Protocol::Imap).await);
    assert_eq!(site.context.store.check().unwrap().lines(), [] as [&str; 0]);
}

#[actix_web::test]
async fn an_app_password_ends_and_is_held_to_its_account() {
    let site = Site::new();
    site.person("ann@x.test", &["user"]).await;
    let end = site.context.clock.now().plus_ms(60_000).rfc3339();
    let (_, secret) = site.app_password(json!({"name": "short", "expires_at": end})).await;
    let (_, long) = site.app_password(json!({"name": "long"})).await;
    assert!(site.logs_in(&secret, Protocol::Imap).await);
    site.clock.advance_ms(60_000);
    assert!(!site.logs_in(&secret, Protocol::Imap).await);
    // What the account may not, its app passwords may not.
    site.write(Method::PATCH, ANN, json!({"protocols": ["pop3"]})).await;
    assert!(!site.logs_in(&long, Protocol::Imap).await);
    assert!(site.logs_in(&long, Protocol::Pop3).await);
    site.write(Method::PATCH, ANN, json!({"enabled": false})).await;
    assert!(!site.logs_in(&long, Protocol::Pop3).await);
    for (body, pointer) in [
        (json!({"name": "n", "protocols": ["http"]}), "/protocols/0"),
        (json!({"name": "n", "protocols": []}), "/protocols"),
        (json!({"name": "n", "expires_at": end}), "/expires_at"),
        (json!({"name": "n", "expires_at": "soon"}), "/expires_at"),
        (json!({"name": ""}), "/name"),
    ] {
        let seen = site.write(Method::POST, &format!("{ANN}/app-passwords"), body.clone()).await;
        assert_eq!((seen.status.as_u16(), seen.faults()[0].0.as_str()), (422, pointer), "{body}");
    }
    // An account without a main password logs in by app password alone.
    site.write(Method::PUT, "/api/v1/accounts/bare@x.test", json!({})).await;
    let made = site.write(Method::POST, "/api/v1/accounts/bare@x.test/app-passwords", json!({"name": "n"})).await;
    let password = Secret::new(made.body["secret"].as_str().unwrap().to_owned());
    assert!(site.context.authenticator.authenticate("bare@x.test", &password, Protocol::Imap, None).await.is_ok());
}

#[actix_web::test]
async fn a_compromised_account_is_stopped_in_one_call() {
    let site = Site::new();
    site.person("ann@own.test", &["admin"]).await;
    let ann = "/api/v1/accounts/ann@own.test";
    let cookie = site.cookie("ann@own.test").await;
    let ids = site.queue(60, "ann@own.test", &["b@far.test", "c@far.test"]);
    let other = site.queue(30, "bob@own.test", &["b@far.test"]);
    let seen = site.write(Method::POST, &format!("{ann}/disable"), json!({"hold_queue": true})).await;
    let job = seen.body["hold_job_id"].clone();
    let expected = json!({
        "address": "ann@own.test", "enabled": false, "sessions_ended": 1, "entries_held": 2, "hold_job_id": job,
    });
    assert_eq!((seen.status.as_u16(), &seen.body), (200, &expected));
    let job = site.job_at_its_end(job.as_str().unwrap()).await;
    assert_eq!((&job["state"], &job["result"]), (&json!("succeeded"), &json!({"entries_held": 2})), "{job}");
    assert_eq!(site.send(browse(Method::GET, "/api/v1/session", &cookie)).await.status, 401);
    assert_eq!(site.send(site.login("ann@own.test", PASSWORD)).await.status, 401);
    for (id, state) in [(&ids[0], "held"), (&ids[1], "held"), (&other[0], "due")] {
        assert_eq!(site.get(&format!("/api/v1/queue/{id}")).await.body["state"], state, "{id}");
    }
    let seen = site.send(site.admin(Method::POST, &format!("{ann}/enable"))).await;
    assert_eq!((seen.status.as_u16(), &seen.body["enabled"]), (200, &json!(true)), "{}", seen.body);
    assert_eq!(site.send(browse(Method::GET, "/api/v1/session", &cookie)).await.status, 401, "it stays ended");
    assert_eq!(site.get(&format!("/api/v1/queue/{}", ids[0])).await.body["state"], "held");
    // Without a body nothing is held.
    let (one, two) = (site.cookie("ann@own.test").await, site.cookie("ann@own.test").await);
    let seen = site.send(site.admin(Method::POST, &format!("{ann}/logout"))).await;
    assert_eq!((seen.status.as_u16(), &seen.body["sessions_ended"]), (200, &json!(2)));
    for cookie in [one, two] {
        assert_eq!(site.send(browse(Method::GET, "/api/v1/session", &cookie)).await.status, 401);
    }
    assert_eq!(site.send(site.admin(Method::POST, &format!("{ann}/disable"))).await.body["entries_held"], 0);
    for token in [site.token(&[Scope::AccountsWrite], &[]), site.token(&[Scope::AccountsWrite], &["elsewhere.test"])] {
        for verb in ["disable", "enable", "logout"] {
            let request = ask(Method::POST, &format!("{ann}/{verb}"), &token);
            assert_eq!(site.send(request).await.status, 403, "{verb}: an administrator's");
        }
        let request = ask(Method::POST, &format!("{ann}/app-passwords"), &token).set_json(json!({"name": "n"}));
        assert_eq!(site.send(request).await.status, 403);
    }
}

#[actix_web::test]
async fn app_passwords_that_read_need_two_scopes() {
    let site = Site::new();
    site.person("ann@x.test", &["user"]).await;
    site.person("op@x.test", &["operator"]).await;
    site.person("local@x.test", &["domain_admin:x.test"]).await;
    let path = format!("{ANN}/app-passwords");
    let (writes, reads) = (Scope::AccountsWrite, Scope::MessagesRead);
    let [one, both] = [site.token(&[writes], &[]), site.token(&[writes, reads], &[])];
    let (operator, local) = (site.cookie("op@x.test").await, site.cookie("local@x.test").await);
    let body = |protocols: &[&str]| json!({"name": "n", "protocols": protocols});
    let everywhere = json!({"name": "n"});
    for (body, status) in [
        (body(&["submission"]), 201),
        (body(&["imap"]), 403),
        (body(&["pop3"]), 403),
        (body(&["submission", "imap"]), 403),
        (everywhere, 403),
    ] {
        let by_token = site.send(ask(Method::POST, &path, &one).set_json(&body)).await;
        assert_eq!(by_token.status, status, "{body}: {}", by_token.body);
        assert!(status == 201 || by_token.body["detail"].as_str().unwrap().contains("messages:read"));
        for cookie in [&operator, &local] {
            assert_eq!(site.send(browse(Method::POST, &path, cookie).set_json(&body)).await.status, status, "{body}");
        }
        assert_eq!(site.send(ask(Method::POST, &path, &both).set_json(&body)).await.status, 201, "{body}");
    }
    // To read one's own mail one needs nobody's leave.
    let own = browse(Method::POST, "/api/v1/accounts/local@x.test/app-passwords", &local).set_json(body(&["imap"]));
    assert_eq!(site.send(own).await.status, 201);
}

#[actix_web::test]
async fn an_account_forwards_where_its_owner_or_a_reader_says() {
    let site = Site::new();
    site.person("ann@x.test", &["user"]).await;
    site.person("local@x.test", &["domain_admin:x.test"]).await;
    let local = site.cookie("local@x.test").await;
    let body = json!({"forward": {"to": ["ann@far.test"]}});
    let patch = |path: &str| browse(Method::PATCH, path, &local);
    let refused = site.send(patch(ANN).set_json(&body)).await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(refused.body["detail"].as_str().unwrap().contains("messages:read"));
    let own = site.send(patch("/api/v1/accounts/local@x.test").set_json(&body)).await;
    assert_eq!(own.body["forward"], json!({"to": ["ann@far.test"], "keep": true}), "{}", own.body);
    // Nobody's mail is there yet.
    let new = browse(Method::PUT, "/api/v1/accounts/new@x.test", &local).set_json(&body);
    assert_eq!(site.send(new).await.status, 201);
    let set = site.write(Method::PATCH, ANN, body.clone()).await;
    assert_eq!(set.body["forward"], json!({"to": ["ann@far.test"], "keep": true}));
    let other = json!({"forward": {"keep": false}, "display_name": "Ann"});
    let changed = site.send(patch(ANN).set_json(other)).await;
    assert_eq!(changed.body["forward"], json!({"to": ["ann@far.test"], "keep": false}), "{}", changed.body);
    let found = site.get("/api/v1/resolve?address=ann@x.test").await.body;
    assert_eq!((&found["outcome"], &found["remote"]), (&json!("forwards"), &json!(["ann@far.test"])));
    assert_eq!(found["steps"][0]["kind"], "forward");
    for (body, pointer) in [
        (json!({"forward": {"to": ["nobody"]}}), "/forward/to/0"),
        (json!({"forward": {"to": []}}), "/forward/to"),
        (json!({"forward": {"to": ["ann@x.test"]}}), "/forward/to/0"),
    ] {
        let seen = site.write(Method::PATCH, ANN, body).await;
        assert_eq!((seen.status.as_u16(), seen.faults()[0].0.as_str()), (422, pointer), "{}", seen.body);
    }
    assert_eq!(site.write(Method::PATCH, ANN, json!({"forward": null})).await.body["forward"], json!(null));
}

#[actix_web::test]
async fn a_logout_ends_the_sessions_of_mail_programs() {
    let site = Site::new();
    site.person("ann@x.test", &["user"]).await;
    let password = Secret::new(PASSWORD.to_owned());
    let stop = CancellationToken::new();
    let enter = async || {
        let identity =
            site.context.authenticator.authenticate("ann@x.test", &password, Protocol::Imap, None).await.unwrap();
        (site.context.authenticator.enter(&identity, &stop), identity)
    };
    let (session, identity) = enter().await;
    assert_eq!(site.send(site.admin(Method::POST, &format!("{ANN}/logout"))).await.status, 200);
    assert!(session.has_ended() && !session.is_stopping());
    let (session, _) = enter().await;
    assert_eq!(site.write(Method::PATCH, ANN, json!({"display_name": "Ann"})).await.status, 200);
    assert!(!session.has_ended(), "it rests on nothing that was changed");
    assert!(site.context.authenticator.enter(&identity, &stop).has_ended(), "what it was said of is another by now");
    assert_eq!(site.send(site.admin(Method::DELETE, ANN)).await.status, 204);
    assert!(session.has_ended());
}

#[actix_web::test]
async fn what_a_disabled_account_has_on_its_way_is_held_when_it_comes_back() {
    let site = Site::new();
    site.person("ann@own.test", &["user"]).await;
    let ids = site.queue(60, "ann@own.test", &["b@far.test", "c@far.test"]);
    // Sent by the account under another address, and by somebody else under the same.
    let shared = site.queue(30, "team@own.test", &["b@far.test"]).remove(0);
    let others = site.queue(20, "team@own.test", &["b@far.test"]).remove(0);
    let id = |text: &str| text.parse::<QueueId>().unwrap();
    for (entry, actor) in [(&shared, "submission ann@own.test"), (&others, "submission joann@own.test")] {
        let (subject, now) = (Subject::Message(id(entry).message), site.context.clock.now());
        let record = Record { subject, event: Event::new(now, Kind::Accepted, actor) };
        site.context.store.write(record).await.unwrap().into_inner();
    }
    let sending = Sending { id: id(&ids[0]), recipient: Address::parse("b@far.test").unwrap() };
    let attempt = OpenAttempt { at: site.context.clock.now(), server: "mx".into(), actor: "delivery".into() };
    site.context.store.write(Open { entries: vec![sending], attempt }).await.unwrap().into_inner();
    let seen = site.write(Method::POST, "/api/v1/accounts/ann@own.test/disable", json!({"hold_queue": true})).await;
    assert_eq!((seen.status.as_u16(), &seen.body["entries_held"]), (200, &json!(2)), "{}", seen.body);
    let job = seen.body["hold_job_id"].as_str().unwrap().to_owned();
    assert_eq!(site.get(&format!("/api/v1/jobs/{job}")).await.body["state"], "running");
    // The attempt fails for now: it is not tried again.
    site.context.store.write(Recover { at: site.context.clock.now(), limit: 9 }).await.unwrap().into_inner();
    let job = site.job_at_its_end(&job).await;
    assert_eq!((&job["state"], &job["result"]["entries_held"]), (&json!("succeeded"), &json!(3)), "{job}");
    for (id, state) in [(&ids[0], "held"), (&ids[1], "held"), (&shared, "held"), (&others, "due")] {
        assert_eq!(site.get(&format!("/api/v1/queue/{id}")).await.body["state"], state, "{id}");
    }
}
