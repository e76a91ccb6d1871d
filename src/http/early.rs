//! What is answered while the file is being opened, which can take long after a crash: that the server is there, how
//! far it is, and when to ask again.

use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{ServerHandle, Service};
use actix_web::http::{Method, header};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

use super::problem::{Code, Fault, Problem};
use super::start::{Sockets, StartError, run};
use crate::base::Random;
use crate::store::{Opening, Stage};

/// Seconds after which to ask again.
const RETRY_S: &str = "5";
/// Seconds that a client gets to say what it wants.
const PATIENCE_S: u64 = 1;
/// Seconds after which the page asks again by itself.
const PAGE_RELOADS_S: u8 = 2;
const PAGE_POLICY: &str = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/// Answers early on the sockets that others will serve.
pub struct Early(Vec<ServerHandle>);

struct Context {
    opening: Arc<Opening>,
    random: Arc<dyn Random>,
}

impl Early {
    /// Begins to answer, on the plain listener and the unix socket. Nothing can be said inside of TLS: its certificate
    /// is in the file.
    ///
    /// # Errors
    /// [`StartError::Threads`].
    pub fn start(sockets: &Sockets, opening: &Arc<Opening>, random: &Arc<dyn Random>) -> Result<Self, StartError> {
        let context = web::Data::new(Context { opening: Arc::clone(opening), random: Arc::clone(random) });
        let server = || {
            let context = context.clone();
            let app = move || App::new().app_data(context.clone()).default_service(web::to(answer)).wrap_fn(name);
            let patience = Duration::from_secs(PATIENCE_S);
            // A connection that stayed would be cut off when the file is open.
            HttpServer::new(app)
                .workers(1)
                .client_request_timeout(patience)
                .keep_alive(actix_web::http::KeepAlive::Disabled)
                .shutdown_timeout(PATIENCE_S)
                .disable_signals()
        };
        let mut servers = Vec::new();
        if let Some(http) = &sockets.http {
            let http = http.try_clone().map_err(StartError::Threads)?;
            servers.push(run(server().listen(http).map_err(StartError::Threads)?.run()));
        }
        if let Some((socket, _)) = &sockets.socket {
            let socket = socket.try_clone().map_err(StartError::Threads)?;
            servers.push(run(server().listen_uds(socket).map_err(StartError::Threads)?.run()));
        }
        Ok(Self(servers))
    }

    /// Leaves the sockets to others: who has not been answered yet still is, who comes now waits for them.
    pub async fn stop(self) {
        let stopping: Vec<_> = self.0.iter().map(|server| server.stop(true)).collect();
        for stopped in stopping {
            stopped.await;
        }
    }
}

/// Gives each answer what every answer of the interface has.
fn name<S>(
    request: actix_web::dev::ServiceRequest,
    service: &S,
) -> impl Future<Output = Result<actix_web::dev::ServiceResponse, actix_web::Error>> + use<S>
where
    S: Service<actix_web::dev::ServiceRequest, Response = actix_web::dev::ServiceResponse, Error = actix_web::Error>,
{
    let answered = service.call(request);
    async move {
        let mut response = answered.await?;
        let headers = response.headers_mut();
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
        headers.insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
        Ok(response)
    }
}

async fn answer(request: HttpRequest, context: web::Data<Context>) -> HttpResponse {
    let (path, is_read) = (request.path(), [Method::GET, Method::HEAD].contains(request.method()));
    let stage = context.opening.stage();
    match path {
        "/healthz" | "/livez" if is_read => HttpResponse::Ok().json(serde_json::json!({"status": "alive"})),
        "/" | "/admin" | "/admin/" if is_read => page(stage),
        _ => problem(stage).render(&format!("r_{:016x}", context.random.next_u64())),
    }
}

/// What to say to people.
fn words(stage: Stage) -> String {
    match stage {
        Stage::Repairing(percent) => format!(
            "The server was not stopped properly, and looks through its file before it serves it: {percent} % is done."
        ),
        Stage::Upgrading(percent) => format!(
            "The file was written by an older version: it is copied, then upgraded, before it is served: {percent} % is done."
        ),
        Stage::Waiting | Stage::Reading => "The server is starting.".into(),
    }
}

fn problem(stage: Stage) -> Problem {
    let problem = Problem::new(Code::NotReady, words(stage)).with_header(header::RETRY_AFTER, RETRY_S);
    match stage {
        Stage::Repairing(percent) => {
            let fault = Fault::reason("repairing", format!("the file is being repaired: {percent} % is done"));
            problem.with_faults(vec![fault]).with_percent(percent)
        }
        Stage::Upgrading(percent) => {
            let fault = Fault::reason("upgrading", format!("the file is being upgraded: {percent} % is done"));
            problem.with_faults(vec![fault]).with_percent(percent)
        }
        Stage::Waiting | Stage::Reading => {
            problem.with_faults(vec![Fault::reason("starting", "the file is being opened")])
        }
    }
}

/// The page before there is a page: nothing of it changes but by a new one.
fn page(stage: Stage) -> HttpResponse {
    let words = words(stage);
    let bar = match stage {
        Stage::Repairing(percent) | Stage::Upgrading(percent) => {
            format!("<p><progress max=\"100\" value=\"{percent}\">{percent} %</progress></p>\n")
        }
        Stage::Waiting | Stage::Reading => String::new(),
    };
    let page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Pillarbox is starting</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<meta http-equiv=\"refresh\" content=\"{PAGE_RELOADS_S}\">\n\
         </head>\n<body>\n<h1>Pillarbox is starting</h1>\n<p role=\"status\">{words}</p>\n{bar}\
         <p>This page shows the server by itself as soon as it is ready.</p>\n</body>\n</html>\n"
    );
    HttpResponse::ServiceUnavailable()
        .insert_header((header::RETRY_AFTER, RETRY_S))
        .insert_header((header::CONTENT_SECURITY_POLICY, PAGE_POLICY))
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .body(page)
}

#[cfg(test)]
mod tests {
    use actix_web::body::MessageBody;
    use actix_web::test::TestRequest;

    use super::*;
    use crate::base::SeededRandom;

    async fn check(method: Method, path: &str, status: u16, words: &[&str]) {
        let opening = Arc::new(Opening::default());
        let context = Context { opening, random: Arc::new(SeededRandom::new(1)) };
        let response =
            answer(TestRequest::with_uri(path).method(method).to_http_request(), web::Data::new(context)).await;
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.headers().contains_key(header::RETRY_AFTER), status == 503, "{path}");
        let body = String::from_utf8(response.into_body().try_into_bytes().unwrap().to_vec()).unwrap();
        for word in words {
            assert!(body.contains(word), "{path}: {word} in {body}");
        }
    }

    #[actix_web::test]
    async fn everything_but_life_is_refused() {
        check(Method::GET, "/healthz", 200, &["alive"]).await;
        check(Method::GET, "/livez", 200, &["alive"]).await;
        check(Method::GET, "/readyz", 503, &["urn:pillarbox:problem:not-ready", "\"starting\"", "r_"]).await;
        check(Method::POST, "/api/v1/messages", 503, &["urn:pillarbox:problem:not-ready"]).await;
        check(Method::POST, "/healthz", 503, &["not-ready"]).await;
        check(Method::GET, "/admin/", 503, &["<h1>", "http-equiv=\"refresh\"", "The server is starting."]).await;
    }

    #[actix_web::test]
    async fn a_repair_shows_its_progress() {
        let stage = Stage::Repairing(42);
        let bytes = |response: HttpResponse| response.into_body().try_into_bytes().unwrap().to_vec();
        let document: serde_json::Value = serde_json::from_slice(&bytes(problem(stage).render("r_1"))).unwrap();
        assert_eq!(document["percent"], 42);
        assert_eq!(document["errors"][0]["code"], "repairing");
        let page = String::from_utf8(bytes(page(stage))).unwrap();
        assert!(page.contains("<progress max=\"100\" value=\"42\">") && page.contains(": 42 % is done."), "{page}");
    }

    #[actix_web::test]
    async fn an_upgrade_shows_its_progress() {
        let bytes = |response: HttpResponse| response.into_body().try_into_bytes().unwrap().to_vec();
        let answer = problem(Stage::Upgrading(42)).render("r_1");
        let document: serde_json::Value = serde_json::from_slice(&bytes(answer)).unwrap();
        assert_eq!((&document["percent"], &document["errors"][0]["code"]), (&42.into(), &"upgrading".into()));
        let page = String::from_utf8(bytes(page(Stage::Upgrading(42)))).unwrap();
        assert!(page.contains("<progress max=\"100\" value=\"42\">") && page.contains("older version"), "{page}");
    }
}
