//! The SMTP client as a machine that does no I/O: it takes a server's replies and the driver's answers, and says what is
//! to be done. The driver (`smtp/client`) carries it out.
//!
//! Floor F1: pure. The state is an enum whose variants own what is true in them, and a step consumes it. Everything that
//! a server says is a stranger's word: whatever it is, each recipient gets one fate at most, and none is delivered
//! without a 2xx to its RCPT and a 2xx to the end of data.

mod effect;
mod envelope;
mod fate;
mod hello;
mod input;
mod part;
mod rules;
mod state;
mod step;
#[cfg(test)]
mod tests;

pub use effect::{Effect, Effects, Framing, Room};
pub use envelope::Envelope;
pub use fate::{Failure, Fate, Stage, Verdict, Words};
pub use input::Input;
pub use rules::{Login, Rules, StartTls, Then};
pub use state::{Patience, State};
pub use step::step;
