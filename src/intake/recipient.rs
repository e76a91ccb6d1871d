use super::accept::Recipient;
use crate::base::{Address, Enhanced, RcptOptions, Reply};
use crate::directory::{self, Resolution};
use crate::mailbox;
use crate::store::{Read, StoreError};

/// Where a message of `size_bytes` goes that one of our own sends to an address, or why it does not go there: the reply
/// that SMTP would give.
///
/// # Errors
/// [`StoreError`]
pub fn recipient(read: &impl Read, given: &Address, size_bytes: u64) -> Result<Result<Recipient, Reply>, StoreError> {
    let given = given.clone();
    let (deliveries, remote) = match directory::resolve(read, &given)? {
        Resolution::Local(deliveries) | Resolution::InternalOnly(deliveries) => (deliveries, Vec::new()),
        Resolution::Forwards { local, remote, .. } => (local, remote),
        Resolution::NotLocal => (Vec::new(), vec![given.clone()]),
        Resolution::Unknown => return Ok(Err(Reply::new(550, Enhanced(5, 1, 1), "No such user here"))),
        Resolution::Disabled => return Ok(Err(Reply::new(550, Enhanced(5, 2, 1), "This mailbox is disabled"))),
        Resolution::TooFar => return Ok(Err(Reply::new(451, Enhanced(4, 4, 6), "This address leads too far"))),
    };
    for delivery in &deliveries {
        if !mailbox::has_room(read, delivery.account, size_bytes)? {
            return Ok(Err(Reply::new(452, Enhanced(4, 2, 2), "The mailbox is full")));
        }
    }
    Ok(Ok(Recipient { given, deliveries, remote, options: RcptOptions::default() }))
}
