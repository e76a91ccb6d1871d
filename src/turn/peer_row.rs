use serde::Deserialize;

use super::peer::{Direction, Peer, PeerFields, ServerTls, SessionLimits, Verb};
use super::schedule::Schedule;
use crate::base::{DomainName, Host, Networks, Secret, Timestamp};
use crate::queue::Login;
use crate::sasl::Mechanism;
use crate::store::{HoldsSecret, Row};

/// A peer as it was written before this version of its row.
#[derive(Deserialize)]
struct Old<F> {
    name: String,
    fields: F,
    secret_changed_at: Timestamp,
    version: u64,
    created_at: Timestamp,
    changed_at: Timestamp,
}

/// Before its mechanisms could be chosen.
#[derive(Deserialize)]
struct FirstFields {
    verbs: Vec<Verb>,
    direction: Direction,
    host: Option<Host>,
    port: u16,
    domains: Vec<DomainName>,
    login: Option<Login>,
    tls: ServerTls,
    networks: Networks,
    enabled: bool,
    note: String,
}

/// Before it had limits and a schedule.
#[derive(Deserialize)]
struct SecondFields {
    verbs: Vec<Verb>,
    direction: Direction,
    host: Option<Host>,
    port: u16,
    domains: Vec<DomainName>,
    login: Option<Login>,
    mechanisms: Vec<Mechanism>,
    in_clear: bool,
    tls: ServerTls,
    networks: Networks,
    enabled: bool,
    note: String,
}

/// Before it could be known by a certificate.
#[derive(Deserialize)]
struct ThirdFields {
    verbs: Vec<Verb>,
    direction: Direction,
    host: Option<Host>,
    port: u16,
    domains: Vec<DomainName>,
    login: Option<Login>,
    mechanisms: Vec<Mechanism>,
    in_clear: bool,
    tls: ServerTls,
    networks: Networks,
    enabled: bool,
    note: String,
    limits: SessionLimits,
    schedule: Option<Schedule>,
}

impl From<FirstFields> for SecondFields {
    fn from(fields: FirstFields) -> Self {
        let FirstFields { verbs, direction, host, port, domains, login, tls, networks, enabled, note } = fields;
        let (mechanisms, in_clear) = (Mechanism::USUAL.to_vec(), false);
        Self { verbs, direction, host, port, domains, login, mechanisms, in_clear, tls, networks, enabled, note }
    }
}

impl From<FirstFields> for ThirdFields {
    fn from(fields: FirstFields) -> Self {
        SecondFields::from(fields).into()
    }
}

impl From<SecondFields> for ThirdFields {
    fn from(fields: SecondFields) -> Self {
        Self {
            verbs: fields.verbs,
            direction: fields.direction,
            host: fields.host,
            port: fields.port,
            domains: fields.domains,
            login: fields.login,
            mechanisms: fields.mechanisms,
            in_clear: fields.in_clear,
            tls: fields.tls,
            networks: fields.networks,
            enabled: fields.enabled,
            note: fields.note,
            limits: SessionLimits::default(),
            schedule: None,
        }
    }
}

impl From<ThirdFields> for PeerFields {
    fn from(fields: ThirdFields) -> Self {
        Self {
            verbs: fields.verbs,
            direction: fields.direction,
            host: fields.host,
            port: fields.port,
            domains: fields.domains,
            login: fields.login,
            mechanisms: fields.mechanisms,
            in_clear: fields.in_clear,
            tls: fields.tls,
            networks: fields.networks,
            enabled: fields.enabled,
            note: fields.note,
            limits: fields.limits,
            schedule: fields.schedule,
            client_certificate: None,
        }
    }
}

impl<F: Into<ThirdFields>> From<Old<F>> for Peer {
    fn from(row: Old<F>) -> Self {
        let Old { name, fields, secret_changed_at, version, created_at, changed_at } = row;
        Self { name, fields: fields.into().into(), secret_changed_at, version, created_at, changed_at }
    }
}

impl Row for Peer {
    const VERSION: u8 = 4;
    const HOLDS_SECRET: Option<&'static str> = Some(<Self as HoldsSecret>::WHAT);

    fn encode(&self, out: &mut Vec<u8>) {
        // Writing plain data to memory can't fail; an empty row would be seen as damage.
        if let Ok(bytes) = postcard::to_stdvec(self) {
            out.extend_from_slice(&bytes);
        }
    }

    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        let (row, rest) = match version {
            1 => postcard::take_from_bytes(bytes).map(|(row, rest)| (Old::<FirstFields>::into(row), rest)).ok()?,
            2 => postcard::take_from_bytes(bytes).map(|(row, rest)| (Old::<SecondFields>::into(row), rest)).ok()?,
            3 => postcard::take_from_bytes(bytes).map(|(row, rest)| (Old::<ThirdFields>::into(row), rest)).ok()?,
            4 => postcard::take_from_bytes(bytes).ok()?,
            _ => return None,
        };
        rest.is_empty().then_some(row)
    }

    fn without_secret(&self) -> Option<(Self, Secret<Vec<u8>>)> {
        let secret = self.secret().filter(|secret| !secret.is_empty())?.to_vec();
        let mut bare = self.clone();
        bare.set_secret(&[])?;
        Some((bare, Secret::new(secret)))
    }

    fn with_secret(mut self, secret: &[u8]) -> Option<Self> {
        self.set_secret(secret).map(|()| self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_older_versions_are_read() {
        let domain: DomainName = "branch.test".parse().unwrap();
        let login = Some(Login { user: "branch".into(), secret: "s3cret".into() });
        let head = (vec![Verb::Atrn], Direction::Accept, None::<Host>, 366_u16, vec![domain.clone()], login.clone());
        let tail = (ServerTls::Pinned([7; 32]), Networks::default(), true, "far away");
        let whole = |fields: Vec<u8>| {
            let (name, rest) = ("branch", (Timestamp(3), 9_u64, Timestamp(1), Timestamp(2)));
            [postcard::to_stdvec(name).unwrap(), fields, postcard::to_stdvec(&rest).unwrap()].concat()
        };
        let bounds =
            (SessionLimits { messages: Some(5), ..SessionLimits::default() }, Some(Schedule::Every { seconds: 60 }));
        let first = whole(postcard::to_stdvec(&(&head, &tail)).unwrap());
        let second = whole(postcard::to_stdvec(&(&head, vec![Mechanism::CramMd5], true, &tail)).unwrap());
        let third = whole(postcard::to_stdvec(&(&head, vec![Mechanism::Plain], false, &tail, &bounds)).unwrap());
        let none = (SessionLimits::default(), None);
        for (version, old, mechanisms, in_clear, bounds) in [
            (1, first, Mechanism::USUAL.to_vec(), false, none.clone()),
            (2, second, vec![Mechanism::CramMd5], true, none),
            (3, third, vec![Mechanism::Plain], false, bounds),
        ] {
            let row = Peer::decode(version, &old).unwrap();
            assert_eq!((&*row.name, row.version, row.secret_changed_at), ("branch", 9, Timestamp(3)));
            assert_eq!((&row.fields.domains, &row.fields.login, row.fields.port), (&vec![domain.clone()], &login, 366));
            assert_eq!((&row.fields.mechanisms, row.fields.in_clear), (&mechanisms, in_clear));
            assert_eq!((row.fields.limits, &row.fields.schedule), (bounds.0, &bounds.1));
            assert_eq!((&*row.fields.note, &row.fields.tls), ("far away", &ServerTls::Pinned([7; 32])));
            assert_eq!(row.fields.client_certificate, None);
            let mut new = Vec::new();
            row.encode(&mut new);
            assert_eq!(Peer::decode(4, &new), Some(row));
            assert_eq!((Peer::decode(5, &new), Peer::decode(version, &new), Peer::decode(4, &old)), (None, None, None));
        }
    }

    #[test]
    fn a_certificate_is_kept() {
        let mut fields = PeerFields::dialling_us(vec![Verb::Etrn], vec!["branch.test".parse().unwrap()], None);
        (fields.mechanisms, fields.client_certificate) = (vec![Mechanism::External], Some([0xab; 32]));
        let at = Timestamp(1);
        let row = Peer { name: "b".into(), fields, secret_changed_at: at, version: 1, created_at: at, changed_at: at };
        let mut bytes = Vec::new();
        row.encode(&mut bytes);
        assert_eq!(Peer::decode(4, &bytes), Some(row.clone()));
        // There is nothing to seal: a fingerprint is no secret.
        assert!(row.without_secret().is_none());
    }
}
