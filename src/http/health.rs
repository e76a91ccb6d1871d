use actix_web::{get, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::context::Context;
use super::problem::{Code, Fault, Problem};

/// That something is as it should be.
#[derive(Serialize, ToSchema)]
pub(super) struct Status {
    /// `alive` or `ready`.
    status: &'static str,
}

/// The process answers. It says nothing about mail: see `/readyz`.
#[utoipa::path(tag = "health", security(()), responses((status = 200, description = "The process answers", body = Status)))]
#[get("/healthz")]
pub(super) async fn healthz() -> web::Json<Status> {
    web::Json(Status { status: "alive" })
}

/// The same as `/healthz`, under the name that some supervisors ask for.
#[utoipa::path(tag = "health", security(()), responses((status = 200, description = "The process answers", body = Status)))]
#[get("/livez")]
pub(super) async fn livez() -> web::Json<Status> {
    web::Json(Status { status: "alive" })
}

/// The server takes mail: the file can be written, every listener is bound, and the disk has more free space than the
/// reserve.
#[utoipa::path(
    tag = "health",
    security(()),
    responses(
        (status = 200, description = "The server takes mail", body = Status),
        (status = 503, description = "It does not; `errors` gives each reason: `starting`, `repairing` (with `percent`), `stopping`, `storage_failed`, `disk_full`"),
    )
)]
#[get("/readyz")]
pub(super) async fn readyz(context: web::Data<Context>) -> Result<web::Json<Status>, Problem> {
    let health = context.store.health();
    let reasons: Vec<Fault> = [
        (context.readiness.is_starting(), "starting", "not every listener is bound yet"),
        (context.readiness.is_stopping(), "stopping", "the server is stopping"),
        (!health.writable, "storage_failed", "the file takes no writes"),
        (health.full, "disk_full", "the disk has less free space than the reserve"),
    ]
    .into_iter()
    .filter(|(holds, ..)| *holds)
    .map(|(_, code, message)| Fault::reason(code, message))
    .collect();
    if reasons.is_empty() {
        return Ok(web::Json(Status { status: "ready" }));
    }
    let words: Vec<&str> = reasons.iter().map(|reason| reason.message.as_str()).collect();
    let detail = words.join("; ");
    Err(Problem::new(Code::NotReady, detail).with_faults(reasons))
}
