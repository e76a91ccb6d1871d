use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::{HttpResponse, get, web};
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::caller::{Allowed, MetricsRead};
use super::context::Context;
use super::page::NoQuery;
use super::problem::Problem;
use crate::base::Timestamp;
use crate::queue::Summary;
use crate::store::Health;
use crate::telemetry::{Level, metrics};
use crate::tls::CertificateFacts;
use crate::{net, queue, tls};

/// OpenMetrics 1.0 §5
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The figures of the server in the text format of OpenMetrics, for Prometheus. No label holds an address, a domain or
/// an id.
#[utoipa::path(
    tag = "health",
    responses((status = 200, description = "The figures", body = String, content_type = "application/openmetrics-text"))
)]
#[get("/metrics")]
pub(super) async fn get_metrics(
    _allowed: Allowed<MetricsRead>,
    _none: NoQuery,
    context: web::Data<Context>,
) -> Result<HttpResponse, Problem> {
    let (now, hostname) = (context.delivery.now(), context.hostname.clone());
    let (backups, told_at) = (Arc::clone(&context.backups), context.clock.now());
    let read = context.store.read(move |view| {
        let newest_at = backups.standing(view, told_at).ok().and_then(|standing| standing.newest_at);
        Ok((queue::summary(view, now)?, tls::certificates(view, &hostname)?, newest_at))
    });
    let (summary, certificates, backup_at) = read.await?;
    let mut text = String::new();
    encode_registry(&mut text, metrics().registry())
        .and_then(|()| encode_registry(&mut text, &present(&context, &summary, &certificates, backup_at)))
        .and_then(|()| encode_eof(&mut text))
        .map_err(Problem::internal)?;
    Ok(HttpResponse::Ok().content_type(CONTENT_TYPE).body(text))
}

/// What is looked up when it is asked for.
fn present(
    context: &Context,
    summary: &Summary,
    certificates: &[CertificateFacts],
    backup_at: Option<Timestamp>,
) -> Registry {
    let mut registry = Registry::with_prefix("pillarbox");
    let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "The release", build);
    let started = context.hub.started_at().ms() as f64 / 1000.0;
    gauge(&mut registry, "start_timestamp", "When the server was started", Some(Unit::Seconds), started);
    queue_figures(&mut registry, summary, context.clock.now().ms());
    store_figures(&mut registry, &context.store.health());
    view_figure(&mut registry, context);
    if let Some(certificate) = certificates.first() {
        let end = certificate.not_after.ms() as f64 / 1000.0;
        let help = "When the certificate of the listeners ends";
        gauge(&mut registry, "tls_certificate_expiry_timestamp", help, Some(Unit::Seconds), end);
    }
    if let Some(at) = backup_at {
        let help = "When the newest backup was made that was found good";
        gauge(&mut registry, "backup_last_success_timestamp", help, Some(Unit::Seconds), at.ms() as f64 / 1000.0);
    }
    let bound: &[(net::Listener, SocketAddr)] = context.readiness.listeners();
    gauge(&mut registry, "listeners", "Listeners that are bound", None, bound.len() as f64);
    registry
}

fn queue_figures(registry: &mut Registry, summary: &Summary, now_ms: u64) {
    let recipients = Family::<[(&str, &str); 1], Level>::default();
    for (state, count) in [
        ("due", summary.due),
        ("waiting", summary.waiting),
        ("in_flight", summary.in_flight),
        ("held", summary.held),
        ("parked", summary.parked),
    ] {
        recipients.get_or_create(&[("state", state)]).set(count);
    }
    registry.register("queue_recipients", "Recipients in the queue", recipients);
    gauge(registry, "queue", "Octets of queued messages", Some(Unit::Bytes), summary.size_bytes as f64);
    let age = summary.oldest_at.map_or(0, |at| now_ms.saturating_sub(at.ms())) as f64 / 1000.0;
    gauge(registry, "queue_oldest_age", "Since the oldest queued message came in", Some(Unit::Seconds), age);
}

fn store_figures(registry: &mut Registry, health: &Health) {
    let bytes = Some(Unit::Bytes);
    gauge(registry, "db_size", "Octets of the file", bytes.clone(), health.file_bytes as f64);
    gauge(registry, "db_used", "Octets that the file takes of its disk", bytes.clone(), health.used_bytes as f64);
    if let Some(free) = health.free_bytes {
        let help = "Octets of the file that a compaction would give back";
        gauge(registry, "db_free", help, bytes.clone(), free as f64);
    }
    gauge(registry, "db_writable", "Whether the file takes writes", None, f64::from(u8::from(health.writable)));
    let at_once = f64::from(u8::from(health.opens_at_once));
    gauge(registry, "db_opens_at_once", "Whether a crash now would need no repair", None, at_once);
    let repaired = health.repair_took.unwrap_or_default().as_secs_f64();
    let help = "How long the file was repaired at the start; 0 where that was not needed";
    gauge(registry, "db_repair_duration", help, Some(Unit::Seconds), repaired);
    registry.register_with_unit(
        "db_written",
        "Octets written to the file",
        Unit::Bytes,
        ConstCounter::new(health.written_bytes),
    );
    registry.register("db_syncs", "Syncs of the file", ConstCounter::new(health.syncs));
    registry.register("panics", "Faults that were caught", ConstCounter::new(health.panics + net::panics()));
    if let Some(free) = health.disk_free_bytes {
        gauge(registry, "disk_free", "Octets free on the file's disk", bytes.clone(), free as f64);
        let reserve = health.disk_reserve_bytes as f64;
        gauge(registry, "disk_reserve", "Octets of free space below which no mail is taken", bytes, reserve);
    }
}

fn view_figure(registry: &mut Registry, context: &Context) {
    let age = context.store.oldest_view().map_or(0.0, |view| view.age.as_secs_f64());
    let help = "Since the oldest view of the file was opened that is still read";
    gauge(registry, "db_oldest_view_age", help, Some(Unit::Seconds), age);
}

fn gauge(registry: &mut Registry, name: &str, help: &str, unit: Option<Unit>, value: f64) {
    let metric = ConstGauge::new(value);
    match unit {
        Some(unit) => registry.register_with_unit(name, help, unit, metric),
        None => registry.register(name, help, metric),
    }
}
