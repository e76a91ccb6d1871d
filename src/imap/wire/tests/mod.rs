//! Tests of the room as a whole: framer and parser together, as a session uses them.

pub(super) mod canonical;
mod clients;
mod codec;
mod generate;
mod hostile;
