use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;
use serde_json::{Map, Value, json};

use super::args::Output;
use super::client::Client;
use super::failure::Failure;
use super::output;
use super::request::{given, list, query};
use crate::http::path_segment;

/// What a list of mailboxes shows.
const MAILBOXES: &[&str] = &["name", "special_use", "exists", "unseen", "size_bytes", "subscribed"];
/// What a list of messages shows.
const MESSAGES: &[&str] = &["uid", "id", "at", "from", "subject", "size_bytes", "flags"];
/// What became of the recipients of a message.
const RESULTS: &[&str] = &["address", "outcome", "queue_id", "text"];
const RAW: &str = "message/rfc822";

#[derive(Subcommand)]
pub enum MailboxAction {
    /// Lists the mailboxes of an account
    List {
        /// The account's address
        account: String,
    },
    /// Creates a mailbox, or says whether mail programs show one
    Create {
        /// The account's address
        account: String,
        /// Its name; `/` separates levels
        mailbox: String,
        /// What it is for
        #[arg(long, value_name = "USE")]
        special_use: Option<Use>,
        /// Whether mail programs show it
        #[arg(long, value_name = "true/false")]
        subscribed: Option<bool>,
    },
    /// Deletes a mailbox with its messages
    Delete {
        /// The account's address
        account: String,
        /// Its name
        mailbox: String,
    },
    /// Lists the messages of a mailbox, the newest first
    Messages {
        /// The account's address
        account: String,
        /// The mailbox
        #[arg(default_value = "INBOX")]
        mailbox: String,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
}

/// What a mailbox is for.
#[derive(Clone, Copy, ValueEnum)]
pub enum Use {
    Archive,
    Drafts,
    Junk,
    Sent,
    Trash,
}

#[derive(Subcommand)]
pub enum MessageAction {
    /// Sends a message
    Send(Box<Send>),
    /// Waits until a message arrives; exit code 3 when none does
    Wait {
        /// For this address
        #[arg(long, value_name = "ADDRESS")]
        to: String,
        /// Only if its subject contains this
        #[arg(long, value_name = "TEXT")]
        subject: Option<String>,
        /// Only what came in behind this time [default: a minute ago]
        #[arg(long, value_name = "TIME")]
        after: Option<String>,
        /// Seconds to wait, at most 60
        #[arg(long, value_name = "SECONDS", default_value_t = 30)]
        timeout: u64,
    },
    /// Shows a message in a mailbox
    Show(Place),
    /// Prints a message in a mailbox as it is
    Raw(Place),
    /// Changes the flags of a message in a mailbox
    Flags {
        #[command(flatten)]
        place: Place,
        /// Sets this, as in \Seen; repeatable
        #[arg(long, value_name = "FLAG")]
        add: Vec<String>,
        /// Takes this away; repeatable
        #[arg(long, value_name = "FLAG")]
        remove: Vec<String>,
    },
    /// Deletes a message from a mailbox
    Delete(Place),
    /// Puts a message into a mailbox as it is
    Append {
        /// The account's address
        account: String,
        /// The message; - is stdin
        file: PathBuf,
        /// The mailbox
        #[arg(long, default_value = "INBOX")]
        mailbox: String,
    },
}

/// Where a message is.
#[derive(Args)]
pub struct Place {
    /// The account's address
    account: String,
    /// The message's number in the mailbox
    uid: u32,
    /// The mailbox
    #[arg(long, default_value = "INBOX")]
    mailbox: String,
}

/// A message to be sent.
#[derive(Args)]
pub struct Send {
    /// Who sends it, as in a@x.test or "A <a@x.test>"
    #[arg(long, value_name = "ADDRESS")]
    from: String,
    /// To whom it goes; repeatable
    #[arg(long, value_name = "ADDRESS", required_unless_present_any = ["cc", "bcc"])]
    to: Vec<String>,
    /// To whom it goes too; repeatable
    #[arg(long, value_name = "ADDRESS")]
    cc: Vec<String>,
    /// To whom it goes without the others being told; repeatable
    #[arg(long, value_name = "ADDRESS")]
    bcc: Vec<String>,
    /// The subject
    #[arg(long, value_name = "TEXT", default_value = "")]
    subject: String,
    /// The text
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["text_file", "raw"])]
    text: Option<String>,
    /// The text, from a file; - is stdin
    #[arg(long, value_name = "FILE", conflicts_with = "raw")]
    text_file: Option<PathBuf>,
    /// The same as HTML, from a file
    #[arg(long, value_name = "FILE", conflicts_with = "raw")]
    html_file: Option<PathBuf>,
    /// A file that goes with it; repeatable
    #[arg(long, value_name = "FILE", conflicts_with = "raw")]
    attach: Vec<PathBuf>,
    /// A further header field, as in "X-Campaign: may"; repeatable
    #[arg(long, value_name = "NAME: VALUE", conflicts_with = "raw")]
    header: Vec<String>,
    /// The whole message as it is, from a file; - is stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["subject"])]
    raw: Option<PathBuf>,
    /// Says what would become of it, and does nothing
    #[arg(long)]
    dry_run: bool,
}

/// `pillarbox redeliver …`
pub fn redeliver(
    id: &str,
    (to, route): (Vec<String>, Option<String>),
    dry_run: bool,
    client: &Client,
    output: Output,
) -> Result<(), Failure> {
    let to = (!to.is_empty()).then(|| to.into());
    let route = route.map(Value::from);
    let body = Value::Object(given([("recipients", to), ("route", route), ("dry_run", Some(dry_run.into()))]));
    let path = format!("/api/v1/trace/{}/redeliver", path_segment(id));
    output::show_with_list(client.send(Method::POST, &path, &[], Some(&body))?.body, "recipients", RESULTS, output)
}

/// `pillarbox mailbox …`
pub fn mailbox(action: MailboxAction, client: &Client, output: Output) -> Result<(), Failure> {
    match action {
        MailboxAction::List { account } => {
            let mut body = client.send(Method::GET, &mailboxes(&account), &[], None)?.body;
            let items = body["items"].as_array_mut().map(std::mem::take).unwrap_or_default();
            output::list(items, MAILBOXES, output)
        }
        MailboxAction::Create { account, mailbox, special_use, subscribed } => {
            let special_use = special_use.and_then(|special_use| special_use.to_possible_value());
            let body = given([
                ("special_use", special_use.map(|value| value.get_name().into())),
                ("subscribed", subscribed.map(Value::from)),
            ]);
            let path = of_mailbox(&account, &mailbox);
            output::show(&client.send(Method::PUT, &path, &[], Some(&Value::Object(body)))?.body, output)
        }
        MailboxAction::Delete { account, mailbox } => {
            client.send(Method::DELETE, &of_mailbox(&account, &mailbox), &[], None).map(drop)
        }
        MailboxAction::Messages { account, mailbox, limit } => {
            let path = format!("{}/messages", of_mailbox(&account, &mailbox));
            list(client, &path, &[], Some(limit), MESSAGES, output)
        }
    }
}

/// `pillarbox message …`
pub fn message(action: MessageAction, client: &Client, output: Output) -> Result<(), Failure> {
    match action {
        MessageAction::Send(send) => send.send(client, output),
        MessageAction::Wait { to, subject, after, timeout: seconds } => {
            let timeout = seconds.to_string();
            let parameters = [
                ("to", Some(to.as_str())),
                ("subject", subject.as_deref()),
                ("after", after.as_deref()),
                ("timeout_seconds", Some(timeout.as_str())),
            ];
            let path = format!("/api/v1/messages/wait?{}", query(&parameters));
            let client = client.patient(Duration::from_secs(seconds.saturating_add(10)));
            match client.send(Method::GET, &path, &[], None)?.body {
                Value::Null => Err(Failure::NotFound(format!("no message has arrived within {timeout} s"))),
                arrived => output::show(&arrived, output),
            }
        }
        MessageAction::Show(place) => {
            let mut message = client.send(Method::GET, &place.path(), &[], None)?.body;
            if let (Output::Table, Some(fields)) = (output, message.as_object_mut()) {
                // A tree and a long list are for programs.
                fields.remove("structure");
                fields.remove("headers");
            }
            output::show_with_text(message, "text", output)
        }
        MessageAction::Raw(place) => {
            let answer = client.send(Method::GET, &format!("{}/raw", place.path()), &[], None)?;
            let written = std::io::stdout().lock().write_all(&answer.octets);
            written.map_err(|error| Failure::Failed(format!("stdout: {error}")))
        }
        MessageAction::Flags { place, add, remove } => {
            let body = json!({"flags_add": add, "flags_remove": remove});
            output::show(&client.send(Method::PATCH, &place.path(), &[], Some(&body))?.body, output)
        }
        MessageAction::Delete(place) => client.send(Method::DELETE, &place.path(), &[], None).map(drop),
        MessageAction::Append { account, file, mailbox } => {
            let path = format!("{}/messages", of_mailbox(&account, &mailbox));
            output::show(&client.send_octets(Method::POST, &path, RAW, read(&file)?)?.body, output)
        }
    }
}

impl Place {
    fn path(&self) -> String {
        format!("{}/messages/{}", of_mailbox(&self.account, &self.mailbox), self.uid)
    }
}

impl Send {
    fn send(self, client: &Client, output: Output) -> Result<(), Failure> {
        let sent = match &self.raw {
            Some(file) => {
                let mut parameters = vec![("sender", Some(self.from.as_str()))];
                parameters.extend(
                    [&self.to, &self.cc, &self.bcc].into_iter().flatten().map(|to| ("recipient", Some(to.as_str()))),
                );
                parameters.push(("dry_run", self.dry_run.then_some("true")));
                let path = format!("/api/v1/messages?{}", query(&parameters));
                client.send_octets(Method::POST, &path, RAW, read(file)?)?
            }
            None => client.send(Method::POST, "/api/v1/messages", &[], Some(&self.body()?))?,
        };
        output::show_with_list(sent.body, "recipients", RESULTS, output)
    }

    fn body(&self) -> Result<Value, Failure> {
        let text = match (&self.text, &self.text_file) {
            (Some(text), _) => Some(text.clone()),
            (None, Some(file)) => Some(text_of(file)?),
            (None, None) => None,
        };
        let html = self.html_file.as_deref().map(text_of).transpose()?;
        let mut headers = Map::new();
        for header in &self.header {
            let (name, value) = header
                .split_once(':')
                .ok_or_else(|| Failure::Usage(format!("{header:?} is no header field, as in \"X-Campaign: may\"")))?;
            headers.insert(name.trim().to_owned(), value.trim().into());
        }
        let attachments = self.attach.iter().map(|file| attachment(file)).collect::<Result<Vec<_>, _>>()?;
        Ok(Value::Object(given([
            ("from", Some(self.from.as_str().into())),
            ("to", Some(self.to.clone().into())),
            ("cc", Some(self.cc.clone().into())),
            ("bcc", Some(self.bcc.clone().into())),
            ("subject", Some(self.subject.as_str().into())),
            ("text", text.map(Value::from)),
            ("html", html.map(Value::from)),
            ("headers", Some(Value::Object(headers))),
            ("attachments", Some(attachments.into())),
            ("dry_run", Some(self.dry_run.into())),
        ])))
    }
}

fn attachment(file: &Path) -> Result<Value, Failure> {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(json!({"filename": name, "content_base64": STANDARD.encode(read(file)?)}))
}

fn mailboxes(account: &str) -> String {
    format!("/api/v1/accounts/{}/mailboxes", path_segment(account))
}

fn of_mailbox(account: &str, mailbox: &str) -> String {
    format!("{}/{}", mailboxes(account), path_segment(mailbox))
}

fn text_of(file: &Path) -> Result<String, Failure> {
    String::from_utf8(read(file)?).map_err(|_| Failure::Usage(format!("{}: not UTF-8", file.display())))
}

/// A file's content; `-` is stdin.
fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let read = if file == Path::new("-") {
        let mut octets = Vec::new();
        std::io::stdin().read_to_end(&mut octets).map(|_| octets)
    } else {
        std::fs::read(file)
    };
    read.map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))
}
