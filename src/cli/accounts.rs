use clap::Subcommand;
use hyper::Method;
use serde_json::{Value, json};

use super::args::Output;
use super::client::Client;
use super::directory::{ACCOUNTS, AccountFields, Action, act as act_on};
use super::failure::Failure;
use super::output;
use crate::http::path_segment;

/// What can be done with accounts.
#[derive(Subcommand)]
pub enum AccountAction {
    #[command(flatten)]
    Common(Action<Box<AccountFields>>),
    /// Switches one off: nobody logs in, and mail for it is refused
    Disable {
        /// Its address
        address: String,
        /// Holds what it has sent and what still waits, too: for one that somebody else has got hold of
        #[arg(long)]
        hold_queue: bool,
    },
    /// Switches one on again
    Enable {
        /// Its address
        address: String,
    },
    /// Ends its sessions of the admin page, and has the next login of each program verified anew
    Logout {
        /// Its address
        address: String,
    },
}

/// `pillarbox account …`
pub fn act(action: AccountAction, client: &Client, output: Output) -> Result<(), Failure> {
    let post = |address: &str, verb: &str, body: Option<&Value>| {
        let path = format!("/api/v1/accounts/{}/{verb}", path_segment(address));
        output::show(&client.send(Method::POST, &path, &[], body)?.body, output)
    };
    match action {
        AccountAction::Common(action) => act_on(&ACCOUNTS, action, client, output),
        AccountAction::Disable { address, hold_queue } => {
            post(&address, "disable", Some(&json!({"hold_queue": hold_queue})))
        }
        AccountAction::Enable { address } => post(&address, "enable", None),
        AccountAction::Logout { address } => post(&address, "logout", None),
    }
}

const APP_PASSWORDS: &[&str] = &["id", "name", "protocols", "created_at", "last_used_at", "expires_at"];

/// What can be done with app passwords.
#[derive(Subcommand)]
pub enum AppPasswordAction {
    /// Lists those of an account
    List {
        /// The account's address
        address: String,
    },
    /// Makes one; it is printed this once
    Create {
        /// The account's address
        address: String,
        /// What it is for, as in phone
        #[arg(long)]
        name: String,
        /// Where one may log in with it: submission, pop3 or imap; repeatable [default: all of them]
        #[arg(long = "protocol", value_name = "PROTOCOL")]
        protocols: Vec<String>,
        /// When it ends, as in 2027-01-31T00:00:00Z
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
    },
    /// Takes one back: nobody logs in with it any more
    Delete {
        /// The account's address
        address: String,
        /// Its id
        id: String,
    },
}

/// `pillarbox app-password …`
pub fn app_password(action: AppPasswordAction, client: &Client, output: Output) -> Result<(), Failure> {
    let path = |address: &str| format!("/api/v1/accounts/{}/app-passwords", path_segment(address));
    match action {
        AppPasswordAction::List { address } => {
            let mut body = client.send(Method::GET, &path(&address), &[], None)?.body;
            let items = body["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
            output::list(items, APP_PASSWORDS, output)
        }
        AppPasswordAction::Create { address, name, protocols, expires_at } => {
            let mut body = json!({"name": name, "expires_at": expires_at});
            if !protocols.is_empty() {
                body["protocols"] = protocols.into();
            }
            output::show(&client.send(Method::POST, &path(&address), &[], Some(&body))?.body, output)
        }
        AppPasswordAction::Delete { address, id } => {
            let path = format!("{}/{}", path(&address), path_segment(&id));
            client.send(Method::DELETE, &path, &[], None).map(drop)
        }
    }
}
