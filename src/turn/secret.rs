use crate::base::{Random, Secret};

/// Letters of a secret: no i, l, o, u, which are taken for others.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Random letters: 140 bits.
const RANDOM: usize = 28;
/// Letters that are made of the others.
const CHECKED: usize = 4;

/// Makes a secret for a peer: 32 letters and digits. CRAM-MD5 takes no other, since whoever hears it used can try out
/// secrets at leisure: see [`is_machine_made`].
pub fn make_secret(random: &dyn Random) -> Secret<String> {
    let mut octets = Secret::new(vec![0; RANDOM]);
    random.fill(octets.expose_mut());
    let mut text: String = octets.expose().iter().map(|octet| letter(*octet)).collect();
    let check = check(&text);
    text.push_str(&check);
    Secret::new(text)
}

/// Whether a secret was made by [`make_secret`], here or by another Pillarbox: its last letters follow from the others, so
/// that nobody thinks one up.
pub fn is_machine_made(secret: &str) -> bool {
    let is_whole = secret.len() == RANDOM + CHECKED && secret.bytes().all(|byte| LETTERS.contains(&byte));
    is_whole && secret.split_at_checked(RANDOM).is_some_and(|(random, last)| check(random) == last)
}

fn check(random: &str) -> String {
    let hash = blake3::derive_key("pillarbox 2026-11-23 secrets of peers", random.as_bytes());
    hash.iter().take(CHECKED).map(|octet| letter(*octet)).collect()
}

fn letter(octet: u8) -> char {
    char::from(LETTERS[usize::from(octet % 32)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::SeededRandom;

    #[test]
    fn a_secret_is_known_as_made_by_a_machine() {
        let random = SeededRandom::new(2195);
        let made: Vec<String> = (0..100).map(|_| make_secret(&random).expose().clone()).collect();
        for secret in &made {
            assert!(is_machine_made(secret), "{secret}");
            let first = if secret.starts_with('0') { '1' } else { '0' };
            let other = format!("{first}{}", &secret[1..]);
            assert!(
                !is_machine_made(&other) && !is_machine_made(&secret[1..]) && !is_machine_made(&secret.to_uppercase())
            );
        }
        assert_eq!(made.iter().collect::<std::collections::BTreeSet<_>>().len(), made.len());
        for thought_up in ["", "s3cret", &"0".repeat(32), "correct-horse-battery-staple-1234", &"é".repeat(16)] {
            assert!(!is_machine_made(thought_up), "{thought_up}");
        }
    }
}
