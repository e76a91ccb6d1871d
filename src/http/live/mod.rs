//! What happens, as it happens: the hub hears what rooms below have committed and keeps the newest of it, and each reader
//! follows at its own pace.

mod health;
mod hub;
mod news;
mod stream;
mod topic;

pub(super) use health::watch;
pub use hub::Hub;
pub use news::{Mail, News};
pub(super) use stream::follow;
pub(super) use topic::Topics;
