use std::collections::BTreeSet;

use super::peer::{PEER_LOGINS, PeerFields, PeerName, Refused, SessionLimits, Verb, peer_by_certificate};
use super::secret::is_machine_made;
use crate::base::{Address, limits};
use crate::directory;
use crate::queue::Login;
use crate::sasl::Mechanism;
use crate::store::{Halt, Read};

/// Looks whether a peer may be as it is wanted; `login` with the secret that it will have.
pub(super) fn validate(
    read: &impl Read,
    name: &str,
    fields: &PeerFields,
    login: Option<&Login>,
) -> Result<(), Halt<Refused>> {
    let refuse = |(field, what): (&'static str, String)| Halt::Refused(Refused::Field(field, what));
    check_name(name).map_err(refuse)?;
    check_fields(fields).map_err(refuse)?;
    if let Some(login) = login {
        check_login(login).map_err(refuse)?;
    }
    let needs_login = fields.verbs.iter().any(|verb| verb.swaps());
    if needs_login && login.is_none() && !fields.is_certified() {
        return Err(refuse(wrong("login", "TURN and ATRN need a user name and a secret, or a certificate")));
    }
    check_certificate(read, name, fields)?;
    let Some(login) = login.filter(|_| fields.direction.accepts()) else { return Ok(()) };
    // A secret that was dropped with the key that it was sealed with can't be looked at.
    let is_thought_up = !login.secret.is_empty() && !is_machine_made(&login.secret);
    if fields.mechanisms.contains(&Mechanism::CramMd5) && is_thought_up {
        let what = "CRAM-MD5 needs a secret that a machine has made: `pillarbox turn secret` makes one";
        return Err(refuse(wrong("login.secret", what)));
    }
    if let Some(PeerName(other)) = read.get(&PEER_LOGINS, &login.user)?.filter(|other| other.0 != name) {
        return Err(refuse(wrong("login.user", format!("the peer {other} logs in by this name"))));
    }
    if let Ok(address) = Address::parse(&login.user)
        && directory::account(read, &address)?.is_some()
    {
        return Err(refuse(wrong("login.user", "an account logs in by this name")));
    }
    Ok(())
}

/// The certificate that the peer shows when it dials us says who it is, by itself.
fn check_certificate(read: &impl Read, name: &str, fields: &PeerFields) -> Result<(), Halt<Refused>> {
    let refuse = |what: String| Err(Halt::Refused(Refused::Field("client_certificate", what)));
    match &fields.client_certificate {
        Some(_) if !fields.is_certified() => refuse("a certificate is shown by the mechanism EXTERNAL".into()),
        None if fields.is_certified() && fields.direction.accepts() => {
            refuse("a peer that dials us by EXTERNAL needs the SHA-256 of the certificate that it shows; where only we dial, the direction is initiate".into())
        }
        Some(sha256) if fields.direction.accepts() => {
            match peer_by_certificate(read, sha256)?.filter(|other| other.name != name) {
                Some(other) => refuse(format!("the peer {} logs in by this certificate", other.name)),
                None => Ok(()),
            }
        }
        Some(_) | None => Ok(()),
    }
}

type Wrong = (&'static str, String);

fn wrong(field: &'static str, what: impl Into<String>) -> Wrong {
    (field, what.into())
}

/// A name stands in paths, in the trace and behind ETRN's `#`.
fn check_name(name: &str) -> Result<(), Wrong> {
    let is_good = (1..=limits::PEER_NAME_CHARS).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    let what = format!(
        "1 to {} letters, digits, hyphens, dots and underscores, with a letter or digit first",
        limits::PEER_NAME_CHARS
    );
    if is_good { Ok(()) } else { Err(wrong("name", what)) }
}

fn check_fields(fields: &PeerFields) -> Result<(), Wrong> {
    if fields.verbs.is_empty() || fields.verbs.iter().collect::<BTreeSet<_>>().len() < fields.verbs.len() {
        return Err(wrong("verbs", "at least one of turn, atrn and etrn, each once"));
    }
    if fields.domains.is_empty() {
        return Err(wrong("domains", "at least one domain"));
    }
    if fields.domains.len() > limits::LIST_ENTRIES {
        return Err(wrong("domains", format!("at most {} domains", limits::LIST_ENTRIES)));
    }
    if fields.domains.iter().collect::<BTreeSet<_>>().len() < fields.domains.len() {
        return Err(wrong("domains", "each domain once"));
    }
    if fields.direction.initiates() && fields.host.is_none() {
        return Err(wrong("host", "a peer that we dial needs a host"));
    }
    if fields.port == 0 {
        return Err(wrong("port", "a port from 1 to 65535"));
    }
    if fields.mechanisms.is_empty() || has_double(&fields.mechanisms) {
        return Err(wrong("mechanisms", "at least one mechanism, each once"));
    }
    if fields.is_certified() && (fields.mechanisms.len() > 1 || fields.login.is_some()) {
        let what = "EXTERNAL is by certificate: it goes with no other mechanism, no user name and no secret";
        return Err(wrong("mechanisms", what));
    }
    if fields.in_clear
        && (!fields.mechanisms.contains(&Mechanism::CramMd5) || fields.networks == crate::base::Networks::default())
    {
        return Err(wrong("in_clear", "without TLS, CRAM-MD5 must be among the mechanisms, and the networks be named"));
    }
    let is_lost = fields.verbs == [Verb::Etrn]
        && fields.login.is_none()
        && !fields.is_certified()
        && fields.direction.accepts()
        && fields.networks == crate::base::Networks::default();
    if is_lost {
        return Err(wrong("networks", "a peer that uses ETRN without a login needs the networks that it dials from"));
    }
    if fields.note.len() > limits::NOTE_BYTES || fields.note.chars().any(char::is_control) {
        return Err(wrong("note", format!("at most {} octets without control characters", limits::NOTE_BYTES)));
    }
    let SessionLimits { messages, size_bytes, duration_s } = fields.limits;
    if messages == Some(0) {
        return Err(wrong("limits.messages", "at least one message; null for as many as there are"));
    }
    if size_bytes == Some(0) {
        return Err(wrong("limits.size_bytes", "at least one octet; null for as many as there are"));
    }
    if duration_s.is_some_and(|seconds| seconds == 0 || u64::from(seconds) > limits::TURN_SESSION_S) {
        return Err(wrong("limits.duration_seconds", format!("1 to {} seconds", limits::TURN_SESSION_S)));
    }
    if let Some(schedule) = &fields.schedule {
        if !fields.direction.initiates() {
            return Err(wrong("schedule", "only a peer that we dial has one: its direction is accept"));
        }
        schedule.check().map_err(|bad| wrong("schedule", bad.to_string()))?;
    }
    Ok(())
}

fn has_double(mechanisms: &[Mechanism]) -> bool {
    mechanisms.iter().enumerate().any(|(place, one)| mechanisms.iter().take(place).any(|before| before == one))
}

fn check_login(login: &Login) -> Result<(), Wrong> {
    let is_text = |text: &str, bytes_max| (1..=bytes_max).contains(&text.len()) && !text.chars().any(char::is_control);
    if !is_text(&login.user, limits::DOMAIN_BYTES) {
        let what = format!("1 to {} octets without control characters", limits::DOMAIN_BYTES);
        return Err(wrong("login.user", what));
    }
    if !is_text(&login.secret, limits::PASSWORD_BYTES) {
        let what = format!("1 to {} octets without control characters", limits::PASSWORD_BYTES);
        return Err(wrong("login.secret", what));
    }
    Ok(())
}
