use actix_web::{HttpRequest, HttpResponse, delete, get, post, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::accounts::{may_change, may_read};
use super::{account_of, stored};
use crate::base::{AccountId, Timestamp};
use crate::directory::{self, CreateAppPassword, DeleteAppPassword, Protocol};
use crate::http::audited::shown;
use crate::http::body::Body;
use crate::http::caller::{AccountsRead, AccountsWrite, Allowed};
use crate::http::context::Context;
use crate::http::etag;
use crate::http::page::NoQuery;
use crate::http::path_segment;
use crate::http::problem::{Fault, Problem};
use crate::store::{StoreError, Tx};

/// A password for one program; it is shown once, when it is made.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct AppPassword {
    /// Its id, within the account.
    id: String,
    /// What it is for.
    name: String,
    /// Where one may log in with it.
    protocols: Vec<AppProtocol>,
    /// When it was made.
    created_at: String,
    /// When it ends; null: never.
    expires_at: Option<String>,
    /// When it was last used, to the minute.
    last_used_at: Option<String>,
    /// The password: only in the answer to its creation, and kept nowhere. Hyphens and capitals don't matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    secret: Option<String>,
}

/// The app passwords of an account.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct AppPasswordList {
    /// All of them, at most 50.
    items: Vec<AppPassword>,
}

/// What is set of an app password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct AppPasswordInput {
    /// What it is for, for people.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    /// Where one may log in with it; left out: everywhere where there is mail.
    #[serde(default = "every_protocol")]
    #[schema(min_items = 1, max_items = 3)]
    protocols: Vec<AppProtocol>,
    /// When it ends (RFC 3339); null: never.
    #[serde(default)]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// Where one may log in with an app password: where there is mail, and never here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum AppProtocol {
    /// Sending, by SMTP.
    Submission,
    /// Reading, by POP3.
    Pop3,
    /// Reading, by IMAP.
    Imap,
}

fn every_protocol() -> Vec<AppProtocol> {
    vec![AppProtocol::Submission, AppProtocol::Pop3, AppProtocol::Imap]
}

impl AppProtocol {
    fn read(self) -> Protocol {
        match self {
            Self::Submission => Protocol::Submission,
            Self::Pop3 => Protocol::Pop3,
            Self::Imap => Protocol::Imap,
        }
    }

    fn of(protocol: Protocol) -> Option<Self> {
        every_protocol().into_iter().find(|one| one.read() == protocol)
    }
}

impl AppPassword {
    fn of(row: &directory::AppPassword) -> Self {
        Self {
            id: row.id.clone(),
            name: row.name.clone(),
            protocols: row.protocols.iter().copied().filter_map(AppProtocol::of).collect(),
            created_at: row.created_at.rfc3339(),
            expires_at: row.expires_at.map(Timestamp::rfc3339),
            last_used_at: row.last_used_at.map(Timestamp::rfc3339),
            secret: None,
        }
    }
}

/// Lists the app passwords of an account, without their secrets.
#[utoipa::path(
    tag = "directory",
    params(("address" = String, Path, description = "The account's address, percent-encoded")),
    responses(
        (status = 200, description = "The app passwords", body = AppPasswordList),
        (status = 404, description = "There is no such account"),
    )
)]
#[get("/accounts/{address}/app-passwords")]
pub(in crate::http) async fn list_app_passwords(
    allowed: Allowed<AccountsRead>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<web::Json<AppPasswordList>, Problem> {
    let account = account_of(&context, &allowed.caller, &path)?;
    let rows = directory::app_passwords(&context.store.view()?, account.id)?;
    Ok(web::Json(AppPasswordList { items: rows.iter().map(AppPassword::of).collect() }))
}

/// Makes a password for one program, which can be taken back alone. With it one logs in to mail, and never here. One for
/// POP3 or IMAP gives somebody's mail: of an account that isn't the caller's own it needs the scope `messages:read` too.
#[utoipa::path(
    tag = "directory",
    params(("address" = String, Path, description = "The account's address, percent-encoded")),
    request_body = AppPasswordInput,
    responses(
        (status = 201, description = "Made; the secret is shown this once", body = AppPassword),
        (status = 404, description = "There is no such account"),
        (status = 409, description = "The account has as many as it may have"),
    )
)]
#[post("/accounts/{address}/app-passwords")]
pub(in crate::http) async fn create_app_password(
    allowed: Allowed<AccountsWrite>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<String>,
    body: Body<AppPasswordInput>,
) -> Result<HttpResponse, Problem> {
    let account = account_of(&context, &allowed.caller, &path)?;
    may_change(&allowed.caller, &account)?;
    let AppPasswordInput { name, protocols, expires_at } = body.0;
    if protocols.iter().any(|protocol| *protocol != AppProtocol::Submission) {
        may_read(&allowed.caller, &account, "An app password for another's mail by POP3 or IMAP")?;
    }
    let now = context.clock.now();
    let expires_at = expires_at.map(|text| Timestamp::parse_rfc3339(&text).ok_or_else(not_a_time)).transpose()?;
    let protocols = protocols.into_iter().map(AppProtocol::read).collect();
    let (op, secret) = CreateAppPassword::new(account.id, name, protocols, expires_at, context.random.as_ref(), now);
    let (target, id) = (format!("{}/{}", account.address, op.id()), op.id().to_owned());
    let row = allowed.write(&context, target, op, shows(account.id, &id)).await?.into_inner();
    let made = AppPassword { secret: Some(secret.expose().clone()), ..AppPassword::of(&row) };
    let folder = format!("accounts/{}/app-passwords", path_segment(&account.address.to_string()));
    Ok(stored(true, &folder, &row.id, etag::of(row.created_at.ms()), &made))
}

/// Takes an app password back: nobody logs in with it from then on.
#[utoipa::path(
    tag = "directory",
    params(
        ("address" = String, Path, description = "The account's address, percent-encoded"),
        ("id" = String, Path, description = "The app password's id"),
    ),
    responses((status = 204, description = "Taken back"))
)]
#[delete("/accounts/{address}/app-passwords/{id}")]
pub(in crate::http) async fn delete_app_password(
    allowed: Allowed<AccountsWrite>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (address, id) = path.into_inner();
    let account = account_of(&context, &allowed.caller, &address)?;
    may_change(&allowed.caller, &account)?;
    let row = directory::app_password(&context.store.view()?, account.id, &id)?;
    let row = row.ok_or_else(|| Problem::not_found("app password", &id))?;
    etag::expect(&request, Some(row.created_at.ms()))?;
    let target = format!("{}/{id}", account.address);
    let op = DeleteAppPassword { account: account.id, id: id.clone() };
    allowed.write(&context, target, op, shows(account.id, &id)).await?.into_inner();
    Ok(HttpResponse::NoContent().finish())
}

fn not_a_time() -> Problem {
    let message = "not a time as in 2027-01-31T00:00:00Z (RFC 3339)";
    Problem::invalid(vec![Fault::body("/expires_at", "malformed", message)])
}

/// Shows the app password, for the audit; its secret is shown nowhere.
fn shows(account: AccountId, id: &str) -> impl Fn(&Tx<'_>) -> Result<Option<Value>, StoreError> + use<> {
    let id = id.to_owned();
    move |tx| Ok(shown(directory::app_password(tx, account, &id)?.map(|row| AppPassword::of(&row))))
}
