use actix_web::http::Method;
use serde_json::{Value, json};

use super::session::{PASSWORD, browse};
use super::{Site, ask};
use crate::directory::Scope;

impl Site {
    /// The newest rows of the audit: actor, action, target, before, after.
    async fn audit(&self, query: &str) -> Vec<Value> {
        let seen = self.get(&format!("/api/v1/audit?{query}")).await;
        assert_eq!(seen.status, 200, "{}", seen.body);
        seen.body["items"].as_array().expect("a list").clone()
    }

    async fn newest(&self) -> Value {
        self.audit("limit=1").await.pop().expect("a row")
    }
}

#[actix_web::test]
async fn every_write_says_who_did_it() {
    let site = Site::new();
    site.person("root@x.test", &["admin"]).await;
    let row = site.newest().await;
    assert_eq!(
        (&row["action"], &row["target"], &row["before"]),
        (&json!("put_account"), &json!("root@x.test"), &Value::Null)
    );
    assert_eq!(row["actor"], format!("token {}", row["token_id"].as_str().unwrap()));
    assert_eq!(row["after"]["password"]["set"], true);
    let cookie = site.cookie("root@x.test").await;
    let row = site.newest().await;
    assert_eq!((&row["action"], &row["actor"]), (&json!("create_session"), &json!("root@x.test")));
    let from = "192.0.2.7:99".parse().unwrap();
    let put = browse(Method::PUT, "/api/v1/domains/y.test", &cookie).peer_addr(from).set_json(json!({}));
    let seen = site.send(put).await;
    assert_eq!(seen.status, 201);
    let row = site.newest().await;
    assert_eq!(row["request_id"], seen.header("x-request-id".parse().unwrap()));
    assert_eq!(
        (&row["actor"], &row["ip"], &row["token_id"]),
        (&json!("root@x.test"), &json!("192.0.2.7"), &Value::Null)
    );
    assert_eq!((&row["before"], &row["after"]["name"]), (&Value::Null, &json!("y.test")));
    for (method, path, body, action) in [
        (Method::PATCH, "/api/v1/domains/y.test", json!({"max_accounts": 3}), "patch_domain"),
        (Method::PUT, "/api/v1/aliases/a@y.test", json!({"targets": ["root@x.test"]}), "put_alias"),
        (Method::PUT, "/api/v1/routes/r1", json!({"match": {"domain": "far.test"}, "kind": "mx"}), "put_route"),
        (
            Method::PUT,
            "/api/v1/turn/peers/p1",
            json!({"verbs": ["etrn"], "domains": ["far.test"], "networks": ["192.0.2.0/24"]}),
            "put_peer",
        ),
        (Method::DELETE, "/api/v1/turn/peers/p1", Value::Null, "delete_peer"),
        (Method::DELETE, "/api/v1/routes/r1", Value::Null, "delete_route"),
        (Method::DELETE, "/api/v1/aliases/a@y.test", Value::Null, "delete_alias"),
        (Method::DELETE, "/api/v1/domains/y.test", Value::Null, "delete_domain"),
        (Method::DELETE, "/api/v1/accounts/root@x.test", Value::Null, "delete_account"),
    ] {
        let request = site.admin(method.clone(), path);
        let seen = site.send(if body.is_null() { request } else { request.set_json(&body) }).await;
        assert!(seen.status.is_success(), "{action}: {}", seen.body);
        let row = site.newest().await;
        assert_eq!(row["action"], action);
        assert_eq!(row["target"], path.rsplit_once('/').unwrap().1, "{action}");
        assert_eq!(row["after"].is_null(), method == Method::DELETE, "{action}");
        assert_eq!(row["before"].is_null(), method == Method::PUT, "{action}");
    }
    // What was refused was not done.
    let before = site.newest().await;
    assert_eq!(site.write(Method::PUT, "/api/v1/accounts/a@none.test", json!({})).await.status, 422);
    assert_eq!(site.newest().await, before);
}

#[actix_web::test]
async fn no_secret_is_in_it() {
    let site = Site::new();
    site.person("a@x.test", &["user"]).await;
    let patch = json!({"password": "planted password 1"});
    assert_eq!(site.write(Method::PATCH, "/api/v1/accounts/a@x.test", patch).await.status, 200);
    let peer = json!({
        "verbs": ["atrn"], "domains": ["far.test"], "auth": {"sasl_user": "us", "secret": "planted secret 2"},
    });
    let seen = site.write(Method::PUT, "/api/v1/turn/peers/p1", peer).await;
    assert!(seen.status.is_success(), "{}", seen.body);
    let token = site.write(Method::POST, "/api/v1/tokens", json!({"name": "n", "scopes": ["domains:read"]})).await;
    let text = token.body["secret"].as_str().unwrap().rsplit_once('_').unwrap().1.to_owned();
    site.send(site.login("a@x.test", PASSWORD)).await;
    let all = Value::from(site.audit("").await).to_string();
    for planted in ["planted", text.as_str(), "$2b$", "$argon2"] {
        assert!(!all.contains(planted), "{planted}: {all}");
    }
    assert!(all.contains("create_token") && all.contains("patch_account"));
}

#[actix_web::test]
async fn an_action_on_the_queue_is_one_row() {
    let site = Site::new();
    let ids = site.queue(60, "a@own.test", &["b@x.test", "c@y.test"]);
    site.write(Method::POST, &format!("/api/v1/queue/{}/hold", ids[0]), json!({"reason": "why"})).await;
    let row = site.newest().await;
    assert_eq!((&row["action"], &row["target"]), (&json!("hold_queue_entry"), &json!(ids[0])));
    assert_eq!((&row["before"]["state"], &row["after"]["state"]), (&json!("waiting"), &json!("held")));
    assert_eq!(row["after"]["hold_reason"], "why");
    let flushed = site.write(Method::POST, "/api/v1/queue/flush", json!({"all": true})).await;
    let row = site.newest().await;
    assert_eq!((&row["action"], &row["after"]["count"]), (&json!("flush_queue"), &flushed.body["count"]));
    let seen = site.write(Method::POST, "/api/v1/queue/actions", json!({"action": "delete", "all": true})).await;
    assert_eq!(seen.status, 202, "{}", seen.body);
    // Once the job has ended, and within a minute.
    for left in (0..6000).rev() {
        let rows = site.audit("action=act_on_queue").await;
        assert_eq!(rows.len(), 1);
        if rows[0]["after"]["result"].is_object() {
            assert_eq!((&rows[0]["after"]["result"]["done"], &rows[0]["target"]), (&json!(2), &json!("delete")));
            break;
        }
        assert!(left > 0, "{:?}", rows[0]);
        actix_web::rt::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[actix_web::test]
async fn reading_mail_is_written_down() {
    let site = Site::new();
    let entry = site.queue(60, "a@own.test", &["b@x.test"]).remove(0);
    let message = entry.replace("q_", "m_").rsplit_once('_').unwrap().0.to_owned();
    let before = site.audit("").await.len();
    assert_eq!(site.get(&format!("/api/v1/queue/messages/{message}/raw")).await.status, 200);
    assert_eq!(site.get("/api/v1/queue/messages/m_0000000000000/raw").await.status, 404);
    let rows = site.audit("").await;
    assert_eq!(rows.len(), before + 1);
    assert_eq!((&rows[0]["action"], &rows[0]["target"]), (&json!("get_queue_message_raw"), &json!(message)));
}

#[actix_web::test]
async fn the_audit_is_searched() {
    let site = Site::new();
    for (place, domain) in ["a.test", "b.test", "c.test"].into_iter().enumerate() {
        site.write(Method::PUT, &format!("/api/v1/domains/{domain}"), json!({})).await;
        if place == 1 {
            site.clock.advance_ms(1000);
        }
    }
    let now = site.context.clock.now().rfc3339();
    let targets = async |query: &str| -> Vec<String> {
        site.audit(query).await.iter().map(|row| row["target"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(targets("").await, ["c.test", "b.test", "a.test"]);
    assert_eq!(targets("target=B.TEST").await, ["b.test"]);
    assert_eq!(targets(&format!("after={now}")).await, ["c.test"]);
    assert_eq!(targets(&format!("before={now}")).await, ["b.test", "a.test"]);
    assert_eq!(targets("action=put_domain&limit=2").await.len(), 2);
    assert_eq!(targets("action=delete_domain").await.len(), 0);
    assert_eq!(targets("actor=nobody@x.test").await.len(), 0);
    let first = site.get("/api/v1/audit?limit=2").await;
    let cursor = first.body["next_cursor"].as_str().unwrap();
    assert_eq!(targets(&format!("limit=2&cursor={cursor}")).await, ["a.test"]);
    // It tells of every domain: not for who may see but some.
    let token = site.token(&[Scope::AuditRead], &["a.test"]);
    assert_eq!(site.send(ask(Method::GET, "/api/v1/audit", &token)).await.status, 403);
    for wrong in ["after=yesterday", "cursor=x", "who=me"] {
        assert_eq!(site.get(&format!("/api/v1/audit?{wrong}")).await.status, 422, "{wrong}");
    }
}
