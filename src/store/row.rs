use crate::base::Secret;

/// A row's value. In the file it begins with the version byte of its encoding, and ends with a checksum of its table,
/// its key and itself.
pub trait Row: Sized {
    /// The version that [`Row::encode`] writes, below 32: the upper bits say that the row's secret is sealed, and that it
    /// ends with a checksum.
    const VERSION: u8;
    /// Whether it ends with a checksum. Not where there is nothing but a key, nor where something else proves the row.
    const CHECKED: bool = true;
    /// What the row is, where it holds a secret ([`HoldsSecret`]).
    const HOLDS_SECRET: Option<&'static str> = None;
    /// Appends the value's bytes, without the version byte.
    fn encode(&self, out: &mut Vec<u8>);
    /// Reads the value as `version` wrote it; `None` when it is damaged or from a version that is not known.
    fn decode(version: u8, bytes: &[u8]) -> Option<Self>;
    /// The row without its secret, and that; `None`: it has none.
    fn without_secret(&self) -> Option<(Self, Secret<Vec<u8>>)> {
        None
    }
    /// The row with its secret again; `None`: that can't be one.
    fn with_secret(self, _: &[u8]) -> Option<Self> {
        Some(self)
    }
}

/// A row with a secret that has to be readable, as a password that is sent to another server: with a key file it is
/// sealed in the file ([`super::Sealing`]). The row is made by `postcard_row!(Route, 1, secret)`. What only has to be
/// recognised is kept as a hash instead.
pub trait HoldsSecret: Clone {
    /// What such a row is, for people, as in "route": its key follows.
    const WHAT: &'static str;
    /// The secret; empty or `None` where there is none.
    fn secret(&self) -> Option<&[u8]>;
    /// Puts another in its place, an empty one for none. `None`: it can't be one.
    fn set_secret(&mut self, secret: &[u8]) -> Option<()>;
}

/// Nothing but the key: an index.
impl Row for () {
    const VERSION: u8 = 0;
    const CHECKED: bool = false;
    fn encode(&self, _: &mut Vec<u8>) {}
    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        (version == 0 && bytes.is_empty()).then_some(())
    }
}

/// Set in the version byte of a row that ends with a checksum. Two bits: one that flips makes no row without one of it.
const HAS_CHECK: u8 = 0x60;
/// Octets of the checksum.
const CHECK_BYTES: usize = 4;

/// The row's bytes without a checksum.
pub(super) fn encode_bare<V: Row>(row: &V) -> Vec<u8> {
    const { assert!(V::VERSION < 32, "the upper bits are taken") };
    let mut out = Vec::with_capacity(64);
    out.push(V::VERSION);
    row.encode(&mut out);
    out
}

/// The row's bytes as they stand in the file, its secret as it is.
pub(super) fn encode_row<V: Row>(table: &str, key: &[u8], row: &V) -> Vec<u8> {
    close_row::<V>(table, key, encode_bare(row))
}

/// Marks a row, and puts the checksum behind it.
pub(super) fn close_row<V: Row>(table: &str, key: &[u8], mut row: Vec<u8>) -> Vec<u8> {
    if V::CHECKED {
        put_check(table, key, &mut row);
    }
    row
}

/// The row with a checksum, where it has none.
pub(super) fn with_check(table: &str, key: &[u8], row: &[u8]) -> Vec<u8> {
    let mut row = row.to_vec();
    if !has_check(&row) {
        put_check(table, key, &mut row);
    }
    row
}

/// Whether the row says that it ends with a checksum.
pub(super) fn has_check(row: &[u8]) -> bool {
    row.first().is_some_and(|version| version & HAS_CHECK == HAS_CHECK)
}

fn put_check(table: &str, key: &[u8], row: &mut Vec<u8>) {
    if let Some(version) = row.first_mut() {
        *version |= HAS_CHECK;
        let check = checksum(table, key, row);
        row.extend_from_slice(&check.to_le_bytes());
    }
}

/// A row's version and what is encoded in it; `None` when its checksum does not hold. Rows of the first releases have none.
pub(super) fn open_row<'a>(table: &str, key: &[u8], row: &'a [u8]) -> Option<(u8, &'a [u8])> {
    if has_check(row) {
        let (checked, check) = row.split_last_chunk::<CHECK_BYTES>()?;
        if u32::from_le_bytes(*check) != checksum(table, key, checked) {
            return None;
        }
    }
    contents(row)
}

/// The same without a look at the checksum.
pub(super) fn contents(row: &[u8]) -> Option<(u8, &[u8])> {
    let (marked, bytes) = row.split_first()?;
    if !has_check(row) {
        return Some((*marked, bytes));
    }
    let (bytes, _) = bytes.split_last_chunk::<CHECK_BYTES>()?;
    Some((marked & !HAS_CHECK, bytes))
}

/// Eight octets a step, and each step loses nothing: damage inside of eight octets is always in the sum, other damage is
/// missed once in four thousand million times. The storage engine's own checksums are looked at only when a file is opened
/// after a crash, or checked.
fn checksum(table: &str, key: &[u8], row: &[u8]) -> u32 {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut sum = (key.len() as u64) << 32 | row.len() as u64;
    let mut add = |word: [u8; 8]| {
        sum = (sum ^ u64::from_le_bytes(word)).wrapping_mul(ODD);
        sum ^= sum >> 29;
    };
    for bytes in [table.as_bytes(), key, row] {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| add(*word));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        add(last);
    }
    (sum >> 32) as u32 ^ sum as u32
}

/// Makes a serde type a [`Row`] in postcard encoding: `postcard_row!(Account, 1);`, or where it is a [`HoldsSecret`]:
/// `postcard_row!(Route, 1, secret);`
#[macro_export]
macro_rules! postcard_row {
    ($name:ty, $version:literal) => {
        $crate::postcard_row!($name, $version, {});
    };
    ($name:ty, $version:literal, secret) => {
        $crate::postcard_row!($name, $version, {
            const HOLDS_SECRET: Option<&'static str> = Some(<$name as $crate::store::HoldsSecret>::WHAT);
            fn without_secret(&self) -> Option<(Self, $crate::base::Secret<Vec<u8>>)> {
                use $crate::store::HoldsSecret;
                let secret = self.secret().filter(|secret| !secret.is_empty())?.to_vec();
                let mut bare = self.clone();
                bare.set_secret(&[])?;
                Some((bare, $crate::base::Secret::new(secret)))
            }
            fn with_secret(mut self, secret: &[u8]) -> Option<Self> {
                $crate::store::HoldsSecret::set_secret(&mut self, secret).map(|()| self)
            }
        });
    };
    ($name:ty, $version:literal, { $($more:tt)* }) => {
        impl $crate::store::Row for $name {
            const VERSION: u8 = $version;
            $($more)*
            fn encode(&self, out: &mut Vec<u8>) {
                // Writing plain data to memory can't fail; an empty row would be seen as damage.
                if let Ok(bytes) = ::postcard::to_stdvec(self) {
                    out.extend_from_slice(&bytes);
                }
            }
            fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
                if version != $version {
                    return None;
                }
                let (value, rest) = ::postcard::take_from_bytes(bytes).ok()?;
                rest.is_empty().then_some(value)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row that takes any bytes: what is wrong with it, only the checksum can say.
    #[derive(Debug, PartialEq)]
    struct Any(Vec<u8>);

    impl Row for Any {
        const VERSION: u8 = 2;
        fn encode(&self, out: &mut Vec<u8>) {
            out.extend_from_slice(&self.0);
        }
        fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
            matches!(version, 1 | 2).then(|| Self(bytes.to_vec()))
        }
    }

    fn decode_row<V: Row>(key: &[u8], row: &[u8]) -> Option<V> {
        let (version, bytes) = open_row("table", key, row)?;
        V::decode(version, bytes)
    }

    fn check(bytes: &[u8]) {
        let row = encode_row("table", b"key", &Any(bytes.to_vec()));
        assert_eq!(row.len(), 1 + bytes.len() + 4);
        assert_eq!(decode_row(b"key", &row), Some(Any(bytes.to_vec())));
        assert_eq!(decode_row::<Any>(b"kez", &row), None, "the row of another key");
        for bit in 0..row.len() * 8 {
            let mut row = row.clone();
            row[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode_row::<Any>(b"key", &row), None, "bit {bit}");
        }
        for len in 0..row.len() {
            assert_eq!(decode_row::<Any>(b"key", &row[..len]), None, "cut to {len}");
        }
    }

    #[test]
    fn no_bit_of_a_row_can_flip_unseen() {
        check(b"");
        check(b"a");
        check(b"twelve bytes");
        check(&[0; 100]);
        check(&(0..=255).collect::<Vec<u8>>());
    }

    #[test]
    fn rows_without_a_checksum_are_read() {
        assert_eq!(decode_row(b"key", b"\x01old"), Some(Any(b"old".to_vec())));
        assert_eq!(decode_row::<Any>(b"key", b"\x03new"), None);
        assert_eq!(encode_row("table", b"key", &()), [0]);
        assert_eq!(open_row("other", b"key", &encode_row("table", b"key", &Any(vec![1]))), None);
        assert_eq!(decode_row(b"key", &[0]), Some(()));
    }
}
