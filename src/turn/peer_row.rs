use serde::Deserialize;

use super::peer::{Direction, Peer, PeerFields, ServerTls, SessionLimits, Verb};
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

impl From<FirstFields> for SecondFields {
    fn from(fields: FirstFields) -> Self {
        let FirstFields { verbs, direction, host, port, domains, login, tls, networks, enabled, note } = fields;
        let (mechanisms, in_clear) = (Mechanism::USUAL.to_vec(), false);
        Self { verbs, direction, host, port, domains, login, mechanisms, in_clear, tls, networks, enabled, note }
    }
}

impl From<SecondFields> for PeerFields {
    fn from(fields: SecondFields) -> Self {
        let SecondFields { verbs, direction, host, port, domains, login, .. } = fields;
        let SecondFields { mechanisms, in_clear, tls, networks, enabled, note, .. } = fields;
        let (limits, schedule) = (SessionLimits::default(), None);
        Self {
            verbs,
            direction,
            host,
            port,
            domains,
            login,
            mechanisms,
            in_clear,
            tls,
            networks,
            enabled,
            note,
            limits,
            schedule,
        }
    }
}

impl<F: Into<SecondFields>> From<Old<F>> for Peer {
    fn from(row: Old<F>) -> Self {
        let Old { name, fields, secret_changed_at, version, created_at, changed_at } = row;
        Self { name, fields: fields.into().into(), secret_changed_at, version, created_at, changed_at }
    }
}

impl Row for Peer {
    const VERSION: u8 = 3;
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
            3 => postcard::take_from_bytes(bytes).ok()?,
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
        let first = whole(postcard::to_stdvec(&(&head, &tail)).unwrap());
        let second = whole(postcard::to_stdvec(&(&head, vec![Mechanism::CramMd5], true, &tail)).unwrap());
        for (version, old, mechanisms, in_clear) in
            [(1, first, Mechanism::USUAL.to_vec(), false), (2, second, vec![Mechanism::CramMd5], true)]
        {
            let row = Peer::decode(version, &old).unwrap();
            assert_eq!((&*row.name, row.version, row.secret_changed_at), ("branch", 9, Timestamp(3)));
            assert_eq!((&row.fields.domains, &row.fields.login, row.fields.port), (&vec![domain.clone()], &login, 366));
            assert_eq!((&row.fields.mechanisms, row.fields.in_clear), (&mechanisms, in_clear));
            assert_eq!((&row.fields.limits, &row.fields.schedule), (&SessionLimits::default(), &None));
            assert_eq!((&*row.fields.note, row.fields.tls), ("far away", ServerTls::Pinned([7; 32])));
            let row = Peer::decode(version, &old).unwrap();
            let mut new = Vec::new();
            row.encode(&mut new);
            assert_eq!(Peer::decode(3, &new), Some(row));
            assert_eq!((Peer::decode(4, &new), Peer::decode(version, &new), Peer::decode(3, &old)), (None, None, None));
        }
    }
}
