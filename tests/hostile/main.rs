//! Known attacks, one file for each class: against a whole server over pipes, and where mail moves between servers against
//! the real program on real sockets.

mod backscatter;
mod bait;
mod budgets;
mod certificates;
mod client;
mod commands;
mod crossing;
mod destinations;
mod enumeration;
mod far;
mod headers;
mod injection;
mod leaks;
mod lines;
mod literals;
mod memory;
mod outbound;
mod real;
mod relay;
mod reversed;
mod smuggling;
mod starttls;
mod teardown;
mod theft;

#[path = "../dialogues/certificate.rs"]
#[allow(dead_code, reason = "shared with tests/dialogues")]
mod certificate;
#[path = "../world/dns.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod dns;
#[path = "../dialogues/house.rs"]
#[allow(dead_code, reason = "shared with tests/dialogues")]
mod house;
#[path = "../dialogues/maildrop.rs"]
#[allow(dead_code, reason = "shared with tests/dialogues")]
mod maildrop;
#[path = "../world/sink.rs"]
#[allow(dead_code, reason = "shared with tests/interop")]
mod sink;
#[path = "../dialogues/stage.rs"]
#[allow(dead_code, reason = "shared with tests/dialogues")]
mod stage;
#[path = "../dialogues/text.rs"]
#[allow(dead_code, reason = "shared with tests/dialogues")]
mod text;
#[path = "../dialogues/wire.rs"]
#[allow(dead_code, reason = "shared with tests/dialogues")]
mod wire;
