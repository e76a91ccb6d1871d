use actix_web::http::Method;
use serde_json::json;

use super::Site;

const PATH: &str = "/api/v1/maintenance/compact";

#[actix_web::test]
async fn the_file_is_compacted_while_it_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let site = Site::on_disk(&folder.path().join("mail.redb"));
    let started = site.write(Method::POST, PATH, json!({})).await;
    assert_eq!((started.status.as_u16(), &started.body["kind"]), (202, &json!("compact")), "{}", started.body);
    let job = site.ended(&started).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    for figure in ["before_bytes", "after_bytes"] {
        assert!(job["result"][figure].as_u64().unwrap() > 0, "{job}");
    }
    assert!(job["result"]["pause_ms"].as_f64().unwrap() > 0.0);
    // What was asked for before, and who did it, is in the new file.
    let actions = site.get("/api/v1/audit").await.body.to_string();
    assert!(actions.contains("compact_file"), "{actions}");
    let overview = site.get("/api/v1/overview").await.body;
    assert_eq!(overview["file_free_bytes"].as_u64().map(|free| free < 1024 * 1024), Some(true), "{overview}");
    assert!(overview["file_used_bytes"].as_u64().unwrap() > 0, "{overview}");
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".compact")), "{names:?}");
}
