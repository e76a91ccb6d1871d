use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, patch, web};
use serde_json::Value;

use super::show;
use crate::http::body::Patch;
use crate::http::caller::{Allowed, SettingsRead, SettingsWrite};
use crate::http::context::Context;
use crate::http::etag;
use crate::http::page::NoQuery;
use crate::http::problem::{Code, Fault, Problem, Refusal};
use crate::http::switches::Switches;
use crate::http::validate::below;
use crate::settings::{self, Change, ChangeRefused, KEYS, Setter, SettingError, SettingRow};
use crate::store::Tx;

mod ca_file;
mod shape;

pub(super) use ca_file::{CA_FILE, check_ca_file};
pub(super) use shape::SettingValue;
use shape::{Setting, SettingList, SettingsPatch, SettingsPatchDocument};

const WHAT: &str = "see or change settings";

/// Lists the settings: every key that there is, with its value and where that comes from.
#[utoipa::path(
    tag = "settings",
    responses(
        (status = 200, description = "The settings", body = SettingList,
            headers(("ETag" = String, description = "Changes with any of them: what PATCH asks for in If-Match"))),
        (status = 304, description = "The client has them"),
    )
)]
#[get("/settings")]
pub(in crate::http) async fn list_settings(
    allowed: Allowed<SettingsRead>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let list = seen(&context, &settings::stored(&context.store.view()?)?)?;
    Ok(show(&request, etag::of_content(&list), &list))
}

/// Shows a setting.
#[utoipa::path(
    tag = "settings",
    params(("key" = String, Path, description = "The key, as in `limits.recipients`")),
    responses((status = 200, description = "The setting", body = Setting), (status = 304, description = "The client has it"))
)]
#[get("/settings/{key}")]
pub(in crate::http) async fn get_setting(
    allowed: Allowed<SettingsRead>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let key = settings::key(&path).map_err(|error| Problem::new(Code::NotFound, format!("{}.", capital(&error))))?;
    let rows = settings::stored(&context.store.view()?)?;
    let setting = Setting::of(key, &context.live, &rows).map_err(Problem::internal)?;
    Ok(show(&request, etag::of_content(&setting), &setting))
}

/// Sets settings in the data file, or takes them back to their defaults by null; all of them or, when one can't be taken,
/// none. What the environment or a flag sets stays in force over it: `overridden` says so in the answer, which has the
/// settings that were named.
#[utoipa::path(
    tag = "settings",
    params(("force" = Option<bool>, Query, description = "Whether to go without If-Match, over what others may have changed")),
    request_body(content = SettingsPatchDocument, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The settings that were named, as they are now", body = SettingList,
            headers(("ETag" = String, description = "That of all settings, as they are now"))),
        (status = 412, description = "The settings have changed since that ETag was given out"),
        (status = 428, description = "Neither If-Match nor force=true"),
    )
)]
#[patch("/settings")]
pub(in crate::http) async fn patch_settings(
    allowed: Allowed<SettingsWrite>,
    switches: Switches,
    request: HttpRequest,
    context: web::Data<Context>,
    patch: Patch,
) -> Result<HttpResponse, Problem> {
    allowed.caller.need_unrestricted(WHAT)?;
    let [force] = switches.read(["force"])?;
    let rows = settings::stored(&context.store.view()?)?;
    etag::need_content(&request, &etag::of_content(&seen(&context, &rows)?), force)?;
    let patch = SettingsPatch::read(patch.0)?;
    check_ca_file("", patch.value(CA_FILE)).await?;
    let named: Vec<String> = patch.0.iter().map(|(name, _)| name.clone()).collect();
    let expected = (!force).then_some(rows);
    let op = Change { values: patch.0, setter: Setter::Page, expected, at: context.clock.now() };
    let keys = named.clone();
    let show = move |tx: &Tx<'_>| {
        let rows = settings::stored(tx)?;
        let mut set = rows.into_iter().filter(|(name, _)| keys.contains(name));
        let set: serde_json::Map<String, Value> = set.by_ref().map(|(name, row)| (name, row.value.into())).collect();
        Ok(Some(Value::Object(set)))
    };
    allowed.write(&context, "settings", op, show).await?.into_inner();
    context.live.refresh(|| context.store.view())?;
    let all = seen(&context, &settings::stored(&context.store.view()?)?)?;
    let tag = etag::of_content(&all);
    let items = all.items.into_iter().filter(|setting| named.contains(&setting.key)).collect();
    Ok(HttpResponse::Ok().insert_header((header::ETAG, tag)).json(SettingList { items }))
}

fn seen(context: &Context, rows: &[(String, SettingRow)]) -> Result<SettingList, Problem> {
    let items = KEYS.iter().map(|key| Setting::of(key, &context.live, rows)).collect::<Result<_, _>>();
    Ok(SettingList { items: items.map_err(Problem::internal)? })
}

/// A fault of a value, at its key below `pointer`.
pub(super) fn fault(pointer: &str, error: &SettingError) -> Fault {
    let code = match error {
        SettingError::Unknown { .. } => "unknown_setting",
        SettingError::Value { .. } | SettingError::Form(_) => "malformed",
        SettingError::Meaning { .. } => "not_allowed",
        SettingError::Zero(_) => "too_small",
        SettingError::PrecedesFile(_) => "not_in_the_file",
    };
    Fault::body(below(pointer, error.key()), code, error.to_string())
}

fn capital(text: &impl std::fmt::Display) -> String {
    let text = text.to_string();
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

impl Refusal for ChangeRefused {
    fn is_precondition(&self) -> bool {
        *self == Self::Precondition
    }

    fn problem(self) -> Problem {
        match self {
            Self::Precondition => Problem::new(Code::PreconditionFailed, "It was changed meanwhile: read it again."),
            Self::Values(faults) => Problem::invalid(faults.iter().map(|error| fault("", error)).collect()),
        }
    }
}
