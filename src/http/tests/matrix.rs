//! The authorisation matrix: every operation of the document, asked by everybody who may and may not. A new operation is
//! in it as soon as it is in the document.

use actix_web::http::{Method, header};
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::session::browse;
use super::{Site, ask};
use crate::directory::Scope;
use crate::http::document;

/// Who an operation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    Everybody,
    /// Whoever is known.
    Known,
    Scope(Scope),
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
    fn of(template: &str, method: &str, operation: &Value, domain: &str) -> Self {
        let id = operation["operationId"].as_str().unwrap().to_owned();
        let path = template.split('/').map(|part| match part.strip_prefix('{') {
            Some(name) => parameter(name.trim_end_matches('}'), &id, domain),
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

/// Every operation of the document, about that domain. The end of a session comes last.
fn operations_on(domain: &str) -> Vec<Operation> {
    let paths = document::json()["paths"].as_object().unwrap();
    let mut all = Vec::new();
    for (template, operations) in paths {
        for (method, operation) in operations.as_object().unwrap() {
            all.push(Operation::of(template, method, operation, domain));
        }
    }
    all.sort_by_key(|operation| operation.id == "delete_session");
    all
}

fn operations() -> Vec<Operation> {
    operations_on("matrix.test")
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
fn parameter(name: &str, operation: &str, domain: &str) -> String {
    let fixed = match name {
        "domain" => return domain.to_owned(),
        "address" => return format!("a@{domain}"),
        "qid" => "q_0000000000000_0",
        "mid" => "m_0000000000000",
        "id" if operation.contains("job") => "j_0000000000000",
        "id" if operation.contains("session") => "s_0000000000000",
        "id" if operation.contains("trace") => "m_0000000000000",
        "key" => "limits.recipients",
        "mailbox" => "Trash",
        "uid" | "n" | "part" => "1",
        _ => "matrix",
    };
    fixed.to_owned()
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
    for operation in all.iter().filter(|operation| !matches!(operation.id.as_str(), "create_session" | "set_up")) {
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
    let check = async |role: &str, has: &dyn Fn(&Scope) -> bool| {
        let name = format!("{}@people.test", role.split(':').next().unwrap());
        let cookie = site.cookie(&site.person(&name, &[role]).await).await;
        for operation in operations().iter().filter(|operation| !operation.is_for_everybody()) {
            let seen = send(operation.request_in_session(&cookie)).await;
            let may = match &operation.for_whom {
                For::Scope(scope) => has(scope),
                _ => true,
            };
            // Who is restricted to a domain may be refused for more reasons than the scope.
            let is_as_said = if may { seen.status != 403 || role.contains(':') } else { seen.status == 403 };
            assert!(is_as_said && seen.status != 401, "{} by {role}: {} {}", operation.id, seen.status, seen.body);
        }
    };
    check("user", &|_| false).await;
    check("domain_admin:matrix.test", &|scope| of_domain_admin.contains(scope)).await;
    check("operator", &|scope| !not_of_operator.contains(scope)).await;
    check("admin", &|_| true).await;
}

/// Tokens with every scope but `admin`, for one domain: what they ask about another one is refused, and no list shows it.
#[actix_web::test]
async fn nothing_of_another_domain_is_seen_or_changed() {
    let site = Site::with_settings(&["http.requests_per_minute=1000000"]);
    let send = site.sender().await;
    for (path, body) in [
        ("domains/own.test", json!({})),
        ("domains/secret.test", json!({})),
        ("accounts/a@secret.test", json!({"display_name": "A secret.test person"})),
        ("aliases/b@secret.test", json!({"targets": ["a@secret.test"]})),
        ("turn/peers/other", json!({"verbs": ["etrn"], "domains": ["secret.test"], "networks": ["192.0.2.0/24"]})),
        ("routes/other", json!({"match": {"domain": "secret.test"}, "kind": "mx"})),
    ] {
        let seen = site.write(Method::PUT, &format!("/api/v1/{path}"), body).await;
        assert_eq!(seen.status, 201, "{path}: {}", seen.body);
    }
    site.queue(60, "a@secret.test", &["b@elsewhere.test", "c@secret.test"]);
    let state = async || {
        let mut seen = Vec::new();
        for path in ["domains", "accounts", "aliases", "turn/peers", "routes", "tokens", "queue"] {
            seen.push(site.get(&format!("/api/v1/{path}")).await.body["items"].clone());
        }
        seen
    };
    let scopes: Vec<Scope> = Scope::ALL.iter().copied().filter(|scope| *scope != Scope::Admin).collect();
    let token = site.token(&scopes, &["own.test"]);
    let before = state().await;
    for operation in operations_on("secret.test").iter().filter(|operation| !operation.is_for_everybody()) {
        let seen = send(operation.request(&token)).await;
        let text = String::from_utf8_lossy(&seen.bytes);
        let is_named = operation.path.contains("secret.test");
        assert!(!(is_named && seen.status.is_success()), "{} {}: {text}", operation.id, seen.status);
        // A refusal may say the name that the request said.
        assert!(!seen.status.is_success() || !text.contains("secret.test"), "{}: {text}", operation.id);
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
