use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::{Random, Secret, limits};

/// What a sealed secret begins with.
const FORMAT: u8 = 1;
/// Octets of the salt of each: from it and the key comes the key that seals this one alone.
const SALT_BYTES: usize = 32;
/// Octets before the sealed text itself.
const HEAD_BYTES: usize = 1 + KeyId::BYTES + SALT_BYTES;
/// Octets of the tag behind it.
const TAG_BYTES: usize = 16;

/// What the keys are derived for: other uses of the same octets give other keys.
const MASTER_CONTEXT: &str = "pillarbox 2026-11 key that seals secrets at rest";
const ID_CONTEXT: &str = "pillarbox 2026-11 name of a key that seals secrets at rest";

/// Which key: its name, by which nobody learns the key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; KeyId::BYTES]);

impl KeyId {
    const BYTES: usize = 8;
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// Why the content of a key file is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is nothing in it.
    #[error("it holds no key: `pillarbox key create FILE` makes one")]
    Empty,
    /// A key is too short to be one.
    #[error("line {line}: a key has at least {} random octets, and this one fewer", limits::KEY_BYTES_MIN)]
    Short {
        /// Where, from 1 on.
        line: usize,
    },
    /// A line is no key.
    #[error("line {0} is neither base64 nor hexadecimal")]
    Malformed(usize),
}

/// Why a sealed secret does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsealed {
    /// It was cut, or is from a later release.
    #[error("it is no sealed secret of this version")]
    Malformed,
    /// It is sealed with a key that is not on the ring.
    #[error("it is sealed with the key {0}")]
    OtherKey(KeyId),
    /// It was changed, or belongs to another place.
    #[error("it was changed since it was sealed, or belongs elsewhere")]
    Changed,
}

/// The keys of a key file: the first seals, any of them opens.
///
/// Each secret is sealed with ChaCha20-Poly1305 (RFC 8439) under a key of its own, which blake3 derives from the key of
/// the file and a random salt of 256 bits: no two ever share a key and a nonce.
// No Debug, and wiped when dropped.
pub struct KeyRing {
    keys: Vec<Key>,
    random: Arc<dyn Random>,
}

struct Key {
    id: KeyId,
    master: Secret<[u8; 32]>,
}

impl KeyRing {
    /// Reads the content of a key file: text with a key of 32 or more octets in each line, in hexadecimal or base64, and
    /// comments behind `#`; else the octets of one key as they are.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(content: &[u8], random: Arc<dyn Random>) -> Result<Self, KeyError> {
        let is_text = content.iter().all(|octet| octet.is_ascii_graphic() || octet.is_ascii_whitespace());
        let keys = if is_text { keys_of_lines(content)? } else { vec![key(content, 1)?] };
        if keys.is_empty() { Err(KeyError::Empty) } else { Ok(Self { keys, random }) }
    }

    /// A new key, as a line of a key file.
    pub fn new_line(random: &dyn Random) -> Secret<String> {
        let mut octets = Zeroizing::new([0; limits::KEY_BYTES_MIN]);
        random.fill(&mut *octets);
        Secret::new(STANDARD.encode(*octets))
    }

    /// The names of its keys, that which seals first.
    pub fn ids(&self) -> Vec<KeyId> {
        self.keys.iter().map(|key| key.id).collect()
    }

    /// The key that seals.
    pub fn first(&self) -> KeyId {
        self.keys[0].id
    }

    /// Seals a secret. `place` says where it belongs: it opens nowhere else. `None`: it is too long (256 GiB).
    pub fn seal(&self, place: &[&[u8]], secret: &[u8]) -> Option<Vec<u8>> {
        let key = &self.keys[0];
        let mut sealed = Vec::with_capacity(HEAD_BYTES + secret.len() + TAG_BYTES);
        sealed.push(FORMAT);
        sealed.extend_from_slice(&key.id.0);
        let mut salt = [0; SALT_BYTES];
        self.random.fill(&mut salt);
        sealed.extend_from_slice(&salt);
        let mut text = Zeroizing::new(secret.to_vec());
        let tag = key.of(&salt)?.seal_in_place_separate_tag(nonce(), Aad::from(bind(place)), &mut text).ok()?;
        sealed.extend_from_slice(&text);
        sealed.extend_from_slice(tag.as_ref());
        Some(sealed)
    }

    /// Opens what [`KeyRing::seal`] has sealed for the same place.
    ///
    /// # Errors
    /// [`Unsealed`].
    pub fn open(&self, place: &[&[u8]], sealed: &[u8]) -> Result<Secret<Vec<u8>>, Unsealed> {
        let id = Self::key_of(sealed).ok_or(Unsealed::Malformed)?;
        let key = self.keys.iter().find(|key| key.id == id).ok_or(Unsealed::OtherKey(id))?;
        let (head, text) = sealed.split_at_checked(HEAD_BYTES).ok_or(Unsealed::Malformed)?;
        let cipher = key.of(&head[HEAD_BYTES - SALT_BYTES..]).ok_or(Unsealed::Malformed)?;
        let mut text = Secret::new(text.to_vec());
        let opened = cipher.open_in_place(nonce(), Aad::from(bind(place)), text.expose_mut());
        let length = opened.map_err(|_| Unsealed::Changed)?.len();
        text.expose_mut().truncate(length);
        Ok(text)
    }

    /// The key that something is sealed with; `None`: it is no sealed secret of this version.
    pub fn key_of(sealed: &[u8]) -> Option<KeyId> {
        let (format, rest) = sealed.split_first()?;
        let (id, _) = rest.split_first_chunk()?;
        (*format == FORMAT).then_some(KeyId(*id))
    }
}

impl Key {
    fn of(&self, salt: &[u8]) -> Option<LessSafeKey> {
        let own = Zeroizing::new(*blake3::keyed_hash(self.master.expose(), salt).as_bytes());
        UnboundKey::new(&CHACHA20_POLY1305, &*own).ok().map(LessSafeKey::new)
    }
}

/// Always the same: no key is used twice.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

/// The parts of a place as one text that no other parts have.
fn bind(place: &[&[u8]]) -> Vec<u8> {
    place.iter().flat_map(|part| [&(part.len() as u64).to_be_bytes(), *part].concat()).collect()
}

fn keys_of_lines(content: &[u8]) -> Result<Vec<Key>, KeyError> {
    let lines = content.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii).zip(1..);
    let lines = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with(b"#"));
    lines.map(|(line, number)| key(&decode(line).ok_or(KeyError::Malformed(number))?, number)).collect()
}

fn key(octets: &[u8], line: usize) -> Result<Key, KeyError> {
    if octets.len() < limits::KEY_BYTES_MIN {
        return Err(KeyError::Short { line });
    }
    let mut id = [0; KeyId::BYTES];
    id.copy_from_slice(&blake3::derive_key(ID_CONTEXT, octets)[..KeyId::BYTES]);
    Ok(Key { id: KeyId(id), master: Secret::new(blake3::derive_key(MASTER_CONTEXT, octets)) })
}

/// Hexadecimal where it can be that: 64 digits would be base64 too.
fn decode(line: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if line.len() >= 2 * limits::KEY_BYTES_MIN && line.len().is_multiple_of(2) {
        let octets = line.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?));
        if let Some(octets) = octets.collect::<Option<Vec<u8>>>() {
            return Some(Zeroizing::new(octets));
        }
    }
    let lax = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engines = [&alphabet::STANDARD, &alphabet::URL_SAFE].map(|letters| GeneralPurpose::new(letters, lax));
    engines.iter().find_map(|engine| engine.decode(line).ok()).map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::super::{SeededRandom, SystemRandom};
    use super::*;

    fn ring(content: &[u8]) -> KeyRing {
        KeyRing::parse(content, Arc::new(SystemRandom)).unwrap_or_else(|error| panic!("a key: {error}"))
    }

    fn line(seed: u64) -> String {
        KeyRing::new_line(&SeededRandom::new(seed)).expose().clone()
    }

    #[test]
    fn a_key_file_is_read_or_explained() {
        let check = |content: &[u8], expected: Result<usize, KeyError>| {
            let seen = KeyRing::parse(content, Arc::new(SystemRandom)).map(|ring| ring.ids().len());
            assert_eq!(seen, expected, "{}", String::from_utf8_lossy(content));
        };
        let (base64, hex) = (line(1), "0123456789abcdef".repeat(4));
        check(base64.as_bytes(), Ok(1));
        check(hex.as_bytes(), Ok(1));
        check(format!("# of this year\r\n{base64}\r\n\n# before\n{hex}\n").as_bytes(), Ok(2));
        check(&[200; 32], Ok(1));
        check(base64.trim_end_matches('=').as_bytes(), Ok(1));
        check(b"", Err(KeyError::Empty));
        check(b"\n# nothing\n", Err(KeyError::Empty));
        check(&[200; 31], Err(KeyError::Short { line: 1 }));
        check(b"c2hvcnQ=\n", Err(KeyError::Short { line: 1 }));
        check(format!("{base64}\nno key!\n").as_bytes(), Err(KeyError::Malformed(2)));
    }

    #[test]
    fn the_same_octets_are_the_same_key_however_they_are_written() {
        let octets: [u8; 32] = std::array::from_fn(|place| place as u8 ^ 0xa5);
        let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        let ids =
            [ring(&octets).first(), ring(hex.as_bytes()).first(), ring(STANDARD.encode(octets).as_bytes()).first()];
        assert!(ids.iter().all(|id| *id == ids[0]) && ids[0] != ring(line(1).as_bytes()).first());
        assert_eq!(ids[0].to_string().len(), 16);
    }

    #[test]
    fn what_is_sealed_opens_at_its_place_alone() {
        let keys = ring(line(1).as_bytes());
        let sealed = keys.seal(&[b"routes", b"smarthost", b"row"], b"correct horse").unwrap();
        assert_eq!(keys.open(&[b"routes", b"smarthost", b"row"], &sealed).unwrap().expose(), b"correct horse");
        let check = |place: &[&[u8]], sealed: &[u8], expected: Unsealed| {
            assert_eq!(keys.open(place, sealed).err(), Some(expected), "{place:?}");
        };
        check(&[b"routes", b"other", b"row"], &sealed, Unsealed::Changed);
        check(&[b"peers", b"smarthost", b"row"], &sealed, Unsealed::Changed);
        check(&[b"routes", b"smarthost", b"wor"], &sealed, Unsealed::Changed);
        // The same octets, cut otherwise.
        check(&[b"route", b"ssmarthost", b"row"], &sealed, Unsealed::Changed);
        check(&[b"routes", b"smarthostrow"], &sealed, Unsealed::Changed);
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 0x10;
            assert!(keys.open(&[b"routes", b"smarthost", b"row"], &changed).is_err(), "octet {place}");
            let cut = &sealed[..place];
            assert!(keys.open(&[b"routes", b"smarthost", b"row"], cut).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn any_key_of_the_file_opens_and_the_first_one_seals() {
        let (old, new) = (line(1), line(2));
        let (before, after) = (ring(old.as_bytes()), ring(format!("{new}\n{old}\n").as_bytes()));
        let sealed = before.seal(&[b"x"], b"secret").unwrap();
        assert_eq!(after.open(&[b"x"], &sealed).unwrap().expose(), b"secret");
        let again = after.seal(&[b"x"], b"secret").unwrap();
        assert_eq!(before.open(&[b"x"], &again).err(), Some(Unsealed::OtherKey(ring(new.as_bytes()).first())));
        assert_eq!(KeyRing::key_of(&again), Some(after.first()));
    }

    #[test]
    fn the_same_secret_is_never_sealed_alike() {
        let keys = ring(line(1).as_bytes());
        let sealed = |_| keys.seal(&[b"x"], b"the same secret").unwrap();
        let [first, second] = [0, 1].map(sealed);
        assert!(first[HEAD_BYTES..] != second[HEAD_BYTES..]);
        assert_eq!(first.len(), HEAD_BYTES + b"the same secret".len() + TAG_BYTES);
        assert!(!first.windows(4).any(|piece| piece == b"same"));
    }
}
