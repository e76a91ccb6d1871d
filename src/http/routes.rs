use utoipa_actix_web::scope;
use utoipa_actix_web::service_config::ServiceConfig;

use super::api::{about, accounts, aliases, domains, resolve, tokens};
use super::health;

/// Every operation of the OpenAPI document.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config.service(health::healthz).service(health::livez).service(health::readyz);
    config.service(scope("/api/v1").configure(|api| {
        api.service(about::get_version)
            .service(about::get_openapi)
            .service(domains::list_domains)
            .service(domains::get_domain)
            .service(domains::put_domain)
            .service(domains::patch_domain)
            .service(domains::delete_domain)
            .service(accounts::list_accounts)
            .service(accounts::get_account)
            .service(accounts::put_account)
            .service(accounts::patch_account)
            .service(accounts::delete_account)
            .service(aliases::list_aliases)
            .service(aliases::get_alias)
            .service(aliases::put_alias)
            .service(aliases::patch_alias)
            .service(aliases::delete_alias)
            .service(resolve::resolve_address)
            .service(tokens::list_tokens)
            .service(tokens::get_token)
            .service(tokens::create_token)
            .service(tokens::delete_token);
    }));
}
