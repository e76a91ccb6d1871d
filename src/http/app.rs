use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::{App, Error, HttpRequest, HttpResponse, web};

use super::context::Context;
use super::frame::frame;
use super::once::once;
use super::problem::Problem;
use super::{admin, document, routes, well_known};

/// The whole interface, the same on every listener.
pub(super) fn app(
    context: web::Data<Context>,
) -> App<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()>,
> {
    App::new()
        .app_data(context)
        .configure(routes::health)
        .service(web::scope(routes::API).configure(routes::api))
        .configure(well_known::routes)
        .configure(admin::routes)
        .default_service(web::to(unknown))
        .wrap(from_fn(once))
        .wrap(from_fn(frame))
}

/// A path that the document has, with a method that it does not have, is 405; any other path is 404.
async fn unknown(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let Some(methods) = document::methods(request.path()) else {
        return Err(Problem::from_status(StatusCode::NOT_FOUND));
    };
    Err(document::wrong_method(&methods))
}
