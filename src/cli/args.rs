use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::accounts::{AccountAction, AppPasswordAction};
use super::audit::{AdminAction, AuditAction};
use super::backup::BackupAction;
use super::directory::{Action, AliasFields, DomainFields, TokenAction};
use super::dkim::{DkimAction, DnsAction};
use super::jobs::JobAction;
use super::key::KeyAction;
use super::mail::{MailboxAction, MessageAction};
use super::queue::QueueAction;
use super::restore::RestoreAction;
use super::routes::RouteAction;
use super::settings::SettingsAction;
use super::state::StateAction;
use super::trace::TraceAction;
use super::turn::TurnAction;

/// A mail server in one program and one file.
#[derive(Parser)]
#[command(name = "pillarbox", version, propagate_version = false, disable_help_subcommand = true)]
#[command(after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 unreachable, 6 denied, \
    65 damaged data, 74 storage error.")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Runs the server
    Serve(ServeFlags),
    /// Runs the server for a developer: loopback, ports from 3000 up, example.test with alice and bob
    Dev(ServeFlags),
    /// Domains that the server takes mail for
    Domain {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        action: Action<DomainFields>,
    },
    /// Keys that a domain's mail is signed with
    Dkim {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        action: DkimAction,
    },
    /// What the DNS has to say of a domain, and whether it does
    Dns {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        action: DnsAction,
    },
    /// People and services with mail
    Account {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        action: AccountAction,
    },
    /// Passwords for single programs of an account: each can be taken back alone
    AppPassword {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        action: AppPasswordAction,
    },
    /// Who changed what
    Audit {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        action: AuditAction,
    },
    /// The admin page
    Admin {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        action: AdminAction,
    },
    /// Addresses that lead to others
    Alias {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        action: Action<AliasFields>,
    },
    /// Tokens for programs that use the REST interface
    Token {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        action: TokenAction,
    },
    /// Mail on its way out
    Queue {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        action: QueueAction,
    },
    /// Delivers a message once more, as long as its content is kept
    Redeliver {
        #[command(flatten)]
        place: Place,
        /// The message's id, as in m_0123456789abc
        id: String,
        /// To this address instead of its recipients; repeatable
        #[arg(long, value_name = "ADDRESS")]
        to: Vec<String>,
        /// The way to those elsewhere: a route's name, or a server as in relay.example.org:25
        #[arg(long, value_name = "ROUTE|HOST")]
        route: Option<String>,
        /// Says what would become of it, and does nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Mailboxes (folders) of an account
    Mailbox {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        action: MailboxAction,
    },
    /// Messages: send one, wait for one, look at those in a mailbox
    Message {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        action: MessageAction,
    },
    /// Takes a message on stdin, as /usr/sbin/sendmail does
    #[command(disable_help_flag = true)]
    Sendmail {
        /// Flags and recipients, as sendmail has them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Where some mail goes, instead of to the servers that the DNS names
    Route {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        action: RouteAction,
    },
    /// Other servers that fetch mail here, or that mail is fetched from
    Turn {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        action: TurnAction,
    },
    /// Where is my mail? What became of each message, and who must do what next
    Trace {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        action: TraceAction,
    },
    /// Copies of the data file that are opened and checked before they are called good
    #[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
    Backup {
        #[command(flatten)]
        place: Place,
        /// Writes a copy into this file: through the running server, else from the data file itself
        file: Option<PathBuf>,
        /// Without the free pages: smaller, and more work
        #[arg(long)]
        compact: bool,
        #[command(subcommand)]
        action: Option<BackupAction>,
    },
    /// Puts a copy in the place of the data file, which no server may have open; the old file stays beside it. Or brings
    /// single things back from a backup
    #[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
    Restore {
        /// The copy, as it is or compressed with zstd
        file: Option<PathBuf>,
        /// Where a server runs: starts it again at once, instead of at its next start
        #[arg(long)]
        restart: bool,
        #[command(flatten)]
        data: Data,
        #[command(subcommand)]
        action: Option<RestoreAction>,
    },
    /// Gives back to the disk what is free in the data file: by the running server, else the data file itself
    Compact {
        #[command(flatten)]
        place: Place,
        /// A file that no server has open; default: what --data says
        file: Option<PathBuf>,
        /// Ends at once, and says which job does it
        #[arg(long)]
        no_wait: bool,
    },
    /// Long work in the background
    Job {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        action: JobAction,
    },
    /// What can be set of the server
    Settings {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        action: SettingsAction,
    },
    /// The whole desired state as one file: domains, accounts, aliases, routes, peers, settings
    State {
        #[command(flatten)]
        place: Place,
        #[command(subcommand)]
        action: StateAction,
    },
    /// Says what would happen to mail for an address
    Resolve {
        /// The address
        address: String,
        #[command(flatten)]
        place: Place,
    },
    /// Says whether the server is ready; its exit code is for a container's health check
    Health {
        #[command(flatten)]
        place: Place,
    },
    /// Says how the server does: whether mail flows, and what to do where it does not
    Overview {
        #[command(flatten)]
        place: Place,
    },
    /// Follows what happens, a line each
    Events {
        /// Which topics, separated by commas: queue, delivery, session, turn, job, health, audit [default: all]
        #[arg(long = "topic", value_name = "TOPIC", value_delimiter = ',')]
        topics: Vec<String>,
        /// Ends after so many seconds
        #[arg(long, value_name = "N")]
        seconds: Option<u64>,
        /// Begins behind the event with this id
        #[arg(long, value_name = "ID")]
        last_event_id: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Prints the newest lines of the server's log
    Logs {
        /// Only lines of this level or graver: error, warn, info, debug or trace
        #[arg(long)]
        level: Option<String>,
        /// Only lines of modules that begin so, as in pillarbox::smtp
        #[arg(long)]
        target: Option<String>,
        /// Only lines behind this id, or later than this time (RFC 3339)
        #[arg(long, value_name = "ID|TIME")]
        after: Option<String>,
        /// At most so many lines
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// Goes on with what comes
        #[arg(short, long)]
        follow: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Logs more, or less, for some time
    LogFilter {
        /// A level for all rooms of the server, or pillarbox::ROOM=LEVEL; several are separated by commas
        filter: String,
        /// For how long
        #[arg(long, value_name = "N", default_value_t = 600)]
        seconds: u64,
        #[command(flatten)]
        place: Place,
    },
    /// Prints the server's figures, as Prometheus reads them
    Metrics {
        #[command(flatten)]
        place: Place,
    },
    /// Prints the OpenAPI document
    Openapi,
    /// Prints the completions of a shell
    #[command(after_help = "Examples:\n  pillarbox completions bash > /etc/bash_completion.d/pillarbox\n  \
        pillarbox completions zsh > ~/.zfunc/_pillarbox\n  \
        pillarbox completions fish > ~/.config/fish/completions/pillarbox.fish")]
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
    /// Checks the data file: every table against every other, and every message. Through the running server, where one has
    /// it open; a FILE is one that no server has open
    Check {
        /// The file; default: what --data says
        file: Option<PathBuf>,
        /// Mends what can be derived again, after a copy of the file was kept as FILE.before-repair-TIME; it wants the
        /// server stopped
        #[arg(long)]
        repair: bool,
        #[command(flatten)]
        place: Place,
    },
    /// The key file of `serve --key-file`
    Key {
        #[command(subcommand)]
        action: KeyAction,
    },
    /// Prints the version
    Version,
}

#[derive(Args)]
pub struct Data {
    /// The data file
    #[arg(long, env = "PILLARBOX_DATA", default_value = "pillarbox.redb", value_name = "FILE")]
    pub data: PathBuf,
}

/// How the server is run. `--data` and `--port-offset` have other defaults in `dev`.
#[derive(Args)]
pub struct ServeFlags {
    /// The data file; it is made when it is not there [default: pillarbox.redb; for dev: a temporary one]
    #[arg(long, env = "PILLARBOX_DATA", value_name = "FILE")]
    pub data: Option<PathBuf>,
    /// The name that the server gives itself [default: the machine's name]
    #[arg(long, env = "PILLARBOX_HOSTNAME", value_name = "NAME")]
    pub hostname: Option<String>,
    /// Where a listener listens: NAME=ADDRESS:PORT (port 0 picks a free one) or NAME=off; repeatable
    #[arg(long, env = "PILLARBOX_LISTEN", value_name = "NAME=ADDRESS", value_delimiter = '\n')]
    pub listen: Vec<String>,
    /// Added to every default port [default: 0; for dev: 3000]
    #[arg(long, env = "PILLARBOX_PORT_OFFSET", value_name = "N")]
    pub port_offset: Option<u16>,
    /// Written when everything is served, after a repair too: JSON with pid, addresses and socket
    #[arg(long, env = "PILLARBOX_READY_FILE", value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// The key that seals private keys and passwords for other servers in the data file; `pillarbox key create` makes one
    #[arg(long, env = "PILLARBOX_KEY_FILE", value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Drops what was sealed with a key that is lost, and says what has to be set anew
    #[arg(long)]
    pub without_key: bool,
    /// Its content, 32 or more characters, is an administrator's bearer token
    #[arg(long, env = "PILLARBOX_HTTP_TOKEN_FILE", value_name = "FILE")]
    pub http_token_file: Option<PathBuf>,
    /// A desired state, as YAML or JSON, that is applied before anything is served; what it does not name stays
    #[arg(long, env = "PILLARBOX_STATE", value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// The name servers that are asked: IP[:PORT][,…] [default: the system's, as in /etc/resolv.conf]
    #[arg(long, env = "PILLARBOX_RESOLVER", value_name = "IP[:PORT],…")]
    pub resolver: Option<String>,
    /// The DNSKEY records of the root of the DNS, for networks with a root of their own [default: those of the public DNS]
    #[arg(long, env = "PILLARBOX_TRUST_ANCHOR", value_name = "FILE")]
    pub trust_anchor: Option<PathBuf>,
    /// The port that mail goes to at the servers of the DNS; for tests [default: 25]
    #[arg(long, env = "PILLARBOX_REMOTE_PORT", value_name = "N")]
    pub remote_port: Option<u16>,
    /// The port at which the MTA-STS policies of other domains are fetched; for tests [default: 443]
    #[arg(long, env = "PILLARBOX_POLICY_PORT", value_name = "N")]
    pub policy_port: Option<u16>,
    /// Any setting; repeatable. PILLARBOX_SET holds one a line
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// How the log on stderr is written: auto is human on a terminal, else json
    #[arg(long, env = "PILLARBOX_LOG_FORMAT", value_enum, default_value_t = LogFormat::Auto)]
    pub log_format: LogFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum LogFormat {
    Auto,
    Human,
    Json,
}

/// Which server is meant, and how the answer is printed.
#[derive(Args)]
#[command(next_help_heading = "Server and output")]
pub struct Place {
    /// The server's data file: its socket lies beside it
    #[arg(long, env = "PILLARBOX_DATA", default_value = "pillarbox.redb", value_name = "FILE", global = true)]
    pub data: PathBuf,
    /// The server's address instead, as in https://mail.example.org; needs PILLARBOX_TOKEN
    #[arg(long, env = "PILLARBOX_URL", value_name = "URL", global = true)]
    pub url: Option<String>,
    /// The token; better given as PILLARBOX_TOKEN, since arguments are seen by all users
    #[arg(long, env = "PILLARBOX_TOKEN", value_name = "TOKEN", hide_env_values = true, global = true)]
    pub token: Option<String>,
    /// Certificates to trust for an https URL (PEM), instead of the system's
    #[arg(long, env = "PILLARBOX_CA_FILE", value_name = "FILE", global = true)]
    pub ca_file: Option<PathBuf>,
    /// How the answer is printed
    #[arg(short, long, env = "PILLARBOX_OUTPUT", value_enum, default_value_t = Output::Table, global = true)]
    pub output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Output {
    Table,
    Json,
    Yaml,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn commands_are_read() {
        let check = |line: &str, is_good: bool| {
            let seen = Cli::try_parse_from(line.split(' '));
            assert_eq!(seen.is_ok(), is_good, "{line}: {:?}", seen.err().map(|error| error.to_string()));
        };
        check("pillarbox serve --data x.redb --listen smtp=127.0.0.1:0 --listen http=off --set a=b --set c=d", true);
        check("pillarbox serve --resolver 127.0.0.1:5353,::1 --remote-port 2525", true);
        check("pillarbox serve --remote-port smtp", false);
        check("pillarbox dev --log-format json --ready-file r.json", true);
        check("pillarbox domain list -o json", true);
        check("pillarbox domain -o json --data x.redb list", true);
        check("pillarbox domain put x.test --alias y.test --max-accounts 5 --create", true);
        check("pillarbox domain put", false);
        check("pillarbox account put a@x.test --password-file - --role admin", true);
        check("pillarbox account put a@x.test --password-file - --password-hash x", false);
        check("pillarbox account set a@x.test --enabled false", true);
        check("pillarbox account disable a@x.test --hold-queue", true);
        check("pillarbox account logout", false);
        check("pillarbox app-password create a@x.test --name phone --protocol imap", true);
        check("pillarbox app-password delete a@x.test", false);
        check("pillarbox audit list --actor root@x.test --after 2027-01-31T00:00:00Z -o json", true);
        check("pillarbox admin link", true);
        check("pillarbox alias put i@x.test --target a@x.test --target b@x.test", true);
        check("pillarbox alias delete i@x.test --if-match \"3\"", true);
        check("pillarbox token create --name n --scope domains:read --scope accounts:read", true);
        check("pillarbox token create --name n", false);
        check("pillarbox queue list --state held --domain x.test -o json", true);
        check("pillarbox queue list --state lost", false);
        check("pillarbox queue list --watch -o json", true);
        check("pillarbox job watch j_0", true);
        check("pillarbox queue hold q_0 --reason later", true);
        check("pillarbox queue hold q_0", false);
        check("pillarbox queue drop q_0 --silent", true);
        check("pillarbox queue flush --all --data x.redb", true);
        check("pillarbox queue flush", false);
        check("pillarbox queue actions bounce --domain x.test --reason gone --wait", true);
        check("pillarbox route put smart --default --host smtp.x.test", true);
        check("pillarbox route put smart --host smtp.x.test", false);
        check("pillarbox turn peer put branch --verb atrn --domain b.test --user b --secret-file -", true);
        check("pillarbox turn start branch --verb turn --wait", true);
        check("pillarbox trace list a@x.test --outcome bounced --direction out --after 2026-11-22T00:00:00Z", true);
        check("pillarbox trace list --watch -o json", true);
        check("pillarbox trace list --outcome lost", false);
        check("pillarbox trace show m_0", true);
        check("pillarbox trace transcript m_0 1", true);
        check("pillarbox redeliver m_0 --to a@x.test --to b@x.test --dry-run", true);
        check("pillarbox redeliver m_0 --route relay.example.org:2525", true);
        check("pillarbox redeliver", false);
        check("pillarbox sendmail -t -i -f a@x.test -oem -- b@x.test", true);
        check("pillarbox sendmail -FCronDaemon -i -B8BITMIME root", true);
        check("pillarbox mailbox messages a@x.test Work/2027 --limit 5", true);
        check("pillarbox message wait --to a@x.test --subject code --timeout 5", true);
        check("pillarbox message send --from a@x.test --to b@x.test --text hello --attach x.pdf", true);
        check("pillarbox message send --to b@x.test", false);
        check("pillarbox queue hold q_0 --reason x --until 2027-01-31T00:00:00Z", true);
        check("pillarbox queue redirect q_0 --to a@x.test", true);
        check("pillarbox queue redirect q_0 --route smart", true);
        check("pillarbox queue redirect q_0", false);
        check("pillarbox job cancel j_0", true);
        check("pillarbox settings list queue. -o yaml", true);
        check("pillarbox settings set a=b c=d", true);
        check("pillarbox settings set", false);
        check("pillarbox state get -o json", true);
        check("pillarbox state diff --prune -", true);
        check(
            "pillarbox state apply x.yaml --prune --allow-data-loss a@x.test --allow-data-loss b@x.test --dry-run",
            true,
        );
        check("pillarbox state apply", false);
        check("pillarbox serve --state x.yaml", true);
        check("pillarbox completions fish", true);
        check("pillarbox completions", false);
        check("pillarbox events --topic queue,turn --seconds 5 -o json", true);
        check("pillarbox logs --level warn --follow --data x.redb", true);
        check("pillarbox log-filter pillarbox::smtp=debug --seconds 60", true);
        check("pillarbox log-filter", false);
        check("pillarbox overview", true);
        check("pillarbox metrics --url http://127.0.0.1:11080", true);
        check("pillarbox restore file.redb --restart --data x.redb", true);
        check("pillarbox restore drop --data x.redb", true);
        check("pillarbox check", true);
        check("pillarbox check file.redb", true);
        check("pillarbox check --repair file.redb", true);
        check("pillarbox health --url http://127.0.0.1:11080", true);
        check("pillarbox serve --log-format loud", false);
        check("pillarbox fly", false);
    }
}
