use actix_web::{HttpResponse, post, web};

use crate::http::api::jobs;
use crate::http::caller::{Allowed, SettingsWrite};
use crate::http::context::Context;
use crate::http::page::NoQuery;
use crate::http::problem::Problem;
use crate::jobs::Order;
use crate::maintenance;

/// Checks the data file while it is in use, as a job: every row of every table, every table against the others, and that
/// every body has what it consists of. The job fails when something is found, and its result lists it (`findings`; of very
/// many the first, and how many there are in `count`). What bodies consist of is read, and compared with its checksums, by
/// the check of a backup, which every backup goes through. A damaged file is mended with the server stopped, by
/// `pillarbox check --repair`.
#[utoipa::path(
    tag = "maintenance",
    responses((status = 202, description = "The job: it fails when something is damaged", body = jobs::Job))
)]
#[post("/maintenance/check")]
pub(in crate::http) async fn check_file(
    allowed: Allowed<SettingsWrite>,
    _none: NoQuery,
    context: web::Data<Context>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted("check the data file")?;
    allowed.note(&context, "file", None).await?;
    let order = Order { kind: maintenance::CHECK, target: "file".into(), actor: allowed.caller.name(), session: None };
    let store = context.store.clone();
    let id = context.jobs.start(order, move |task| maintenance::check(store, task)).await.map_err(jobs::not_started)?;
    jobs::started(&context, id)
}
