use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use super::{Config, ServerError};
use crate::base::{KeyError, KeyRing, Random, Secret, limits};
use crate::store::{Sealing, Secrets};

/// The bits of a mode by which others than the owner may write.
const WRITTEN_BY_OTHERS: u32 = 0o022;
/// The same for reading.
const READ_BY_OTHERS: u32 = 0o044;

/// Why a key file is not used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// What the operating system says.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Anybody could put another key into it.
    #[error("others may write it (mode {0:04o}): chmod 600 it")]
    Writable(u32),
    /// It is no key file.
    #[error("it is longer than {} octets: name the key file", limits::KEY_FILE_BYTES)]
    Long,
    /// What is in it is no key.
    #[error("{0}")]
    Key(#[from] KeyError),
}

/// The content of a key file. Who else may read it is told in the log; a file that others may write is refused.
///
/// # Errors
/// [`KeyFileError`].
pub fn read_key_file(path: &Path) -> Result<Secret<Vec<u8>>, KeyFileError> {
    let mut file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    if mode & WRITTEN_BY_OTHERS != 0 {
        return Err(KeyFileError::Writable(mode));
    }
    if mode & READ_BY_OTHERS != 0 {
        // Some that hand secrets to containers make them so.
        let mode = format!("{mode:04o}");
        tracing::warn!(event = "key_file_open", path = %path.display(), mode, "others may read the key file: chmod 600 it");
    }
    let mut content = Secret::new(Vec::new());
    (&mut file).take(limits::KEY_FILE_BYTES + 1).read_to_end(content.expose_mut())?;
    if content.expose().len() as u64 > limits::KEY_FILE_BYTES { Err(KeyFileError::Long) } else { Ok(content) }
}

/// How secrets shall lie in the file.
pub(super) fn sealing(config: &Config, random: &Arc<dyn Random>) -> Result<Sealing, ServerError> {
    let Some(path) = &config.key_file else {
        return Ok(if config.without_key { Sealing::WithoutKey } else { Sealing::Plain });
    };
    let content = read_key_file(path);
    let ring = content.and_then(|content| Ok(KeyRing::parse(content.expose(), Arc::clone(random))?));
    ring.map(Sealing::Keys).map_err(|error| ServerError::KeyFile { path: path.clone(), error })
}

/// Says in the log how secrets lie in the file.
pub(super) fn tell(secrets: Secrets) {
    match secrets {
        Secrets::Plain => {
            tracing::info!(event = "secrets_plain", "private keys and secrets lie in the file as they are")
        }
        Secrets::Sealed { key, plain_until_compacted: false } => {
            tracing::info!(event = "secrets_sealed", %key, "private keys and secrets are sealed in the file");
        }
        Secrets::Sealed { key, plain_until_compacted: true } => tracing::warn!(
            event = "secrets_were_plain", %key,
            "private keys and secrets are sealed, but free room in the file may hold them as they were: compact it, and \
             remove older backups"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::base::SystemRandom;

    #[test]
    fn a_key_file_is_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let check = |content: &[u8], mode: u32, expected: Result<(), &str>| {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let config = Config { key_file: Some(path.clone()), ..Config::default() };
            let random: Arc<dyn Random> = Arc::new(SystemRandom);
            match (sealing(&config, &random).map(drop), expected) {
                (Ok(()), Ok(())) => {}
                (Err(error), Err(word)) => {
                    let text = error.to_string();
                    assert!(text.contains(word) && text.contains("key: "), "{text}");
                }
                (seen, _) => panic!("{mode:o}: {seen:?}"),
            }
        };
        let key = KeyRing::new_line(&SystemRandom).expose().clone();
        check(key.as_bytes(), 0o600, Ok(()));
        check(key.as_bytes(), 0o444, Ok(()));
        check(key.as_bytes(), 0o620, Err("others may write it (mode 0620)"));
        check(key.as_bytes(), 0o602, Err("others may write it (mode 0602)"));
        check(b"", 0o600, Err("it holds no key"));
        check(b"short", 0o600, Err("line 1"));
        check(&[b'a'; 70_000], 0o600, Err("it is longer than 65536 octets"));
        let missing = Config { key_file: Some(folder.path().join("no key")), ..Config::default() };
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let error = sealing(&missing, &random).err().unwrap();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("No such file"), "{error}");
    }
}
