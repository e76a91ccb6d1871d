use actix_web::{HttpRequest, HttpResponse, get, web};
use serde_json::json;

use super::mailbox_of;
use super::message::{MailboxMessage, MailboxMessagePage};
use crate::base::Uid;
use crate::http::api::{Listed, account_of, list};
use crate::http::caller::{Allowed, MessagesRead};
use crate::http::context::Context;
use crate::http::page::{ListParams, ListQuery};
use crate::http::problem::Problem;
use crate::mailbox::{self, Member};

/// Lists the messages of a mailbox, the newest first. Content, which is a scope of its own.
#[utoipa::path(
    tag = "mailboxes",
    params(
        ("address" = String, Path, description = "The account's address, percent-encoded"),
        ("mailbox" = String, Path, description = "The mailbox's name, percent-encoded: `/` is `%2F`"),
        ListParams,
    ),
    responses(
        (status = 200, description = "A page of messages", body = MailboxMessagePage),
        (status = 404, description = "There is no such account or mailbox"),
    )
)]
#[get("/accounts/{address}/mailboxes/{mailbox}/messages")]
pub(in crate::http) async fn list_mailbox_messages(
    allowed: Allowed<MessagesRead>,
    request: HttpRequest,
    context: web::Data<Context>,
    path: web::Path<(String, String)>,
    query: ListQuery,
) -> Result<HttpResponse, Problem> {
    let query = query.allow(&[])?;
    let before = query.after_key(|text| text.parse().map(Uid))?;
    let account = account_of(&context, &allowed.caller, &path.0)?;
    let mailbox = mailbox_of(&context.store.view()?, &account, &path.1)?;
    let what = Some(json!({"limit": query.limit}));
    allowed.note(&context, format!("{}/{}", path.0, path.1), what).await?;
    let found = context
        .store
        .read(move |view| {
            let keywords = mailbox::keywords(view, mailbox)?;
            let fetch = |below: Option<&Uid>, limit| mailbox::newest_members(view, mailbox, below.copied(), limit);
            let listed = list(&query, before, fetch, |_| true, |member: &Member| member.uid)?;
            let Listed { items, next_cursor, count, count_exact } =
                listed.try_map(|member| MailboxMessage::of(view, mailbox, &keywords, &member))?;
            Ok(Listed { items: items.into_iter().flatten().collect(), next_cursor, count, count_exact })
        })
        .await?;
    Ok(found.answer_as::<MailboxMessagePage>(&request))
}
