use super::context::Context;
use super::session::Smtp;
use crate::base::{Address, Enhanced, Host, RcptOptions, Reply, limits};
use crate::directory::{self, Resolution};
use crate::intake::Recipient;
use crate::mailbox;
use crate::queue::{self, Match, Notify, RouteKind};
use crate::smtp::machine::{Facts, Identity, Sender};
use crate::smtp::wire::{ForwardPath, reply};
use crate::srs;
use crate::store::{Read, StoreError, View};

/// Who may send: a stranger as anybody, since that is what mail from outside is; somebody who has logged in only as
/// itself. The null sender is nobody, and what it may be used for is looked at when the message is there.
pub(super) fn check_sender(context: &Context, facts: &Facts<Smtp>, sender: &Sender) -> Result<(), Reply> {
    // Before a disk is full, rather than in the middle of a message.
    if context.store.health().full {
        return Err(disk_full());
    }
    check_times(context, sender)?;
    let (Some(Identity::Account(identity)), Some(address)) = (&facts.identity, &sender.address) else {
        return Ok(());
    };
    match with_view(context, |view| directory::may_send_as(view, identity.account, address))? {
        true => Ok(()),
        false => Err(not_yours(identity)),
    }
}

/// What is put off may not be for too long, nor beyond the time by which it is to be delivered.
// RFC 4865 §4
fn check_times(context: &Context, sender: &Sender) -> Result<(), Reply> {
    let now = context.clock.now();
    let options = sender.options(now);
    let Some(release_at) = options.release_at else { return Ok(()) };
    if release_at > now.plus_ms(u64::from(limits::FUTURE_RELEASE_S) * 1000) {
        return Err(reply::HELD_TOO_LONG.into());
    }
    match options.deliver_by {
        Some(by) if by.at <= release_at => Err(reply::DUE_BEFORE_RELEASE.into()),
        _ => Ok(()),
    }
}

/// Whether the client may have mail sent to other domains. A stranger may not, or this were an open relay; nor may a
/// server that swaps roles with us.
// RFC 5321 §3.6.2
fn may_relay(facts: &Facts<Smtp>) -> bool {
    matches!(facts.identity, Some(Identity::Account(_)))
}

/// Whether an administrator has said, by a route of its own for the domain, that this server keeps the domain's mail for
/// a peer: then it takes it from everybody, as that domain's mail exchanger. That a peer names the domain is not enough.
// RFC 5321 §3.6.2, RFC 2645 §1
fn is_kept(read: &impl Read, host: &Host) -> Result<bool, StoreError> {
    let route = queue::route_for(read, host, None)?;
    let fields = route.map(|route| (route.fields.matches, route.fields.kind));
    Ok(matches!(fields, Some((Match::Domain(_), RouteKind::Hold { .. }))))
}

/// Who is told when mail can't be delivered elsewhere: only a sender whom we know. Anybody may have written the address
/// of a stranger, to have our reports sent to its owner.
pub(super) fn notify(facts: &Facts<Smtp>, sender: &Sender) -> Notify {
    match (&facts.identity, &sender.address) {
        (Some(_), Some(_)) => Notify::Sender,
        _ => Notify::Postmaster,
    }
}

/// Who may be sent to. This is the one place where relaying is decided: what is not here is taken from our own users
/// alone; what an alias of ours forwards, from everybody whom the alias serves; what a route keeps for a peer, from
/// everybody who has not logged in as a peer.
pub(super) fn check_recipient(
    context: &Context,
    facts: &Facts<Smtp>,
    sender: &Sender,
    recipient: ForwardPath,
) -> Result<Recipient, Reply> {
    let is_known = may_relay(facts);
    let (given, resolution, has_room, is_kept) = with_view(context, |view| {
        let (given, resolution) = match recipient {
            ForwardPath::Postmaster => {
                let resolution = directory::resolve_postmaster(view, &context.hostname)?;
                (Address::postmaster(&context.hostname), resolution)
            }
            ForwardPath::Mailbox(mailbox) => {
                let resolution = match rewritten(context, view, &mailbox.address)? {
                    None => directory::resolve(view, &mailbox.address)?,
                    Some(_) if sender.address.is_some() && !is_known => return Ok(Err(reports_only())),
                    Some(Err(srs::NotOurs)) => Resolution::Unknown,
                    Some(Ok(first)) => match directory::resolve(view, &first)? {
                        Resolution::NotLocal => {
                            Resolution::Forwards { local: Vec::new(), remote: vec![first], internal_only: false }
                        }
                        // Its domain has come to us since.
                        here => here,
                    },
                };
                (mailbox.address, resolution)
            }
        };
        let has_room = has_room(view, sender, &resolution)?;
        let is_kept = resolution == Resolution::NotLocal && facts.identity.is_none() && is_kept(view, &given.host)?;
        Ok(Ok((given, resolution, has_room, is_kept)))
    })??;
    let options = RcptOptions::default();
    match resolution {
        Resolution::InternalOnly(_) | Resolution::Forwards { internal_only: true, .. } if !is_known => {
            Err(Reply::new(550, Enhanced(5, 7, 1), "This address takes mail from our own users only"))
        }
        Resolution::Local(_) | Resolution::InternalOnly(_) | Resolution::Forwards { .. } if !has_room => {
            Err(over_quota())
        }
        Resolution::Local(deliveries) | Resolution::InternalOnly(deliveries) => {
            Ok(Recipient { given, deliveries, remote: Vec::new(), options })
        }
        Resolution::Forwards { local, remote, .. } => Ok(Recipient { given, deliveries: local, remote, options }),
        Resolution::NotLocal if may_relay(facts) || is_kept => {
            Ok(Recipient { remote: vec![given.clone()], given, deliveries: Vec::new(), options })
        }
        Resolution::NotLocal => Err(Reply::new(550, Enhanced(5, 7, 1), "Relaying denied: this domain is not here")),
        Resolution::Unknown => Err(Reply::new(550, Enhanced(5, 1, 1), "No such user here")),
        Resolution::Disabled => Err(Reply::new(550, Enhanced(5, 2, 1), "This mailbox is disabled")),
        Resolution::TooFar => Err(Reply::new(451, Enhanced(4, 4, 6), "This address leads too far")),
    }
}

/// Of an address of ours that stands for a sender elsewhere: that sender. What is sent there is on its way to somebody who
/// has not asked us for anything: only what answers to their mail goes on, and only for as long as answers take.
fn rewritten(
    context: &Context,
    view: &View,
    address: &Address,
) -> Result<Option<Result<Address, srs::NotOurs>>, StoreError> {
    let Some(name) = address.host.name().filter(|_| srs::is_srs(address)) else { return Ok(None) };
    let is_ours = directory::local_domain(view, name)?.is_some_and(|domain| domain.fields.enabled);
    // Somebody may be called so.
    if !is_ours || directory::account(view, address)?.is_some() || directory::alias(view, address)?.is_some() {
        return Ok(None);
    }
    srs::restore(view, address, context.clock.now()).map(Some)
}

/// RFC 1870 §6.1: with the size that the client has announced, a full mailbox shows before the message is sent.
fn has_room(view: &View, sender: &Sender, resolution: &Resolution) -> Result<bool, StoreError> {
    let (
        Some(size_bytes),
        Resolution::Local(deliveries)
        | Resolution::InternalOnly(deliveries)
        | Resolution::Forwards { local: deliveries, .. },
    ) = (sender.size_bytes, resolution)
    else {
        return Ok(true);
    };
    for delivery in deliveries {
        if !mailbox::has_room(view, delivery.account, size_bytes)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The sender, or an author in From, is not one of the account's addresses.
pub(super) fn not_yours(identity: &directory::Identity) -> Reply {
    Reply::new(553, Enhanced(5, 7, 1), format!("Not an address of {}", identity.login))
}

/// The address stands for somebody elsewhere, and what is no report does not go there.
fn reports_only() -> Reply {
    Reply::new(550, Enhanced(5, 7, 1), "This address takes reports on delivery only")
}

/// A mailbox is full: its owner can make room.
pub(super) fn over_quota() -> Reply {
    Reply::new(452, Enhanced(4, 2, 2), "The mailbox is full")
}

/// The disk is.
pub(super) fn disk_full() -> Reply {
    Reply::our_fault(452, Enhanced(4, 3, 1), "Insufficient system storage, try again later", "the disk is full")
}

/// Something of ours is broken.
pub(super) fn broken(cause: impl Into<String>) -> Reply {
    Reply::our_fault(451, Enhanced(4, 3, 0), "Temporary server error, try again later", cause)
}

/// All the places where passwords are verified are taken.
pub(super) fn too_many_logins() -> Reply {
    Reply::new(454, Enhanced(4, 7, 0), "Too many logins at a time, try again later")
}

/// A password could not be verified.
pub(super) fn login_broken(cause: String) -> Reply {
    Reply::our_fault(454, Enhanced(4, 7, 0), "Authentication is not possible at the moment", cause)
}

/// A few rows are read at once; the view is gone before anybody waits.
pub(super) fn with_view<T>(context: &Context, read: impl FnOnce(&View) -> Result<T, StoreError>) -> Result<T, Reply> {
    context.store.view().and_then(|view| read(&view)).map_err(|error| broken(error.to_string()))
}
