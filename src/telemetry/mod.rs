//! What the server can say of itself while it runs: rings of what happened last.
//!
//! Floor F0: imports nothing but `base`, so that every room can count and tell.

mod ring;

pub use ring::{Ring, Since};
