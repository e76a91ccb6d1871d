use std::sync::{Arc, PoisonError};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, put, web};

use super::settings::{CA_FILE, check_ca_file};
use super::show;
use crate::audit::{Act, Audited};
use crate::base::Clock;
use crate::directory::Authenticator;
use crate::http::body::faults_of;
use crate::http::caller::{Allowed, Caller, StateWrite};
use crate::http::context::Context;
use crate::http::etag;
use crate::http::large_body::{Held, LargeBody};
use crate::http::page::NoQuery;
use crate::http::problem::Problem;
use crate::http::switches::Switches;
use crate::http::validate::below;
use crate::settings::Live;
use crate::store::{Store, Tx};

mod apply;
mod diff;
mod passwords;
mod section;
mod shape;
mod start;
mod step;

use apply::ApplyState;
pub(super) use section::Section;
use section::{seen, version};
use shape::{StateDone, StateInput, StateSeen, Wanted};
pub use start::{StateFileError, apply_state};

const WHAT: &str = "see or apply the state";

/// What a state is applied to.
struct Site {
    store: Store,
    authenticator: Arc<Authenticator>,
    live: Arc<Live>,
    clock: Arc<dyn Clock>,
}

/// How it is applied.
#[derive(Clone, Copy)]
struct Manner {
    dry_run: bool,
    prune: bool,
}

/// Shows the whole desired state: domains, accounts, aliases, routes, peers and the settings that the data file holds, in
/// the form that PUT takes. Secrets are shown as `{"set": true}`: brought back like that they stay as they are.
#[utoipa::path(
    tag = "state",
    responses(
        (status = 200, description = "The state", body = StateSeen,
            headers(("ETag" = String, description = "Changes with any part of it: what PUT asks for in If-Match"))),
        (status = 304, description = "The client has it"),
    )
)]
#[get("/state")]
pub(in crate::http) async fn get_state(
    allowed: Allowed<StateWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let (tag, state) = context.store.read(|view| Ok((version(view)?, seen(view)?))).await?;
    Ok(show(&request, tag, &StateSeen(state)))
}

/// Makes the server as the state says, in one transaction: what is named is created or changed. With `prune=true` the
/// rest of each section that the state has is removed; a section that it leaves out stays as it is. An account with mail
/// is removed only when `allow_data_loss` names it. With `dry_run=true` nothing is changed: the answer says what would be.
///
/// The same state again changes nothing. A `password` is compared with the one that is there at the cost of a login, some
/// tens of milliseconds for each account; for many accounts, `password_hash` costs nothing.
#[utoipa::path(
    tag = "state",
    params(
        ("dry_run" = Option<bool>, Query, description = "Whether only to say what would be changed"),
        ("prune" = Option<bool>, Query, description = "Whether to remove what the state's sections do not name"),
        ("force" = Option<bool>, Query, description = "Whether to go without If-Match, over what others may have changed"),
    ),
    request_body = StateInput,
    responses(
        (status = 200, description = "What was changed, or would be", body = StateDone,
            headers(("ETag" = String, description = "The state's, as it is now"))),
        (status = 409, description = "Accounts with mail would be removed, or somebody changed a password at the same moment"),
        (status = 412, description = "The state has changed since that ETag was given out"),
        (status = 428, description = "Neither If-Match nor force=true"),
    )
)]
#[put("/state")]
pub(in crate::http) async fn put_state(
    allowed: Allowed<StateWrite>,
    switches: Switches,
    request: HttpRequest,
    context: web::Data<Context>,
    body: LargeBody,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let [dry_run, prune, force] = switches.read(["dry_run", "prune", "force"])?;
    let tag = context.store.read(version).await?;
    etag::need_content(&request, &tag, force)?;
    let wanted = body.work(read).await?;
    let site = Site {
        store: context.store.clone(),
        authenticator: Arc::clone(&context.authenticator),
        live: Arc::clone(&context.live),
        clock: Arc::clone(&context.clock),
    };
    let expected = (!force).then_some(tag);
    let act = allowed.act.clone();
    let done = apply(&site, allowed.caller, act, wanted, Manner { dry_run, prune }, expected).await?;
    let tag = context.store.read(version).await?;
    Ok(HttpResponse::Ok().insert_header((header::ETAG, tag)).json(done))
}

/// The state that a body asks for.
fn read(mut body: serde_json::Value) -> Result<Wanted, Problem> {
    // What GET shows of a secret says that it stays.
    shape::drop_seen_secrets(&mut body);
    let faults = faults_of::<StateInput>(&body);
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    Wanted::read(body)
}

async fn apply(
    site: &Site,
    caller: Caller,
    act: Act,
    wanted: Held<Wanted>,
    manner: Manner,
    expected: Option<String>,
) -> Result<StateDone, Problem> {
    check_ca_file(&below("", Section::Settings.name()), wanted.setting(CA_FILE).as_deref()).await?;
    let mut op = ApplyState {
        wanted: Arc::new(wanted),
        passwords: Arc::default(),
        dry_run: true,
        prune: manner.prune,
        expected,
        caller: Arc::new(caller),
        live: Arc::clone(&site.live),
        at: site.clock.now(),
        told: Arc::default(),
    };
    if op.wanted.has_passwords() {
        // What else is wrong with it is said before a thousand passwords are hashed.
        site.store.write(op.clone()).await?.into_inner();
        op.passwords = Arc::new(passwords::prepare(site, &op.wanted, manner.dry_run).await?);
    }
    op.dry_run = manner.dry_run;
    if op.dry_run {
        return Ok(site.store.write(op).await?.into_inner());
    }
    let (told, at) = (Arc::clone(&op.told), op.at);
    let show = move |_: &Tx<'_>| Ok(told.lock().unwrap_or_else(PoisonError::into_inner).clone());
    let audited = Audited { op, act, target: "state".into(), at, show };
    let done = site.store.write(audited).await?.into_inner();
    site.live.refresh(|| site.store.view())?;
    Ok(done)
}
