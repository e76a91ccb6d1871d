//! What is left after a crash: of the process, and of the disk's cache.

mod kill;
#[path = "../interop/mails.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod mails;
#[path = "../interop/site.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod site;
mod torn;
#[path = "../interop/wire.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod wire;
