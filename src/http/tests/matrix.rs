//! The authorisation matrix: every operation of the document, asked by everybody who may and may not. A new operation is
//! in it as soon as it is in the document.

use actix_web::http::{Method, header};
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::peers::session_with;
use super::session::browse;
use super::{Site, ask};
use crate::base::SessionId;
use crate::directory::Scope;
use crate::http::document;
use crate::turn::{PutSession, Session};

/// Who an operation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    Everybody,
    /// Whoever is known.
    Known,
    Scope(Scope),
}

/// What operations name by an id that the server has given.
struct Ids {
    queue: String,
    message: String,
    job: String,
    session: String,
    token: String,
}

impl Ids {
    /// Of nothing that there is.
    fn of_nothing() -> Self {
        Self {
            queue: "q_0000000000000_0".into(),
            message: "m_0000000000000".into(),
            job: "j_0000000000000".into(),
            session: "s_0000000000000".into(),
            token: "matrix".into(),
        }
    }

    fn are_in(&self, path: &str) -> bool {
        [&self.queue, &self.message, &self.job, &self.session, &self.token].into_iter().any(|id| path.contains(id))
    }
}

/// An operation of the document, with a request that it could take.
struct Operation {
    id: String,
    method: Method,
    path: String,
    /// Its type and its text.
    body: Option<(String, String)>,
    for_whom: For,
}

impl Operation {
    /// With a request about that domain.
    fn of(template: &str, method: &str, operation: &Value, domain: &str, ids: &Ids) -> Self {
        let id = operation["operationId"].as_str().unwrap().to_owned();
        let path = template.split('/').map(|part| match part.strip_prefix('{') {
            Some(name) => parameter(name.trim_end_matches('}'), &id, domain, ids),
            None => part.to_owned(),
        });
        let path = path.collect::<Vec<_>>().join("/");
        // What says how long to wait is given too: the least.
        let waits = |parameter: &Value| parameter["name"] == "seconds" || parameter["name"] == "timeout_seconds";
        let needed = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "query" && (parameter["required"] == true || waits(parameter)));
        let query = needed.map(|parameter| {
            let value = sample(&parameter["schema"]);
            let value = value.as_str().map_or(value.to_string(), str::to_owned);
            match parameter["name"].as_str().unwrap() {
                name @ ("address" | "to") => format!("{name}=a@{domain}"),
                name => format!("{name}={value}"),
            }
        });
        let force = (id == "patch_settings" || id == "put_state").then(|| "force=true".to_owned());
        let query = query.chain(force).collect::<Vec<_>>().join("&");
        let path = if query.is_empty() { path } else { format!("{path}?{query}") };
        let content = operation["requestBody"]["content"].as_object().and_then(|content| content.iter().next());
        let body = content.map(|(kind, content)| {
            let value = body(&id, domain).unwrap_or_else(|| sample(&content["schema"]));
            (kind.clone(), if kind.ends_with("json") { value.to_string() } else { "Subject: x\r\n\r\nx\r\n".into() })
        });
        Self { for_whom: for_whom(operation), method: method.to_uppercase().parse().unwrap(), id, path, body }
    }

    fn request(&self, token: &str) -> TestRequest {
        self.with_body(ask(self.method.clone(), &self.path, token))
    }

    /// The same from the page.
    fn request_in_session(&self, cookie: &str) -> TestRequest {
        self.with_body(browse(self.method.clone(), &self.path, cookie))
    }

    fn with_body(&self, request: TestRequest) -> TestRequest {
        let Some((kind, text)) = &self.body else { return request };
        request.insert_header((header::CONTENT_TYPE, kind.as_str())).set_payload(text.clone())
    }

    fn is_for_everybody(&self) -> bool {
        self.for_whom == For::Everybody
    }
}

/// Every operation of the document, about that domain and what is in it. What takes things away comes later, the end of a
/// session last.
fn operations_on(domain: &str, ids: &Ids) -> Vec<Operation> {
    let paths = document::json()["paths"].as_object().unwrap();
    let mut all = Vec::new();
    for (template, operations) in paths {
        for (method, operation) in operations.as_object().unwrap() {
            all.push(Operation::of(template, method, operation, domain, ids));
        }
    }
    all.sort_by_key(|operation| (operation.id == "delete_session", operation.method == Method::DELETE));
    all
}

fn operations() -> Vec<Operation> {
    operations_on("matrix.test", &Ids::of_nothing())
}

/// Whom an operation is for. One that does not say it is a mistake.
fn for_whom(operation: &Value) -> For {
    if operation["security"] == json!([{}]) {
        return For::Everybody;
    }
    let roles = operation["security"].as_array().into_iter().flatten().filter_map(|scheme| scheme.as_object());
    let roles = roles.flat_map(|scheme| scheme.values()).collect::<Vec<_>>();
    let Some(first) = roles.first() else { panic!("{} does not say who may call it", operation["operationId"]) };
    assert!(roles.iter().all(|other| other == first), "every way in needs the same: {operation}");
    match first.as_array().unwrap().as_slice() {
        [] => For::Known,
        [scope] => For::Scope(scope.as_str().unwrap().parse().unwrap()),
        more => panic!("an operation needs one scope, not {more:?}"),
    }
}

/// The name of something that is in that domain or not there, of the form that the operation expects.
fn parameter(name: &str, operation: &str, domain: &str, ids: &Ids) -> String {
    let fixed = match name {
        "domain" => return domain.to_owned(),
        "address" => return format!("a@{domain}"),
        "qid" => &ids.queue,
        "mid" => &ids.message,
        "id" if operation.contains("job") => &ids.job,
        "id" if operation.contains("session") => &ids.session,
        "id" if operation.ends_with("_token") => &ids.token,
        "key" => "limits.recipients",
        "mailbox" if operation.contains("message") => "INBOX",
        "mailbox" => "Trash",
        "uid" | "n" | "part" => "1",
        _ => "matrix",
    };
    fixed.to_owned()
}

/// Makes one of everything in that domain, and says by which ids it is named.
async fn furnish(site: &Site, domain: &str) -> Ids {
    let (person, alias) = (format!("a@{domain}"), format!("b@{domain}"));
    for (path, body) in [
        (format!("domains/{domain}"), json!({})),
        (format!("accounts/{person}"), json!({"display_name": format!("A {domain} person")})),
        (format!("aliases/{alias}"), json!({"targets": [person]})),
        ("turn/peers/matrix".into(), json!({"verbs": ["etrn"], "domains": [domain], "networks": ["192.0.2.0/24"]})),
        ("routes/matrix".into(), json!({"match": {"domain": domain}, "kind": "mx"})),
    ] {
        let seen = site.write(Method::PUT, &format!("/api/v1/{path}"), body).await;
        assert_eq!(seen.status, 201, "{path}: {}", seen.body);
    }
    let inbox = site.admin(Method::POST, &format!("/api/v1/accounts/{person}/mailboxes/INBOX/messages"));
    let inbox = inbox.insert_header((header::CONTENT_TYPE, "message/rfc822"));
    let message = format!("From: {person}\r\nSubject: of {domain}\r\n\r\nx\r\n");
    assert_eq!(site.send(inbox.set_payload(message)).await.status, 201);
    let queue = site.queue(60, &person, &["b@elsewhere.test", &format!("c@{domain}")]).remove(0);
    let hold = json!({"action": "hold", "reason": format!("for {domain}"), "ids": [queue]});
    let job = site.write(Method::POST, "/api/v1/queue/actions", hold).await;
    site.ended(&job).await;
    let token = json!({"name": format!("of {domain}"), "scopes": ["queue:read"], "restrict": {"domains": [domain]}});
    let token = site.write(Method::POST, "/api/v1/tokens", token).await;
    let session = SessionId(1);
    let row = Session { outcome: format!("all of {domain} sent"), ..session_with("matrix", site.context.clock.now()) };
    site.context.store.write_blocking(PutSession { id: session, session: row }).unwrap().into_inner();
    Ids {
        message: queue.replace("q_", "m_").trim_end_matches("_0").to_owned(),
        queue,
        job: job.body["id"].as_str().unwrap().to_owned(),
        session: session.to_string(),
        token: token.body["id"].as_str().unwrap().to_owned(),
    }
}

/// A body that the operation takes, where what the schema demands is not enough.
fn body(operation: &str, domain: &str) -> Option<Value> {
    Some(match operation {
        "put_alias" => json!({"targets": [format!("a@{domain}")]}),
        "create_session" => json!({"email": format!("nobody@{domain}"), "password": "x"}),
        "set_up" => {
            let email = format!("a@{domain}");
            json!({"setup_token": "x", "email": email, "password": "12345678", "hostname": "x.test"})
        }
        "create_token" => json!({"name": "n", "scopes": ["tokens:write"]}),
        // One that reads mail needs `messages:read` besides: app_passwords_that_read_need_two_scopes.
        "create_app_password" => json!({"name": "n", "protocols": ["submission"]}),
        "put_route" => json!({"match": {"domain": domain}, "kind": "mx"}),
        "put_queue_rule" => json!({"match": {"domain": domain}, "action": "suspend", "reason": "why"}),
        "put_peer" => json!({"verbs": ["etrn"], "domains": [domain], "networks": ["192.0.2.0/24"]}),
        "put_log_filter" => json!({"filter": "-", "seconds": 1}),
        "redirect_queue_entry" => json!({"recipient": "b@elsewhere.test"}),
        "send_message" => json!({"from": format!("a@{domain}"), "to": ["b@elsewhere.test"], "dry_run": true}),
        "put_state" => json!({"domains": {domain: {}}}),
        "patch_settings" => json!({"limits.recipients": null}),
        "flush_queue" => json!({"all": true}),
        "act_on_queue" => json!({"action": "retry", "all": true, "dry_run": true}),
        _ => return None,
    })
}

/// The least that a schema demands.
fn sample(schema: &Value) -> Value {
    if let Some(target) = schema["$ref"].as_str() {
        return sample(document::json().pointer(&target[1..]).unwrap());
    }
    if let Some(first) = schema["enum"].as_array().or(schema["examples"].as_array()).and_then(|all| all.first()) {
        return first.clone();
    }
    let alternatives = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
    if let Some(one) = alternatives.and_then(|all| all.iter().find(|one| one["type"] != "null")) {
        return sample(one);
    }
    let kind = schema["type"].as_str().or(schema["type"][0].as_str());
    match kind {
        Some("object") => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            required.map(|name| (name.to_owned(), sample(&schema["properties"][name]))).collect()
        }
        Some("array") => (0..schema["minItems"].as_u64().unwrap_or(0)).map(|_| sample(&schema["items"])).collect(),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("boolean") => json!(false),
        _ => json!("x".repeat(schema["minLength"].as_u64().unwrap_or(1) as usize)),
    }
}

#[actix_web::test]
async fn every_operation_asks_who_calls() {
    let site = Site::with_settings(&["http.requests_per_minute=1000000"]);
    let send = site.sender().await;
    let all = operations();
    assert!(all.len() >= 54, "the document has its {} operations", all.len());
    for token in ["", "pbx_0000_0000"] {
        for operation in &all {
            let seen = send(operation.request(token)).await;
            let id = &operation.id;
            // Who logs in wrong is asked again.
            let is_asked = !operation.is_for_everybody() || id == "create_session";
            assert_eq!(seen.status == 401, is_asked, "{id} with {token:?}: {}", seen.status);
            let challenge = seen.header(header::WWW_AUTHENTICATE);
            assert_eq!(challenge.starts_with("Bearer"), is_asked, "{id}: {challenge:?}");
        }
    }
    for operation in all
        .iter()
        .filter(|operation| !matches!(operation.id.as_str(), "create_session" | "set_up" | "restore_at_setup"))
    {
        let seen = send(operation.request(&site.admin)).await;
        assert!(!matches!(seen.status.as_u16(), 401 | 403 | 405 | 415 | 500..), "{}: {}", operation.id, seen.body);
    }
}

#[actix_web::test]
async fn every_operation_takes_its_scope_and_no_other() {
    let site = Site::with_settings(&["http.requests_per_minute=1000000"]);
    let send = site.sender().await;
    let tokens: Vec<(Scope, String)> = Scope::ALL.iter().map(|scope| (*scope, site.token(&[*scope], &[]))).collect();
    for operation in operations().iter().filter(|operation| !operation.is_for_everybody()) {
        for (scope, token) in &tokens {
            let fits = *scope == Scope::Admin || matches!(operation.for_whom, For::Known);
            let fits = fits || operation.for_whom == For::Scope(*scope);
            let seen = send(operation.request(token)).await;
            assert_eq!(seen.status != 403, fits, "{} with {scope}: {}", operation.id, seen.body);
            assert_ne!(seen.status, 401, "{} with {scope}: {}", operation.id, seen.body);
        }
    }
}

#[actix_web::test]
async fn no_other_scopes_together_replace_the_one() {
    let site = Site::with_settings(&["http.requests_per_minute=1000000"]);
    let send = site.sender().await;
    for operation in &operations() {
        let For::Scope(needed) = operation.for_whom else { continue };
        let others = Scope::ALL.iter().copied().filter(|other| *other != Scope::Admin && *other != needed);
        let seen = send(operation.request(&site.token(&others.collect::<Vec<_>>(), &[]))).await;
        assert_eq!(seen.status, 403, "{}: {}", operation.id, seen.body);
    }
}

#[actix_web::test]
async fn every_role_may_do_what_its_scopes_say() {
    let site = Site::with_settings(&["http.requests_per_minute=1000000"]);
    let send = site.sender().await;
    let of_domain_admin =
        [Scope::DomainsRead, Scope::AccountsRead, Scope::AccountsWrite, Scope::QueueRead, Scope::TraceRead];
    let not_of_operator = [
        Scope::TokensWrite,
        Scope::SettingsWrite,
        Scope::StateWrite,
        Scope::RestoreWrite,
        Scope::BackupRead,
        Scope::MessagesRead,
        Scope::Admin,
    ];
    let ids = furnish(&site, "matrix.test").await;
    let all = operations_on("matrix.test", &ids);
    let check = async |role: &str, has: &dyn Fn(&Scope) -> bool| {
        let name = format!("{}@people.test", role.split(':').next().unwrap());
        let cookie = site.cookie(&site.person(&name, &[role]).await).await;
        let mut wrong = Vec::new();
        for operation in all.iter().filter(|operation| !operation.is_for_everybody()) {
            let seen = send(operation.request_in_session(&cookie)).await;
            let has_scope = match &operation.for_whom {
                For::Scope(scope) => has(scope),
                _ => true,
            };
            let may = has_scope && !(role.contains(':') && NOT_FOR_ONE_DOMAIN.contains(&&*operation.id));
            if (seen.status != 403) != may || seen.status == 401 {
                wrong.push(format!("{} by {role}: {} {}", operation.id, seen.status, seen.body));
            }
        }
        assert_eq!(wrong, [] as [&str; 0]);
    };
    check("user", &|_| false).await;
    check("domain_admin:matrix.test", &|scope| of_domain_admin.contains(scope)).await;
    check("operator", &|scope| !not_of_operator.contains(scope)).await;
    check("admin", &|_| true).await;
}

/// What is about the whole server: refused to those who have the scope for their domains alone.
const NOT_FOR_ONE_DOMAIN: [&str; 6] =
    ["get_overview", "get_queue_summary", "list_queue_rules", "get_queue_rule", "list_routes", "get_route"];

/// Tokens with every scope but `admin`, for one domain: what they ask about another one is refused, and no list shows it.
#[actix_web::test]
async fn nothing_of_another_domain_is_seen_or_changed() {
    let site = Site::with_settings(&["http.requests_per_minute=1000000"]);
    let send = site.sender().await;
    assert_eq!(site.write(Method::PUT, "/api/v1/domains/own.test", json!({})).await.status, 201);
    let ids = furnish(&site, "secret.test").await;
    let state = async || {
        let mut seen = Vec::new();
        for path in ["domains", "accounts", "aliases", "turn/peers", "routes", "tokens", "queue", "jobs"] {
            seen.push(site.get(&format!("/api/v1/{path}")).await.body["items"].clone());
        }
        seen
    };
    let scopes: Vec<Scope> = Scope::ALL.iter().copied().filter(|scope| *scope != Scope::Admin).collect();
    let token = site.token(&scopes, &["own.test"]);
    let cookie = site.cookie(&site.person("admin@own.test", &["domain_admin:own.test"]).await).await;
    let before = state().await;
    let all = operations_on("secret.test", &ids);
    let known = all.iter().filter(|operation| !operation.is_for_everybody() && operation.id != "delete_session");
    for operation in known {
        for (who, request) in
            [("token", operation.request(&token)), ("domain_admin", operation.request_in_session(&cookie))]
        {
            let seen = send(request).await;
            let text = String::from_utf8_lossy(&seen.bytes);
            let path = &operation.path;
            let is_named = path.contains("secret.test") || path.contains("/matrix") || ids.are_in(path);
            assert!(!(is_named && seen.status.is_success()), "{} by {who}: {} {text}", operation.id, seen.status);
            // A refusal may say the name that the request said.
            assert!(!seen.status.is_success() || !text.contains("secret.test"), "{} by {who}: {text}", operation.id);
        }
    }
    let after = state().await;
    for (before, after) in before.iter().zip(&after) {
        let of_others = |items: &Value| {
            items.as_array().unwrap().iter().filter(|item| item.to_string().contains("secret.test")).cloned().collect()
        };
        let (before, after): (Vec<Value>, Vec<Value>) = (of_others(before), of_others(after));
        assert_eq!(before, after);
    }
}

#[actix_web::test]
async fn who_may_not_call_learns_nothing_else() {
    let site = Site::new();
    let reader = site.token(&[Scope::DomainsRead], &[]);
    for (token, status) in [("", 401), (reader.as_str(), 403)] {
        // Wrong in every other way too: name, query, type, body.
        let request = ask(Method::PUT, "/api/v1/domains/-?x=1", token).set_payload("{");
        assert_eq!(site.send(request).await.status, status);
    }
}
