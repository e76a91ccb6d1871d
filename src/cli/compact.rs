use std::ops::ControlFlow;
use std::path::Path;

use hyper::Method;

use super::args::Output;
use super::client::Client;
use super::failure::Failure;
use super::{jobs, output};
use crate::schema::SCHEMA;
use crate::store::{CompactError, Options, Store};

const COMPACT: &str = "/api/v1/maintenance/compact";

/// `pillarbox compact`: by the running server; where none has the data file open, the file itself.
pub fn by_server(data: &Path, is_local: bool, wait: bool, client: &Client, form: Output) -> Result<(), Failure> {
    match client.send(Method::POST, COMPACT, &[], None) {
        Err(Failure::Unreachable(_)) if is_local && data.exists() => file(data),
        job => jobs::started(job?.body, wait, client, form),
    }
}

/// `pillarbox compact FILE`: a file that no server has open.
pub fn file(path: &Path) -> Result<(), Failure> {
    if !path.exists() {
        return Err(Failure::NotFound(format!("there is no file {}: name one with --data", path.display())));
    }
    let store = Store::open(Options { disk_ballast_bytes: 0, ..Options::at(path) }, &SCHEMA).map_err(Failure::Open)?;
    let done = store.compact(&mut |_| ControlFlow::Continue(()));
    store.close();
    let done = done.map_err(|error| match error {
        CompactError::NotGood(what) => Failure::Damaged(what),
        error => Failure::Failed(error.to_string()),
    })?;
    let path = path.display();
    output::print(&format!("{path}: {} octets on disk, {} before\n", done.after_bytes, done.before_bytes))
}
