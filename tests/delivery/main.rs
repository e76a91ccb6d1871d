//! Delivery in one process: a whole server without listeners, with a clock that a test turns, a name server and mail
//! servers of the tests on loopback.

mod arc;
mod authentication;
mod broken;
mod clock;
mod clock_table;
mod dane;
mod forwarding;
mod mta_sts;
mod routes;
mod rules;
mod secure;
mod sending;
mod site;
mod tls_reports;
mod trouble;

#[path = "../world/dkimpy.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod dkimpy;
#[path = "../world/dns.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod dns;
#[path = "../world/report.rs"]
mod report;
#[path = "../world/signed.rs"]
mod signed;
#[path = "../world/sink.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod sink;
