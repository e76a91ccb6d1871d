//! Known attacks, one file for each class, against a whole server over pipes.

mod budgets;
mod client;
mod crossing;
mod destinations;
mod enumeration;
mod headers;
mod injection;
mod lines;
mod relay;
mod smuggling;
mod starttls;
mod teardown;

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
