use ring::hmac;
use subtle::ConstantTimeEq;

use crate::base::{Address, Host, LocalPart, Timestamp, limits};

/// What all such addresses are written with: letters and digits that keep their meaning whatever a server does to case.
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Characters of a hash, of 5 bits each.
const HASH_CHARS: usize = 8;
/// Days after which a stamp comes round again: two characters.
const STAMP_DAYS: u64 = 1024;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What a local part of ours says, before its hash is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form<'a> {
    /// `SRS0=hash=stamp=host=local`: the sender itself.
    Sender { hash: &'a str, stamp: &'a str, host: &'a str, local: &'a str },
    /// `SRS0=hash=stamp==number`: a sender that is too long for that, and is kept in the file.
    Kept { hash: &'a str, stamp: &'a str, number: &'a str },
    /// `SRS1=hash=host=rest`: the address that another server had made of the sender, at that host; `rest` is what stands
    /// behind its `SRS0`.
    Chained { hash: &'a str, host: &'a str, rest: &'a str },
}

/// Whether an address has the form of one whose sender was rewritten, by us or by anybody.
pub fn is_srs(address: &Address) -> bool {
    behind(address.local.as_str(), "SRS0").or_else(|| behind(address.local.as_str(), "SRS1")).is_some()
}

/// What stands behind the tag, from the separator on: `=`, `-` and `+` are in use.
fn behind<'a>(local: &'a str, tag: &str) -> Option<&'a str> {
    let (head, rest) = local.split_at_checked(tag.len())?;
    (head.eq_ignore_ascii_case(tag) && rest.starts_with(['=', '-', '+'])).then_some(rest)
}

impl<'a> Form<'a> {
    /// Reads a local part; `None` when it is none of ours.
    pub(super) fn read(local: &'a str) -> Option<Self> {
        if let Some(text) = behind(local, "SRS0") {
            let (hash, text) = text.get(1..)?.split_once('=')?;
            let (stamp, text) = text.split_once('=')?;
            return Some(match text.split_once('=')? {
                ("", number) => Self::Kept { hash, stamp, number },
                (host, local) => Self::Sender { hash, stamp, host, local },
            });
        }
        let (hash, text) = behind(local, "SRS1")?.get(1..)?.split_once('=')?;
        let (host, rest) = text.split_once('=')?;
        Some(Self::Chained { hash, host, rest })
    }
}

/// The local part for a sender, where 64 octets are enough for it; `None`: it has to be kept in the file.
// RFC 5321 §4.5.3.1.1
pub(super) fn local_part(key: &[u8], sender: &Address, at: Timestamp) -> Option<LocalPart> {
    let host = sender.host.name()?.as_str();
    let local = sender.local.as_str();
    let text = if let Some(rest) = behind(local, "SRS0") {
        format!("SRS1={}={host}={rest}", chained_hash(key, host, rest))
    } else if let Some(Form::Chained { host, rest, .. }) = Form::read(local) {
        // The server before us goes out of the way: what comes back need not pass it.
        format!("SRS1={}={host}={rest}", chained_hash(key, host, rest))
    } else {
        let stamp = stamp(at);
        format!("SRS0={}={stamp}={host}={local}", sender_hash(key, &stamp, host, local))
    };
    // It must come through unquoted, and through servers that know no SMTPUTF8.
    let is_plain = sender.is_ascii() && sender.local.to_string() == local;
    (is_plain && text.len() <= limits::LOCAL_PART_BYTES).then(|| LocalPart::parse(&text).ok())?
}

/// The same for a sender that is kept as that number of that day.
pub(super) fn kept_local_part(key: &[u8], sender: &Address, number: u32, at: Timestamp) -> Option<LocalPart> {
    let stamp = stamp(at);
    let hash = kept_hash(key, &stamp, number, sender);
    LocalPart::parse(&format!("SRS0={hash}={stamp}=={number}")).ok()
}

pub(super) fn sender_hash(key: &[u8], stamp: &str, host: &str, local: &str) -> String {
    hash(key, &["sender", stamp, host, local])
}

pub(super) fn chained_hash(key: &[u8], host: &str, rest: &str) -> String {
    hash(key, &["chained", host, rest])
}

/// With the sender, so that a file that was brought back, and counts from an earlier number on, leads nobody else's mail
/// to a sender.
pub(super) fn kept_hash(key: &[u8], stamp: &str, number: u32, sender: &Address) -> String {
    hash(key, &["kept", stamp, &number.to_string(), &sender.to_string()])
}

/// Servers on the way may change the case of letters: it does not count.
fn hash(key: &[u8], parts: &[&str]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part.to_ascii_lowercase().as_bytes());
        context.update(&[0]);
    }
    let tag = context.sign();
    let bits = tag.as_ref().iter().take(8).fold(0_u64, |bits, octet| (bits << 8) | u64::from(*octet));
    (0..HASH_CHARS).map(|place| letter(bits >> (59 - 5 * place))).collect()
}

/// Whether two hashes are one, in a time that says nothing of them.
pub(super) fn is_same(ours: &str, theirs: &str) -> bool {
    ours.as_bytes().ct_eq(theirs.to_ascii_uppercase().as_bytes()).into()
}

fn letter(bits: u64) -> char {
    char::from(ALPHABET[(bits & 31) as usize])
}

/// The day, since 1970.
pub(super) fn day(at: Timestamp) -> u32 {
    u32::try_from(at.ms() / DAY_MS).unwrap_or(u32::MAX)
}

fn stamp(at: Timestamp) -> String {
    let day = u64::from(day(at)) % STAMP_DAYS;
    [letter(day >> 5), letter(day)].iter().collect()
}

/// The day that a stamp means, where that is not too long ago. A clock that was set back makes one of tomorrow.
pub(super) fn stamped(stamp: &str, at: Timestamp) -> Option<u32> {
    let value = |octet: &u8| ALPHABET.iter().position(|letter| letter.eq_ignore_ascii_case(octet)).map(|at| at as u64);
    let [high, low] = stamp.as_bytes() else { return None };
    let (stamped, tomorrow) = ((value(high)? << 5) | value(low)?, u64::from(day(at)) + 1);
    let days_ago = (tomorrow % STAMP_DAYS + STAMP_DAYS - stamped) % STAMP_DAYS;
    let day = tomorrow.checked_sub(days_ago)?;
    (days_ago <= u64::from(limits::SRS_DAYS) + 1).then(|| u32::try_from(day).ok())?
}

/// An address of a host and a local part as such an address spells them.
pub(super) fn address(local: &str, host: &str) -> Option<Address> {
    Some(Address { local: LocalPart::parse(local).ok()?, host: Host::parse(host).ok()? })
}
