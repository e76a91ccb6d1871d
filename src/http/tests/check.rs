use actix_web::http::Method;
use serde_json::{Value, json};

use super::Site;

async fn checked(site: &Site) -> Value {
    let started = site.write(Method::POST, "/api/v1/maintenance/check", json!({})).await;
    assert_eq!((started.status.as_u16(), &started.body["kind"]), (202, &json!("check")), "{}", started.body);
    site.ended(&started).await
}

#[actix_web::test]
async fn the_file_is_checked_while_it_is_in_use() {
    let site = Site::new();
    let job = checked(&site).await;
    assert_eq!((&job["state"], &job["result"]), (&json!("succeeded"), &json!({"findings": [], "count": 0})), "{job}");
    assert_eq!(job["progress"]["done"], job["progress"]["total"], "{job}");
    site.person("a@x.test", &["user"]).await;
    site.context.store.forget_counter("directory.account");
    let job = checked(&site).await;
    assert_eq!((&job["state"], &job["result"]["count"]), (&json!("failed"), &json!(1)), "{job}");
    let finding = job["result"]["findings"][0].as_str().unwrap();
    assert!(finding.contains("the counter of their numbers is behind"), "{finding}");
    let actions = site.get("/api/v1/audit").await.body.to_string();
    assert!(actions.contains("check_file"), "{actions}");
}
