//! Real programs against the real server: each submits or reads real mails, and every octet is compared.
//!
//! A program that is not installed is skipped with a line that says so, or fails the test with `PILLARBOX_TESTS_ALL=1`.
//! With `PILLARBOX_BIN` another binary is tested, and with `PILLARBOX_AGAINST=postfix-dovecot` the tests prove
//! themselves against those.

mod dkim;
#[path = "../world/dkimpy.rs"]
mod dkimpy;
#[path = "../world/dns.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod dns;
mod etrn;
mod external;
mod imap;
mod mails;
mod memory;
mod odmr;
mod outside;
mod programs;
mod read;
#[path = "../world/report.rs"]
mod report;
mod secrets;
#[path = "../world/sink.rs"]
#[allow(dead_code, reason = "shared with other tests and benches")]
mod sink;
#[allow(dead_code, reason = "shared with tests/crash and benches")]
mod site;
mod startup;
mod submit;
mod swap;
#[allow(dead_code, reason = "shared with tests/crash and tests/hostile")]
mod swap_site;
#[allow(dead_code, reason = "shared with tests/crash and tests/hostile")]
mod swap_talk;
mod tls_reports;
#[path = "../world/trace.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod trace;
#[allow(dead_code, reason = "shared with tests/crash and benches")]
mod wire;
mod world;
