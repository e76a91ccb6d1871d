use actix_web::HttpRequest;
use actix_web::http::header;

use super::problem::{Code, Problem};
use crate::base::Secret;

/// The cookie's name over TLS: by its prefix a browser holds it to Secure, Path=/ and this host (RFC 6265bis §4.1.3.2).
const OVER_TLS: &str = "__Host-pb_session";
/// Its name in the clear, on loopback: a browser would not take the other one there.
const IN_THE_CLEAR: &str = "pb_session";

/// What the browser sends as its session; `None` when it sends none.
pub(super) fn session_cookie(request: &HttpRequest) -> Option<&str> {
    let wanted = name(request);
    let fields = request.headers().get_all(header::COOKIE).filter_map(|field| field.to_str().ok());
    // RFC 6265 §4.2.1
    let pairs = fields.flat_map(|field| field.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.into_iter().find(|(name, value)| *name == wanted && !value.is_empty()).map(|(_, value)| value)
}

/// The Set-Cookie field that begins a session. It goes with the browser: it has no time of its own.
pub(super) fn begin(request: &HttpRequest, cookie: &Secret<String>) -> String {
    format!("{}={}; {}", name(request), cookie.expose(), attributes(request))
}

/// The Set-Cookie field that ends it.
pub(super) fn end(request: &HttpRequest) -> String {
    format!("{}=; Max-Age=0; {}", name(request), attributes(request))
}

fn name(request: &HttpRequest) -> &'static str {
    if is_secure(request) { OVER_TLS } else { IN_THE_CLEAR }
}

fn attributes(request: &HttpRequest) -> &'static str {
    if is_secure(request) { "Path=/; Secure; HttpOnly; SameSite=Strict" } else { "Path=/; HttpOnly; SameSite=Strict" }
}

fn is_secure(request: &HttpRequest) -> bool {
    request.app_config().secure()
}

/// 403 unless a page of ours sends this: a browser adds the cookie to whatever any page makes it send. `required`: the
/// request hangs on the cookie, so something must show where it comes from; else only what shows that it comes from
/// elsewhere counts, and programs that are no browsers pass.
pub(super) fn check_same_site(request: &HttpRequest, required: bool) -> Result<(), Problem> {
    let field = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap_or_default());
    let is_same = match (field("sec-fetch-site"), field("origin")) {
        // The browser's own word, which no page can write.
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => is_own_origin(request, origin),
        (None, None) => !required,
    };
    if is_same {
        return Ok(());
    }
    Err(Problem::new(
        Code::CrossSite,
        "A session by cookie changes things only from the admin page itself: \
         the request needs `Sec-Fetch-Site: same-origin` or an Origin that is this host. Programs use a token.",
    ))
}

/// RFC 6454 §6.2: an origin is scheme, host and port.
fn is_own_origin(request: &HttpRequest, origin: &str) -> bool {
    let (scheme, port) = if is_secure(request) { ("https://", ":443") } else { ("http://", ":80") };
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let without_port = |host: &str| host.strip_suffix(port).unwrap_or(host).to_ascii_lowercase();
    let theirs = origin.strip_prefix(scheme);
    !host.is_empty() && theirs.is_some_and(|theirs| without_port(theirs) == without_port(host))
}

/// 403 where a password would travel in the clear: on a connection without TLS that leaves the machine.
pub(super) fn check_password_channel(request: &HttpRequest) -> Result<(), Problem> {
    let is_far = request.peer_addr().is_some_and(|peer| !peer.ip().to_canonical().is_loopback());
    if is_secure(request) || !is_far {
        return Ok(());
    }
    Err(Problem::new(
        Code::NeedsTls,
        "Passwords are taken over TLS, or from this machine itself: use https, or a tunnel to the loopback listener.",
    ))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn check(site: Option<&str>, origin: Option<&str>, with_cookie: bool, without: bool) {
        let mut request = TestRequest::post().insert_header((header::HOST, "Mail.Example.Test:8080"));
        if let Some(site) = site {
            request = request.insert_header(("sec-fetch-site", site));
        }
        if let Some(origin) = origin {
            request = request.insert_header(("origin", origin));
        }
        let request = request.to_http_request();
        assert_eq!(check_same_site(&request, true).is_ok(), with_cookie, "{site:?} {origin:?} with a cookie");
        assert_eq!(check_same_site(&request, false).is_ok(), without, "{site:?} {origin:?} without");
    }

    #[test]
    fn only_our_own_page_uses_the_cookie() {
        let own = "http://mail.example.test:8080";
        check(None, None, false, true);
        check(Some("same-origin"), None, true, true);
        check(Some("same-origin"), Some(own), true, true);
        // A proxy in front that ends TLS and keeps another Host.
        check(Some("same-origin"), Some("https://front.example.test"), true, true);
        for site in ["same-site", "cross-site", "none", ""] {
            check(Some(site), None, false, false);
            check(Some(site), Some(own), false, false);
        }
        check(None, Some(own), true, true);
        check(None, Some("http://MAIL.example.test:8080"), true, true);
        for origin in [
            "null",
            "",
            "https://mail.example.test:8080",
            "http://mail.example.test",
            "http://mail.example.test:8080.evil.test",
            "http://evil.test",
            "mail.example.test:8080",
        ] {
            check(None, Some(origin), false, false);
        }
    }

    #[test]
    fn the_default_port_needs_no_word() {
        for (host, origin) in
            [("x.test", "http://x.test:80"), ("x.test:80", "http://x.test"), ("[::1]", "http://[::1]")]
        {
            let request = TestRequest::post().insert_header((header::HOST, host)).insert_header(("origin", origin));
            assert!(check_same_site(&request.to_http_request(), true).is_ok(), "{host} {origin}");
        }
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        for (fields, expected) in [
            (vec!["pb_session=abc"], Some("abc")),
            (vec!["a=b; pb_session=abc; c=d"], Some("abc")),
            (vec!["a=b", "pb_session=abc"], Some("abc")),
            // Over TLS alone.
            (vec!["__Host-pb_session=abc"], None),
            (vec!["xpb_session=abc"], None),
            (vec!["pb_session="], None),
            (vec![], None),
        ] {
            let mut request = TestRequest::get();
            for field in &fields {
                request = request.append_header((header::COOKIE, *field));
            }
            assert_eq!(session_cookie(&request.to_http_request()), expected, "{fields:?}");
        }
    }
}
