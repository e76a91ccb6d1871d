//! The way out: finds out what is due and where it goes, keeps connections within their limits, hands messages to the
//! SMTP client, and settles what comes of them. Also the courier of swapped sessions.
//!
//! Floor F4c. What is due is read from the schedule in the file, a window at a time: no task and no memory waits with a
//! message. The board says what is known of each destination at the moment; a session works one of them off.

mod anchor;
mod board;
mod claims;
mod context;
mod courier;
mod dane;
mod demand;
mod desk;
mod destination;
mod lanes;
mod locate;
mod pace;
mod peer;
mod scan;
mod scheduler;
mod seat;
mod servers;
mod session;
mod sts;
mod sweep;
mod tls_results;
mod turns;
mod way;

pub use claims::{Claim, Claims};
pub use context::{Context, State};
pub use peer::{PeerCourier, is_no_mail_here};
pub use scheduler::run;
pub use sts::keep_policies;
