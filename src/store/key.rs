use crate::base::{
    AccountId, BlobId, JobId, MailboxId, MessageId, ModSeq, QueueId, SessionId, Timestamp, TraceId, Uid,
};

/// A key: bytes that sort as the values do.
pub trait Key: Sized {
    /// Appends the key's bytes. No key's bytes are the beginning of another's of the same type.
    fn write(&self, out: &mut Vec<u8>);
    /// Takes the key off the front of `bytes`; `None` when they are not one.
    fn read(bytes: &mut &[u8]) -> Option<Self>;
}

/// The first parts of a key: all rows below it form one span.
pub trait PrefixOf<K>: Key {}

macro_rules! number_key {
    ($($name:ty),*) => {$(
        impl Key for $name {
            fn write(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
            fn read(bytes: &mut &[u8]) -> Option<Self> {
                let (head, tail) = bytes.split_first_chunk()?;
                *bytes = tail;
                Some(Self::from_be_bytes(*head))
            }
        }
    )*};
}
number_key!(u8, u16, u32, u64);

macro_rules! id_key {
    ($($name:ident),*) => {$(
        impl Key for $name {
            fn write(&self, out: &mut Vec<u8>) {
                self.0.write(out);
            }
            fn read(bytes: &mut &[u8]) -> Option<Self> {
                Key::read(bytes).map(Self)
            }
        }
    )*};
}
id_key!(AccountId, BlobId, JobId, MailboxId, MessageId, ModSeq, SessionId, Timestamp, TraceId, Uid);

impl Key for QueueId {
    fn write(&self, out: &mut Vec<u8>) {
        self.message.write(out);
        self.number.write(out);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self { message: MessageId::read(bytes)?, number: u32::read(bytes)? })
    }
}
impl PrefixOf<QueueId> for MessageId {}

impl<const N: usize> Key for [u8; N] {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (head, tail) = bytes.split_first_chunk()?;
        *bytes = tail;
        Some(*head)
    }
}

/// Text ends with two zero bytes; a zero byte inside is followed by 255, so that order and prefixes hold.
impl Key for String {
    fn write(&self, out: &mut Vec<u8>) {
        for byte in self.bytes() {
            out.push(byte);
            if byte == 0 {
                out.push(255);
            }
        }
        out.extend_from_slice(&[0, 0]);
    }
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut text = Vec::new();
        loop {
            match **bytes {
                [0, 0, ref tail @ ..] => {
                    *bytes = tail;
                    return String::from_utf8(text).ok();
                }
                [0, 255, ref tail @ ..] => {
                    text.push(0);
                    *bytes = tail;
                }
                [0, ..] | [] => return None,
                [byte, ref tail @ ..] => {
                    text.push(byte);
                    *bytes = tail;
                }
            }
        }
    }
}

macro_rules! tuple_key {
    ($($name:ident . $place:tt),*) => {
        impl<$($name: Key),*> Key for ($($name,)*) {
            fn write(&self, out: &mut Vec<u8>) {
                $(self.$place.write(out);)*
            }
            fn read(bytes: &mut &[u8]) -> Option<Self> {
                Some(($($name::read(bytes)?,)*))
            }
        }
    };
}
tuple_key!(A.0, B.1);
tuple_key!(A.0, B.1, C.2);
tuple_key!(A.0, B.1, C.2, D.3);

impl<A: Key, B: Key> PrefixOf<(A, B)> for A {}
impl<A: Key, B: Key, C: Key> PrefixOf<(A, B, C)> for A {}
impl<A: Key, B: Key, C: Key> PrefixOf<(A, B, C)> for (A, B) {}
impl<A: Key, B: Key, C: Key, D: Key> PrefixOf<(A, B, C, D)> for A {}
impl<A: Key, B: Key, C: Key, D: Key> PrefixOf<(A, B, C, D)> for (A, B) {}
impl<A: Key, B: Key, C: Key, D: Key> PrefixOf<(A, B, C, D)> for (A, B, C) {}
