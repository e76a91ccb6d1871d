use actix_web::http::{Method, header};
use serde_json::{Value, json};

use super::{Seen, Site, ask};
use crate::base::{Address, MailOptions, MessageId, QueueId, RcptOptions, Timestamp};
use crate::directory::Scope;
use crate::queue::{self, NewEntry, NewMessage, Notify, Open, OpenAttempt, Policy, Sending};
use crate::store::{Halt, Op, StoreError, Tx};
use crate::trace::{self, Event, Kind, Subject};

const HEAD: &[u8] = b"Received: from x\r\n by y\r\nSubject: =?utf-8?q?hi?=\r\n";

/// Queues a message, as intake does.
struct Queue {
    id: MessageId,
    sender: Option<Address>,
    recipients: Vec<Address>,
    policy: Policy,
}

impl Op for Queue {
    type Plan = ();
    type Out = Vec<QueueId>;
    type Refused = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "test.queue"
    }

    fn check(&self, _: &Tx<'_>) -> Result<(), Halt<Self::Refused>> {
        Ok(())
    }

    fn apply(&self, tx: &mut Tx<'_>, (): ()) -> Result<Self::Out, StoreError> {
        let at = self.id.at();
        let entry = |recipient: &Address| NewEntry {
            recipient: recipient.clone(),
            original: None,
            options: RcptOptions::default(),
        };
        let message = NewMessage {
            id: self.id,
            sender: self.sender.clone(),
            notify: Notify::Postmaster,
            head: HEAD,
            blob: None,
            body_bytes: 0,
            eight_bit: false,
            smtputf8: false,
            at,
            options: MailOptions::default(),
            return_path: None,
            recipients: self.recipients.iter().map(entry).collect(),
        };
        let ids = queue::enqueue(tx, &message, &self.policy)?;
        for (id, recipient) in ids.iter().zip(&self.recipients) {
            let event = Event {
                sender: Some(self.sender.as_ref().map_or_else(String::new, Address::to_string)),
                recipient: Some(recipient.to_string()),
                text: format!("as {id}"),
                ..Event::new(at, Kind::Queued, "submission test")
            };
            trace::record(tx, Subject::Message(self.id), event)?;
        }
        Ok(ids)
    }
}

impl Site {
    /// Queues a message that came in that many seconds ago; an empty sender is the null sender. Gives its entries' ids.
    pub(super) fn queue(&self, ago_s: u64, sender: &str, recipients: &[&str]) -> Vec<String> {
        let parse = |text: &&str| Address::parse(text).expect("an address");
        let at = Timestamp(self.context.clock.now().ms() - ago_s * 1000);
        let op = Queue {
            id: MessageId(at.ms() << 16),
            sender: Some(sender).filter(|sender| !sender.is_empty()).as_ref().map(parse),
            recipients: recipients.iter().map(parse).collect(),
            policy: self.context.delivery.outbound.policy.clone(),
        };
        let ids = self.context.store.write_blocking(op).expect("the message is queued").into_inner();
        ids.iter().map(QueueId::to_string).collect()
    }

    async fn post(&self, path: &str, body: Value) -> Seen {
        self.write(Method::POST, path, body).await
    }

    async fn act(&self, id: &str, action: &str, body: Option<Value>) -> Seen {
        let request = self.admin(Method::POST, &format!("/api/v1/queue/{id}/{action}"));
        self.send(if let Some(body) = body { request.set_json(body) } else { request }).await
    }
}

/// The ids of a list's items.
fn ids(seen: &Seen) -> Vec<&str> {
    assert_eq!(seen.status, 200, "{}", seen.body);
    seen.body["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

/// Three messages: the oldest with two recipients, one held, one with the null sender.
fn furnished(site: &Site) -> (Vec<String>, String, String) {
    let first = site.queue(7200, "a@own.test", &["b@x.test", "c@y.test"]);
    let second = site.queue(3600, "z@far.test", &["d@x.test"]).remove(0);
    let third = site.queue(0, "", &["Ä@own.test"]).remove(0);
    (first, second, third)
}

#[actix_web::test]
async fn the_queue_is_listed_and_filtered() {
    let site = Site::new();
    let (first, second, third) = furnished(&site);
    let all = [first[0].as_str(), &first[1], &second, &third];
    let hour_ago = Timestamp(site.context.clock.now().ms() - 3_600_000).rfc3339();
    assert_eq!(site.act(&second, "hold", Some(json!({"reason": "wait"}))).await.status, 200);
    let cases = [
        (String::new(), all.to_vec()),
        ("domain=X.test".into(), vec![all[0], all[2]]),
        ("sender=A@own.test".into(), vec![all[0], all[1]]),
        ("sender=%3C%3E".into(), vec![all[3]]),
        ("recipient=%C3%A4@own.test".into(), vec![all[3]]),
        ("state=held".into(), vec![all[2]]),
        ("state=due&domain=x.test".into(), vec![all[0]]),
        ("state=in_flight".into(), vec![]),
        (format!("before={hour_ago}"), vec![all[0], all[1]]),
        (format!("after={hour_ago}"), vec![all[2], all[3]]),
        (format!("after={hour_ago}&before={hour_ago}"), vec![]),
        (format!("after={hour_ago}&domain=x.test"), vec![all[2]]),
    ];
    for (query, expected) in cases {
        assert_eq!(ids(&site.get(&format!("/api/v1/queue?{query}")).await), expected, "{query}");
    }
    for (query, fault) in
        [("state=lost", "state"), ("sender=x", "sender"), ("domain=-", "domain"), ("after=now", "after")]
    {
        assert_eq!(site.get(&format!("/api/v1/queue?{query}")).await.faults()[0].0, fault, "{query}");
    }
    // Page by page, with a filter and a count.
    let page = site.get("/api/v1/queue?limit=1&domain=x.test&count=true").await;
    assert_eq!((ids(&page), &page.body["count"]), (vec![all[0]], &json!(2)));
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let last = site.get(&format!("/api/v1/queue?limit=1&domain=x.test&cursor={cursor}")).await;
    assert_eq!((ids(&last), &last.body["next_cursor"]), (vec![all[2]], &Value::Null));
}

#[actix_web::test]
async fn an_entry_is_shown_with_its_history() {
    let site = Site::new();
    let id = site.queue(60, "a@own.test", &["b@x.test"]).remove(0);
    let path = format!("/api/v1/queue/{id}");
    let seen = site.get(&path).await;
    assert_eq!(
        (&seen.body["state"], &seen.body["recipient"], &seen.body["attempts"], &seen.body["size_bytes"]),
        (&json!("due"), &json!("b@x.test"), &json!(0), &json!(HEAD.len()))
    );
    let route = json!({"kind": "mx", "name": null, "host": null, "port": null, "peer": null, "chosen": false});
    assert_eq!(seen.body["route"], route);
    let etag = seen.header(header::ETAG).to_owned();
    let again = site.send(site.admin(Method::GET, &path).insert_header(("if-none-match", etag.as_str()))).await;
    assert_eq!(again.status, 304);
    let held = site.act(&id, "hold", Some(json!({"reason": "until monday"}))).await;
    assert_eq!((held.status.as_u16(), &held.body["state"]), (200, &json!("held")));
    assert_eq!(held.body["hold_reason"], "until monday");
    assert!(held.body["next_attempt_at"].is_null() && held.body["expires_at"].is_null());
    // What was read is not there any more.
    let drop =
        |tag: String| site.admin(Method::DELETE, &format!("{path}?confirm=silent")).insert_header(("if-match", tag));
    assert_eq!(site.send(drop(etag)).await.status, 412);
    assert_eq!(site.act(&id, "release", None).await.status, 200);
    let seen = site.get(&path).await;
    let kinds: Vec<_> = seen.body["history"].as_array().unwrap().iter().map(|event| event["kind"].clone()).collect();
    assert_eq!(kinds, ["queued", "held", "released"]);
    assert_eq!(site.send(drop(seen.header(header::ETAG).to_owned())).await.status, 204);
}

#[actix_web::test]
async fn actions_go_with_the_state() {
    let site = Site::new();
    let id = site.queue(60, "a@own.test", &["b@x.test"]).remove(0);
    let reason = || Some(json!({"reason": "a test"}));
    for (action, body, status, state) in [
        ("release", None, 409, "due"),
        ("hold", reason(), 200, "held"),
        ("hold", reason(), 200, "held"),
        ("retry", None, 409, "held"),
        ("release", None, 200, "due"),
        ("retry", None, 202, "due"),
        ("hold", Some(json!({})), 422, "due"),
        ("bounce", Some(json!({"reason": ""})), 422, "due"),
    ] {
        let seen = site.act(&id, action, body).await;
        assert_eq!(seen.status, status, "{action}: {}", seen.body);
        assert_eq!(site.get(&format!("/api/v1/queue/{id}")).await.body["state"], state, "{action}");
    }
    for wrong in ["q_x", "m_0000000000000", "nothing"] {
        assert_eq!(site.get(&format!("/api/v1/queue/{wrong}")).await.status, 422, "{wrong}");
    }
}

#[actix_web::test]
async fn nobody_touches_what_is_being_delivered() {
    let site = Site::new();
    let id = site.queue(60, "a@own.test", &["b@x.test"]).remove(0);
    let attempt = OpenAttempt { at: site.context.clock.now(), server: "mx.x.test".into(), actor: "delivery".into() };
    let sending = Sending { id: id.parse().unwrap(), recipient: Address::parse("b@x.test").unwrap() };
    let open = Open { entries: vec![sending], attempt };
    site.context.store.write_blocking(open).unwrap().into_inner();
    let path = format!("/api/v1/queue/{id}");
    let seen = site.get(&path).await;
    assert_eq!((&seen.body["state"], &seen.body["next_attempt_at"]), (&json!("in_flight"), &Value::Null));
    for (action, body) in [
        ("retry", None),
        ("release", None),
        ("hold", Some(json!({"reason": "x"}))),
        ("bounce", Some(json!({"reason": "x"}))),
    ] {
        let seen = site.act(&id, action, body).await;
        assert_eq!((seen.status.as_u16(), seen.problem()), (409, "conflict"), "{action}");
    }
    assert_eq!(site.send(site.admin(Method::DELETE, &format!("{path}?confirm=silent"))).await.status, 409);
    let summary = site.get("/api/v1/queue/summary").await;
    assert_eq!((&summary.body["in_flight"], &summary.body["due"]), (&json!(1), &json!(0)));
    assert_eq!(site.post("/api/v1/queue/flush", json!({"all": true})).await.body["count"], 0);
}

#[actix_web::test]
async fn what_is_gone_says_where_it_went() {
    let site = Site::new();
    let gone = site.queue(60, "a@own.test", &["b@x.test", "c@x.test"]);
    let path = |id: &str| format!("/api/v1/queue/{id}");
    let unconfirmed = site.send(site.admin(Method::DELETE, &path(&gone[0]))).await;
    assert_eq!(unconfirmed.faults(), [("confirm".into(), "required".into())]);
    let unsure = site.send(site.admin(Method::DELETE, &format!("{}?confirm=yes", path(&gone[0])))).await;
    assert_eq!(unsure.status, 422);
    let dropped = site.send(site.admin(Method::DELETE, &format!("{}?confirm=silent", path(&gone[0])))).await;
    assert_eq!(dropped.status, 204);
    let bounced = site.act(&gone[1], "bounce", Some(json!({"reason": "no such customer"}))).await;
    assert_eq!((bounced.status.as_u16(), &bounced.body["recipient"]), (200, &json!("c@x.test")));
    for (id, code, word) in [(&gone[0], "dropped", "b@x.test"), (&gone[1], "failed", "no such customer")] {
        let seen = site.get(&path(id)).await;
        assert_eq!(seen.status, 404);
        assert_eq!(seen.faults(), [(String::new(), code.to_owned())], "{}", seen.body);
        let detail = seen.body["detail"].as_str().unwrap();
        assert!(detail.contains(word) && detail.contains("m_"), "{detail}");
        assert_eq!(site.act(id, "retry", None).await.status, 404);
    }
    // Who reaches neither side is not told.
    let token = site.token(&[Scope::QueueRead], &["other.test"]);
    let seen = site.send(ask(Method::GET, &path(&gone[0]), &token)).await;
    assert!(seen.status == 404 && seen.faults().is_empty(), "{}", seen.body);
    let never = site.get("/api/v1/queue/q_0000000000000_0").await;
    assert!(never.status == 404 && never.faults().is_empty());
}

#[actix_web::test]
async fn a_flush_names_what_it_is_about() {
    let site = Site::new();
    let (_, second, _) = furnished(&site);
    assert_eq!(site.act(&second, "hold", Some(json!({"reason": "wait"}))).await.status, 200);
    let check = async |body: Value, status: u16, count: u64| {
        let seen = site.post("/api/v1/queue/flush", body.clone()).await;
        assert_eq!((seen.status.as_u16(), &seen.body["count"]), (status, &json!(count)), "{body}: {}", seen.body);
        seen
    };
    check(json!({"all": true}), 202, 3).await;
    check(json!({"selector": {"domain": "x.test"}}), 202, 1).await;
    check(json!({"selector": {"sender": "a@own.test"}}), 202, 2).await;
    check(json!({"selector": {"sender": "<>"}}), 202, 1).await;
    let preview = check(json!({"all": true, "dry_run": true}), 200, 3).await;
    assert_eq!(preview.body["items"].as_array().unwrap().len(), 3);
    for (body, pointer) in [
        (json!({}), "/selector"),
        (json!({"all": false}), "/selector"),
        (json!({"selector": {}}), "/selector"),
        (json!({"selector": {"domain": "x.test", "sender": "<>"}}), "/selector"),
        (json!({"all": true, "selector": {"domain": "x.test"}}), "/selector"),
        (json!({"selector": {"domain": "-"}}), "/selector/domain"),
        (json!({"selector": {"peer": "nobody"}}), "/selector/peer"),
        (json!({"selector": {"host": "x"}}), "/selector/host"),
    ] {
        let seen = site.post("/api/v1/queue/flush", body.clone()).await;
        assert_eq!((seen.status.as_u16(), seen.faults()[0].0.as_str()), (422, pointer), "{body}");
    }
}

#[actix_web::test]
async fn a_token_for_some_domains_reaches_their_mail_alone() {
    let site = Site::new();
    let (first, second, third) = furnished(&site);
    let scopes = [Scope::QueueRead, Scope::QueueWrite, Scope::MessagesRead];
    let token = site.token(&scopes, &["own.test"]);
    let send = async |method: Method, path: &str, body: Option<Value>| {
        let request = ask(method, &format!("/api/v1{path}"), &token);
        site.send(if let Some(body) = body { request.set_json(body) } else { request }).await
    };
    let seen = send(Method::GET, "/queue", None).await;
    assert_eq!(ids(&seen), [first[0].as_str(), &first[1], &third]);
    assert_eq!(send(Method::GET, &format!("/queue/{second}"), None).await.status, 404);
    assert_eq!(send(Method::POST, &format!("/queue/{second}/retry"), None).await.status, 404);
    assert_eq!(send(Method::POST, &format!("/queue/{}/retry", first[0]), None).await.status, 202);
    let message = |id: &str| format!("/queue/messages/m_{}", &id[2..15]);
    assert_eq!(send(Method::GET, &format!("{}/raw", message(&second)), None).await.status, 404);
    assert_eq!(send(Method::GET, &format!("{}/headers", message(&third)), None).await.status, 200);
    for (path, body, status) in [
        ("/queue/summary", None, 403),
        ("/routes", None, 403),
        ("/queue/flush", Some(json!({"all": true})), 403),
        ("/queue/flush", Some(json!({"selector": {"domain": "x.test"}})), 403),
        ("/queue/flush", Some(json!({"selector": {"sender": "z@far.test"}})), 403),
        ("/queue/flush", Some(json!({"selector": {"sender": "<>"}})), 403),
        ("/queue/flush", Some(json!({"selector": {"sender": "a@own.test"}})), 202),
        ("/queue/flush", Some(json!({"selector": {"domain": "own.test"}})), 202),
    ] {
        let method = if body.is_some() { Method::POST } else { Method::GET };
        assert_eq!(send(method, path, body.clone()).await.status, status, "{path} {body:?}");
    }
    let bulk = json!({"action": "delete", "all": true, "dry_run": true});
    assert_eq!(send(Method::POST, "/queue/actions", Some(bulk)).await.body["count"], 3);
}

#[actix_web::test]
async fn a_message_is_read_with_its_own_scope() {
    let site = Site::new();
    let id = site.queue(60, "a@own.test", &["b@x.test", "c@y.test"]).remove(0);
    let path = format!("/api/v1/queue/messages/m_{}", &id[2..15]);
    let seen = site.get(&path).await;
    assert_eq!(seen.body["recipients"].as_array().unwrap().len(), 2);
    assert_eq!((&seen.body["sender"], &seen.body["size_bytes"]), (&json!("a@own.test"), &json!(HEAD.len())));
    let headers = site.get(&format!("{path}/headers")).await;
    let first = json!({"name": "Received", "value": "from x by y"});
    assert_eq!((&headers.body["headers"][0], &headers.body["headers"][1]["name"]), (&first, &json!("Subject")));
    let raw = site.get(&format!("{path}/raw")).await;
    assert_eq!((raw.status.as_u16(), raw.header(header::CONTENT_TYPE)), (200, "message/rfc822"));
    assert_eq!(raw.bytes, HEAD);
    assert_eq!(site.get("/api/v1/queue/messages/m_0000000000000").await.status, 404);
    assert_eq!(site.get("/api/v1/queue/messages/x").await.status, 422);
}

#[actix_web::test]
async fn an_entry_is_redirected() {
    let site = Site::new();
    site.write(Method::PUT, "/api/v1/domains/own.test", json!({})).await;
    let id = site.queue(60, "a@own.test", &["b@x.test"]).remove(0);
    let to = |address: &str| Some(json!({"recipient": address}));
    let seen = site.act(&id, "redirect", to("c@y.test")).await;
    assert_eq!((seen.status.as_u16(), &seen.body["recipient"]), (200, &json!("c@y.test")), "{}", seen.body);
    assert_eq!((&seen.body["original_recipient"], &seen.body["domain"]), (&json!("b@x.test"), &json!("y.test")));
    assert_eq!(ids(&site.get("/api/v1/queue?domain=y.test").await), [id.as_str()]);
    assert!(ids(&site.get("/api/v1/queue?domain=x.test").await).is_empty());
    for (address, code) in [("d@own.test", "local"), ("nobody", "malformed")] {
        let seen = site.act(&id, "redirect", to(address)).await;
        assert_eq!(seen.faults(), [("/recipient".into(), code.into())], "{}", seen.body);
    }
    // Not while a courier has it.
    let claim = site.context.delivery.claims.claim(id.parse().unwrap()).unwrap();
    assert_eq!(site.act(&id, "redirect", to("d@z.test")).await.status, 409);
    drop(claim);
    let request = json!({"action": "redirect", "ids": [id], "dry_run": true});
    assert_eq!(site.post("/api/v1/queue/actions", request).await.faults(), [("/recipient".into(), "required".into())]);
    let request = json!({"action": "retry", "ids": [id], "recipient": "d@z.test", "dry_run": true});
    assert_eq!(site.post("/api/v1/queue/actions", request).await.faults(), [("/recipient".into(), "excluded".into())]);
    // A stranger's mail is not for others to hand on.
    let theirs = site.queue(120, "s@far.test", &["b@own.test"]).remove(0);
    let token = site.token(&[Scope::QueueWrite], &["own.test"]);
    let redirect =
        |id: &str| ask(Method::POST, &format!("/api/v1/queue/{id}/redirect"), &token).set_json(to("e@z.test"));
    assert_eq!(site.send(redirect(&theirs)).await.status, 403);
    // Who gets it reads it.
    let elsewhere = site.send(redirect(&id)).await;
    assert!(elsewhere.status == 403 && elsewhere.body.to_string().contains("messages:read"), "{}", elsewhere.body);
    let same = ask(Method::POST, &format!("/api/v1/queue/{id}/redirect"), &token).set_json(to("d@y.test"));
    assert_eq!(site.send(same).await.status, 200);
    let many = json!({"action": "redirect", "ids": [id], "recipient": "e@z.test", "dry_run": true});
    let operator = site.token(&[Scope::QueueWrite], &[]);
    assert_eq!(site.send(ask(Method::POST, "/api/v1/queue/actions", &operator).set_json(many)).await.status, 403);
    let token = site.token(&[Scope::QueueWrite, Scope::MessagesRead], &["own.test"]);
    let request = ask(Method::POST, &format!("/api/v1/queue/{id}/redirect"), &token).set_json(to("e@z.test"));
    assert_eq!(site.send(request).await.status, 200);
    let dropped = site.send(site.admin(Method::DELETE, &format!("/api/v1/queue/{id}?confirm=silent"))).await;
    assert_eq!(dropped.status, 204);
    let gone = site.get(&format!("/api/v1/queue/{id}")).await;
    assert!(gone.body["detail"].as_str().unwrap().contains("e@z.test"), "{}", gone.body);
}

#[actix_web::test]
async fn a_hold_may_have_an_end() {
    let site = Site::new();
    let id = site.queue(60, "a@own.test", &["b@x.test"]).remove(0);
    let now = site.context.clock.now();
    let until = |at: String| Some(json!({"reason": "wait", "until": at}));
    let end = now.plus_ms(60_000);
    let seen = site.act(&id, "hold", until(end.rfc3339())).await;
    assert_eq!((seen.status.as_u16(), &seen.body["hold_until_at"]), (200, &json!(end.rfc3339())));
    assert_eq!((&seen.body["state"], &seen.body["next_attempt_at"]), (&json!("held"), &Value::Null));
    for (at, code) in [(now.rfc3339(), "out_of_range"), ("tomorrow".into(), "malformed")] {
        let seen = site.act(&id, "hold", until(at)).await;
        assert_eq!(seen.faults(), [("/until".into(), code.into())], "{}", seen.body);
    }
    let seen = site.act(&id, "hold", Some(json!({"reason": "for ever"}))).await;
    assert_eq!(seen.body["hold_until_at"], Value::Null);
}

#[actix_web::test]
async fn an_entry_goes_by_another_way() {
    let site = Site::new();
    let id = site.queue(60, "a@own.test", &["b@x.test"]).remove(0);
    let relay = json!({"match": {"domain": "y.test"}, "kind": "relay", "host": "smart.test", "port": 2525});
    assert_eq!(site.write(Method::PUT, "/api/v1/routes/smart", relay).await.status, 201);
    let check = async |body: Value, recipient: &str, route: Value| {
        let seen = site.act(&id, "redirect", Some(body.clone())).await;
        assert_eq!((seen.status.as_u16(), &seen.body["recipient"]), (200, &json!(recipient)), "{body}: {}", seen.body);
        let entry = site.get(&format!("/api/v1/queue/{id}")).await.body;
        for (name, value) in route.as_object().unwrap() {
            assert_eq!((&seen.body["route"][name], &entry["route"][name]), (value, value), "{body}: {}", seen.body);
        }
        entry["history"].as_array().unwrap().last().unwrap()["text"].as_str().unwrap().to_owned()
    };
    let by_route = json!({"kind": "relay", "name": "smart", "host": "smart.test", "port": 2525, "chosen": true});
    assert_eq!(check(json!({"route": "smart"}), "b@x.test", by_route).await, "by the route smart");
    let by_host = json!({"kind": "relay", "name": null, "host": "[192.0.2.1]", "port": 25, "chosen": true});
    let both = json!({"recipient": "c@z.test", "route": "[192.0.2.1]"});
    assert_eq!(check(both, "c@z.test", by_host).await, "to c@z.test by [192.0.2.1]:25");
    let plain = json!({"kind": "mx", "name": null, "host": null, "chosen": false});
    assert_eq!(check(json!({"recipient": "c@z.test"}), "c@z.test", plain).await, "to c@z.test");
    for (body, fault) in [
        (json!({}), ("/recipient", "required")),
        (json!({"route": "smrat"}), ("/route", "no_such_route")),
        (json!({"route": "smart.test:0"}), ("/route", "no_such_route")),
    ] {
        let seen = site.act(&id, "redirect", Some(body)).await;
        assert_eq!(seen.faults(), [(fault.0.into(), fault.1.into())], "{}", seen.body);
    }
    let excluded = json!({"action": "retry", "ids": [id], "route": "smart", "dry_run": true});
    assert_eq!(site.post("/api/v1/queue/actions", excluded).await.faults(), [("/route".into(), "excluded".into())]);
    let many = json!({"action": "redirect", "ids": [id], "route": "smart", "dry_run": true});
    assert_eq!(site.post("/api/v1/queue/actions", many).await.status, 200);
    // Where mail of a domain goes is not for who is restricted to it.
    let token = site.token(&[Scope::QueueWrite], &["own.test"]);
    let path = format!("/api/v1/queue/{id}/redirect");
    let seen = site.send(ask(Method::POST, &path, &token).set_json(json!({"route": "smart"}))).await;
    assert_eq!(seen.status, 403, "{}", seen.body);
    // A server that no route names reads what it gets.
    let token = site.token(&[Scope::QueueWrite], &[]);
    for (route, status) in [("smart", 200), ("smart.test:2525", 403), ("[192.0.2.1]", 403)] {
        let seen = site.send(ask(Method::POST, &path, &token).set_json(json!({"route": route}))).await;
        assert_eq!(seen.status, status, "{route}: {}", seen.body);
    }
}

#[actix_web::test]
async fn what_is_damaged_costs_its_own_entries() {
    for table in ["queue_messages", "queue"] {
        let site = Site::new();
        let lost = site.queue(60, "a@own.test", &["b@x.test"]);
        let there = site.queue(50, "a@own.test", &["b@x.test", "c@x.test"]);
        // The oldest stands first, and there is no more than one in a page.
        site.context.store.spoil(table);
        for query in ["", "&domain=x.test", "&sender=a@own.test"] {
            let (mut path, mut seen) = (format!("/api/v1/queue?limit=1{query}"), Vec::new());
            loop {
                let page = site.get(&path).await;
                assert_eq!(page.status, 200, "{table}: {}", page.body);
                let items = page.body["items"].as_array().unwrap();
                seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
                let Some(cursor) = page.body["next_cursor"].as_str() else { break };
                path = format!("/api/v1/queue?limit=1{query}&cursor={cursor}");
            }
            assert_eq!(seen, there, "{table}, {query}");
        }
        assert_eq!(site.get("/api/v1/queue/summary").await.status, 200, "{table}");
        assert_eq!(site.get(&format!("/api/v1/queue/{}", there[0])).await.status, 200, "{table}");
        assert_ne!(site.get(&format!("/api/v1/queue/{}", lost[0])).await.status, 200, "{table}");
        let flushed = site.post("/api/v1/queue/flush", json!({"selector": {"sender": "a@own.test"}})).await;
        assert_eq!(flushed.status, 202, "{table}: {}", flushed.body);
    }
}

#[actix_web::test]
async fn a_damaged_attempt_costs_its_own_entry() {
    let site = Site::new();
    let queued = site.queue(60, "a@own.test", &["b@x.test", "c@x.test"]);
    let attempt = OpenAttempt { at: site.context.clock.now(), server: "mx.x.test".into(), actor: "delivery".into() };
    let sending = Sending { id: queued[0].parse().unwrap(), recipient: Address::parse("b@x.test").unwrap() };
    site.context.store.write_blocking(Open { entries: vec![sending], attempt }).unwrap().into_inner();
    site.context.store.spoil("attempts_open");
    let list = site.get("/api/v1/queue").await;
    assert_eq!(ids(&list), queued);
    assert_eq!(
        (&list.body["items"][0]["state"], &list.body["items"][1]["state"]),
        (&json!("in_flight"), &json!("due"))
    );
    let summary = site.get("/api/v1/queue/summary").await.body;
    assert_eq!((&summary["in_flight"], &summary["due"]), (&json!(1), &json!(1)));
    assert_eq!(site.act(&queued[0], "retry", None).await.status, 409);
    assert_eq!(site.act(&queued[0], "bounce", Some(json!({"reason": "no"}))).await.status, 409);
    assert_eq!(site.act(&queued[1], "hold", Some(json!({"reason": "look"}))).await.status, 200);
}
