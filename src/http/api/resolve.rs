use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use crate::base::Address;
use crate::directory::{self, Delivery};
use crate::http::caller::{AccountsRead, Allowed};
use crate::http::context::Context;
use crate::http::page::AddressQuery;
use crate::http::problem::Problem;

/// What would happen to mail for an address.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Resolution {
    /// The address.
    address: String,
    /// In one word.
    outcome: Outcome,
    /// Only mail from an authenticated account goes there.
    internal_only: bool,
    /// The accounts here that get a copy.
    accounts: Vec<Copy>,
    /// The addresses elsewhere that get one.
    remote: Vec<String>,
    /// The way there, step by step.
    steps: Vec<Step>,
}

/// What happens to mail for an address.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// It goes to accounts here.
    Local,
    /// It goes to addresses elsewhere, and perhaps to accounts here too.
    Forwards,
    /// The domain is ours, but nobody has the address.
    Unknown,
    /// The address or its domain is switched off.
    Disabled,
    /// Its aliases lead too far.
    TooFar,
    /// The domain is not ours.
    NotLocal,
}

/// A copy for an account.
#[derive(Serialize, ToSchema)]
#[schema(as = ResolvedCopy)]
pub(in crate::http) struct Copy {
    /// The account.
    address: String,
    /// What stood behind the separator, as in `alice+tag`.
    tag: Option<String>,
}

/// A step on the way.
#[derive(Serialize, ToSchema)]
#[schema(as = ResolvedStep)]
pub(in crate::http) struct Step {
    /// The address that it is about.
    address: String,
    /// What is found there.
    kind: StepKind,
    /// Where it goes on to; empty: the way ends there.
    to: Vec<String>,
    /// How many aliases, forwards and catch-alls have led there.
    depth: usize,
}

/// What is found at an address.
#[derive(Serialize, ToSchema)]
#[schema(as = ResolvedStepKind)]
#[serde(rename_all = "snake_case")]
enum StepKind {
    /// Its domain is another name of one of ours.
    DomainAlias,
    /// Nobody has it; somebody has it without its tag.
    Subaddress,
    /// An alias or a group.
    Alias,
    /// An account that gets a copy.
    Account,
    /// An account that forwards its mail.
    Forward,
    /// Nobody has it, and the domain's catch-all takes it.
    CatchAll,
    /// Every domain has this address, and an administrator reads it.
    Administrator,
    /// An address elsewhere, which gets a copy.
    Remote,
    /// The way has led there before: nobody gets two copies.
    Repeated,
    /// The address or its domain is switched off.
    Disabled,
    /// The domain is ours, but nobody has the address.
    Unknown,
    /// More levels or more members than the limits allow.
    TooFar,
    /// The domain is not ours.
    NotLocal,
}

impl StepKind {
    fn of(kind: directory::StepKind) -> Self {
        use directory::StepKind as Found;
        match kind {
            Found::DomainAlias => Self::DomainAlias,
            Found::Subaddress => Self::Subaddress,
            Found::Alias => Self::Alias,
            Found::Account => Self::Account,
            Found::Forward => Self::Forward,
            Found::CatchAll => Self::CatchAll,
            Found::Administrator => Self::Administrator,
            Found::Remote => Self::Remote,
            Found::Repeated => Self::Repeated,
            Found::Disabled => Self::Disabled,
            Found::Unknown => Self::Unknown,
            Found::TooFar => Self::TooFar,
            Found::NotLocal => Self::NotLocal,
        }
    }
}

impl Resolution {
    fn of(address: &Address, found: directory::Resolution, steps: Vec<directory::Step>) -> Self {
        use directory::Resolution as Found;
        let (outcome, internal_only, local, remote) = match found {
            Found::Local(local) => (Outcome::Local, false, local, Vec::new()),
            Found::InternalOnly(local) => (Outcome::Local, true, local, Vec::new()),
            Found::Forwards { local, remote, internal_only } => (Outcome::Forwards, internal_only, local, remote),
            Found::Unknown => (Outcome::Unknown, false, Vec::new(), Vec::new()),
            Found::Disabled => (Outcome::Disabled, false, Vec::new(), Vec::new()),
            Found::TooFar => (Outcome::TooFar, false, Vec::new(), Vec::new()),
            Found::NotLocal => (Outcome::NotLocal, false, Vec::new(), Vec::new()),
        };
        let step = |directory::Step { address, kind, to, depth }| Step { address, kind: StepKind::of(kind), to, depth };
        let copy = |delivery: Delivery| Copy { address: delivery.address.to_string(), tag: delivery.tag };
        Self {
            address: address.to_string(),
            outcome,
            internal_only,
            accounts: local.into_iter().map(copy).collect(),
            remote: remote.iter().map(Address::to_string).collect(),
            steps: steps.into_iter().map(step).collect(),
        }
    }
}

/// Says what would happen to mail for an address, and why: domain alias, account, alias or group, tag, forward and
/// catch-all are followed, step by step. Who is restricted to domains sees the steps in those.
#[utoipa::path(
    tag = "directory",
    params(("address" = String, Query, description = "The address")),
    responses((status = 200, description = "Where it leads", body = Resolution))
)]
#[get("/resolve")]
pub(in crate::http) async fn resolve_address(
    allowed: Allowed<AccountsRead>,
    context: web::Data<Context>,
    query: AddressQuery,
) -> Result<HttpResponse, Problem> {
    let AddressQuery(address) = query;
    if let Some(domain) = address.host.name() {
        allowed.caller.need_domain(domain)?;
    }
    let (found, mut steps) = directory::explain(&context.store.view()?, &address)?;
    // What is found in a domain that the caller does not reach is not theirs to know.
    steps.retain(|step| {
        let is_elsewhere = step.kind == directory::StepKind::Remote;
        let domain = Address::parse(&step.address).ok().and_then(|address| address.host.name().cloned());
        is_elsewhere || !allowed.caller.is_restricted() || domain.is_some_and(|domain| allowed.caller.reaches(&domain))
    });
    Ok(HttpResponse::Ok().json(Resolution::of(&address, found, steps)))
}
