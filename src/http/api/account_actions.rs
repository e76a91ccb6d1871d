use actix_web::{HttpResponse, post, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::accounts::may_change;
use super::address_of;
use crate::audit::Complete;
use crate::base::limits;
use crate::directory::{self, AccountChange, EndSessions, Precondition, Refused};
use crate::http::body::OptionalBody;
use crate::http::caller::{AccountsWrite, Allowed};
use crate::http::context::Context;
use crate::http::page::NoQuery;
use crate::http::problem::{Code, Problem};
use crate::mailbox::PutAccount;
use crate::queue::{self, Act, Action, Selector, State};
use crate::store::{StoreError, Tx, WriteError};

/// How an account is switched off.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct DisableInput {
    /// Whether what the account has sent and what still waits in the queue is held, until an operator releases it: for an
    /// account that somebody else has got hold of.
    #[serde(default)]
    #[schema(default = false)]
    hold_queue: bool,
}

/// What was done with an account.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct AccountDone {
    /// Its address.
    address: String,
    /// Whether it takes mail and can log in.
    enabled: bool,
    /// Sessions of the admin page that have ended.
    sessions_ended: usize,
    /// Queue entries that are held now.
    entries_held: u64,
}

/// Switches an account off: nobody logs in any more, its sessions by cookie end, and mail for it is refused. A session of
/// a mail program that is open ends by itself: what it sends is refused. With `hold_queue`, what it has sent stays here.
#[utoipa::path(
    tag = "directory",
    params(("address" = String, Path, description = "The account's address, percent-encoded")),
    request_body(content = Option<DisableInput>, description = "May be left out"),
    responses(
        (status = 200, description = "It is off", body = AccountDone),
        (status = 404, description = "There is no such account"),
        (status = 409, description = "Somebody changed it at the same moment"),
    )
)]
#[post("/accounts/{address}/disable")]
pub(in crate::http) async fn disable_account(
    allowed: Allowed<AccountsWrite>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<String>,
    body: OptionalBody<DisableInput>,
) -> Result<HttpResponse, Problem> {
    let account = find(&context, &allowed, &path)?;
    let sessions = directory::sessions_of(&context.store.view()?, account.id)?.len();
    switch(&context, &allowed, &account, false).await?;
    let entries_held = if body.0.hold_queue { hold(&context, &allowed, &account).await? } else { 0 };
    let address = account.address.to_string();
    Ok(HttpResponse::Ok().json(AccountDone { address, enabled: false, sessions_ended: sessions, entries_held }))
}

/// Switches an account on again. What was held of it in the queue stays held.
#[utoipa::path(
    tag = "directory",
    params(("address" = String, Path, description = "The account's address, percent-encoded")),
    responses(
        (status = 200, description = "It is on", body = AccountDone),
        (status = 404, description = "There is no such account"),
        (status = 409, description = "Somebody changed it at the same moment"),
    )
)]
#[post("/accounts/{address}/enable")]
pub(in crate::http) async fn enable_account(
    allowed: Allowed<AccountsWrite>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let account = find(&context, &allowed, &path)?;
    switch(&context, &allowed, &account, true).await?;
    let address = account.address.to_string();
    Ok(HttpResponse::Ok().json(AccountDone { address, enabled: true, sessions_ended: 0, entries_held: 0 }))
}

/// Ends the account's sessions of the admin page, and forgets the logins that were verified: the next one is verified
/// anew. A mail program that is connected stays so until it logs in again.
#[utoipa::path(
    tag = "directory",
    params(("address" = String, Path, description = "The account's address, percent-encoded")),
    responses(
        (status = 200, description = "It is logged out", body = AccountDone),
        (status = 404, description = "There is no such account"),
    )
)]
#[post("/accounts/{address}/logout")]
pub(in crate::http) async fn log_out_account(
    allowed: Allowed<AccountsWrite>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let account = find(&context, &allowed, &path)?;
    let id = account.id;
    let show = move |tx: &Tx<'_>| Ok(Some(json!({"sessions": directory::sessions_of(tx, id)?.len()})));
    let ended = allowed.write(&context, &account.address, EndSessions { account: id }, show).await?.into_inner();
    context.authenticator.forget();
    let (address, enabled) = (account.address.to_string(), account.fields.enabled);
    Ok(HttpResponse::Ok().json(AccountDone { address, enabled, sessions_ended: ended, entries_held: 0 }))
}

/// The account of the path, where the caller may change it.
fn find(context: &Context, allowed: &Allowed<AccountsWrite>, path: &str) -> Result<directory::Account, Problem> {
    let (address, domain) = address_of(path)?;
    allowed.caller.need_domain(&domain)?;
    let account = directory::account(&context.store.view()?, &address)?;
    let account = account.ok_or_else(|| Problem::not_found("account", &address))?;
    may_change(&allowed.caller, &account)?;
    Ok(account)
}

/// Switches it on or off, and nothing else of it.
async fn switch(
    context: &Context,
    allowed: &Allowed<AccountsWrite>,
    account: &directory::Account,
    enabled: bool,
) -> Result<(), Problem> {
    let change = AccountChange {
        address: account.address.clone(),
        fields: directory::AccountFields { enabled, ..account.fields.clone() },
        password: None,
        precondition: Precondition::Version(account.version),
        at: context.clock.now(),
    };
    let id = account.id;
    let show = move |tx: &Tx<'_>| -> Result<Option<Value>, StoreError> {
        Ok(directory::account_by_id(tx, id)?.map(|account| json!({"enabled": account.fields.enabled})))
    };
    let done = allowed.write(context, &account.address, PutAccount(change), show).await;
    done.map(|done| drop(done.into_inner())).map_err(|error| match error {
        WriteError::Refused(Refused::Precondition) => {
            Problem::new(Code::Conflict, "Somebody else changed it at the same moment: send the request again.")
        }
        error => error.into(),
    })
}

/// Holds what the account has sent and what still waits; says how many entries.
async fn hold(
    context: &Context,
    allowed: &Allowed<AccountsWrite>,
    account: &directory::Account,
) -> Result<u64, Problem> {
    let address = account.address.to_string();
    let note = allowed.note(context, &address, Some(json!({"hold_queue": true}))).await?;
    let selector = Selector::Sender(address.clone());
    let (mut held, mut after) = (0, None);
    loop {
        let slice = selector.slice(&context.store.view()?, after, limits::QUEUE_SLICE)?;
        let is_free = |one: &&queue::Waiting| !matches!(one.entry.state, State::Held { .. });
        for entry in slice.entries.iter().filter(is_free) {
            let reason = format!("{address} was disabled");
            let op = Act {
                entries: vec![entry.id],
                action: Action::Hold { reason, until: None },
                actor: allowed.caller.name(),
                at: context.clock.now(),
            };
            match context.store.write(op).await {
                Ok(done) => {
                    done.into_inner();
                    held += 1;
                }
                // It is on its way, or gone.
                Err(WriteError::Refused(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        match slice.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    context
        .store
        .write(Complete { id: note, after: json!({"hold_queue": true, "entries_held": held}) })
        .await?
        .into_inner();
    Ok(held)
}
