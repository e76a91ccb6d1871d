use actix_web::http::{Method, header};
use actix_web::test::TestRequest;
use serde_json::json;

use super::{Site, ask};
use crate::base::limits;
use crate::directory::Scope;

const DOMAIN: &str = "/api/v1/domains/x.test";

#[actix_web::test]
async fn what_is_wrong_with_a_body_is_named() {
    let site = Site::new();
    let check = async |body: &str, kind: &str, status: u16, problem: &str, faults: &[(&str, &str)]| {
        let request =
            site.admin(Method::PUT, DOMAIN).insert_header((header::CONTENT_TYPE, kind)).set_payload(body.to_owned());
        let seen = site.send(request).await;
        assert_eq!((seen.status.as_u16(), seen.problem()), (status, problem), "{body:?}: {}", seen.body);
        let expected: Vec<_> = faults.iter().map(|(place, code)| ((*place).to_owned(), (*code).to_owned())).collect();
        assert_eq!(seen.faults(), expected, "{body:?}");
    };
    let json = "application/json";
    check("{", json, 400, "malformed-json", &[]).await;
    check("", json, 400, "malformed-json", &[]).await;
    check("{} x", json, 400, "malformed-json", &[]).await;
    check("\u{1}", json, 400, "malformed-json", &[]).await;
    check(&"[".repeat(10_000), json, 422, "invalid", &[("", "too_deep")]).await;
    check("[]", json, 422, "invalid", &[("", "wrong_type")]).await;
    check("{\"enabeld\": true}", json, 422, "invalid", &[("/enabeld", "unknown_field")]).await;
    check("{\"a~b/c\": 1}", json, 422, "invalid", &[("/a~0b~1c", "unknown_field")]).await;
    check("{\"enabled\": \"yes\"}", json, 422, "invalid", &[("/enabled", "wrong_type")]).await;
    check("{\"max_accounts\": -1}", json, 422, "invalid", &[("/max_accounts", "too_small")]).await;
    check("{\"max_accounts\": 1e30}", json, 422, "invalid", &[("/max_accounts", "wrong_type")]).await;
    check("{\"max_accounts\": 4294967296}", json, 422, "invalid", &[("/max_accounts", "too_large")]).await;
    check("{\"aliases\": [\"good.test\", \"no good\"]}", json, 422, "invalid", &[("/aliases/1", "malformed")]).await;
    check("{\"catch_all\": \"a\\r\\nb@x.test\"}", json, 422, "invalid", &[("/catch_all", "control_character")]).await;
    check("{}", "text/plain", 415, "unsupported-media-type", &[]).await;
    check("{}", "", 415, "unsupported-media-type", &[]).await;
    check("{}", "application/json; charset=utf-8", 201, "", &[]).await;
    let big = format!("{{\"x\": \"{}\"}}", "x".repeat(limits::JSON_BODY_BYTES));
    check(&big, json, 413, "body-too-large", &[]).await;
}

#[actix_web::test]
async fn parameters_are_held_to_their_list() {
    let site = Site::new();
    for (path, faults) in [
        ("/api/v1/domains?limit=0", vec![("limit", "out_of_range")]),
        ("/api/v1/domains?limit=501&count=maybe", vec![("limit", "out_of_range"), ("count", "invalid")]),
        ("/api/v1/domains?cursor=%21", vec![("cursor", "invalid")]),
        ("/api/v1/domains?lmit=5", vec![("lmit", "unknown_parameter")]),
        ("/api/v1/domains/x.test?force=true", vec![("force", "unknown_parameter")]),
        ("/api/v1/domains/-x", vec![("domain", "malformed")]),
        ("/api/v1/accounts/nobody", vec![("address", "malformed")]),
        ("/api/v1/resolve", vec![("address", "required")]),
        ("/api/v1/resolve?address=nobody", vec![("address", "malformed")]),
        (
            "/api/v1/resolve?address=a@x.test&limit=5&q=a",
            vec![("limit", "unknown_parameter"), ("q", "unknown_parameter")],
        ),
    ] {
        let seen = site.get(path).await;
        assert_eq!(seen.status, 422, "{path}");
        let expected: Vec<_> = faults.into_iter().map(|(name, code)| (name.to_owned(), code.to_owned())).collect();
        assert_eq!(seen.faults(), expected, "{path}");
    }
}

#[actix_web::test]
async fn an_etag_guards_what_was_read() {
    let site = Site::new();
    let put = async |field: Option<(&str, &str)>, status: u16| {
        let mut request = site.admin(Method::PUT, DOMAIN).set_json(json!({}));
        if let Some(field) = field {
            request = request.insert_header(field);
        }
        let seen = site.send(request).await;
        assert_eq!(seen.status, status, "{field:?}: {}", seen.body);
        seen.header(header::ETAG).to_owned()
    };
    put(Some(("if-match", "*")), 412).await;
    let first = put(Some(("if-none-match", "*")), 201).await;
    put(Some(("if-none-match", "*")), 412).await;
    let second = put(Some(("if-match", &first)), 200).await;
    assert_ne!(first, second);
    put(Some(("if-match", &first)), 412).await;
    put(Some(("if-match", &format!("\"nonsense\", {second}"))), 200).await;
    put(Some(("if-match", "second")), 400).await;
    let third = site.get(DOMAIN).await.header(header::ETAG).to_owned();
    let fresh = site.send(site.admin(Method::GET, DOMAIN).insert_header(("if-none-match", third.as_str()))).await;
    assert_eq!((fresh.status.as_u16(), fresh.header(header::ETAG)), (304, third.as_str()));
    let stale = site.send(site.admin(Method::GET, DOMAIN).insert_header(("if-none-match", first.as_str()))).await;
    assert_eq!(stale.status, 200);
    let delete =
        async |tag: &str| site.send(site.admin(Method::DELETE, DOMAIN).insert_header(("if-match", tag))).await.status;
    assert_eq!(delete(&first).await, 412);
    assert_eq!(delete(&third).await, 204);
    assert_eq!(site.get(DOMAIN).await.status, 404);
    // A version never comes back, not even for the same name.
    let again = put(None, 201).await;
    assert!(![first, second, third].contains(&again));
}

#[actix_web::test]
async fn pages_lead_through_the_whole_list() {
    let site = Site::new();
    for place in 0..7 {
        assert_eq!(site.write(Method::PUT, &format!("/api/v1/domains/d{place}.test"), json!({})).await.status, 201);
    }
    let (mut path, mut names) = ("/api/v1/domains?limit=3&count=true".to_owned(), Vec::new());
    loop {
        let seen = site.get(&path).await;
        assert_eq!((&seen.body["count"], &seen.body["count_exact"]), (&json!(7), &json!(true)));
        names.extend(
            seen.body["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = seen.body["next_cursor"].as_str() else {
            assert_eq!(seen.header(header::LINK), "");
            break;
        };
        path = format!("/api/v1/domains?limit=3&count=true&cursor={cursor}");
        assert_eq!(seen.header(header::LINK), format!("<{path}>; rel=\"next\""));
    }
    assert_eq!(names, (0..7).map(|place| format!("d{place}.test")).collect::<Vec<_>>());
    let found = site.get("/api/v1/domains?q=D5").await;
    assert_eq!(found.body["items"].as_array().unwrap().len(), 1);
    assert!(found.body.get("count").is_none());
}

#[actix_web::test]
async fn a_token_is_taken_only_where_it_belongs() {
    let site = Site::new();
    let in_url = format!("/api/v1/domains?token={}", site.admin);
    let seen = site.send(ask(Method::GET, &in_url, "")).await;
    assert_eq!((seen.status.as_u16(), seen.problem()), (400, "token-in-url"));
    assert!(!seen.body.to_string().contains(&site.admin));
    for field in ["", "Bearer", "Basic YTpi", "bearer  ", "Bearer pbx_"] {
        let request = ask(Method::GET, "/api/v1/domains", "").insert_header((header::AUTHORIZATION, field));
        assert_eq!(site.send(request).await.status, 401, "{field:?}");
    }
    let lower =
        ask(Method::GET, "/api/v1/domains", "").insert_header(("authorization", format!("bearer {}", site.admin)));
    assert_eq!(site.send(lower).await.status, 200);
}

#[actix_web::test]
async fn a_loopback_listener_does_not_answer_to_strangers_names() {
    let site = Site::new();
    for (host, status) in [("evil.test", 421), ("localhost:8080", 200), ("127.0.0.1", 200), ("mail.example.test", 200)]
    {
        let request = TestRequest::get().uri("/healthz").insert_header((header::HOST, host));
        assert_eq!(site.send(request).await.status, status, "{host}");
    }
    assert_eq!(site.send(TestRequest::get().uri("/healthz")).await.status, 400);
}

#[actix_web::test]
async fn readiness_gives_its_reasons() {
    let site = Site::new();
    assert_eq!(site.get("/readyz").await.body, json!({"status": "ready"}));
    site.context.readiness.set_stopping();
    let seen = site.get("/readyz").await;
    assert_eq!((seen.status.as_u16(), seen.problem()), (503, "not-ready"));
    assert_eq!(seen.faults(), [(String::new(), "stopping".to_owned())]);
    assert_eq!(site.get("/healthz").await.status, 200);
    site.context.store.close();
    assert_eq!(site.get("/readyz").await.faults().len(), 2);
    assert_eq!(site.write(Method::PUT, DOMAIN, json!({})).await.status, 503);
}

#[actix_web::test]
async fn head_is_get_without_its_content() {
    let site = Site::new();
    site.write(Method::PUT, DOMAIN, json!({})).await;
    let (head, get) = (site.send(site.admin(Method::HEAD, DOMAIN)).await, site.get(DOMAIN).await);
    assert_eq!((head.status, head.header(header::ETAG)), (get.status, get.header(header::ETAG)));
}

#[actix_web::test]
async fn the_page_has_its_policy() {
    let site = Site::new();
    let index = site.send(ask(Method::GET, "/admin/", "")).await;
    let page = String::from_utf8_lossy(&index.bytes).into_owned();
    let main = page.split('"').find(|text| text.ends_with("/main.js")).expect("it names its script");
    for (path, is_kept) in [("/admin/".to_owned(), false), (format!("/admin/{main}"), true)] {
        let seen = site.send(ask(Method::GET, &path, "")).await;
        assert_eq!(seen.status, 200, "{path}");
        let policy = seen.header(header::CONTENT_SECURITY_POLICY);
        for part in ["default-src 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(seen.header(header::REFERRER_POLICY), "no-referrer");
        assert_eq!(seen.header(header::CACHE_CONTROL).contains("immutable"), is_kept, "{path}");
    }
    let tag = index.header(header::ETAG).to_owned();
    let again = site.send(ask(Method::GET, "/admin/", "").insert_header((header::IF_NONE_MATCH, tag))).await;
    assert_eq!(again.status, 304);
    assert_eq!(site.send(ask(Method::GET, "/", "")).await.header(header::LOCATION), "/admin/");
    for path in
        ["/admin/none", "/admin/none/main.js", "/admin/../Cargo.toml", "/admin/%2e%2e/Cargo.toml", "/admin//app.css"]
    {
        assert_eq!(site.send(ask(Method::GET, path, "")).await.status, 404, "{path}");
    }
}

#[actix_web::test]
async fn a_token_ends_when_it_says() {
    let site = Site::new();
    let end = site.context.clock.now().plus_ms(60_000).rfc3339();
    let body = json!({"name": "short", "scopes": [Scope::DomainsRead.as_str()], "expires_at": end});
    let created = site.write(Method::POST, "/api/v1/tokens", body).await;
    assert_eq!(created.status, 201);
    let secret = created.body["secret"].as_str().unwrap();
    let status = async || site.send(ask(Method::GET, "/api/v1/domains", secret)).await.status;
    assert_eq!(status().await, 200);
    site.clock.advance_ms(60_000);
    assert_eq!(status().await, 401);
}

#[actix_web::test]
async fn other_methods_are_told_which_there_are() {
    let site = Site::new();
    for (method, path, allow) in [
        (Method::POST, "/healthz", "GET, HEAD"),
        (Method::DELETE, "/api/v1/domains", "GET, HEAD"),
        (Method::POST, "/api/v1/domains/x.test", "DELETE, GET, PATCH, PUT, HEAD"),
        (Method::PUT, "/api/v1/tokens", "GET, POST, HEAD"),
        (Method::OPTIONS, "/api/v1/tokens/x", "DELETE, GET, HEAD"),
        (Method::TRACE, "/api/v1/version", "GET, HEAD"),
        (Method::GET, "/api/v1/queue/flush", "POST"),
        (Method::DELETE, "/api/v1/queue/summary?confirm=silent", "GET, HEAD"),
        (Method::PUT, "/api/v1/turn/sessions", "GET, HEAD"),
    ] {
        let seen = site.send(site.admin(method.clone(), path)).await;
        assert_eq!(seen.status, 405, "{method} {path}");
        assert_eq!(seen.header(header::ALLOW), allow, "{method} {path}");
    }
    for path in [
        "/nothing",
        "/api/v1",
        "/api/v1/",
        "/api/v1/domain",
        "/api/v1/domains/",
        "/api/v1/domains/a/b",
        "/api/v2/domains",
    ] {
        assert_eq!(site.get(path).await.status, 404, "{path}");
    }
}
