use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header;
use actix_web::rt::time::timeout;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, delete, get, post, web};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::backups::{blocking, id_of_body};
use super::jobs;
use crate::backup::{self, BackupError, Id, LastStep, Restoring};
use crate::base::limits;
use crate::http::body::{fit, receive};
use crate::http::caller::{Allowed, BackupRead, RestoreWrite};
use crate::http::context::Context;
use crate::http::json;
use crate::http::page::{ListQuery, NoQuery};
use crate::http::problem::{Code, Problem};
use crate::jobs::Order;

/// What a copy comes as: as it is, or compressed.
const TYPES: [&str; 2] = ["application/octet-stream", "application/zstd"];
/// Octets that are gathered before they are written.
const GATHERED_BYTES: usize = 1024 * 1024;

/// What is to take the place of the data file.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct RestoreInput {
    /// The id of a backup, as in `daily-20261122T030000Z`.
    #[schema(min_length = 1, max_length = 100)]
    backup: String,
    /// Starts the server again as soon as the copy is found good.
    #[serde(default)]
    #[schema(default = false)]
    restart: bool,
}

/// What waits to take the place of the data file.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Restore {
    /// The copy that does, at the next start; null: none.
    staged: Option<StagedCopy>,
}

/// A copy that was checked, and changes places with the data file at the next start.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct StagedCopy {
    /// When it was staged.
    staged_at: String,
    /// Its length in octets.
    file_bytes: u64,
    /// Where it lies on the server's machine.
    path: String,
}

/// Puts a backup in the place of the data file, as a job: the one with an id, or one that is uploaded (a `.redb` file, or
/// one compressed with zstd). It is copied beside the data file and checked in full; at the next start of the server it
/// changes places with the file, which stays beside it as `….before-restore-TIME`. Everything since the backup is in that old
/// file alone. A backup may name other administrators, and brings back tokens and passwords of then: only an administrator
/// may restore one.
#[utoipa::path(
    tag = "backups",
    params(("restart" = Option<bool>, Query, description = "With an upload: starts the server again as soon as the copy is found good")),
    request_body(content(
        (RestoreInput = "application/json"), (String = "application/octet-stream"), (String = "application/zstd")
    )),
    responses(
        (status = 202, description = "The job: it fails when the copy is not good", body = jobs::Job),
        (status = 404, description = "There is no such backup"),
        (status = 408, description = "The upload came to a halt, or took longer than 6 hours"),
        (status = 409, description = "Another restore is on its way, or the file of this server is in memory"),
        (status = 415, description = "The body is neither JSON nor a file"),
        (status = 507, description = "The server's disk has no room for the copy"),
    )
)]
#[post("/restore")]
pub(in crate::http) async fn restore_backup(
    allowed: Allowed<RestoreWrite>,
    query: ListQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted("restore the whole server")?;
    if request.content_type().eq_ignore_ascii_case("application/json") {
        query.allow_only(&[])?;
        let limits = (limits::JSON_BODY_BYTES, limits::JSON_BODY_S);
        let body = receive(&request, payload, &["application/json"], limits, || Ok(())).await?;
        let RestoreInput { backup, restart } = fit(json::read(&body, limits::JSON_VALUES)?)?;
        let id = id_of_body(&backup)?;
        context.backups.get(id)?;
        allowed.caller.need_admin("put a file of another time in the place of the server's")?;
        allowed.note(&context, id, Some(json!({"restart": restart}))).await?;
        let restoring = context.backups.begin_restore()?;
        return start(&context, restoring, Some(id), last_step(&context, restart), allowed.caller.name()).await;
    }
    let restart = query.allow_only(&["restart"])?.read("restart", str::parse::<bool>)?.unwrap_or_default();
    allowed.caller.need_admin("put a file from elsewhere in the place of the server's")?;
    check_type(&request)?;
    allowed.note(&context, backup::UPLOAD, Some(json!({"restart": restart}))).await?;
    let restoring = take_in(&context, payload, || Ok(())).await?;
    start(&context, restoring, None, last_step(&context, restart), allowed.caller.name()).await
}

/// Says which copy changes places with the data file at the next start.
#[utoipa::path(tag = "backups", responses((status = 200, description = "What waits", body = Restore)))]
#[get("/restore")]
pub(in crate::http) async fn get_restore(
    allowed: Allowed<BackupRead>,
    _none: NoQuery,
    context: web::Data<Context>,
) -> Result<web::Json<Restore>, Problem> {
    allowed.caller.need_unrestricted("see backups")?;
    let staged = context.backups.staged()?.map(|staged| StagedCopy {
        staged_at: staged.at.rfc3339(),
        file_bytes: staged.file_bytes,
        path: staged.path.display().to_string(),
    });
    Ok(web::Json(Restore { staged }))
}

/// Removes the copy that waits: the next start finds the data file as it is.
#[utoipa::path(
    tag = "backups",
    responses((status = 204, description = "It is gone"), (status = 404, description = "None waits"))
)]
#[delete("/restore")]
pub(in crate::http) async fn drop_restore(
    allowed: Allowed<RestoreWrite>,
    _none: NoQuery,
    context: web::Data<Context>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted("restore the whole server")?;
    allowed.note(&context, "restore", None).await?;
    let backups = Arc::clone(&context.backups);
    if blocking(move || backups.drop_staged()).await? {
        return Ok(HttpResponse::NoContent().finish());
    }
    Err(Problem::new(Code::NotFound, "No copy waits to take the place of the data file."))
}

/// Begins the job that checks what has come in, or what lies here, and stages it.
pub(super) async fn start(
    context: &Context,
    restoring: Restoring,
    from: Option<Id>,
    last: LastStep,
    actor: String,
) -> Result<HttpResponse, Problem> {
    let target = from.map_or_else(|| backup::UPLOAD.to_owned(), |id| id.to_string());
    let order = Order { kind: backup::RESTORE, target, actor, session: None };
    let backups = Arc::clone(&context.backups);
    let work = move |task| backup::restore(backups, restoring, from, last, task);
    let id = context.jobs.start(order, work).await.map_err(jobs::not_started)?;
    jobs::started(context, id)
}

/// Nothing speaks against the end of a restore.
fn last_step(context: &Context, restart: bool) -> LastStep {
    LastStep { may_stage: Box::new(|| Ok(())), restart: restart.then(|| context.restart.clone()) }
}

/// 415 for what is no file.
pub(super) fn check_type(request: &HttpRequest) -> Result<(), Problem> {
    if !TYPES.iter().any(|kind| request.content_type().eq_ignore_ascii_case(kind)) {
        let detail = format!("Send the backup as `Content-Type: {}`, or {}.", TYPES[0], TYPES[1]);
        return Err(Problem::new(Code::UnsupportedMediaType, detail));
    }
    if request.headers().contains_key(header::CONTENT_ENCODING) {
        return Err(Problem::new(Code::UnsupportedMediaType, "Send the body without a Content-Encoding."));
    }
    Ok(())
}

/// Writes a body down as it comes: it may not stand still, nor keep the one place of a restore for ever. With each piece
/// `may_go_on` is asked.
pub(super) async fn take_in(
    context: &Context,
    mut payload: web::Payload,
    may_go_on: impl Fn() -> Result<(), Problem>,
) -> Result<Restoring, Problem> {
    let mut restoring = context.backups.begin_restore()?;
    let ends_ms = context.clock.monotonic_ms().saturating_add(limits::UPLOAD_MS);
    let (patience, mut gathered) = (Duration::from_secs(limits::UPLOAD_STALL_S), Vec::new());
    loop {
        let piece = timeout(patience, payload.next()).await.map_err(|_| {
            let detail = format!("Nothing more came of the backup for {} s.", limits::UPLOAD_STALL_S);
            Problem::new(Code::RequestTimeout, detail)
        })?;
        if context.clock.monotonic_ms() >= ends_ms {
            let detail = format!("The backup must have come within {} hours.", limits::UPLOAD_MS / 3_600_000);
            return Err(Problem::new(Code::RequestTimeout, detail));
        }
        may_go_on()?;
        let is_end = piece.is_none();
        if let Some(piece) = piece {
            let broken = |error| Problem::new(Code::BadRequest, format!("The body broke off: {error}."));
            gathered.extend_from_slice(&piece.map_err(broken)?);
        }
        if is_end || gathered.len() >= GATHERED_BYTES {
            let bytes = std::mem::take(&mut gathered);
            restoring = web::block(move || restoring.push(&bytes).map(|()| restoring))
                .await
                .map_err(Problem::internal)?
                .map_err(not_written)?;
        }
        if is_end {
            return Ok(restoring);
        }
    }
}

fn not_written(error: io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Problem::new(Code::DiskFull, "The disk has no room for the backup beside the data file and the reserve.")
        }
        // No fault of the operating system: what is unpacked is no such file.
        _ if error.raw_os_error().is_none() => {
            Problem::new(Code::BadRequest, format!("The backup can't be read: {error}."))
        }
        _ => BackupError::Io { path: "the backup that comes in".into(), error }.into(),
    }
}
