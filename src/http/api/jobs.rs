use actix_web::{HttpRequest, HttpResponse, delete, get, web};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{list, page_of, show, wrong_id};
use crate::base::{JobId, SessionId, Timestamp};
use crate::exchange;
use crate::http::caller::{Allowed, Caller, JobsRead, JobsWrite};
use crate::http::context::Context;
use crate::http::etag;
use crate::http::page::{ListParams, ListQuery, NoQuery};
use crate::http::problem::{Code, Problem};
use crate::store::{Read, StoreError};
use crate::{job, jobs, turn};

/// A piece of long work.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Job {
    /// Its id.
    id: String,
    /// What it does, as in `turn_session`, `queue_action`, `backup`, `backup_check` or `restore`.
    kind: String,
    /// To what, as in the peer's name.
    target: String,
    /// Who asked for it.
    actor: String,
    /// How it stands.
    #[schema(value_type = JobState)]
    state: job::JobState,
    /// How far it is.
    progress: JobProgress,
    /// The session with a peer that it runs.
    session: Option<String>,
    /// That session's dialogue, while it runs and afterwards; only where one job is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "lines")]
    dialogue: Option<String>,
    /// When it was asked for.
    created_at: String,
    /// When it began.
    started_at: Option<String>,
    /// When it ended.
    ended_at: Option<String>,
    /// What came of it; its fields depend on the kind.
    #[schema(value_type = Option<Object>)]
    result: Option<Value>,
    /// What went wrong.
    problem: Option<JobProblem>,
}

/// How a job stands.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "this describes job::JobState")]
pub(in crate::http) enum JobState {
    /// It waits for others to end.
    Queued,
    /// It runs.
    Running,
    /// It has done its work.
    Succeeded,
    /// It has not.
    Failed,
    /// Somebody has ended it.
    Cancelled,
}

/// How far a job is.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct JobProgress {
    /// So much is done.
    done: u64,
    /// Of so much, where that is known.
    total: Option<u64>,
    /// Of what, as in `messages`.
    unit: String,
}

/// What went wrong with a job.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct JobProblem {
    /// For people.
    detail: String,
}

page_of! {
    /// Jobs, the newest first.
    JobPage of Job
}

impl Job {
    pub(super) fn of(id: JobId, row: &job::Job) -> Self {
        Self {
            id: id.to_string(),
            kind: row.kind.clone(),
            target: row.target.clone(),
            actor: row.actor.clone(),
            state: row.state,
            progress: JobProgress {
                done: row.progress.done,
                total: row.progress.total,
                unit: row.progress.unit.clone(),
            },
            session: row.session.map(|id| id.to_string()),
            dialogue: None,
            created_at: row.created_at.rfc3339(),
            started_at: row.started_at.map(Timestamp::rfc3339),
            ended_at: row.ended_at.map(Timestamp::rfc3339),
            result: row.result.as_deref().and_then(|text| serde_json::from_str(text).ok()),
            problem: row.problem.clone().map(|detail| JobProblem { detail }),
        }
    }

    /// The same for strangers: how it stands, and nothing of what it is about.
    pub(super) fn without_details(self) -> Self {
        let detail = "The link of the set-up shows what was wrong.".to_owned();
        Self { result: None, problem: self.problem.map(|_| JobProblem { detail }), ..self }
    }
}

/// Lists the jobs, the newest first. The thousand that ended last are kept. A token that is restricted to domains sees
/// those that it has started.
#[utoipa::path(
    tag = "jobs",
    params(
        ListParams,
        ("state" = Option<JobState>, Query, description = "Only jobs in this state"),
        ("kind" = Option<String>, Query, description = "Only jobs of this kind"),
    ),
    responses((status = 200, description = "A page of jobs", body = JobPage))
)]
#[get("/jobs")]
pub(in crate::http) async fn list_jobs(
    allowed: Allowed<JobsRead>,
    request: HttpRequest,
    context: web::Data<Context>,
    query: ListQuery,
) -> Result<HttpResponse, Problem> {
    let query = query.allow(&["state", "kind"])?;
    let after = query.after_key(str::parse::<JobId>)?;
    let state = query.word::<job::JobState>("state", "queued, running, succeeded, failed or cancelled")?;
    let kind = query.filter("kind").map(str::to_owned);
    let found = context
        .store
        .read(move |view| {
            let fetch = |before: Option<&JobId>, limit| job::jobs(view, before.copied(), limit);
            let keep = |(_, row): &(JobId, job::Job)| {
                may_see(&allowed.caller, row)
                    && state.is_none_or(|state| row.state == state)
                    && kind.as_ref().is_none_or(|kind| row.kind == *kind)
            };
            list(&query, after, fetch, keep, |(id, _)| *id)
        })
        .await?;
    Ok(found.answer::<JobPage, _>(&request, |(id, row)| Job::of(*id, row)))
}

/// Shows a job.
#[utoipa::path(
    tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses((status = 200, description = "The job", body = Job), (status = 304, description = "The client has it"))
)]
#[get("/jobs/{id}")]
pub(in crate::http) async fn get_job(
    allowed: Allowed<JobsRead>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (id, row) = find(&context, &allowed.caller, &path)?;
    let job = seen(&context, id, &row)?;
    Ok(show(&request, etag::of_content(&job), &job))
}

/// Cancels a job that waits or runs. It ends soon, but not at once: what was begun is brought to an end. A restore that is
/// cancelled has staged nothing, and stages nothing.
#[utoipa::path(
    tag = "jobs",
    params(("id" = String, Path, description = "The job's id")),
    responses(
        (status = 202, description = "It is being cancelled", body = Job),
        (status = 409, description = "It has ended already, or is at a last step that can't be taken back"),
    )
)]
#[delete("/jobs/{id}")]
pub(in crate::http) async fn cancel_job(
    allowed: Allowed<JobsWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let (id, row) = find(&context, &allowed.caller, &path)?;
    let job = seen(&context, id, &row)?;
    etag::expect_content(&request, &etag::of_content(&job))?;
    if let Err(why) = context.jobs.cancel(id) {
        return Err(Problem::new(Code::Conflict, format!("The job {id} can't be cancelled: {why}.")));
    }
    allowed.note(&context, id, None).await?;
    Ok(HttpResponse::Accepted().json(job))
}

/// 202 for a job that was just started.
pub(super) fn started(context: &Context, id: JobId) -> Result<HttpResponse, Problem> {
    let row = job::job(&context.store.view()?, id)?.ok_or_else(|| Problem::not_found("job", id))?;
    let mut response = HttpResponse::Accepted();
    response.insert_header((actix_web::http::header::LOCATION, format!("/api/v1/jobs/{id}")));
    Ok(response.json(Job::of(id, &row)))
}

/// Why a job was not started.
pub(super) fn not_started(error: jobs::NotStarted) -> Problem {
    match error {
        jobs::NotStarted::Stopping => Problem::new(Code::NotReady, "The server is stopping."),
        jobs::NotStarted::Crowded => {
            Problem::new(Code::Busy, "As many jobs wait already as may wait: try again when some have ended.")
        }
        jobs::NotStarted::Store(error) => error.into(),
    }
}

/// The dialogue of a session with a peer: so far, while it runs; else as it was written down.
pub(super) fn dialogue(context: &Context, read: &impl Read, id: SessionId) -> Result<Option<String>, StoreError> {
    if let Some(dialogue) = exchange::dialogue(&context.exchange, id) {
        return Ok(Some(dialogue));
    }
    Ok(turn::session(read, id)?.map(|session| session.transcript))
}

fn seen(context: &Context, id: JobId, row: &job::Job) -> Result<Job, Problem> {
    let dialogue = match row.session {
        Some(session) => dialogue(context, &context.store.view()?, session)?,
        None => None,
    };
    Ok(Job { dialogue, ..Job::of(id, row) })
}

fn may_see(caller: &Caller, row: &job::Job) -> bool {
    !caller.is_restricted() || row.actor == caller.name()
}

fn find(context: &Context, caller: &Caller, path: &str) -> Result<(JobId, job::Job), Problem> {
    let id: JobId = path.parse().map_err(|error| wrong_id("id", error))?;
    let row = job::job(&context.store.view()?, id)?.filter(|row| may_see(caller, row));
    row.map(|row| (id, row)).ok_or_else(|| Problem::not_found("job", id))
}
