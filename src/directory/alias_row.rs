use serde::Deserialize;

use super::alias::{Alias, AliasFields};
use crate::base::{Address, Timestamp};
use crate::store::Row;

/// An alias as it was written before it said who may expand it.
#[derive(Deserialize)]
struct First {
    address: Address,
    fields: FirstFields,
    version: u64,
    created_at: Timestamp,
    changed_at: Timestamp,
}

#[derive(Deserialize)]
struct FirstFields {
    targets: Vec<Address>,
    enabled: bool,
    internal_only: bool,
    note: String,
}

impl From<First> for Alias {
    fn from(row: First) -> Self {
        let First { address, fields, version, created_at, changed_at } = row;
        let FirstFields { targets, enabled, internal_only, note } = fields;
        let fields = AliasFields { enabled, internal_only, note, ..AliasFields::leading_to(targets) };
        Self { address, fields, version, created_at, changed_at }
    }
}

impl Row for Alias {
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
    use crate::directory::Expn;

    #[test]
    fn rows_of_the_first_version_are_read() {
        let at = |text| Address::parse(text).unwrap();
        let fields = (vec![at("a@x.test")], false, true, "note");
        let old = postcard::to_stdvec(&(at("i@x.test"), fields, 9_u64, Timestamp(1), Timestamp(2))).unwrap();
        let mut row = Alias::decode(1, &old).unwrap();
        let expected = AliasFields {
            enabled: false,
            internal_only: true,
            note: "note".into(),
            ..AliasFields::leading_to(vec![at("a@x.test")])
        };
        assert_eq!((row.address.to_string().as_str(), row.version, &row.fields), ("i@x.test", 9, &expected));
        assert_eq!((row.created_at, row.changed_at), (Timestamp(1), Timestamp(2)));
        row.fields.expn = Expn::Public;
        let mut new = Vec::new();
        row.encode(&mut new);
        assert_eq!(Alias::decode(2, &new), Some(row));
        assert_eq!((Alias::decode(3, &new), Alias::decode(1, &new), Alias::decode(2, &old)), (None, None, None));
    }
}
