use actix_web::http::header::HeaderName;
use actix_web::{HttpRequest, HttpResponse, post, web};
use serde_json::json;

use super::super::{jobs, restore};
use crate::audit::Note;
use crate::backup::LastStep;
use crate::directory::SpendSetupLink;
use crate::http::caller::{act_by, too_many};
use crate::http::context::Context;
use crate::http::cookie;
use crate::http::page::NoQuery;
use crate::http::problem::{Problem, Refusal};
use crate::job::{self, Job};
use crate::jobs::Failed;
use crate::mailbox::SetUpRefused;
use crate::store::{Read, StoreError, WriteError};
use crate::{backup, directory};

/// What carries the word at the end of the link: never a URL.
const SETUP_TOKEN: HeaderName = HeaderName::from_static("pillarbox-setup-token");
/// Who restores before there is anybody.
const ACTOR: &str = "setup";
/// Jobs that are looked through for the last one of the set-up.
const JOBS: usize = 20;

/// Takes a backup instead of setting the server up: uploaded as a `.redb` file, or as one compressed with zstd. It is checked
/// in full, as a job whose state `GET /setup` shows; then the server starts again with it, and its administrators log in.
#[utoipa::path(
    tag = "setup",
    security(()),
    params(("Pillarbox-Setup-Token" = String, Header, description = "What stands at the end of the link")),
    request_body(content((String = "application/octet-stream"), (String = "application/zstd"))),
    responses(
        (status = 202, description = "The job: it fails when the backup is not good", body = jobs::Job),
        (status = 403, description = "The link is wrong or has ended; or a page elsewhere asks, or the link would travel in the clear"),
        (status = 408, description = "The upload came to a halt, or took longer than 6 hours"),
        (status = 409, description = "The server is set up already, or another restore is on its way"),
        (status = 415, description = "The body is no file"),
        (status = 422, description = "There is no parameter here"),
        (status = 429, description = "Too many tries of this address: come back after Retry-After"),
        (status = 503, description = "A fault of the server: try again"),
        (status = 507, description = "The server's disk has no room for the backup"),
    )
)]
#[post("/setup/restore")]
pub(in crate::http) async fn restore_at_setup(
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    cookie::check_same_site(&request, false)?;
    cookie::check_password_channel(&request)?;
    let token = token_of(&request);
    let (needs_setup, is_right) = {
        let view = context.store.view()?;
        (directory::needs_setup(&view)?, directory::is_setup_token(&view, token, context.clock.now())?)
    };
    if !needs_setup {
        return Err(SetUpRefused::Done.problem());
    }
    if !is_right {
        context.limiter.attempt(request.peer_addr().map(|peer| peer.ip())).map_err(too_many)?;
        return Err(SetUpRefused::Token.problem());
    }
    restore::check_type(&request)?;
    let act = act_by(&request, ACTOR.into());
    let note =
        Note { act, target: backup::UPLOAD.into(), at: context.clock.now(), after: Some(json!({"restart": true})) };
    context.store.write(note).await?.into_inner();
    // Who was quicker has set the server up: nothing may take it over behind that.
    let may_go_on = || match directory::needs_setup(&context.store.view()?)? {
        true => Ok(()),
        false => Err(SetUpRefused::Done.problem()),
    };
    let restoring = restore::take_in(&context, payload, may_go_on).await?;
    let (store, spend) = (context.store.clone(), SpendSetupLink { token: token.to_owned() });
    let may_stage = move || match store.write_blocking(spend) {
        Ok(_spent) => Ok(()),
        Err(WriteError::Refused(why)) => Err(Failed::because(why.to_string())),
        Err(error) => Err(Failed::because(error.to_string())),
    };
    let last = LastStep { may_stage: Box::new(may_stage), restart: Some(context.restart.clone()) };
    restore::start(&context, restoring, None, last, ACTOR.into()).await
}

/// The word at the end of the link, or nothing.
pub(super) fn token_of(request: &HttpRequest) -> &str {
    request.headers().get(&SETUP_TOKEN).and_then(|token| token.to_str().ok()).unwrap_or_default()
}

/// The last restore that the set-up has begun.
pub(super) fn last(read: &impl Read) -> Result<Option<jobs::Job>, StoreError> {
    let is_own = |(_, job): &(_, Job)| job.kind == backup::RESTORE && job.actor == ACTOR;
    Ok(job::jobs(read, None, JOBS)?.into_iter().find(is_own).map(|(id, job)| jobs::Job::of(id, &job)))
}
