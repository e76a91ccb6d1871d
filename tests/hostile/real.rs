//! The real program on real sockets, and the parts that a test plays against it.

#[path = "../interop/site.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
pub mod site;
#[path = "../interop/swap_roles.rs"]
#[allow(dead_code, reason = "shared with tests/crash")]
pub mod swap_roles;
#[path = "../interop/swap_site.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
pub mod swap_site;
#[path = "../interop/swap_talk.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
pub mod swap_talk;
#[path = "../interop/wire.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod wire;
