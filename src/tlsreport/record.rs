use crate::base::{Address, limits};

/// Where a domain wants its reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The addresses to send them to.
    pub addresses: Vec<Address>,
    /// It has named places that we can't report to, as web servers.
    pub has_others: bool,
}

/// Where a domain wants its reports, as the texts of the TXT records at `_smtp._tls.` and the domain say it; `None`: it
/// wants none, or its record can't be read.
// RFC 8460 §3: records that do not begin so are discarded, and if one is not left then, there is no policy
pub fn wanted<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<Wanted> {
    let mut ours = texts.into_iter().filter_map(fields_of);
    let fields = ours.next()?;
    if ours.next().is_some() { None } else { read(fields) }
}

/// What stands behind the version, where it is that of TLSRPT.
fn fields_of(text: &str) -> Option<&str> {
    text.strip_prefix("v=TLSRPTv1")?.trim_start_matches([' ', '\t']).strip_prefix(';')
}

fn read(fields: &str) -> Option<Wanted> {
    let mut values = fields.split(';').filter_map(|field| {
        let (name, value) = field.split_once('=')?;
        (name.trim_matches([' ', '\t']) == "rua").then_some(value)
    });
    let uris = values.next()?;
    let mut wanted = Wanted::default();
    for uri in uris.split(',').map(|uri| uri.trim_matches([' ', '\t'])).filter(|uri| !uri.is_empty()) {
        match address(uri) {
            Some(address) if wanted.addresses.len() < limits::TLS_REPORT_ADDRESSES => {
                if wanted.addresses.iter().all(|known| known.key() != address.key()) {
                    wanted.addresses.push(address);
                }
            }
            _ => wanted.has_others = true,
        }
    }
    Some(wanted)
}

/// The address of a `mailto` URI. What it may ask for besides, as a subject, is not for us to do.
// RFC 6068 §2
fn address(uri: &str) -> Option<Address> {
    let (scheme, rest) = uri.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("mailto") {
        return None;
    }
    let text = percent_decoded(rest.split('?').next().unwrap_or_default())?;
    let address = Address::parse(&text).ok()?;
    (text.is_ascii() && address.host.name().is_some()).then_some(address)
}

// RFC 3986 §2.1
fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut out = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = (part.get(..2)?, part.get(2..)?);
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        out.push(u8::from_str_radix(digits, 16).ok()?);
        out.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The addresses, and a `+` where there are other places.
    fn check(texts: &[&str], expected: Option<&str>) {
        let seen = wanted(texts.iter().copied()).map(|wanted| {
            let mut words: Vec<String> = wanted.addresses.iter().map(ToString::to_string).collect();
            words.extend(wanted.has_others.then(|| "+".to_owned()));
            words.join(" ")
        });
        assert_eq!(seen.as_deref(), expected, "{texts:?}");
    }

    // RFC 8460 §3
    #[test]
    fn a_record_says_where_reports_go() {
        check(&["v=TLSRPTv1; rua=mailto:reports@d.test"], Some("reports@d.test"));
        check(&["v=TLSRPTv1;rua=mailto:a@d.test,mailto:b@d.test, MAILTO:a@D.test"], Some("a@d.test b@d.test"));
        check(&["v=TLSRPTv1; x=y; rua=https://d.test/r,mailto:a@d.test;"], Some("a@d.test +"));
        check(&["v=TLSRPTv1 ; rua = mailto:a%2Bb@d.test?subject=x"], Some("a+b@d.test"));
        check(
            &["v=spf1 -all", "v=TLSRPTv1; rua=mailto:a@d.test", "v=TLSRPTv10; rua=mailto:b@d.test"],
            Some("a@d.test"),
        );
        check(&["v=TLSRPTv1; rua=mailto:a%0d%0aTo:x@d.test"], Some("+"));
        check(&["v=TLSRPTv1; rua=mailto:a%zz@d.test,mailto:a%2"], Some("+"));
        check(&["v=TLSRPTv1; rua=mailto:a@[192.0.2.1],ftp://d.test,x"], Some("+"));
        let many: Vec<String> = (0..9).map(|n| format!("mailto:{n}@d.test")).collect();
        check(&[&format!("v=TLSRPTv1; rua={}", many.join(","))], Some("0@d.test 1@d.test 2@d.test 3@d.test +"));
    }

    #[test]
    fn without_one_good_record_nobody_wants_to_know() {
        check(&[], None);
        check(&["v=TLSRPTv1"], None);
        check(&["v=TLSRPTv1;"], None);
        check(&["V=TLSRPTv1; rua=mailto:a@d.test"], None);
        check(&["v=TLSRPTv1 rua=mailto:a@d.test"], None);
        check(&["v=TLSRPTv1; rua=mailto:a@d.test", "v=TLSRPTv1; rua=mailto:b@d.test"], None);
    }
}
