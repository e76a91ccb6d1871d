use crate::base::limits;

/// The id of a domain's MTA-STS policy, as the texts of the TXT records at `_mta-sts.` and the domain say it; `None`: it has
/// no policy to offer, or not one that can be read.
// RFC 8461 §3.1: other records are discarded, and if one is not left then, there is no policy.
pub fn sts_id<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut ours = texts.into_iter().filter_map(fields_of);
    let fields = ours.next()?;
    if ours.next().is_some() { None } else { read(fields) }
}

/// What stands behind the version, where it is that of MTA-STS.
fn fields_of(text: &str) -> Option<&str> {
    trim_start(text.strip_prefix("v=STSv1")?).strip_prefix(';')
}

/// The id, where all fields are well formed. Of fields that come twice, the first counts.
fn read(fields: &str) -> Option<String> {
    let mut id = None;
    let mut rest = Some(fields);
    while let Some(text) = rest {
        let (field, behind) = text.split_once(';').map_or((text, None), |(field, behind)| (field, Some(behind)));
        rest = behind;
        let field = trim(field);
        if field.is_empty() && rest.is_none() {
            break;
        }
        let (name, value) = field.split_once('=')?;
        if !is_name(name) || value.is_empty() || !value.bytes().all(is_of_value) {
            return None;
        }
        if name == "id" {
            let is_id = value.len() <= limits::STS_ID_BYTES && value.bytes().all(|b| b.is_ascii_alphanumeric());
            id = id.or(Some(is_id.then(|| value.to_owned())));
        }
    }
    id.flatten()
}

/// A key of a record or of a policy.
// RFC 8461 §3.1 sts-ext-name, §3.2 sts-policy-ext-name
pub(super) fn is_name(name: &str) -> bool {
    let inside = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    (1..=32).contains(&name.len())
        && name.bytes().all(inside)
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
}

// RFC 8461 §3.1 sts-ext-value: no "=", ";", space or control character
fn is_of_value(b: u8) -> bool {
    b.is_ascii_graphic() && b != b'=' && b != b';'
}

pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

pub(super) fn trim_start(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(texts: &[&str], expected: Option<&str>) {
        assert_eq!(sts_id(texts.iter().copied()).as_deref(), expected, "{texts:?}");
    }

    // RFC 8461 §3.1
    #[test]
    fn one_record_names_the_policy() {
        check(&["v=STSv1; id=20160831085700Z;"], Some("20160831085700Z"));
        check(&["v=STSv1;id=1"], Some("1"));
        check(&["v=STSv1 ; id=1 ; "], Some("1"));
        check(&["v=STSv1;\tx.y-z_0=a:b,c;id=1;id=2"], Some("1"));
        check(&["v=spf1 -all", "v=STSv1; id=1", "v=STSv10; id=2", "V=STSv1; id=3", " v=STSv1; id=4"], Some("1"));
        check(&[&format!("v=STSv1; id={}", "a".repeat(32))], Some("a".repeat(32).as_str()));
    }

    #[test]
    fn a_record_that_is_not_one_names_none() {
        check(&[], None);
        check(&["v=STSv1; id=1", "v=STSv1; id=1"], None);
        for text in [
            "v=STSv1",
            "v=STSv1;",
            "v=STSv1; ;id=1",
            "v=STSv1; id=",
            "v=STSv1; id=a-b",
            "v=STSv1; id=a-b; id=1",
            "v=STSv1; id=1=2",
            "v=STSv1; id=1; x",
            "v=STSv1; id=1; =y",
            "v=STSv1; id=1; x=a b",
            "v=STSv1; id=1; .x=1",
            "v=STSv1; id=1; x=\u{e4}",
            "v=STSv1; Id=1",
            "v=STSv1 id=1",
        ] {
            check(&[text], None);
        }
        check(&[&format!("v=STSv1; id={}", "a".repeat(33))], None);
        check(&[&format!("v=STSv1; id=1; {}=1", "a".repeat(33))], None);
    }
}
