use serde::Deserialize;

use super::account::{Account, AccountFields, Protocol, Role};
use crate::base::{AccountId, Address, Timestamp};
use crate::store::Row;

/// An account as it was written before it could forward.
#[derive(Deserialize)]
struct First {
    id: AccountId,
    address: Address,
    fields: FirstFields,
    version: u64,
    created_at: Timestamp,
    changed_at: Timestamp,
}

#[derive(Deserialize)]
struct FirstFields {
    display_name: String,
    enabled: bool,
    roles: Vec<Role>,
    quota_bytes: Option<u64>,
    send_as: Vec<String>,
    protocols: Vec<Protocol>,
}

impl From<First> for Account {
    fn from(row: First) -> Self {
        let First { id, address, fields, version, created_at, changed_at } = row;
        let FirstFields { display_name, enabled, roles, quota_bytes, send_as, protocols } = fields;
        let fields = AccountFields { display_name, enabled, roles, quota_bytes, send_as, protocols, forward: None };
        Self { id, address, fields, version, created_at, changed_at }
    }
}

impl Row for Account {
    const VERSION: u8 = 2;

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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Forward;

    #[test]
    fn rows_of_the_first_version_are_read() {
        let address = |text| Address::parse(text).unwrap();
        let fields = ("Ann", true, vec![Role::User], Some(7_u64), vec!["@x.test"], vec![Protocol::Imap]);
        let old = (AccountId(5), address("Ann@x.test"), fields, 9_u64, Timestamp(1), Timestamp(2));
        let old = postcard::to_stdvec(&old).unwrap();
        let mut row = Account::decode(1, &old).unwrap();
        assert_eq!((row.id, row.address.to_string(), row.version), (AccountId(5), "Ann@x.test".into(), 9));
        assert_eq!((row.created_at, row.changed_at), (Timestamp(1), Timestamp(2)));
        let expected = AccountFields {
            display_name: "Ann".into(),
            quota_bytes: Some(7),
            send_as: vec!["@x.test".into()],
            protocols: vec![Protocol::Imap],
            ..AccountFields::default()
        };
        assert_eq!(row.fields, expected);
        row.fields.forward = Some(Forward { to: vec![address("b@far.test")], keep: true });
        let mut new = Vec::new();
        row.encode(&mut new);
        assert_eq!(Account::decode(2, &new), Some(row));
        assert_eq!((Account::decode(3, &new), Account::decode(1, &new), Account::decode(2, &old)), (None, None, None));
    }
}
