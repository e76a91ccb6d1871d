use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::IntoParams;

use super::caller::Caller;
use super::problem::{Fault, Problem};
use crate::base::{Address, DomainName, Timestamp, limits};

/// The parameters that every list has, for the OpenAPI document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "ListQuery reads them; this describes them")]
pub(super) struct ListParams {
    /// Items of a page.
    #[param(minimum = 1, maximum = 500, default = 100, nullable = false)]
    limit: Option<usize>,
    /// The `next_cursor` of the page before.
    #[param(nullable = false)]
    cursor: Option<String>,
    /// Whether to count the items, up to 10,000.
    #[param(default = false, nullable = false)]
    count: Option<bool>,
}

/// The parameters of a list. Which filters a list takes, it says itself; any other parameter is refused.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ListQuery {
    /// Items of a page.
    pub limit: usize,
    after: Option<String>,
    /// Whether the items are to be counted.
    pub count: bool,
    filters: Vec<(String, String)>,
}

impl ListQuery {
    /// The value of a filter.
    pub fn filter(&self, name: &str) -> Option<&str> {
        self.filters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The key behind which the page begins.
    pub fn after_key<K, E>(&self, parse: impl Fn(&str) -> Result<K, E>) -> Result<Option<K>, Problem> {
        self.after.as_deref().map(parse).transpose().map_err(|_| Problem::invalid(vec![wrong_cursor()]))
    }

    /// The filter `domain`, where the caller reaches it.
    pub fn domain(&self, caller: &Caller) -> Result<Option<DomainName>, Problem> {
        let domain = self.read("domain", DomainName::parse)?;
        domain.iter().try_for_each(|domain| caller.need_domain(domain))?;
        Ok(domain)
    }

    /// A filter that is read by `parse`.
    pub fn read<T, E: std::fmt::Display>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Problem> {
        let fault = |error: E| Problem::invalid(vec![Fault::parameter(name, "malformed", error.to_string())]);
        self.filter(name).map(parse).transpose().map_err(fault)
    }

    /// A filter that is a time.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        self.read(name, |text| Timestamp::parse_rfc3339(text).ok_or("not a time as in 2027-01-31T00:00:00Z (RFC 3339)"))
    }

    /// A filter that is one word of a closed list; `words` names them for people.
    pub fn word<T: serde::de::DeserializeOwned>(&self, name: &str, words: &str) -> Result<Option<T>, Problem> {
        let fault = || Problem::invalid(vec![Fault::parameter(name, "not_allowed", format!("expected {words}"))]);
        let parse = |text: &str| serde_json::from_value(serde_json::Value::from(text)).map_err(|_| fault());
        self.filter(name).map(parse).transpose()
    }

    /// Refuses filters that the list does not have.
    pub fn allow(self, filters: &[&str]) -> Result<Self, Problem> {
        let known: Vec<&str> = ["limit", "cursor", "count"].iter().chain(filters).copied().collect();
        refuse_unknown(&self.filters, &known).map(|()| self)
    }

    /// The parameters of an operation that is no list: only these.
    pub fn allow_only(self, names: &[&str]) -> Result<Self, Problem> {
        refuse_unknown(&self.filters, names).map(|()| self)
    }

    fn parse(query: &str) -> Result<Self, Problem> {
        let mut list = Self { limit: limits::PAGE_ITEMS, ..Self::default() };
        let mut faults = Vec::new();
        for (name, value) in pairs(query)? {
            match name.as_str() {
                "limit" => match value.parse() {
                    Ok(limit) if (1..=limits::PAGE_ITEMS_MAX).contains(&limit) => list.limit = limit,
                    _ => {
                        let range = format!("a number from 1 to {}", limits::PAGE_ITEMS_MAX);
                        faults.push(Fault::parameter("limit", "out_of_range", range));
                    }
                },
                "cursor" => match open_cursor(&value) {
                    Some(key) => list.after = Some(key),
                    None => faults.push(wrong_cursor()),
                },
                "count" => match value.as_str() {
                    "true" => list.count = true,
                    "false" => list.count = false,
                    _ => faults.push(Fault::parameter("count", "invalid", "true or false")),
                },
                _ => list.filters.push((name, value)),
            }
        }
        if faults.is_empty() { Ok(list) } else { Err(Problem::invalid(faults)) }
    }
}

impl FromRequest for ListQuery {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::parse(request.query_string()))
    }
}

/// Refuses every parameter, for operations that have none.
pub(super) struct NoQuery;

impl FromRequest for NoQuery {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(pairs(request.query_string()).and_then(|pairs| refuse_unknown(&pairs, &[])).map(|()| Self))
    }
}

/// `confirm=silent`, which must be there: for what is done without telling the sender.
pub(super) struct ConfirmSilent;

impl FromRequest for ConfirmSilent {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::parse(request.query_string()))
    }
}

impl ConfirmSilent {
    fn parse(query: &str) -> Result<Self, Problem> {
        let pairs = pairs(query)?;
        refuse_unknown(&pairs, &["confirm"])?;
        if pairs.iter().any(|(_, value)| value == "silent") {
            return Ok(Self);
        }
        let message = "the sender is not told: say confirm=silent, or use the action bounce";
        Err(Problem::invalid(vec![Fault::parameter("confirm", "required", message)]))
    }
}

/// The one parameter `render`, `true` or `false`, which is what it is when it is not there.
pub(super) struct RenderQuery(pub bool);

impl FromRequest for RenderQuery {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::parse(request.query_string()))
    }
}

impl RenderQuery {
    fn parse(query: &str) -> Result<Self, Problem> {
        let pairs = pairs(query)?;
        refuse_unknown(&pairs, &["render"])?;
        match pairs.first().map(|(_, value)| value.as_str()) {
            None | Some("false") => Ok(Self(false)),
            Some("true") => Ok(Self(true)),
            Some(_) => Err(Problem::invalid(vec![Fault::parameter("render", "invalid", "true or false")])),
        }
    }
}

/// The envelope of a message that is sent as it is.
#[derive(Debug, Default)]
pub(super) struct SendQuery {
    /// The sender.
    pub sender: Option<Address>,
    /// The recipients.
    pub recipients: Vec<Address>,
    /// It is sent to nobody before.
    pub send_at: Option<Timestamp>,
    /// Nothing is done.
    pub dry_run: bool,
}

impl FromRequest for SendQuery {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::parse(request.query_string()))
    }
}

impl SendQuery {
    /// Refuses all of them: the body says what they say.
    pub fn need_none(&self) -> Result<(), Problem> {
        if self.sender.is_none() && self.recipients.is_empty() && self.send_at.is_none() && !self.dry_run {
            return Ok(());
        }
        let message = "the envelope of a message that comes as JSON is in the JSON";
        Err(Problem::invalid(vec![Fault::parameter("sender", "excluded", message)]))
    }

    fn parse(query: &str) -> Result<Self, Problem> {
        let pairs = pairs(query)?;
        refuse_unknown(&pairs, &["sender", "recipient", "send_at", "dry_run"])?;
        let (mut parsed, mut faults) = (Self::default(), Vec::new());
        for (name, value) in &pairs {
            match (name.as_str(), Address::parse(value), value.as_str()) {
                ("dry_run", _, "true") => parsed.dry_run = true,
                ("dry_run", _, "false") => {}
                ("dry_run", _, _) => faults.push(Fault::parameter(name, "invalid", "true or false")),
                ("send_at", _, text) => match Timestamp::parse_rfc3339(text) {
                    Some(at) => parsed.send_at = Some(at),
                    None => faults.push(Fault::parameter(name, "malformed", "a time, as in 2026-12-01T08:00:00Z")),
                },
                ("sender", Ok(address), _) => parsed.sender = Some(address),
                (_, Ok(address), _) => parsed.recipients.push(address),
                (_, Err(error), _) => faults.push(Fault::parameter(name, "malformed", error.to_string())),
            }
        }
        if faults.is_empty() { Ok(parsed) } else { Err(Problem::invalid(faults)) }
    }
}

/// The one parameter `address`, which must be there.
pub(super) struct AddressQuery(pub Address);

impl FromRequest for AddressQuery {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Self::parse(request.query_string()))
    }
}

impl AddressQuery {
    fn parse(query: &str) -> Result<Self, Problem> {
        let pairs = pairs(query)?;
        refuse_unknown(&pairs, &["address"])?;
        let fault = |code, message: String| Problem::invalid(vec![Fault::parameter("address", code, message)]);
        let (_, text) = pairs.first().ok_or_else(|| fault("required", "which address?".into()))?;
        Address::parse(text).map(Self).map_err(|error| fault("malformed", error.to_string()))
    }
}

/// The parameters of a query, decoded.
pub(super) fn pairs(query: &str) -> Result<Vec<(String, String)>, Problem> {
    web::Query::from_query(query)
        .map(web::Query::into_inner)
        .map_err(|error| Problem::invalid(vec![Fault::parameter("", "malformed", error.to_string())]))
}

/// A parameter that nobody reads is a typing error, and said to be one.
pub(super) fn refuse_unknown(pairs: &[(String, String)], known: &[&str]) -> Result<(), Problem> {
    let hint = if known.is_empty() { String::new() } else { format!("; known are {}", known.join(", ")) };
    let fault =
        |name: &str| Fault::parameter(name, "unknown_parameter", format!("there is no parameter {name:?} here{hint}"));
    let names = pairs.iter().map(|(name, _)| name.as_str());
    let faults: Vec<Fault> = names.filter(|name| !known.contains(name)).map(fault).collect();
    if faults.is_empty() { Ok(()) } else { Err(Problem::invalid(faults)) }
}

/// The cursor that continues behind `key`. Opaque to clients: what is inside may change.
pub(super) fn cursor(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

fn wrong_cursor() -> Fault {
    Fault::parameter("cursor", "invalid", "not a cursor that this list gave out: leave it out to begin anew")
}

fn open_cursor(cursor: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()
}

/// The response for a page: the body, and the way to the next page as a Link field too (RFC 8288 §3).
pub(super) fn page(request: &HttpRequest, next_cursor: Option<&str>, page: &impl Serialize) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if let Some(next) = next_cursor {
        // What the client sent is already percent-encoded and goes back as it is.
        let others = request.query_string().split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
        let next = format!("cursor={next}");
        let query: Vec<&str> = others.chain([next.as_str()]).collect();
        response.insert_header((header::LINK, format!("<{}?{}>; rel=\"next\"", request.path(), query.join("&"))));
    }
    response.json(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_parameters_are_read_or_named() {
        let list = ListQuery::parse("limit=7&count=true&domain=x.test").unwrap();
        assert_eq!((list.limit, list.count, list.filter("domain")), (7, true, Some("x.test")));
        assert!(list.allow(&["q"]).is_err());
        assert_eq!(ListQuery::parse("").unwrap().limit, limits::PAGE_ITEMS);
        let after = ListQuery::parse(&format!("cursor={}", cursor("ä@x.test"))).unwrap().after;
        assert_eq!(after.as_deref(), Some("ä@x.test"));
        for wrong in ["limit=0", "limit=501", "limit=x", "limit=", "cursor=*", "cursor=_w", "count=1"] {
            assert!(ListQuery::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_next_page_keeps_the_other_parameters() {
        let request = actix_web::test::TestRequest::with_uri("/api/v1/x?limit=2&cursor=old&q=a%20b").to_http_request();
        let response = page(&request, Some("new"), &());
        assert_eq!(response.headers().get("link").unwrap(), "</api/v1/x?limit=2&q=a%20b&cursor=new>; rel=\"next\"");
    }
}
