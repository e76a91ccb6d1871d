use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};

use super::context::Context;
use super::etag::has_tag;
use super::problem::{Code, Problem};

/// One file of the folder `web-admin/`, as build.rs embeds it.
struct File {
    path: &'static str,
    mime: &'static str,
    etag: &'static str,
    bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/web_admin.rs"));

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'";
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// The page's paths. They are for people, so they are not part of the OpenAPI document.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/").get(to_page))
        .service(web::resource("/admin").get(to_page))
        .service(web::resource("/admin/{path:.*}").get(file));
}

async fn to_page() -> HttpResponse {
    HttpResponse::TemporaryRedirect().insert_header((header::LOCATION, "/admin/")).finish()
}

async fn file(
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let wanted = if path.is_empty() { "index.html" } else { path.as_str() };
    let file = FILES
        .iter()
        .find(|file| file.path == wanted)
        .ok_or_else(|| Problem::new(Code::NotFound, "There is no such page."))?;
    let (bytes, etag) = if file.path == "index.html" {
        let page = fill(&String::from_utf8_lossy(file.bytes), &context.hostname);
        let etag = format!("\"{}\"", &blake3::hash(page.as_bytes()).to_hex()[..16]);
        (web::Bytes::from(page), etag)
    } else {
        (web::Bytes::from_static(file.bytes), file.etag.to_owned())
    };
    let is_fresh = has_tag(&request, &etag);
    let mut response = if is_fresh { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header((header::ETAG, etag))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header((OPENER_POLICY, "same-origin"));
    if is_fresh {
        return Ok(response.finish());
    }
    Ok(response.insert_header((header::CONTENT_TYPE, file.mime)).body(bytes))
}

fn fill(page: &str, hostname: &str) -> String {
    page.replace("{{hostname}}", &escape(hostname)).replace("{{version}}", env!("CARGO_PKG_VERSION"))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_page_is_filled_in_and_runs_nothing() {
        let page = FILES.iter().find(|file| file.path == "index.html").expect("the page is embedded");
        let page = fill(&String::from_utf8_lossy(page.bytes), "mail.<b>.test");
        assert!(page.contains("mail.&lt;b&gt;.test") && page.contains(env!("CARGO_PKG_VERSION")));
        assert!(!page.contains("{{") && !page.contains("<script") && !page.contains(" style="));
    }
}
