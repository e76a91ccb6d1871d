use std::path::PathBuf;

use crate::http::problem::{Fault, Problem};
use crate::http::validate::below;
use crate::tls::Roots;

/// The setting that names a file.
pub(in crate::http::api) const CA_FILE: &str = "delivery.ca_file";

/// Looks whether the file can be used that the setting is to name; its key stands below `pointer`. The next start would
/// fail on one that can't: better to say so now.
///
/// # Errors
/// 422 with what is wrong with it.
pub(in crate::http::api) async fn check_ca_file(pointer: &str, value: Option<&str>) -> Result<(), Problem> {
    let Some(path) = value.filter(|path| !path.is_empty()) else { return Ok(()) };
    let file = PathBuf::from(path);
    // A slow disk holds up nobody else.
    let read = tokio::task::spawn_blocking(move || Roots::public_and_file(&file).map(drop));
    read.await.map_err(Problem::internal)?.map_err(|error| {
        let message = format!("{path} on the server: {error}");
        Problem::invalid(vec![Fault::body(below(pointer, CA_FILE), "unreadable", message)])
    })
}
