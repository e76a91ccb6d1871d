use actix_web::{HttpResponse, post, web};

use crate::compaction;
use crate::http::api::jobs;
use crate::http::caller::{Allowed, SettingsWrite};
use crate::http::context::Context;
use crate::http::page::NoQuery;
use crate::http::problem::{Code, Problem};
use crate::jobs::Order;
use crate::store::CompactError;

impl From<CompactError> for Problem {
    fn from(error: CompactError) -> Self {
        let detail = error.to_string();
        match error {
            CompactError::NoRoom { .. } => Self::new(Code::DiskFull, detail),
            CompactError::Busy => Self::new(Code::Conflict, detail),
            _ => Self::internal(detail),
        }
    }
}

/// Gives back what is free in the data file, as a job: all rows go into a new file beside it, which then takes its place.
/// Mail goes on meanwhile; it waits for some milliseconds at the end, and the job's result says how many (`pause_ms`). The
/// disk must have room for the new file. The old one is there until the new one is complete, and nothing is lost by a crash.
#[utoipa::path(
    tag = "maintenance",
    responses(
        (status = 202, description = "The job", body = jobs::Job),
        (status = 409, description = "The file is being compacted already, or a copy of it is being made"),
        (status = 507, description = "The disk has too little room for a second file"),
    )
)]
#[post("/maintenance/compact")]
pub(in crate::http) async fn compact_file(
    allowed: Allowed<SettingsWrite>,
    _none: NoQuery,
    context: web::Data<Context>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted("compact the data file")?;
    let store = context.store.clone();
    web::block(move || store.can_compact()).await.map_err(Problem::internal)??;
    allowed.note(&context, "file", None).await?;
    let actor = allowed.caller.name();
    let order = Order { kind: compaction::KIND, target: "file".into(), actor, session: None };
    let store = context.store.clone();
    let work = move |task| compaction::compact(store, task);
    let id = context.jobs.start(order, work).await.map_err(jobs::not_started)?;
    jobs::started(&context, id)
}
