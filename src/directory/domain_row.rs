use serde::Deserialize;

use super::domain::{Domain, DomainFields};
use crate::base::{Address, DomainName, Timestamp};
use crate::store::Row;

/// A domain as it was written before it could publish a policy.
#[derive(Deserialize)]
struct First {
    name: DomainName,
    fields: FirstFields,
    version: u64,
    created_at: Timestamp,
    changed_at: Timestamp,
}

#[derive(Deserialize)]
struct FirstFields {
    aliases: Vec<DomainName>,
    enabled: bool,
    catch_all: Option<Address>,
    subaddress_sep: String,
    default_quota_bytes: Option<u64>,
    max_accounts: Option<u32>,
}

impl From<First> for Domain {
    fn from(row: First) -> Self {
        let First { name, fields, version, created_at, changed_at } = row;
        let FirstFields { aliases, enabled, catch_all, subaddress_sep, default_quota_bytes, max_accounts } = fields;
        let fields = DomainFields {
            aliases,
            enabled,
            catch_all,
            subaddress_sep,
            default_quota_bytes,
            max_accounts,
            mta_sts_mode: None,
        };
        Self { name, fields, version, created_at, changed_at }
    }
}

impl Row for Domain {
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
    use crate::settings::Settings;
    use crate::tlspolicy::Mode;

    #[test]
    fn rows_of_the_first_version_are_read() {
        let name = |text| DomainName::parse(text).unwrap();
        let fields = (vec![name("y.test")], true, None::<Address>, "+", Some(7_u64), Some(3_u32));
        let old = postcard::to_stdvec(&(name("x.test"), fields, 9_u64, Timestamp(1), Timestamp(2))).unwrap();
        let mut row = Domain::decode(1, &old).unwrap();
        assert_eq!((row.name.as_str(), row.version), ("x.test", 9));
        assert_eq!((row.created_at, row.changed_at), (Timestamp(1), Timestamp(2)));
        let expected = DomainFields {
            aliases: vec![name("y.test")],
            default_quota_bytes: Some(7),
            max_accounts: Some(3),
            ..DomainFields::new(&Settings::default())
        };
        assert_eq!(row.fields, expected);
        row.fields.mta_sts_mode = Some(Mode::Testing);
        let mut new = Vec::new();
        row.encode(&mut new);
        assert_eq!(Domain::decode(2, &new), Some(row));
        assert_eq!((Domain::decode(3, &new), Domain::decode(1, &new), Domain::decode(2, &old)), (None, None, None));
    }
}
