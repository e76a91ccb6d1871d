//! DKIM keys on their way: made for a domain that has none, looked for in the DNS, let sign, retired, and removed when no
//! mail is left that they have signed.
//!
//! Floor F4c. Where a key is on its way stands in the file: nothing is lost by a stop between two steps.

mod keeper;
mod look;
mod make;

pub use keeper::Keeper;
pub use look::{Look, look};
pub use make::{NotMade, make, make_pair};

#[cfg(test)]
mod tests;
