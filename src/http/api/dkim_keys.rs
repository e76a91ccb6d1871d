use actix_web::{HttpRequest, HttpResponse, delete, get, post, web};
use serde_json::{Value, json};

use super::{Guard, audit_row, domain_of, jobs, list, show, stored};
use crate::base::DomainName;
use crate::directory;
use crate::dkim::{self, ActivateKey, AddKeys, DeleteKey, DkimKey, DnsState, KeyRefused};
use crate::http::body::Body;
use crate::http::caller::{Allowed, Caller, DomainsRead, DomainsWrite};
use crate::http::context::Context;
use crate::http::etag;
use crate::http::page::{ListParams, ListQuery, NoQuery};
use crate::http::problem::{Code, Fault, Problem, Refusal};
use crate::http::switches::Switches;
use crate::jobs::{Failed, Order, Task};
use crate::rotation::{self, NotMade};
use crate::store::{StoreError, Tx, WriteError};

mod shape;

use shape::{DkimKeyPage, Key, KeyInput};

/// Lists a domain's DKIM keys, by selector.
#[utoipa::path(
    tag = "directory",
    params(("domain" = String, Path, description = "The domain's name"), ListParams),
    responses(
        (status = 200, description = "A page of keys", body = DkimKeyPage),
        (status = 404, description = "There is no such domain"),
    )
)]
#[get("/domains/{domain}/dkim-keys")]
pub(in crate::http) async fn list_dkim_keys(
    allowed: Allowed<DomainsRead>,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
    query: ListQuery,
) -> Result<HttpResponse, Problem> {
    let domain = find_domain(&context, &allowed.caller, &path)?.name;
    let query = query.allow(&[])?;
    let after = query.after_key(|selector| Ok::<_, std::convert::Infallible>(selector.to_owned()))?;
    let found = context
        .store
        .read(move |view| {
            let fetch = |after: Option<&String>, limit: usize| {
                let all = dkim::keys(view, &domain)?.into_iter();
                Ok(all.filter(|key| after.is_none_or(|after| key.selector > *after)).take(limit).collect())
            };
            list(&query, after, fetch, |_| true, |key: &DkimKey| key.selector.clone())
        })
        .await?;
    Ok(found.answer::<DkimKeyPage, _>(&request, Key::of))
}

/// Shows a DKIM key; its private part is shown nowhere.
#[utoipa::path(
    tag = "directory",
    params(
        ("domain" = String, Path, description = "The domain's name"),
        ("selector" = String, Path, description = "The key's selector"),
    ),
    responses((status = 200, description = "The key", body = Key), (status = 304, description = "The client has it"))
)]
#[get("/domains/{domain}/dkim-keys/{selector}")]
pub(in crate::http) async fn get_dkim_key(
    allowed: Allowed<DomainsRead>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (_, key) = find(&context, &allowed.caller, &path)?;
    Ok(show(&request, etag::of(key.version), &Key::of(&key)))
}

/// Makes a DKIM key for a domain. It signs once its record was seen in the DNS: the server looks every few minutes.
#[utoipa::path(
    tag = "directory",
    params(("domain" = String, Path, description = "The domain's name")),
    request_body = KeyInput,
    responses(
        (status = 201, description = "Created, and pending: its record is to be published", body = Key),
        (status = 404, description = "There is no such domain"),
        (status = 409, description = "There is a key with that selector, or the domain has as many as it may have"),
    )
)]
#[post("/domains/{domain}/dkim-keys")]
pub(in crate::http) async fn create_dkim_key(
    allowed: Allowed<DomainsWrite>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<String>,
    body: Body<KeyInput>,
) -> Result<HttpResponse, Problem> {
    let domain = find_domain(&context, &allowed.caller, &path)?.name;
    let (at, algorithm) = (context.clock.now(), body.0.algorithm.read());
    let known = dkim::keys(&context.store.view()?, &domain)?;
    let selector = body.0.selector.unwrap_or_else(|| dkim::new_selector(algorithm, at, &known));
    // An RSA key costs some tenths of a second: not for nothing.
    if known.len() >= crate::base::limits::DKIM_KEYS_PER_DOMAIN {
        return Err(KeyRefused::TooMany.problem());
    }
    if known.iter().any(|key| key.selector == selector) {
        return Err(KeyRefused::Taken(selector).problem());
    }
    let pair = rotation::make_pair(algorithm).await.map_err(not_made)?;
    let op = AddKeys { domain: domain.clone(), keys: vec![(selector.clone(), pair)], only_first: false, at };
    let target = format!("{domain}/{selector}");
    let added = allowed.write(&context, target, op, shows(&domain, &selector)).await?.into_inner();
    let key = added.first().ok_or_else(|| Problem::internal("no key was added"))?;
    Ok(stored(true, &format!("domains/{domain}/dkim-keys"), &selector, etag::of(key.version), &Key::of(key)))
}

/// Lets a DKIM key sign. The key of the same algorithm that signs now retires: its record has to stay for a week at least,
/// and as long as mail waits that it may have signed; then the server removes the key. The DNS is asked anew.
#[utoipa::path(
    tag = "directory",
    params(
        ("domain" = String, Path, description = "The domain's name"),
        ("selector" = String, Path, description = "The key's selector"),
        ("force" = Option<bool>, Query, description = "Whether to do it although the record was not seen in the DNS"),
    ),
    responses(
        (status = 200, description = "It signs", body = Key),
        (status = 404, description = "There is no such key"),
        (status = 409, description = "Its record is not in the DNS, or its private key is gone"),
    )
)]
#[post("/domains/{domain}/dkim-keys/{selector}/activate")]
pub(in crate::http) async fn activate_dkim_key(
    allowed: Allowed<DomainsWrite>,
    switches: Switches,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let [force] = switches.read(["force"])?;
    let (domain, key) = find(&context, &allowed.caller, &path)?;
    let guard = Guard::read(&request, Some(key.version))?;
    let look = look(&context, &domain, &key).await?;
    if look.dns != DnsState::Published && !force {
        return Err(not_published(&key, look.dns));
    }
    let mut seen_in = look.seen_in;
    if force && !seen_in.contains(&domain.name) {
        seen_in.push(domain.name.clone());
    }
    let DkimKey { domain, selector, .. } = key;
    let (at, precondition) = (context.clock.now(), guard.as_read);
    let op = ActivateKey { domain: domain.clone(), selector: selector.clone(), seen_in, precondition, at };
    let written = allowed.write(&context, format!("{domain}/{selector}"), op, shows(&domain, &selector)).await;
    let key = written.map_err(|error| guard.problem(error))?.into_inner();
    Ok(HttpResponse::Ok().insert_header((actix_web::http::header::ETAG, etag::of(key.version))).json(Key::of(&key)))
}

/// Deletes a DKIM key. One that signs, or that retires, only with `force=true`: mail on its way may not be verified then.
#[utoipa::path(
    tag = "directory",
    params(
        ("domain" = String, Path, description = "The domain's name"),
        ("selector" = String, Path, description = "The key's selector"),
        ("force" = Option<bool>, Query, description = "Whether to do it although the key is in use"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 409, description = "It signs, or mail that it has signed may be on its way"),
    )
)]
#[delete("/domains/{domain}/dkim-keys/{selector}")]
pub(in crate::http) async fn delete_dkim_key(
    allowed: Allowed<DomainsWrite>,
    switches: Switches,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let [force] = switches.read(["force"])?;
    let (_, key) = find(&context, &allowed.caller, &path)?;
    let guard = Guard::read(&request, Some(key.version))?;
    let DkimKey { domain, selector, .. } = key;
    let (target, show) = (format!("{domain}/{selector}"), shows(&domain, &selector));
    let op = DeleteKey { domain, selector, precondition: guard.asked, force };
    allowed.write(&context, target, op, show).await?.into_inner();
    Ok(HttpResponse::NoContent().finish())
}

/// Begins a rotation: makes a new key of each algorithm, as a job whose result says `keys`, each with the record to be
/// published. The server does the rest by itself: a new key signs once its record was seen in the DNS, the one before it
/// retires, and is removed when no mail waits any more that it may have signed.
#[utoipa::path(
    tag = "directory",
    params(("domain" = String, Path, description = "The domain's name")),
    responses(
        (status = 202, description = "The job is started", body = jobs::Job),
        (status = 404, description = "There is no such domain"),
        (status = 409, description = "The domain has as many keys as it may have"),
    )
)]
#[post("/domains/{domain}/dkim/rotate")]
pub(in crate::http) async fn rotate_dkim_keys(
    allowed: Allowed<DomainsWrite>,
    _none: NoQuery,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let domain = find_domain(&context, &allowed.caller, &path)?.name;
    let known = dkim::keys(&context.store.view()?, &domain)?;
    if known.len() + dkim::Algorithm::ALL.len() > crate::base::limits::DKIM_KEYS_PER_DOMAIN {
        return Err(KeyRefused::TooMany.problem());
    }
    let order =
        Order { kind: "dkim_rotation", target: domain.to_string(), actor: allowed.caller.name(), session: None };
    allowed.note(&context, &domain, None).await?;
    let (store, at) = (context.store.clone(), context.clock.now());
    let work = async move |_task: Task| {
        let op = rotation::make(&known, &domain, false, at).await;
        let op = op.map_err(|error| Failed::because(error.to_string()))?;
        let keys = store.write(op).await.map_err(|error| match error {
            WriteError::Refused(why) => Failed::because(why.to_string()),
            error => Failed::because(error.to_string()),
        });
        let keys: Vec<Key> = keys?.into_inner().iter().map(Key::of).collect();
        Ok(json!({"keys": keys}))
    };
    let id = context.jobs.start(order, work).await.map_err(jobs::not_started)?;
    jobs::started(&context, id)
}

/// The domain of the path, where the caller reaches it.
pub(super) fn find_domain(context: &Context, caller: &Caller, path: &str) -> Result<directory::Domain, Problem> {
    let name = domain_of(path)?;
    caller.need_domain(&name)?;
    directory::domain(&context.store.view()?, &name)?.ok_or_else(|| Problem::not_found("domain", &name))
}

/// The key of the path, with its domain.
fn find(
    context: &Context,
    caller: &Caller,
    (domain, selector): &(String, String),
) -> Result<(directory::Domain, DkimKey), Problem> {
    let domain = find_domain(context, caller, domain)?;
    let key = dkim::key(&context.store.view()?, &domain.name, selector)?;
    Ok((domain, key.ok_or_else(|| Problem::not_found("key", selector))?))
}

/// What the DNS says of a key at this moment.
async fn look(context: &Context, domain: &directory::Domain, key: &DkimKey) -> Result<rotation::Look, Problem> {
    let (out, domain, key) = (context.delivery.clone(), domain.clone(), key.clone());
    // Where the resolver's connections live.
    let look = context.jobs.aside(async move { rotation::look(&out.resolver, &domain, &key, true).await }).await;
    look.ok_or_else(|| Problem::new(Code::NotReady, "The server is stopping."))
}

/// Shows the key, for the audit.
fn shows(domain: &DomainName, selector: &str) -> impl Fn(&Tx<'_>) -> Result<Option<Value>, StoreError> + use<> {
    let (domain, selector) = (domain.clone(), selector.to_owned());
    move |tx| audit_row(dkim::key(tx, &domain, &selector)?, |key| Ok((Key::of(key), String::new())))
}

fn not_published(key: &DkimKey, dns: DnsState) -> Problem {
    let name = dkim::record_name(&key.selector, &key.domain);
    let (code, what) = match dns {
        DnsState::Missing => ("missing", "there is no such record in the DNS"),
        DnsState::Wrong => ("wrong", "the DNS has something else there"),
        DnsState::Unknown | DnsState::Published => ("unknown", "the DNS gives no answer"),
    };
    let detail = format!("{name}: {what}. Publish the record and try again, or say force=true.");
    Problem::new(Code::Conflict, detail).with_faults(vec![Fault::reason(code, what)])
}

fn not_made(error: NotMade) -> Problem {
    match error {
        NotMade::Refused(refused) => refused.problem(),
        NotMade::Stopping => Problem::new(Code::NotReady, "The server is stopping."),
        NotMade::Fault(error) => Problem::internal(error),
        NotMade::Store(error) => error.into(),
    }
}

impl Refusal for KeyRefused {
    fn is_precondition(&self) -> bool {
        *self == Self::Precondition
    }

    fn problem(self) -> Problem {
        let detail = format!("{self}.");
        match self {
            Self::NoDomain(domain) => Problem::not_found("domain", domain),
            Self::Unknown => Problem::new(Code::NotFound, "There is no such key."),
            Self::Precondition => Problem::new(Code::PreconditionFailed, "It was changed meanwhile: read it again."),
            Self::Selector => Problem::invalid(vec![Fault::body("/selector", "malformed", self.to_string())]),
            Self::InUse => Problem::new(Code::Conflict, format!("{detail} Say force=true to delete it all the same.")),
            Self::Taken(_) | Self::NotFirst | Self::TooMany | Self::NoPrivateKey => {
                Problem::new(Code::Conflict, detail)
            }
        }
    }
}
