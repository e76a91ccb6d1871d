use actix_web::http::{Method, header};
use serde_json::{Value, json};

use super::Site;

#[actix_web::test]
async fn a_route_lives_and_mail_takes_it() {
    let site = Site::new();
    let path = "/api/v1/routes/smart";
    let body = json!({"match": {"default": true}, "kind": "relay", "host": "smtp.x.test", "port": 587,
        "auth": {"user": "me", "secret": "hush hush"}, "note": "all of it"});
    let created = site.write(Method::PUT, path, body).await;
    assert_eq!((created.status.as_u16(), created.header(header::LOCATION)), (201, path), "{}", created.body);
    assert_eq!(created.body["auth"], json!({"user": "me", "secret": {"set": true, "changed_at": null}}));
    assert_eq!((&created.body["tls"], &created.body["match"]), (&json!("verified"), &json!({"default": true})));
    assert!(!site.get(path).await.body.to_string().contains("hush"));
    let entry = site.queue(60, "a@own.test", &["b@x.test"]).remove(0);
    let route = async || site.get(&format!("/api/v1/queue/{entry}")).await.body["route"].clone();
    assert_eq!(
        route().await,
        json!({"kind": "relay", "name": "smart", "host": "smtp.x.test", "port": 587, "peer": null, "chosen": false})
    );
    let own = json!({"match": {"domain": "X.test"}, "kind": "mx"});
    assert_eq!(site.write(Method::PUT, "/api/v1/routes/own", own.clone()).await.status, 201);
    assert_eq!(route().await["name"], "own");
    // The same mail can't have two routes.
    assert_eq!(site.write(Method::PUT, "/api/v1/routes/other", own).await.status, 409);
    let list = site.get("/api/v1/routes").await;
    let names: Vec<_> = list.body["items"].as_array().unwrap().iter().map(|item| item["name"].clone()).collect();
    assert_eq!(names, ["own", "smart"]);
    let stale = site.admin(Method::DELETE, path).insert_header((header::IF_MATCH, "\"99999\""));
    assert_eq!(site.send(stale).await.status, 412);
    let fresh = site.admin(Method::DELETE, path).insert_header((header::IF_MATCH, created.header(header::ETAG)));
    assert_eq!(site.send(fresh).await.status, 204);
    assert_eq!(site.get(path).await.status, 404);
}

#[actix_web::test]
async fn a_route_says_what_is_wrong_with_it() {
    let site = Site::new();
    for (body, faults) in [
        (json!({"kind": "mx"}), vec![("/match", "required")]),
        (json!({"match": {}, "kind": "mx"}), vec![("/match", "not_one")]),
        (json!({"match": {"default": false}, "kind": "mx"}), vec![("/match", "not_one")]),
        (json!({"match": {"domain": "x.test", "sender": "@x.test"}, "kind": "mx"}), vec![("/match", "not_one")]),
        (json!({"match": {"sender": "x.test"}, "kind": "mx"}), vec![("/match/sender", "malformed")]),
        (json!({"match": {"default": true}, "kind": "lmtp"}), vec![("/kind", "not_allowed")]),
        (json!({"match": {"default": true}, "kind": "relay"}), vec![("/host", "required")]),
        (json!({"match": {"default": true}, "kind": "relay", "host": "a b"}), vec![("/host", "malformed")]),
        (json!({"match": {"default": true}, "kind": "hold"}), vec![("/peer", "not_allowed")]),
        (
            json!({"match": {"default": true}, "kind": "mx", "host": "x.test", "peer": "p"}),
            vec![("/host", "excluded"), ("/peer", "excluded")],
        ),
        (
            json!({"match": {"default": true}, "kind": "relay", "host": "x.test", "auth": {"user": "u"}}),
            vec![("/auth/secret", "required")],
        ),
        (
            json!({"match": {"default": true}, "kind": "relay", "host": "x.test", "tls": "opportunistic",
                "auth": {"user": "u", "secret": "s"}}),
            vec![("/tls", "not_allowed")],
        ),
    ] {
        let seen = site.write(Method::PUT, "/api/v1/routes/r", body.clone()).await;
        let expected: Vec<_> = faults.into_iter().map(|(place, code)| (place.to_owned(), code.to_owned())).collect();
        assert_eq!(seen.faults(), expected, "{body}: {}", seen.body);
    }
    let named = site.write(Method::PUT, "/api/v1/routes/No%20Good", json!({"match": {"default": true}, "kind": "mx"}));
    assert_eq!(named.await.faults(), [("name".into(), "malformed".into())]);
}

#[actix_web::test]
async fn a_secret_stays_where_it_was_going() {
    let site = Site::new();
    let put = async |host: &str, port: u16, user: &str, secret: Option<&str>| {
        let mut auth = json!({"user": user});
        if let Some(secret) = secret {
            auth["secret"] = Value::from(secret);
        }
        let body = json!({"match": {"default": true}, "kind": "relay", "host": host, "port": port, "auth": auth});
        site.write(Method::PUT, "/api/v1/routes/r", body).await.status.as_u16()
    };
    assert_eq!(put("a.test", 587, "me", Some("hush")).await, 201);
    assert_eq!(put("a.test", 587, "me", None).await, 200);
    assert_eq!(put("evil.test", 587, "me", None).await, 422);
    assert_eq!(put("a.test", 2525, "me", None).await, 422);
    assert_eq!(put("a.test", 587, "you", None).await, 422);
    assert_eq!(put("evil.test", 587, "me", Some("another")).await, 200);
    let row = crate::queue::route(&site.context.store.view().unwrap(), "r").unwrap().unwrap();
    let crate::queue::RouteKind::Relay { login: Some(login), .. } = row.fields.kind else { panic!("no login") };
    assert_eq!(login.secret, "another");
}
