use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderName};
use serde::Serialize;

use super::managed::ManagedBy;
use super::problem::{Code, Problem};
use crate::directory::Precondition;

/// The ETag (RFC 9110 §8.8.3) of a resource that shows its row in this version and nothing else.
pub(super) fn of(version: u64) -> String {
    format!("\"{version}\"")
}

/// The same of one that also shows what keeps it as it is, which comes and goes without an edit of the row: `If-Match`
/// compares the version alone.
pub(super) fn managed(version: u64, managed_by: Option<ManagedBy>) -> String {
    managed_by.map_or_else(|| of(version), |_| moving(version, &[1]))
}

/// The ETag of one that also shows figures that move without anybody having edited it, as an account's use of its
/// quota: `If-Match` compares the version alone.
pub(super) fn moving(version: u64, figures: &[u64]) -> String {
    let figures: Vec<String> = figures.iter().map(|figure| format!("{figure:x}")).collect();
    format!("\"{version}.{}\"", figures.join("."))
}

/// The ETag of a resource that has no version: it changes with whatever is shown of it.
pub(super) fn of_content(resource: &impl Serialize) -> String {
    let text = serde_json::to_vec(resource).unwrap_or_default();
    format!("\"c{}\"", &blake3::hash(&text).to_hex()[..16])
}

/// Compares a write's preconditions with the ETag of what is there now, for resources without a version.
///
/// # Errors
/// 412 when they do not hold; 400 when they can't be read.
pub(super) fn expect_content(request: &HttpRequest, etag: &str) -> Result<(), Problem> {
    let failed = |detail: &str| Err(Problem::new(Code::PreconditionFailed, detail));
    let names = |tag: &Tag| tag.any || (!tag.weak && tag.opaque == etag);
    match (tags(request, header::IF_MATCH)?, tags(request, header::IF_NONE_MATCH)?) {
        (Some(tags), _) if !tags.iter().any(names) => {
            failed("It has changed since that ETag was given out: read it again.")
        }
        (None, Some(tags)) if tags.iter().any(names) => failed("It exists already, in just this state."),
        _ => Ok(()),
    }
}

/// The same for a whole that many change at once: `If-Match` must be there (RFC 6585 §3), unless the client says that it
/// goes over what others have done (`force`).
///
/// # Errors
/// 428 without either; 412 when it does not hold; 400 when it can't be read.
pub(super) fn need_content(request: &HttpRequest, etag: &str, force: bool) -> Result<(), Problem> {
    if force || request.headers().contains_key(header::IF_MATCH) {
        return expect_content(request, etag);
    }
    let detail = "Send If-Match with the ETag that GET gives, so that nobody's change is lost, or ?force=true.";
    Err(Problem::new(Code::PreconditionRequired, detail))
}

/// Reads a write's preconditions (RFC 9110 §13.1) and compares them with the version that is there now; the write then
/// does so again in its transaction.
///
/// # Errors
/// 412 when they do not hold; 400 when they can't be read.
pub(super) fn expect(request: &HttpRequest, current: Option<u64>) -> Result<Precondition, Problem> {
    let failed = |detail: &str| Err(Problem::new(Code::PreconditionFailed, detail));
    if let Some(tags) = tags(request, header::IF_MATCH)? {
        return match current {
            Some(version) if tags.iter().any(|tag| tag.is_version(version)) => Ok(Precondition::Version(version)),
            Some(_) => failed("It has been changed since that ETag was given out: read it again."),
            None => failed("It does not exist, and If-Match asks for it."),
        };
    }
    match (tags(request, header::IF_NONE_MATCH)?, current) {
        (None, _) => Ok(Precondition::None),
        (Some(_), None) => Ok(Precondition::Absent),
        (Some(tags), Some(version)) if tags.iter().any(|tag| tag.is_version(version)) => failed("It exists already."),
        (Some(_), Some(version)) => Ok(Precondition::Version(version)),
    }
}

/// Whether a GET may be answered with 304: the client has this state already.
pub(super) fn has_tag(request: &HttpRequest, etag: &str) -> bool {
    let tags = tags(request, header::IF_NONE_MATCH).ok().flatten().unwrap_or_default();
    // RFC 9110 §13.1.2: weak comparison
    tags.iter().any(|tag| tag.any || tag.opaque == etag)
}

#[derive(Debug)]
struct Tag {
    any: bool,
    weak: bool,
    /// With its quotes.
    opaque: String,
}

impl Tag {
    /// RFC 9110 §13.1.1: strong comparison; the figures that move by themselves are no edit.
    fn is_version(&self, version: u64) -> bool {
        let inside = self.opaque.trim_matches('"');
        let own = inside.split_once('.').map_or(inside, |(version, _)| version);
        self.any || (!self.weak && own.parse() == Ok(version))
    }
}

// RFC 9110 §8.8.3: entity-tag = [ "W/" ] DQUOTE *etagc DQUOTE; what is given out here has no comma inside
fn tags(request: &HttpRequest, name: HeaderName) -> Result<Option<Vec<Tag>>, Problem> {
    let mut found: Option<Vec<Tag>> = None;
    for value in request.headers().get_all(&name) {
        for text in value.to_str().unwrap_or_default().split(',') {
            let tag = tag(text.trim()).ok_or_else(|| {
                Problem::new(Code::BadRequest, format!("{name} holds no ETag: expected \"…\" with its quotes, or *."))
            })?;
            found.get_or_insert_default().push(tag);
        }
    }
    Ok(found)
}

fn tag(text: &str) -> Option<Tag> {
    if text == "*" {
        return Some(Tag { any: true, weak: false, opaque: String::new() });
    }
    let (weak, opaque) = text.strip_prefix("W/").map_or((false, text), |opaque| (true, opaque));
    let inside = opaque.strip_prefix('"')?.strip_suffix('"')?;
    (!inside.contains('"')).then(|| Tag { any: false, weak, opaque: opaque.to_owned() })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn check(field: (&str, &str), current: Option<u64>, expected: Option<Precondition>) {
        let request = TestRequest::put().insert_header(field).to_http_request();
        assert_eq!(expect(&request, current).ok(), expected, "{field:?} {current:?}");
    }

    #[test]
    fn preconditions_are_compared_with_what_is_there() {
        check(("x-none", ""), Some(3), Some(Precondition::None));
        check(("if-match", "\"3\""), Some(3), Some(Precondition::Version(3)));
        check(("if-match", "\"3.ff.1\""), Some(3), Some(Precondition::Version(3)));
        check(("if-match", "\"1\", \"3\""), Some(3), Some(Precondition::Version(3)));
        check(("if-match", "*"), Some(3), Some(Precondition::Version(3)));
        check(("if-match", "\"2\""), Some(3), None);
        check(("if-match", "W/\"3\""), Some(3), None);
        check(("if-match", "*"), None, None);
        check(("if-match", "3"), Some(3), None);
        check(("if-match", ""), Some(3), None);
        check(("if-none-match", "*"), None, Some(Precondition::Absent));
        check(("if-none-match", "*"), Some(3), None);
        check(("if-none-match", "\"2\""), Some(3), Some(Precondition::Version(3)));
    }

    #[test]
    fn what_has_no_version_is_compared_as_a_whole() {
        let etag = of_content(&"state");
        assert_ne!(etag, of_content(&"other"));
        let holds = |name: &'static str, value: &str| {
            expect_content(&TestRequest::delete().insert_header((name, value)).to_http_request(), &etag).is_ok()
        };
        assert!(holds("if-match", &etag) && holds("if-match", "*") && holds("x-none", ""));
        assert!(!holds("if-match", &format!("W/{etag}")) && !holds("if-match", "\"3\"") && !holds("if-match", "3"));
        assert!(holds("if-none-match", "\"3\"") && !holds("if-none-match", &etag));
    }

    #[test]
    fn a_client_that_has_it_is_told_so() {
        let etag = moving(3, &[255, 1]);
        let is_fresh =
            |value: &str| has_tag(&TestRequest::get().insert_header(("if-none-match", value)).to_http_request(), &etag);
        assert_eq!(etag, "\"3.ff.1\"");
        assert!(is_fresh("\"3.ff.1\"") && is_fresh("W/\"3.ff.1\"") && is_fresh("*"));
        assert!(!is_fresh("\"3.fe.1\"") && !is_fresh("\"3\""));
        assert_eq!((managed(3, None), managed(3, Some(ManagedBy::State))), ("\"3\"".into(), "\"3.1\"".into()));
    }
}
