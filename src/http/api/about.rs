use std::sync::OnceLock;

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::show;
use crate::http::caller::{Allowed, Anybody};
use crate::http::context::Context;
use crate::http::document;
use crate::http::page::NoQuery;
use crate::store::Secrets;

/// Which server this is.
#[derive(Serialize, ToSchema)]
pub(in crate::http) struct Version {
    /// The program's name.
    name: &'static str,
    /// Its release.
    version: &'static str,
    /// The name that the server gives itself.
    hostname: String,
    /// How private keys and passwords for other servers lie in the file.
    secrets: SecretsAtRest,
}

/// How secrets that have to be readable lie in the file.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum SecretsAtRest {
    /// As they are: one file restores everything.
    Plain,
    /// Sealed with the key of `--key-file`.
    Sealed,
}

/// Which release answers, and as which host. Any token will do.
#[utoipa::path(tag = "about", responses((status = 200, description = "The release", body = Version)))]
#[get("/version")]
pub(in crate::http) async fn get_version(
    _allowed: Allowed<Anybody>,
    _none: NoQuery,
    context: web::Data<Context>,
) -> web::Json<Version> {
    let secrets = match context.store.secrets() {
        Secrets::Plain => SecretsAtRest::Plain,
        Secrets::Sealed { .. } => SecretsAtRest::Sealed,
    };
    let version = env!("CARGO_PKG_VERSION");
    web::Json(Version { name: "pillarbox", version, hostname: context.hostname.clone(), secrets })
}

/// This document.
#[utoipa::path(
    tag = "about",
    security(()),
    responses(
        (status = 200, description = "The OpenAPI document", body = Object, content_type = "application/json"),
        (status = 304, description = "The client has it"),
    )
)]
#[get("/openapi.json")]
pub(in crate::http) async fn get_openapi(request: HttpRequest) -> HttpResponse {
    static ETAG: OnceLock<String> = OnceLock::new();
    let document = document::json();
    let etag = ETAG.get_or_init(|| format!("\"{}\"", &blake3::hash(document.to_string().as_bytes()).to_hex()[..16]));
    show(&request, etag.clone(), document)
}
