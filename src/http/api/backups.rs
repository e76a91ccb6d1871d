pub(in crate::http) mod file;

use std::collections::HashMap;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, delete, get, post, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::sentence::sentence;
use super::{Listed, jobs, page_of, show};
use crate::backup::{self, BackupError, Checked, File, Id, Origin};
use crate::http::body::OptionalBody;
use crate::http::caller::{Allowed, BackupRead, RestoreWrite};
use crate::http::context::Context;
use crate::http::etag;
use crate::http::page::{ListParams, ListQuery, NoQuery, cursor};
use crate::http::problem::{Code, Fault, Problem};
use crate::jobs::Order;
use crate::store::{CopyError, CopyOptions, OpenError};

/// A copy of the data file that was checked.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Backup {
    /// Its id, as in `daily-20261122T030000Z`.
    id: String,
    /// Why it was made.
    origin: BackupOrigin,
    /// When it was made: it holds what was committed then.
    made_at: String,
    /// Its length in octets.
    file_bytes: u64,
    /// Octets that it takes of its disk: free pages are holes.
    disk_bytes: u64,
    /// When all of it was last checked: when it was made, or since.
    verified_at: String,
    /// That check has found damage: it is of no use any more.
    is_damaged: bool,
    /// Where it lies on the server's machine, for what copies it elsewhere.
    path: String,
}

/// Why a backup was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum BackupOrigin {
    /// By the schedule (setting `backup.daily_at`).
    Daily,
    /// Somebody asked for it.
    Manual,
}

/// How a backup is wanted.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct BackupInput {
    /// Without the free pages: smaller, and more work.
    #[serde(default)]
    #[schema(default = false)]
    compact: bool,
}

page_of! {
    /// Backups, the newest first.
    BackupPage of Backup
}

impl Backup {
    fn of(file: &File, checks: &HashMap<Id, Checked>) -> Self {
        let checked = checks.get(&file.id);
        Self {
            id: file.id.to_string(),
            origin: match file.id.origin {
                Origin::Daily => BackupOrigin::Daily,
                Origin::Manual => BackupOrigin::Manual,
            },
            made_at: file.id.at.rfc3339(),
            file_bytes: file.file_bytes,
            disk_bytes: file.disk_bytes,
            verified_at: checked.map_or(file.id.at, |checked| checked.at).rfc3339(),
            is_damaged: checked.is_some_and(|checked| !checked.is_good),
            path: file.path.display().to_string(),
        }
    }
}

impl From<BackupError> for Problem {
    fn from(error: BackupError) -> Self {
        let detail = error.to_string();
        match error {
            BackupError::NotThere(id) => Self::not_found("backup", id),
            BackupError::InMemory | BackupError::Restoring | BackupError::Lending => Self::new(Code::Conflict, detail),
            BackupError::Store(error) => error.into(),
            BackupError::Copy(CopyError::NoRoom { .. }) => Self::new(Code::DiskFull, detail),
            BackupError::Copy(CopyError::Exists(_) | CopyError::Busy) => Self::new(Code::Conflict, detail),
            // Another version, another key, damage: what it is stays so however often it is asked for.
            BackupError::Open(
                OpenError::Newer { .. }
                | OpenError::Older { .. }
                | OpenError::Locked(_)
                | OpenError::Damaged { .. }
                | OpenError::Sealed { .. }
                | OpenError::OtherKey { .. },
            ) => Self::new(Code::Conflict, sentence(&detail)),
            BackupError::Copy(_) | BackupError::Open(_) | BackupError::Io { .. } => Self::internal(detail),
        }
    }
}

/// Lists the backups that lie beside the data file, the newest first. Each was opened and checked before it got its name.
#[utoipa::path(
    tag = "backups",
    params(ListParams),
    responses((status = 200, description = "A page of backups", body = BackupPage))
)]
#[get("/backups")]
pub(in crate::http) async fn list_backups(
    allowed: Allowed<BackupRead>,
    request: HttpRequest,
    context: web::Data<Context>,
    query: ListQuery,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted("see backups")?;
    let query = query.allow(&[])?;
    let after = query.after_key(str::parse::<Id>)?;
    let backups = Arc::clone(&context.backups);
    let files = blocking(move || backups.list()).await?;
    let count = query.count.then_some(files.len() as u64);
    let mut items: Vec<File> = files.into_iter().filter(|file| after.is_none_or(|after| file.id < after)).collect();
    let is_more = items.len() > query.limit;
    items.truncate(query.limit);
    let next_cursor = items.last().filter(|_| is_more).map(|last| cursor(&last.id.to_string()));
    let listed = Listed { items, next_cursor, count, count_exact: count.map(|_| true) };
    let checks = backup::checks(&context.store.view()?)?;
    Ok(listed.answer::<BackupPage, _>(&request, |file| Backup::of(file, &checks)))
}

/// Shows a backup.
#[utoipa::path(
    tag = "backups",
    params(("id" = String, Path, description = "The backup's id")),
    responses((status = 200, description = "The backup", body = Backup), (status = 304, description = "The client has it"))
)]
#[get("/backups/{id}")]
pub(in crate::http) async fn get_backup(
    allowed: Allowed<BackupRead>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted("see backups")?;
    let backup = seen(&context, id_of(&path)?)?;
    Ok(show(&request, etag::of_content(&backup), &backup))
}

/// Makes a backup beside the data file, as a job. The copy holds what was committed at one instant; it is opened, and all
/// of it is checked, before it gets its name. Mail goes on meanwhile.
#[utoipa::path(
    tag = "backups",
    request_body = Option<BackupInput>,
    responses(
        (status = 202, description = "The job", body = jobs::Job),
        (status = 409, description = "The file of this server is in memory"),
    )
)]
#[post("/backups")]
pub(in crate::http) async fn create_backup(
    allowed: Allowed<BackupRead>,
    _none: NoQuery,
    context: web::Data<Context>,
    body: OptionalBody<BackupInput>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted("make backups")?;
    if !context.backups.is_on_disk() {
        return Err(BackupError::InMemory.into());
    }
    let BackupInput { compact } = body.0;
    allowed.note(&context, "backups", Some(json!({"compact": compact}))).await?;
    let actor = allowed.caller.name();
    let order = Order { kind: backup::MAKE, target: "manual".into(), actor, session: None };
    let (backups, now) = (Arc::clone(&context.backups), context.clock.now());
    let work = move |task| backup::make(backups, Origin::Manual, now, CopyOptions { compact }, 1, task);
    let id = context.jobs.start(order, work).await.map_err(jobs::not_started)?;
    jobs::started(&context, id)
}

/// Opens a backup and checks all of it once more, as a job: the disk may have lost some of it since.
#[utoipa::path(
    tag = "backups",
    params(("id" = String, Path, description = "The backup's id")),
    responses((status = 202, description = "The job: it fails when the backup is not good", body = jobs::Job))
)]
#[post("/backups/{id}/verify")]
pub(in crate::http) async fn verify_backup(
    allowed: Allowed<BackupRead>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted("check backups")?;
    let id = id_of(&path)?;
    context.backups.get(id)?;
    allowed.note(&context, id, None).await?;
    let order = Order { kind: backup::CHECK, target: id.to_string(), actor: allowed.caller.name(), session: None };
    let backups = Arc::clone(&context.backups);
    let work = move |task| backup::verify(backups, id, task);
    let id = context.jobs.start(order, work).await.map_err(jobs::not_started)?;
    jobs::started(&context, id)
}

/// Removes a backup.
#[utoipa::path(
    tag = "backups",
    params(("id" = String, Path, description = "The backup's id")),
    responses((status = 204, description = "It is gone"))
)]
#[delete("/backups/{id}")]
pub(in crate::http) async fn delete_backup(
    allowed: Allowed<RestoreWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted("remove backups")?;
    let id = id_of(&path)?;
    let backup = seen(&context, id)?;
    etag::expect_content(&request, &etag::of_content(&backup))?;
    allowed.note(&context, id, None).await?;
    let backups = Arc::clone(&context.backups);
    blocking(move || backups.remove(id)).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The backup as it is shown.
fn seen(context: &Context, id: Id) -> Result<Backup, Problem> {
    let file = context.backups.get(id)?;
    Ok(Backup::of(&file, &backup::checks(&context.store.view()?)?))
}

/// The id in a body.
pub(super) fn id_of_body(text: &str) -> Result<Id, Problem> {
    text.parse()
        .map_err(|error: backup::NoId| Problem::invalid(vec![Fault::body("/backup", "malformed", error.to_string())]))
}

/// The id of the path.
pub(super) fn id_of(path: &str) -> Result<Id, Problem> {
    path.parse()
        .map_err(|error: backup::NoId| Problem::invalid(vec![Fault::parameter("id", "malformed", error.to_string())]))
}

/// Runs what waits for the disk on another thread.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BackupError> + Send + 'static,
) -> Result<T, Problem> {
    Ok(web::block(work).await.map_err(Problem::internal)??)
}
