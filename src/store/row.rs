/// A row's value. In the file it begins with the version byte of its encoding.
pub trait Row: Sized {
    /// The version that [`Row::encode`] writes.
    const VERSION: u8;
    /// Appends the value's bytes, without the version byte.
    fn encode(&self, out: &mut Vec<u8>);
    /// Reads the value as `version` wrote it; `None` when it is damaged or from a version that is not known.
    fn decode(version: u8, bytes: &[u8]) -> Option<Self>;
}

/// Nothing but the key: an index.
impl Row for () {
    const VERSION: u8 = 0;
    fn encode(&self, _: &mut Vec<u8>) {}
    fn decode(version: u8, bytes: &[u8]) -> Option<Self> {
        (version == 0 && bytes.is_empty()).then_some(())
    }
}

/// Makes a serde type a [`Row`] in postcard encoding: `postcard_row!(Account, 1);`
#[macro_export]
macro_rules! postcard_row {
    ($name:ty, $version:literal) => {
        impl $crate::store::Row for $name {
            const VERSION: u8 = $version;
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
