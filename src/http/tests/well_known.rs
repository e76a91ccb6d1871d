use actix_web::http::{Method, header};
use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::{Seen, Site};

const PATH: &str = "/.well-known/mta-sts.txt";

impl Site {
    async fn policy(&self, host: &str) -> Seen {
        self.send(TestRequest::get().uri(PATH).insert_header((header::HOST, host))).await
    }

    async fn set_mode(&self, mode: Value) {
        let set = self.write(Method::PATCH, "/api/v1/domains/own.test", json!({"mta_sts_mode": mode})).await;
        assert_eq!((set.status.as_u16(), &set.body["mta_sts_mode"]), (200, &mode), "{}", set.body);
    }
}

// RFC 8461 §3.2, §3.3
#[actix_web::test]
async fn a_policy_is_there_for_who_asks_its_host() {
    let site = Site::new();
    site.write(Method::PUT, "/api/v1/domains/own.test", json!({"aliases": ["other.test"]})).await;
    assert_eq!(site.policy("mta-sts.own.test").await.status, 404);
    site.set_mode(json!("testing")).await;
    let text = "version: STSv1\r\nmode: testing\r\nmx: mail.example.test\r\nmax_age: 86400\r\n";
    for host in ["mta-sts.own.test", "MTA-STS.Own.Test:443", "mta-sts.other.test"] {
        let seen = site.policy(host).await;
        assert_eq!((seen.status.as_u16(), seen.header(header::CONTENT_TYPE)), (200, "text/plain"), "{host}");
        assert_eq!(seen.bytes, text, "{host}");
    }
    for host in ["own.test", "mta-sts.far.test", "mta-sts.", "mta-sts.mta-sts.own.test", "x.own.test", "[::1]", ""] {
        assert_eq!(site.policy(host).await.status, 404, "{host}");
    }
    site.set_mode(json!("none")).await;
    assert_eq!(site.policy("mta-sts.own.test").await.bytes, "version: STSv1\r\nmode: none\r\nmax_age: 86400\r\n");
    site.set_mode(Value::Null).await;
    assert_eq!(site.policy("mta-sts.own.test").await.status, 404);
}

#[actix_web::test]
async fn its_records_are_among_those_of_the_domain() {
    let site = Site::new();
    site.write(Method::PUT, "/api/v1/domains/own.test", json!({"mta_sts_mode": "testing"})).await;
    let records = async || {
        let seen = site.get("/api/v1/domains/own.test/dns").await.body;
        seen["records"].as_array().expect("records")[4..].to_vec()
    };
    let [text, host] = <[Value; 2]>::try_from(records().await[..].to_vec()).expect("two records");
    assert_eq!((&text["purpose"], &text["name"]), (&json!("mta_sts"), &json!("_mta-sts.own.test")));
    assert_eq!((&host["purpose"], &host["name"]), (&json!("mta_sts_host"), &json!("mta-sts.own.test")));
    assert_eq!((&host["type"], &host["target"]), (&json!("CNAME"), &json!("mail.example.test")));
    site.set_mode(json!("enforce")).await;
    assert_ne!(records().await[0]["text"], text["text"], "another policy has another id");
    let wrong = site.write(Method::PATCH, "/api/v1/domains/own.test", json!({"mta_sts_mode": "strict"})).await;
    assert_eq!(wrong.faults(), [("/mta_sts_mode".to_owned(), "not_allowed".to_owned())], "{}", wrong.body);
}
