use std::sync::OnceLock;

use actix_web::http::header;
use actix_web::{App, HttpRequest};
use serde_json::{Value, json};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Server};
use utoipa::{PartialSchema, ToSchema};
use utoipa_actix_web::{AppExt, scope};

use super::once::is_done_once;
use super::problem::{Code, Fault, Problem, ProblemDocument};
use super::{routes, scopes};

/// An SPDX expression.
const LICENSE: &str = "MIT OR Apache-2.0";

const DESCRIPTION: &str = "\
Every refusal is a problem document (RFC 9457). Resources carry a strong ETag; If-Match and If-None-Match are honoured. \
Lists are read page by page: `next_cursor`, or the Link field, leads on. HEAD is answered wherever GET is. Programs have to expect new fields, and new words where a field has one \
of some.";

/// What belongs together.
const TAGS: &[(&str, &str)] = &[
    ("setup", "The first administrator of a new server."),
    ("session", "Logging in with a browser, and who one is."),
    ("directory", "Domains, accounts, aliases, and where an address leads."),
    ("mailboxes", "Mailboxes of an account and what lies in them."),
    ("messages", "Sending mail, and waiting for it."),
    ("queue", "Mail on its way out, and the routes that it takes."),
    ("turn", "Servers that fetch mail here or that mail is fetched from, and their sessions."),
    ("trace", "What happened to each message."),
    ("tokens", "Tokens for programs."),
    ("audit", "Who changed what."),
    ("settings", "Settings, and where each value comes from."),
    ("state", "The whole configuration as one document."),
    ("backups", "Copies of the data file that were checked."),
    ("maintenance", "Care for the data file."),
    ("events", "What happens now, as it happens."),
    ("jobs", "Long work in the background."),
    ("health", "How the server does, for people and for supervisors."),
    ("about", "The version, and this document."),
];

/// The OpenAPI document as text, as it is served and kept under `openapi/`.
pub fn openapi() -> String {
    let mut text = serde_json::to_string_pretty(json()).unwrap_or_default();
    text.push('\n');
    text
}

/// The same as a value.
pub(super) fn json() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let app = App::new().into_utoipa_app().openapi(frame()).configure(|root| routes::health(root));
        let (_, api) = app.service(scope(routes::API).configure(|api| routes::api(api))).split_for_parts();
        let mut document = serde_json::to_value(api).unwrap_or_default();
        complete(&mut document);
        document
    })
}

/// The methods that the document has for a path; `None` when no path of it fits.
pub(super) fn methods(path: &str) -> Option<Vec<String>> {
    let operations = operations(path)?.as_object()?;
    let mut methods: Vec<String> = operations.keys().map(|method| method.to_uppercase()).collect();
    if methods.iter().any(|method| method == "GET") {
        methods.push("HEAD".into());
    }
    Some(methods)
}

/// 405 for a path that has these methods alone.
pub(super) fn wrong_method(methods: &[String]) -> Problem {
    let methods = methods.join(", ");
    let problem = Problem::new(Code::MethodNotAllowed, format!("At this path there are {methods}."));
    problem.with_header(header::ALLOW, &methods)
}

/// The id of the operation that serves a request, once its route is found.
pub(super) fn operation_id(request: &HttpRequest) -> Option<&'static str> {
    let operations = &json()["paths"][request.match_pattern()?];
    operations[request.method().as_str().to_ascii_lowercase()]["operationId"].as_str()
}

/// What the document says of an operation.
#[cfg(test)]
pub(super) fn operation(path: &str, method: &str) -> Option<&'static Value> {
    operations(path)?.get(method)
}

fn operations(path: &str) -> Option<&'static Value> {
    let fits = |template: &str| {
        let (mut wanted, mut given) = (template.split('/'), path.split('/'));
        loop {
            match (wanted.next(), given.next()) {
                (None, None) => return true,
                (Some(wanted), Some(given)) if wanted == given || (wanted.starts_with('{') && !given.is_empty()) => {}
                _ => return false,
            }
        }
    };
    let paths = json()["paths"].as_object()?;
    paths.iter().find(|(template, _)| fits(template)).map(|(_, operations)| operations)
}

fn frame() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Pillarbox")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(LicenseBuilder::new().name(LICENSE).identifier(Some(LICENSE)).build()))
        .build();
    let components = ComponentsBuilder::new()
        .schema(ProblemDocument::name(), ProblemDocument::schema())
        .schema(Fault::name(), Fault::schema())
        .security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)))
        .security_scheme("session", SecurityScheme::ApiKey(ApiKey::Cookie(session_cookie())))
        .build();
    let tag = |(name, text): &(&str, &str)| TagBuilder::new().name(*name).description(Some(*text)).build();
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new("/")]))
        .tags(Some(TAGS.iter().map(tag)))
        .components(Some(components))
        .security(Some(["token", "session"].map(|scheme| SecurityRequirement::new(scheme, Vec::<String>::new()))))
        .build()
}

fn session_cookie() -> ApiKeyValue {
    let description = "What POST /session and POST /setup set; `pb_session` on loopback without TLS. What changes \
                       something needs `Sec-Fetch-Site: same-origin`, or an Origin that is this host.";
    ApiKeyValue::with_description("__Host-pb_session", description)
}

/// The refusals that any operation of a kind may give, said once: status, and what it means.
const REFUSALS: [(&str, &str); 13] = [
    ("400", "The request can't be read, or has a token in its URL"),
    ("401", "No token and no session, or one that is not valid"),
    ("403", "The caller lacks the scope, or is restricted to other domains; or a page elsewhere used the session"),
    ("404", "There is no such thing"),
    ("408", "The body did not arrive in time"),
    ("412", "A precondition does not hold"),
    ("413", "The body is over 1 MiB (a state: over 16 MiB)"),
    ("415", "The body is not announced as JSON"),
    ("421", "A loopback listener was asked for another host"),
    ("422", "Understood but wrong: each fault with its pointer or its parameter"),
    ("429", "Too many requests: come back after Retry-After"),
    ("503", "A fault of the server, or it is stopping: try again"),
    ("507", "The disk is full"),
];

/// Adds those refusals to every operation, and to every answer the fields that all have.
fn complete(document: &mut Value) {
    for (status, description) in REFUSALS {
        let mut response = json!({"description": description, "content": problem_content()});
        add_headers(&mut response, status, false);
        document["components"]["responses"][format!("Refused{status}")] = response;
    }
    for (path, operations) in document["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in operations.as_object_mut().into_iter().flatten() {
            complete_operation(operation, method, path);
            if method == "post" && is_done_once(path) {
                complete_done_once(operation);
            }
        }
    }
}

/// What every operation has that is done once for its `Idempotency-Key`.
fn complete_done_once(operation: &mut Value) {
    let parameter = json!({
        "name": "Idempotency-Key", "in": "header", "required": false, "schema": {"type": "string", "maxLength": 255},
        "description": "For 24 hours the same request of the same caller with the same key is answered as the first time, \
            with `Idempotency-Replayed: true`, and not done again (a de-facto standard). Where that answer was lost with the \
            server, the repeat is refused with 409 and the name of what the audit has of it",
    });
    match operation["parameters"].as_array_mut() {
        Some(parameters) => parameters.push(parameter),
        None => operation["parameters"] = json!([parameter]),
    }
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for (status, response) in responses.iter_mut().filter(|(status, _)| status.starts_with('2')) {
        add_headers(response, status, false);
        let description = "`true`: this is the answer of an earlier request with the same Idempotency-Key";
        response["headers"]["Idempotency-Replayed"] = json!({"description": description, "schema": {"type": "string"}});
    }
    let busy = json!({"description": "A request with the same Idempotency-Key is being worked on, or its answer is lost", "content": problem_content()});
    responses.entry("409").or_insert(busy);
}

fn complete_operation(operation: &mut Value, method: &str, path: &str) {
    let (names_a_thing, is_single) = (path.contains('{'), path.ends_with('}'));
    let is_public = operation["security"].as_array().is_some_and(|any| any.contains(&json!({})));
    let requirement = scopes::requirement(operation["operationId"].as_str().unwrap_or_default());
    if let Some(requirement) = requirement.filter(|_| !is_public) {
        operation["security"] = requirement;
    }
    describe_scope(operation);
    let (has_body, is_write) = (!operation["requestBody"].is_null(), method != "get");
    let applies = |status: &str| match status {
        "401" | "403" | "422" | "429" | "503" => !is_public,
        "404" => names_a_thing,
        "408" | "413" | "415" => has_body,
        "412" => is_write && is_single,
        "507" => is_write,
        _ => true,
    };
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for (status, response) in responses.iter_mut() {
        add_headers(response, status, is_single && method != "delete");
        if let Some(stream) = response.pointer_mut("/content/text~1event-stream") {
            stream["schema"] = event_schema();
        }
        if status.starts_with(['4', '5']) {
            response["content"] = problem_content();
        }
    }
    for (status, _) in REFUSALS.iter().filter(|(status, _)| applies(status)) {
        let shared = json!({"$ref": format!("#/components/responses/Refused{status}")});
        responses.entry(*status).or_insert(shared);
    }
}

/// Of each event of a stream, as programs read it that know streams; OpenAPI 3.1 itself has no words for them.
fn event_schema() -> Value {
    let text = |description: &str| json!({"type": "string", "description": description});
    json!({"type": "object", "properties": {
        "id": text("What to send as Last-Event-ID to go on behind it"),
        "event": text("The topic"),
        "data": text("The event as JSON, with at least `at` and `kind`"),
        "retry": {"type": "integer", "description": "Milliseconds to wait before coming back"},
    }})
}

/// Says for people too whom an operation is for.
fn describe_scope(operation: &mut Value) {
    let whom = match operation["security"][0]["token"].as_array().map(Vec::as_slice) {
        None => "For everybody.".to_owned(),
        Some([]) => "For every caller who is known.".to_owned(),
        Some([scope, ..]) => format!("Needs the scope `{}`.", scope.as_str().unwrap_or_default()),
    };
    let text = operation["description"].as_str().map_or(whom.clone(), |text| format!("{text}\n\n{whom}"));
    operation["description"] = text.into();
}

fn problem_content() -> Value {
    json!({"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}})
}

fn add_headers(response: &mut Value, status: &str, has_etag: bool) {
    let text = |description: &str| json!({"description": description, "schema": {"type": "string"}});
    response["headers"]["X-Request-Id"] = text("The request's id, as in the server's log");
    if status == "201" {
        response["headers"]["Location"] = text("Where it is");
    }
    if status == "401" {
        response["headers"]["WWW-Authenticate"] = text("Bearer");
    }
    if status == "429" {
        response["headers"]["Retry-After"] = text("Seconds to wait");
    }
    if has_etag && matches!(status, "200" | "201" | "304") {
        response["headers"]["ETag"] = text("This state of it, for If-Match and If-None-Match");
    }
}

#[cfg(test)]
mod tests {
    use super::super::validate::KNOWN_WORDS;
    use super::*;

    #[test]
    fn the_committed_document_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/openapi.json");
        if std::env::var_os("PILLARBOX_BLESS").is_some_and(|bless| bless == "1") {
            std::fs::write(path, openapi()).expect("openapi.json is written");
        }
        let committed = std::fs::read_to_string(path).expect("openapi.json is committed");
        assert!(committed == openapi(), "openapi/openapi.json is old: run this test with PILLARBOX_BLESS=1");
    }

    #[test]
    fn the_document_is_whole() {
        let document = json();
        assert_eq!(document["openapi"], "3.1.0");
        let mut names = Vec::new();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                names.push(operation["operationId"].as_str().unwrap().to_owned());
                let tag = operation["tags"][0].as_str().unwrap();
                assert!(TAGS.iter().any(|(name, _)| *name == tag), "say in TAGS what {tag:?} is");
                for (status, response) in operation["responses"].as_object().unwrap() {
                    let shared = response["$ref"].as_str().and_then(|name| document.pointer(&name[1..]));
                    let response = shared.unwrap_or(response);
                    assert!(
                        response["description"].as_str().is_some_and(|text| !text.is_empty()),
                        "{method} {path} {status}"
                    );
                }
            }
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "operation ids are unique");
    }

    #[test]
    fn every_word_of_the_schemas_is_obeyed() {
        fn walk(schema: &Value) {
            let Some(words) = schema.as_object() else { return };
            for (word, value) in words {
                assert!(KNOWN_WORDS.contains(&word.as_str()), "the validator does not know {word:?}: {schema}");
                match word.as_str() {
                    "properties" => value.as_object().unwrap().values().for_each(walk),
                    "items" => walk(value),
                    "oneOf" => value.as_array().unwrap().iter().for_each(walk),
                    _ => {}
                }
            }
        }
        json()["components"]["schemas"].as_object().unwrap().values().for_each(walk);
    }

    #[test]
    fn methods_are_found_by_path() {
        assert_eq!(methods("/healthz").unwrap(), ["GET", "HEAD"]);
        assert_eq!(methods("/api/v1/domains/x.test").unwrap(), ["DELETE", "GET", "PATCH", "PUT", "HEAD"]);
        assert_eq!(methods("/api/v1/domains/"), None);
        assert_eq!(methods("/nothing"), None);
    }
}
