//! What is left after a crash: of the process, and of the disk's cache.

mod backup;
#[path = "../world/dns.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod dns;
mod errors;
mod full;
mod golden;
mod image;
#[path = "../world/imap.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod imap;
mod kill;
mod kill_imap;
mod kill_remote;
mod kill_trace;
#[path = "../interop/mails.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod mails;
mod mounts;
mod restart;
mod rot;
mod shutdown;
#[path = "../world/sink.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod sink;
#[path = "../interop/site.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod site;
mod start;
mod swap;
#[path = "../interop/swap_roles.rs"]
#[allow(dead_code, reason = "shared with tests/hostile")]
mod swap_roles;
#[path = "../interop/swap_site.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod swap_site;
#[path = "../interop/swap_talk.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod swap_talk;
mod sweep;
mod torn;
#[path = "../world/trace.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod trace;
#[path = "../interop/wire.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod wire;
mod yardstick;
