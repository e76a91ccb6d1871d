use argon2::password_hash::{Output, ParamsString, PasswordHash as Phc, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use serde::{Deserialize, Serialize};

use crate::base::{AccountId, Random, Secret, Timestamp, limits};
use crate::postcard_row;
use crate::store::Table;

/// What proves who somebody is, by account and number.
pub(super) static CREDENTIALS: Table<(AccountId, u32), Credential> = Table::new("credentials");

/// The number of the main password; app passwords come after it.
pub(super) const MAIN_PASSWORD: u32 = 0;

/// A password of an account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Credential {
    pub(super) hash: PasswordHash,
    pub(super) changed_at: Timestamp,
}
postcard_row!(Credential, 1);

/// A password as it is kept: argon2id, or what another server kept (bcrypt, sha512-crypt).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash(String);

/// Not a password hash that can be verified here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a password hash must be argon2id ($argon2id$…), bcrypt ($2b$…) or sha512-crypt ($6$…), of a bearable cost")]
pub struct HashError;

/// Blocks of 1 KiB for which room is asked at least. The C library gives what is larger than 32 MiB back to the system
/// at once; of what is smaller, each thread that ever made a hash would keep its own. Room that is not used costs nothing.
const BLOCKS_ASKED: usize = 33 * 1024;

/// The marks that other servers put in front of a hash.
const SCHEMES: [&str; 6] = ["{ARGON2ID}", "{ARGON2}", "{BLF-CRYPT}", "{BCRYPT}", "{SHA512-CRYPT}", "{CRYPT}"];

impl PasswordHash {
    /// Hashes a password with argon2id: tens of milliseconds and 19 MiB. In the server use
    /// [`super::Authenticator::hash`], which bounds how many run at a time.
    pub fn of(password: &Secret<String>, random: &dyn Random) -> Self {
        let mut salt = [0; 16];
        random.fill(&mut salt);
        let hash = SaltString::encode_b64(&salt).and_then(|text| {
            let argon2 = argon2id();
            let hash = Phc {
                algorithm: Algorithm::Argon2id.ident(),
                version: Some(Version::V0x13.into()),
                params: ParamsString::try_from(argon2.params())?,
                salt: Some(text.as_salt()),
                hash: Some(derive(&argon2, password, &salt, Params::DEFAULT_OUTPUT_LEN)?),
            };
            Ok(hash.to_string())
        });
        // Salt and parameters are ours and of the right size; a hash that nothing matches would be the answer else.
        Self(hash.unwrap_or_default())
    }

    /// Takes over a hash that another server made, with or without a `{SCHEME}` in front.
    ///
    /// # Errors
    /// [`HashError`] when it is of no known kind, damaged, or would take too long to verify.
    pub fn import(text: &str) -> Result<Self, HashError> {
        let scheme =
            SCHEMES.iter().find(|scheme| text.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme)));
        let hash = scheme.map_or(text, |scheme| &text[scheme.len()..]);
        let is_good = match Kind::of(hash) {
            Some(Kind::Argon2id) => is_good_argon2id(hash),
            Some(Kind::Bcrypt) => is_good_bcrypt(hash),
            Some(Kind::Sha512Crypt) => is_good_sha512_crypt(hash),
            None => false,
        };
        if is_good { Ok(Self(hash.to_owned())) } else { Err(HashError) }
    }

    /// Whether `password` is the one. Takes as long as the hash wants: not for an async thread.
    pub(super) fn verify(&self, password: &Secret<String>) -> bool {
        match Kind::of(&self.0) {
            Some(Kind::Argon2id) => verify_argon2id(&self.0, password).unwrap_or(false),
            Some(Kind::Bcrypt) => bcrypt::verify(password.expose(), &self.0).unwrap_or(false),
            Some(Kind::Sha512Crypt) => sha_crypt::sha512_check(password.expose(), &self.0).is_ok(),
            None => false,
        }
    }

    /// As it is kept.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

enum Kind {
    Argon2id,
    Bcrypt,
    Sha512Crypt,
}

impl Kind {
    fn of(hash: &str) -> Option<Self> {
        match hash {
            _ if hash.starts_with("$argon2id$") => Some(Self::Argon2id),
            _ if ["$2a$", "$2b$", "$2y$"].iter().any(|mark| hash.starts_with(mark)) => Some(Self::Bcrypt),
            _ if hash.starts_with("$6$") => Some(Self::Sha512Crypt),
            _ => None,
        }
    }
}

fn argon2id() -> Argon2<'static> {
    let params = Params::new(limits::ARGON2_MEMORY_KIB, limits::ARGON2_PASSES, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

fn verify_argon2id(hash: &str, password: &Secret<String>) -> argon2::password_hash::Result<bool> {
    let hash = Phc::new(hash)?;
    let version = hash.version.map_or(Ok(Version::V0x13), Version::try_from)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, version, Params::try_from(&hash)?);
    let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else { return Ok(false) };
    let mut bytes = [0; Salt::MAX_LENGTH];
    let salt = salt.decode_b64(&mut bytes)?;
    // The comparison takes the same time wherever they differ.
    Ok(derive(&argon2, password, salt, expected.len())? == expected)
}

fn derive(
    argon2: &Argon2<'_>,
    password: &Secret<String>,
    salt: &[u8],
    bytes: usize,
) -> argon2::password_hash::Result<Output> {
    let blocks = argon2.params().block_count();
    let mut memory = Vec::with_capacity(blocks.max(BLOCKS_ASKED));
    memory.resize(blocks, Block::default());
    Output::init_with(bytes, |out| {
        Ok(argon2.hash_password_into_with_memory(password.expose().as_bytes(), salt, out, &mut memory)?)
    })
}

fn is_good_argon2id(hash: &str) -> bool {
    let Ok(hash) = Phc::new(hash) else { return false };
    let Ok(params) = Params::try_from(&hash) else { return false };
    let work = u64::from(params.m_cost()) * u64::from(params.t_cost());
    hash.salt.is_some()
        && hash.hash.is_some()
        && params.m_cost() <= limits::IMPORTED_ARGON2_MEMORY_KIB
        && work <= limits::IMPORTED_ARGON2_WORK_KIB
}

fn is_good_bcrypt(hash: &str) -> bool {
    let is_whole = hash.len() == 60 && hash.is_ascii();
    is_whole
        && hash
            .parse::<bcrypt::HashParts>()
            .is_ok_and(|parts| (4..=limits::IMPORTED_BCRYPT_COST).contains(&parts.get_cost()))
}

fn is_good_sha512_crypt(hash: &str) -> bool {
    let mut parts = hash.trim_start_matches("$6$").split('$').peekable();
    let rounds = parts.peek().and_then(|part| part.strip_prefix("rounds=")).map(str::parse::<u32>);
    if rounds.is_some() {
        parts.next();
    }
    let is_crypt64 = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'/');
    let (salt, digest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    parts.next().is_none()
        && rounds.is_none_or(|rounds| rounds.is_ok_and(|n| (1000..=limits::IMPORTED_SHA512_ROUNDS).contains(&n)))
        && (1..=16).contains(&salt.len())
        && digest.len() == 86
        && is_crypt64(salt)
        && is_crypt64(digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SeededRandom;

    /// By `openssl passwd -6 -salt saltstring 'Hello world!'`.
    const SHA512: &str =
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";

    fn check(hash: &PasswordHash, password: &str, expected: bool) {
        assert_eq!(hash.verify(&Secret::new(password.to_owned())), expected, "{password:?}");
    }

    #[test]
    fn a_hash_of_ours_knows_its_password() {
        let random = SeededRandom::new(1);
        let hash = PasswordHash::of(&Secret::new("pässwörd".to_owned()), &random);
        assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
        check(&hash, "pässwörd", true);
        check(&hash, "passwort", false);
        check(&hash, "", false);
        assert!(PasswordHash::of(&Secret::new("pässwörd".to_owned()), &random) != hash, "the salt differs");
        assert!(PasswordHash::import(hash.as_str()).is_ok_and(|same| same == hash));
    }

    #[test]
    fn hashes_of_other_servers_are_taken_over() {
        let bcrypt = bcrypt::hash("secret", 4).unwrap();
        for text in [bcrypt.clone(), format!("{{BLF-CRYPT}}{bcrypt}"), bcrypt.replacen("$2b$", "$2y$", 1)] {
            let hash = PasswordHash::import(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            check(&hash, "secret", true);
            check(&hash, "Secret", false);
        }
        // A test vector of the SHA-crypt specification (Drepper).
        let rounds = "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.";
        let hash = PasswordHash::import(&format!("{{SHA512-CRYPT}}{rounds}")).unwrap();
        check(&hash, "Hello world!", true);
        check(&hash, "hello world!", false);
        let hash = PasswordHash::import(&format!("{{crypt}}{SHA512}"));
        check(&hash.unwrap(), "Hello world!", true);
    }

    #[test]
    fn a_hash_that_can_not_be_verified_is_refused() {
        for wrong in [
            "",
            "secret",
            "{PLAIN}secret",
            "$1$abc$def",
            "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8",
            "$argon2i$v=19$m=4096,t=3,p=1$c2FsdHNhbHQ$qLml5cbqFAO6YxVHhrSBHP0UWdxrIxkNcM8aMX3blzU",
            "$argon2id$v=19$m=4096,t=3,p=1$c2FsdHNhbHQ",
            // Two hundred passes over 64 MiB would hold a core for minutes.
            "$argon2id$v=19$m=65536,t=200,p=1$c2FsdHNhbHQ$qLml5cbqFAO6YxVHhrSBHP0UWdxrIxkNcM8aMX3blzU",
            "$2b$31$abcdefghijklmnopqrstuuAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$2b$04$short",
            "$6$rounds=999999999$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
            "$6$salt",
            "$6$salt$short",
            "{CRYPT}é",
        ] {
            assert!(PasswordHash::import(wrong).is_err(), "{wrong}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_memory_of_a_hash_goes_back_whichever_thread_made_it() {
        let resident_kib = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        let before = resident_kib();
        let (turn, all) = (std::sync::Mutex::new(()), std::sync::Barrier::new(17));
        std::thread::scope(|scope| {
            for seed in 0..16 {
                let (turn, all) = (&turn, &all);
                scope.spawn(move || {
                    let random = SeededRandom::new(seed);
                    for _ in 0..2 {
                        let _turn = turn.lock().unwrap();
                        let _ = PasswordHash::of(&Secret::new("pillarbox".to_owned()), &random);
                    }
                    all.wait();
                    all.wait();
                });
            }
            all.wait();
            let grown_kib = resident_kib().saturating_sub(before);
            all.wait();
            // Kept by each thread, it would be 16 times 19 MiB.
            assert!(grown_kib < 128 * 1024, "{grown_kib} KiB more");
        });
    }
}
