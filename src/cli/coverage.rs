//! Every operation of the REST interface has its command.

use std::collections::BTreeSet;

use clap::CommandFactory;
use serde_json::Value;

use super::args::Cli;
use crate::http;

/// Each operation with its command.
const COMMANDS: &[(&str, &str)] = &[
    ("get_version", "version"),
    ("get_openapi", "openapi"),
    ("healthz", "health"),
    ("livez", "health"),
    ("readyz", "health"),
    ("list_domains", "domain list"),
    ("get_domain", "domain show"),
    ("put_domain", "domain put"),
    ("patch_domain", "domain set"),
    ("delete_domain", "domain delete"),
    ("list_dkim_keys", "dkim list"),
    ("get_dkim_key", "dkim show"),
    ("create_dkim_key", "dkim create"),
    ("activate_dkim_key", "dkim activate"),
    ("delete_dkim_key", "dkim delete"),
    ("rotate_dkim_keys", "dkim rotate"),
    ("get_domain_dns", "dns show"),
    ("get_domain_zone", "dns zone"),
    ("check_domain_dns", "dns check"),
    ("list_accounts", "account list"),
    ("get_account", "account show"),
    ("put_account", "account put"),
    ("patch_account", "account set"),
    ("delete_account", "account delete"),
    ("disable_account", "account disable"),
    ("enable_account", "account enable"),
    ("log_out_account", "account logout"),
    ("list_app_passwords", "app-password list"),
    ("create_app_password", "app-password create"),
    ("delete_app_password", "app-password delete"),
    ("list_audit", "audit list"),
    ("create_setup_link", "admin link"),
    ("list_aliases", "alias list"),
    ("get_alias", "alias show"),
    ("put_alias", "alias put"),
    ("patch_alias", "alias set"),
    ("delete_alias", "alias delete"),
    ("resolve_address", "resolve"),
    ("list_tokens", "token list"),
    ("get_token", "token show"),
    ("create_token", "token create"),
    ("delete_token", "token delete"),
    ("list_queue", "queue list"),
    ("get_queue_summary", "queue summary"),
    ("get_queue_entry", "queue show"),
    ("get_queue_message", "queue show"),
    ("retry_queue_entry", "queue retry"),
    ("hold_queue_entry", "queue hold"),
    ("release_queue_entry", "queue release"),
    ("bounce_queue_entry", "queue bounce"),
    ("drop_queue_entry", "queue drop"),
    ("flush_queue", "queue flush"),
    ("act_on_queue", "queue actions"),
    ("list_queue_rules", "queue rule list"),
    ("get_queue_rule", "queue rule show"),
    ("put_queue_rule", "queue rule put"),
    ("delete_queue_rule", "queue rule delete"),
    ("put_queue_pause", "queue pause"),
    ("delete_queue_pause", "queue resume"),
    ("list_routes", "route list"),
    ("get_route", "route show"),
    ("put_route", "route put"),
    ("delete_route", "route delete"),
    ("list_peers", "turn peer list"),
    ("get_peer", "turn peer show"),
    ("put_peer", "turn peer put"),
    ("patch_peer", "turn peer set"),
    ("delete_peer", "turn peer delete"),
    ("start_turn_session", "turn start"),
    ("list_turn_sessions", "turn sessions"),
    ("get_turn_session", "turn show"),
    ("abort_turn_session", "turn abort"),
    ("get_turn_waiting", "turn waiting"),
    ("list_backups", "backup list"),
    ("get_backup", "backup show"),
    ("create_backup", "backup create"),
    ("get_backup_file", "backup fetch"),
    ("verify_backup", "backup verify"),
    ("delete_backup", "backup delete"),
    ("get_backup_now", "backup"),
    ("list_backup_accounts", "backup accounts"),
    ("list_backup_mailboxes", "backup mailboxes"),
    ("list_backup_messages", "backup messages"),
    ("restore_items", "restore items"),
    ("compact_file", "compact"),
    ("restore_backup", "restore"),
    ("get_restore", "restore show"),
    ("drop_restore", "restore drop"),
    ("check_file", "check"),
    ("list_jobs", "job list"),
    ("get_job", "job show"),
    ("cancel_job", "job cancel"),
    ("list_settings", "settings list"),
    ("get_setting", "settings get"),
    ("patch_settings", "settings set"),
    ("get_state", "state get"),
    ("list_trace", "trace list"),
    ("get_trace", "trace show"),
    ("get_trace_transcript", "trace transcript"),
    ("get_queue_message_headers", "queue headers"),
    ("get_queue_message_raw", "queue raw"),
    ("redirect_queue_entry", "queue redirect"),
    ("redeliver_message", "redeliver"),
    ("send_message", "message send"),
    ("wait_for_message", "message wait"),
    ("list_mailboxes", "mailbox list"),
    ("get_mailbox", "mailbox list"),
    ("put_mailbox", "mailbox create"),
    ("delete_mailbox", "mailbox delete"),
    ("list_mailbox_messages", "mailbox messages"),
    ("append_mailbox_message", "message append"),
    ("get_mailbox_message", "message show"),
    ("get_mailbox_message_raw", "message raw"),
    ("patch_mailbox_message", "message flags"),
    ("delete_mailbox_message", "message delete"),
    ("get_overview", "overview"),
    ("get_events", "events"),
    ("list_logs", "logs"),
    ("put_log_filter", "log-filter"),
    ("get_metrics", "metrics"),
    ("put_state", "state apply"),
];

/// Operations without one, and why.
const WITHOUT: &[(&str, &str)] = &[
    ("create_session", "a browser logs in: a command has the socket or a token"),
    ("get_session", "the same"),
    ("delete_session", "the same"),
    ("get_setup", "the page's, by the link that `admin link` prints"),
    ("set_up", "the same"),
    ("restore_at_setup", "the same; `restore FILE` on the machine itself"),
    ("get_mailbox_message_part", "for the page: `message show` has the text, `message raw` everything"),
];

fn operations() -> BTreeSet<String> {
    let document: Value = serde_json::from_str(&http::openapi()).unwrap();
    let paths = document["paths"].as_object().unwrap().values();
    let operations = paths.flat_map(|operations| operations.as_object().unwrap().values());
    operations.map(|operation| operation["operationId"].as_str().unwrap().to_owned()).collect()
}

/// Whether there is a command of these words.
fn is_command(words: &str) -> bool {
    let mut command = &Cli::command();
    let root = command.clone();
    command = &root;
    words.split(' ').all(|word| match command.find_subcommand(word) {
        Some(found) => {
            command = found;
            true
        }
        None => false,
    }) && (!command.has_subcommands() || command.get_positionals().next().is_some())
}

#[test]
fn every_operation_has_its_command() {
    let operations = operations();
    let named = || COMMANDS.iter().chain(WITHOUT).map(|(operation, _)| *operation);
    let names: BTreeSet<&str> = named().collect();
    assert_eq!(names.len(), named().count(), "an operation is named twice");
    let missing: Vec<&String> = operations.iter().filter(|id| !names.contains(id.as_str())).collect();
    assert!(missing.is_empty(), "which commands do these? {missing:?}");
    let gone: Vec<&&str> = names.iter().filter(|name| !operations.contains(**name)).collect();
    assert!(gone.is_empty(), "there are no such operations: {gone:?}");
    for (operation, words) in COMMANDS {
        assert!(is_command(words), "{operation}: there is no command {words:?}");
    }
}
