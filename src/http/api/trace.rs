mod search;
mod shape;
mod visible;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};

use super::{page_of, show, wrong_id};
use crate::base::IdError;
use crate::http::caller::{Allowed, TraceRead};
use crate::http::context::Context;
use crate::http::etag;
use crate::http::page::{ListParams, ListQuery, NoQuery};
use crate::http::problem::{Code, Fault, Problem};
use crate::trace::{self, Subject};
use search::Wanted;
use shape::{Story, TraceEntry, TraceOutcome, TraceWay};

page_of! {
    /// Messages and refused transactions, the newest first.
    TracePage of TraceEntry
}

/// Looks for messages, and for transactions that were refused before there was one, the newest first. A page may hold
/// fewer than were asked for although there are more: one request looks at 2,000 stories.
#[utoipa::path(
    tag = "trace",
    params(
        ListParams,
        ("q" = Option<String>, Query, description = "An address, a Message-ID, an id (m_…, t_…, q_…), an IP address, or \
            else a text in the replies of servers, in one of the newest 2,000 stories for each page"),
        ("sender" = Option<String>, Query, description = "Only from this address; <> is the null sender"),
        ("recipient" = Option<String>, Query, description = "Only for this address, as it was named or where it led"),
        ("after" = Option<String>, Query, description = "Only what began at this time or later (RFC 3339)"),
        ("before" = Option<String>, Query, description = "Only what began before this time (RFC 3339)"),
        ("outcome" = Option<TraceOutcome>, Query, description = "Only with this outcome, of the whole or of a recipient"),
        ("direction" = Option<TraceWay>, Query, description = "Only in this direction"),
    ),
    responses((status = 200, description = "A page of stories", body = TracePage))
)]
#[get("/trace")]
pub(in crate::http) async fn list_trace(
    allowed: Allowed<TraceRead>,
    request: HttpRequest,
    context: web::Data<Context>,
    query: ListQuery,
) -> Result<HttpResponse, Problem> {
    let query = query.allow(&["q", "sender", "recipient", "after", "before", "outcome", "direction"])?;
    let after = query.after_key(search::parse_subject)?;
    let wanted = Wanted::of_query(&query)?;
    let found = context.store.read(move |view| wanted.list(view, &allowed.caller, &query, after)).await?;
    Ok(found.answer_as::<TracePage>(&request))
}

/// Tells the story of a message, or of a refused transaction: what became of it, in one sentence and for each recipient,
/// and what happened, in order. A token that is restricted to domains sees of a message from elsewhere what is about its
/// own recipients.
#[utoipa::path(
    tag = "trace",
    params(("mid" = String, Path, description = "The id of the message (m_…), or of the refused transaction (t_…)")),
    responses(
        (status = 200, description = "The story", body = Story),
        (status = 304, description = "The client has it"),
        (status = 404, description = "Nothing is known of it, or not any more"),
    )
)]
#[get("/trace/{mid}")]
pub(in crate::http) async fn get_trace(
    allowed: Allowed<TraceRead>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let subject = subject_of(&path)?;
    let caller = allowed.caller;
    let story = context.store.read(move |view| {
        let Some(seen) = visible::part(&caller, subject, trace::story(view, subject)?) else { return Ok(None) };
        Story::of(view, subject, &seen).map(Some)
    });
    let story = story.await?.ok_or_else(|| unknown(subject))?;
    Ok(show(&request, etag::of_content(&story), &story))
}

/// Gives the dialogue of an attempt or of a refusal, a line each: `> ` before what this server said, `< ` before what it
/// heard, `* ` before what happened. Secrets are masked, the data of messages is left out, and of what is over 8 KiB the
/// middle. A token that is restricted to domains may read it where it sees the whole story.
#[utoipa::path(
    tag = "trace",
    params(
        ("mid" = String, Path, description = "The id of the message (m_…), or of the refused transaction (t_…)"),
        ("n" = u32, Path, description = "The `transcript_id` of an event"),
    ),
    responses(
        (status = 200, description = "The dialogue", body = String, content_type = "text/plain"),
        (status = 304, description = "The client has it"),
        (status = 404, description = "There is none, or not any more"),
    )
)]
#[get("/trace/{mid}/transcripts/{n}")]
pub(in crate::http) async fn get_trace_transcript(
    allowed: Allowed<TraceRead>,
    _none: NoQuery,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (mid, number) = path.into_inner();
    let subject = subject_of(&mid)?;
    let number: u32 =
        number.parse().map_err(|_| Problem::invalid(vec![Fault::parameter("n", "malformed", "a number from 0 on")]))?;
    let view = context.store.view()?;
    let is_whole =
        visible::part(&allowed.caller, subject, trace::story(&view, subject)?).is_some_and(|seen| seen.is_whole);
    let text = if is_whole { trace::transcript(&view, subject, number)? } else { None };
    let missing =
        || Problem::new(Code::NotFound, format!("There is no dialogue {number} of {subject}, or not any more."));
    let text = text.ok_or_else(missing)?;
    let etag = etag::of_content(&text);
    if etag::has_tag(&request, &etag) {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, etag)).finish());
    }
    let kind = (header::CONTENT_TYPE, "text/plain; charset=utf-8");
    Ok(HttpResponse::Ok().insert_header((header::ETAG, etag)).insert_header(kind).body(text))
}

fn subject_of(text: &str) -> Result<Subject, Problem> {
    search::parse_subject(text).map_err(|error: IdError| wrong_id("mid", error))
}

fn unknown(subject: Subject) -> Problem {
    Problem::new(
        Code::NotFound,
        format!("Nothing is known of {subject}: stories are kept for some time after their end (trace.keep_seconds)."),
    )
}
