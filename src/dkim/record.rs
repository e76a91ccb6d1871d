use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::key::Algorithm;
use crate::base::DomainName;

/// What the DNS says of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DnsState {
    /// It was not asked, or gave no answer.
    Unknown,
    /// There is no record at that name.
    Missing,
    /// There is one, of something else, or several.
    Wrong,
    /// The key's own.
    Published,
}

/// The name of a key's record.
// RFC 6376 §3.6.2.1
pub fn record_name(selector: &str, domain: &DomainName) -> String {
    format!("{selector}._domainkey.{domain}")
}

/// What a key's record says: a TXT record, whatever it is cut into.
// RFC 6376 §3.6.1, RFC 8463 §4.2
pub fn record_value(algorithm: Algorithm, public: &[u8]) -> String {
    format!("v=DKIM1; k={}; p={}", algorithm.tag(), STANDARD.encode(public))
}

/// What TXT records at its name say of a key.
// RFC 6376 §3.6.2.2: several records are nobody's
pub fn judge(algorithm: Algorithm, public: &[u8], texts: &[String]) -> DnsState {
    match texts {
        [] => DnsState::Missing,
        [text] if is_of(algorithm, public, text) => DnsState::Published,
        _ => DnsState::Wrong,
    }
}

// RFC 6376 §3.2, §3.6.1
fn is_of(algorithm: Algorithm, public: &[u8], text: &str) -> bool {
    let (mut kind, mut key, mut services, mut hashes, mut version) = ("rsa", None, "*", "sha256", "DKIM1");
    for tag in text.split(';') {
        let Some((name, value)) = tag.split_once('=') else { continue };
        let value = value.trim();
        match name.trim() {
            "v" => version = value,
            "k" => kind = value,
            "p" => key = Some(value.split_ascii_whitespace().collect::<String>()),
            "s" => services = value,
            "h" => hashes = value,
            _ => {}
        }
    }
    let names = |list: &str, wanted: &[&str]| list.split(':').any(|word| wanted.contains(&word.trim()));
    version == "DKIM1"
        && kind == algorithm.tag()
        && names(services, &["*", "email"])
        && names(hashes, &["sha256"])
        && key.and_then(|key| STANDARD.decode(key).ok()).is_some_and(|key| key == public)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(texts: &[&str], expected: DnsState) {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        assert_eq!(judge(Algorithm::Ed25519, b"the key", &texts), expected, "{texts:?}");
    }

    #[test]
    fn a_record_is_known_however_it_is_spelled() {
        let ours = record_value(Algorithm::Ed25519, b"the key");
        assert_eq!(ours, "v=DKIM1; k=ed25519; p=dGhlIGtleQ==");
        check(&[&ours], DnsState::Published);
        check(&["k=ed25519;p=dGhl IGtl eQ==;"], DnsState::Published);
        check(&[" v = DKIM1 ; n=a note; p = dGhlIGtleQ== ; k = ed25519 ; t=s; s=email"], DnsState::Published);
        check(&["v=DKIM1; h=sha1:sha256; k=ed25519; p=dGhlIGtleQ=="], DnsState::Published);
    }

    #[test]
    fn what_nobody_could_verify_with_is_wrong() {
        check(&[], DnsState::Missing);
        check(&["v=DKIM1; p=dGhlIGtleQ=="], DnsState::Wrong);
        check(&["v=DKIM1; k=ed25519; p="], DnsState::Wrong);
        check(&["v=DKIM1; k=ed25519; p=b3RoZXI="], DnsState::Wrong);
        check(&["v=DKIM2; k=ed25519; p=dGhlIGtleQ=="], DnsState::Wrong);
        check(&["v=DKIM1; k=ed25519; h=sha1; p=dGhlIGtleQ=="], DnsState::Wrong);
        check(&["v=DKIM1; k=ed25519; s=tlsrpt; p=dGhlIGtleQ=="], DnsState::Wrong);
        check(&["v=spf1 -all"], DnsState::Wrong);
        let ours = record_value(Algorithm::Ed25519, b"the key");
        check(&[&ours, "v=DKIM1; p="], DnsState::Wrong);
    }

    #[test]
    fn the_name_stands_below_the_domain() {
        assert_eq!(record_name("s1", &DomainName::parse("x.test").unwrap()), "s1._domainkey.x.test");
    }
}
