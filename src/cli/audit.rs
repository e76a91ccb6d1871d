use clap::Subcommand;
use hyper::Method;

use super::args::Output;
use super::client::Client;
use super::failure::Failure;
use super::output;
use super::request::list;

const COLUMNS: &[&str] = &["at", "actor", "action", "target", "ip", "request_id"];

/// What can be asked of the audit.
#[derive(Subcommand)]
pub enum AuditAction {
    /// Lists who changed what, the newest first; -o json shows each thing before and after
    List {
        /// Only what this one did: an account's address, "token ID", or owner
        #[arg(long)]
        actor: Option<String>,
        /// Only this operation, as in put_domain
        #[arg(long)]
        action: Option<String>,
        /// Only what was done to names that contain this
        #[arg(long)]
        target: Option<String>,
        /// Only what was done at this time or later, as in 2027-01-31T00:00:00Z
        #[arg(long, value_name = "TIME")]
        after: Option<String>,
        /// Only what was done before this time
        #[arg(long, value_name = "TIME")]
        before: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
}

/// `pillarbox audit …`
pub fn act(action: AuditAction, client: &Client, output: Output) -> Result<(), Failure> {
    let AuditAction::List { actor, action, target, after, before, limit } = action;
    let parameters = [
        ("actor", actor.as_deref()),
        ("action", action.as_deref()),
        ("target", target.as_deref()),
        ("after", after.as_deref()),
        ("before", before.as_deref()),
    ];
    list(client, "/api/v1/audit", &parameters, Some(limit), COLUMNS, output)
}

/// What can be done about the admin page.
#[derive(Subcommand)]
pub enum AdminAction {
    /// Makes a new one-time link to set the server up with, in place of the one before
    Link,
}

/// `pillarbox admin …`
pub fn admin(AdminAction::Link: AdminAction, client: &Client, output: Output) -> Result<(), Failure> {
    let link = client.send(Method::POST, "/api/v1/setup/link", &[], None)?.body;
    match output {
        Output::Table => output::print(&format!("{}\n", output::line(link["url"].as_str().unwrap_or_default()))),
        _ => output::show(&link, output),
    }
}
