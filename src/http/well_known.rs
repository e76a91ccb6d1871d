use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};

use super::context::Context;
use super::problem::{Code, Problem};
use crate::base::DomainName;
use crate::directory;
use crate::tlspolicy::StsPolicy;

/// Where others fetch the MTA-STS policy of a domain.
pub(super) const MTA_STS: &str = "/.well-known/mta-sts.txt";

/// Paths that other servers know (RFC 8615). They are not of the interface, so they are not part of the OpenAPI document.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(web::resource(MTA_STS).get(mta_sts));
}

/// The policy of the domain, or of its other name, whose policy host was asked.
// RFC 8461 §3.2, §3.3
async fn mta_sts(request: HttpRequest, context: web::Data<Context>) -> Result<HttpResponse, Problem> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let none = || Problem::new(Code::NotFound, "No MTA-STS policy is published under this name.");
    let name = domain_of(host).ok_or_else(none)?;
    let domain = directory::local_domain(&context.store.view()?, &name)?;
    let mode = domain.and_then(|domain| domain.fields.mta_sts_mode).ok_or_else(none)?;
    let policy = StsPolicy::own(mode, &context.delivery.outbound.hostname);
    Ok(HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "text/plain")).body(policy.text()))
}

/// The domain whose policy host that is, with or without a port.
fn domain_of(host: &str) -> Option<DomainName> {
    let name = host.split_once(':').map_or(host, |(name, _)| name);
    let (label, domain) = name.split_once('.')?;
    DomainName::parse(domain).ok().filter(|_| label.eq_ignore_ascii_case("mta-sts"))
}
