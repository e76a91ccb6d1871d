use serde::Deserialize;

use super::peer::{Direction, Peer, PeerFields, ServerTls, Verb};
use crate::base::{DomainName, Host, Networks, Secret, Timestamp};
use crate::queue::Login;
use crate::sasl::Mechanism;
use crate::store::{HoldsSecret, Row};

/// A peer as it was written before its mechanisms could be chosen.
#[derive(Deserialize)]
struct First {
    name: String,
    fields: FirstFields,
    secret_changed_at: Timestamp,
    version: u64,
    created_at: Timestamp,
    changed_at: Timestamp,
}

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

impl From<First> for Peer {
    fn from(row: First) -> Self {
        let First { name, fields, secret_changed_at, version, created_at, changed_at } = row;
        let FirstFields { verbs, direction, host, port, domains, login, tls, networks, enabled, note } = fields;
        let fields = PeerFields {
            verbs,
            direction,
            host,
            port,
            domains,
            login,
            mechanisms: Mechanism::USUAL.to_vec(),
            in_clear: false,
            tls,
            networks,
            enabled,
            note,
        };
        Self { name, fields, secret_changed_at, version, created_at, changed_at }
    }
}

impl Row for Peer {
    const VERSION: u8 = 2;
    const HOLDS_SECRET: Option<&'static str> = Some(<Self as HoldsSecret>::WHAT);

    fn encode(&self, out: &mut Vec<u8>) {
        // Writing plain data to memory can't fail; an empty row would be seen as damage.
        if let Ok(bytes) = postcard::to_stdvec(self) {
            out.extend_from_slice(&bytes);
        }
    }

    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        let (row, rest) = match version {
            1 => postcard::take_from_bytes(bytes).map(|(row, rest)| (First::into(row), rest)).ok()?,
            2 => postcard::take_from_bytes(bytes).ok()?,
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
    fn rows_of_the_first_version_are_read() {
        let domain: DomainName = "branch.test".parse().unwrap();
        let login = Some(Login { user: "branch".into(), secret: "s3cret".into() });
        let fields = (
            vec![Verb::Atrn],
            Direction::Accept,
            None::<Host>,
            366_u16,
            vec![domain.clone()],
            login.clone(),
            ServerTls::Pinned([7; 32]),
            Networks::default(),
            true,
            "far away",
        );
        let old = postcard::to_stdvec(&("branch", fields, Timestamp(3), 9_u64, Timestamp(1), Timestamp(2))).unwrap();
        let row = Peer::decode(1, &old).unwrap();
        assert_eq!((&*row.name, row.version, row.secret_changed_at), ("branch", 9, Timestamp(3)));
        assert_eq!((&row.fields.domains, &row.fields.login, row.fields.port), (&vec![domain], &login, 366));
        assert_eq!((row.fields.mechanisms.as_slice(), row.fields.in_clear), (Mechanism::USUAL.as_slice(), false));
        let mut new = Vec::new();
        row.encode(&mut new);
        assert_eq!(Peer::decode(2, &new), Some(row));
        assert_eq!((Peer::decode(3, &new), Peer::decode(1, &new), Peer::decode(2, &old)), (None, None, None));
    }
}
