use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::{Method, header};
use serde_json::json;

use super::{Site, ask};
use crate::directory::Scope;
use crate::telemetry::metrics;

/// The samples by name and labels.
type Samples = BTreeMap<String, f64>;

/// Reads the text format of OpenMetrics 1.0, and says no to whatever is not in it.
fn parse(text: &str) -> Samples {
    let body = text.strip_suffix("# EOF\n").expect("it ends with EOF");
    let (mut families, mut family, mut samples) = (BTreeSet::new(), (String::new(), String::new()), Samples::new());
    let mut units = BTreeMap::new();
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let (word, rest) = comment.split_once(' ').expect("a word");
            let (name, value) = rest.split_once(' ').expect("a name");
            match word {
                "HELP" => {
                    assert!(families.insert(name.to_owned()), "{name} comes twice");
                    assert!(value.ends_with('.') && !value.ends_with(".."), "{value}");
                    family = (name.to_owned(), String::new());
                }
                "TYPE" => {
                    assert_eq!(name, family.0);
                    assert!(["counter", "gauge", "histogram", "info"].contains(&value), "{value}");
                    family.1 = value.to_owned();
                }
                "UNIT" => {
                    assert!(name.ends_with(&format!("_{value}")), "{name} ends with its unit {value}");
                    units.insert(name.to_owned(), value.to_owned());
                }
                other => panic!("{other} is no comment of the format"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = series
            .split_once('{')
            .map_or((series, ""), |(name, labels)| (name, labels.strip_suffix('}').expect("labels end")));
        assert!(name.starts_with("pillarbox_") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        let suffix = name.strip_prefix(family.0.as_str()).unwrap_or_else(|| panic!("{name} is not of {}", family.0));
        let allowed: &[&str] = match family.1.as_str() {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            "info" => &["_info"],
            _ => &[""],
        };
        assert!(allowed.contains(&suffix), "{name} of a {}", family.1);
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (key, value) = label.split_once("=\"").expect("a label");
            let value = value.strip_suffix('"').expect("a quote");
            assert!(!key.is_empty() && !value.contains(['@', '\\', '"']) && value.len() < 40, "{line}");
        }
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line} has a number"));
        assert!(value >= 0.0, "{line}");
        assert!(samples.insert(series.to_owned(), value).is_none(), "{series} comes twice");
    }
    samples
}

/// Buckets rise, and the last is the count.
fn check_histograms(samples: &Samples) {
    let mut counted = 0;
    for (series, count) in samples.iter().filter(|(series, _)| series.contains("_count")) {
        let bucket = series.replace("_count", "_bucket");
        let (name, labels) =
            bucket.split_once('{').map_or((bucket.as_str(), ""), |(name, labels)| (name, labels.trim_end_matches('}')));
        let of_it = samples.iter().filter(|(series, _)| {
            series.starts_with(&format!("{name}{{")) && (labels.is_empty() || series.contains(labels))
        });
        let mut buckets: Vec<(f64, f64)> = of_it
            .map(|(series, value)| {
                let le = series.split("le=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an end");
                (le.parse().unwrap_or(f64::INFINITY), *value)
            })
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(buckets.len() > 3 && buckets.is_sorted_by(|a, b| a.1 <= b.1), "{series}: {buckets:?}");
        assert_eq!(buckets.last().map(|last| last.1), Some(*count), "{series}");
        counted += 1;
    }
    assert!(counted > 0, "there are histograms");
}

impl Site {
    async fn samples(&self) -> Samples {
        let seen = self.get("/metrics").await;
        assert_eq!(seen.status, 200);
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        assert_eq!(seen.header(header::CONTENT_TYPE), kind);
        let samples = parse(std::str::from_utf8(&seen.bytes).unwrap());
        check_histograms(&samples);
        samples
    }
}

#[actix_web::test]
async fn what_is_there_is_shown() {
    let site = Site::new();
    let id = site.queue(60, "a@own.test", &["b@x.test", "c@x.test", "d@x.test"]).remove(0);
    site.write(Method::POST, &format!("/api/v1/queue/{id}/hold"), json!({"reason": "r"})).await;
    let seen = site.samples().await;
    for (series, value) in [
        ("pillarbox_queue_recipients{state=\"due\"}", 2.0),
        ("pillarbox_queue_recipients{state=\"held\"}", 1.0),
        ("pillarbox_queue_recipients{state=\"waiting\"}", 0.0),
        ("pillarbox_queue_oldest_age_seconds", 60.0),
        ("pillarbox_db_writable", 1.0),
        ("pillarbox_start_timestamp_seconds", 1_795_341_900.0),
        (concat!("pillarbox_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
    ] {
        assert_eq!(seen.get(series), Some(&value), "{series}");
    }
    assert!(seen["pillarbox_queue_bytes"] > 0.0 && seen["pillarbox_db_size_bytes"] > 0.0);
    assert!(seen.contains_key("pillarbox_panics_total"));
}

#[actix_web::test]
async fn what_happens_is_counted() {
    let site = Site::new();
    let begin = site.samples().await;
    site.write(Method::PUT, "/api/v1/domains/own.test", json!({})).await;
    site.write(Method::PUT, "/api/v1/domains/-", json!({})).await;
    metrics().smtp_command("MAIL", 250, std::time::Duration::from_millis(3));
    metrics().login("imap", "refused");
    metrics().received("smtp", "rejected", "address", 1);
    let end = site.samples().await;
    // Other tests count in the same process: at least so many more.
    for (series, more) in [
        ("pillarbox_http_requests_total{method=\"PUT\",class=\"2xx\"}", 1.0),
        ("pillarbox_http_requests_total{method=\"PUT\",class=\"4xx\"}", 1.0),
        ("pillarbox_http_requests_total{method=\"GET\",class=\"2xx\"}", 1.0),
        ("pillarbox_db_commit_duration_seconds_count", 1.0),
        ("pillarbox_db_commit_batch_size_count", 1.0),
        ("pillarbox_smtp_commands_total{verb=\"MAIL\",code_class=\"2xx\"}", 1.0),
        ("pillarbox_smtp_command_duration_seconds_bucket{le=\"0.005\",verb=\"MAIL\"}", 1.0),
        ("pillarbox_auth_attempts_total{protocol=\"imap\",outcome=\"refused\"}", 1.0),
        ("pillarbox_messages_received_total{listener=\"smtp\",outcome=\"rejected\",reason=\"address\"}", 1.0),
    ] {
        let before = begin.get(series).copied().unwrap_or_default();
        assert!(
            end.get(series).is_some_and(|after| *after >= before + more),
            "{series}: {before}, {:?}",
            end.get(series)
        );
    }
}

#[actix_web::test]
async fn figures_need_their_scope() {
    let site = Site::new();
    for (scopes, status) in [(&[Scope::MetricsRead][..], 200), (&[Scope::EventsRead], 403)] {
        assert_eq!(site.send(ask(Method::GET, "/metrics", &site.token(scopes, &[]))).await.status, status);
    }
    assert_eq!(site.send(ask(Method::GET, "/metrics", "")).await.status, 401);
    assert_eq!(site.get("/metrics?x=1").await.status, 422);
}
