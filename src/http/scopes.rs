use serde_json::{Value, json};

use crate::directory::Scope;

/// What each scope lets its owner do: for the OpenAPI document. The handlers hold to their own `Allowed<…>`, and the
/// authorisation matrix of the tests calls every operation to see that it is the same.
const OPERATIONS: &[(Scope, &[&str])] = &[
    (Scope::DomainsRead, &["list_domains", "get_domain", "list_dkim_keys", "get_dkim_key"]),
    (Scope::DomainsRead, &["get_domain_dns", "get_domain_zone", "check_domain_dns"]),
    (Scope::DomainsWrite, &["put_domain", "patch_domain", "delete_domain"]),
    (Scope::DomainsWrite, &["create_dkim_key", "activate_dkim_key", "delete_dkim_key", "rotate_dkim_keys"]),
    (Scope::AccountsRead, &["list_accounts", "get_account"]),
    (Scope::AccountsRead, &["list_aliases", "get_alias", "resolve_address"]),
    (Scope::AccountsWrite, &["put_account", "patch_account", "delete_account"]),
    (Scope::AccountsWrite, &["put_alias", "patch_alias", "delete_alias"]),
    (Scope::AccountsRead, &["list_mailboxes", "get_mailbox"]),
    (Scope::AccountsWrite, &["put_mailbox", "delete_mailbox"]),
    (Scope::MessagesRead, &["list_mailbox_messages", "get_mailbox_message"]),
    (Scope::MessagesRead, &["get_mailbox_message_raw", "get_mailbox_message_part"]),
    (Scope::MessagesWrite, &["append_mailbox_message", "patch_mailbox_message", "delete_mailbox_message"]),
    (Scope::TokensWrite, &["list_tokens", "get_token", "create_token", "delete_token"]),
    (Scope::QueueRead, &["list_queue", "get_queue_summary", "get_queue_entry", "get_queue_message"]),
    (Scope::QueueWrite, &["flush_queue", "act_on_queue", "retry_queue_entry", "hold_queue_entry"]),
    (Scope::QueueWrite, &["release_queue_entry", "bounce_queue_entry", "drop_queue_entry"]),
    (Scope::QueueWrite, &["redirect_queue_entry", "redeliver_message"]),
    (Scope::MessagesSend, &["send_message"]),
    (Scope::MessagesRead, &["wait_for_message"]),
    (Scope::MessagesRead, &["get_queue_message_raw", "get_queue_message_headers"]),
    (Scope::QueueRead, &["list_queue_rules", "get_queue_rule"]),
    (Scope::QueueWrite, &["put_queue_rule", "delete_queue_rule", "put_queue_pause", "delete_queue_pause"]),
    (Scope::QueueRead, &["list_routes", "get_route"]),
    (Scope::QueueWrite, &["put_route", "delete_route"]),
    (Scope::TurnRead, &["list_peers", "get_peer"]),
    (Scope::TurnRead, &["list_turn_sessions", "get_turn_session", "get_turn_waiting"]),
    (Scope::TurnWrite, &["put_peer", "patch_peer", "delete_peer", "start_turn_session", "abort_turn_session"]),
    (Scope::TraceRead, &["list_trace", "get_trace", "get_trace_transcript"]),
    (Scope::AuditRead, &["list_audit"]),
    (Scope::AccountsRead, &["list_app_passwords"]),
    (Scope::AccountsWrite, &["create_app_password", "delete_app_password"]),
    (Scope::AccountsWrite, &["disable_account", "enable_account", "log_out_account"]),
    (Scope::Admin, &["create_setup_link"]),
    (Scope::MetricsRead, &["get_metrics"]),
    (Scope::EventsRead, &["get_events", "list_logs"]),
    (Scope::QueueRead, &["get_overview"]),
    (Scope::StateWrite, &["get_state", "put_state"]),
    (Scope::SettingsRead, &["list_settings", "get_setting"]),
    (Scope::SettingsWrite, &["patch_settings", "put_log_filter", "compact_file", "check_file"]),
    (Scope::JobsRead, &["list_jobs", "get_job"]),
    (Scope::BackupRead, &["list_backups", "get_backup", "get_backup_file", "get_backup_now"]),
    (Scope::BackupRead, &["list_backup_accounts", "list_backup_mailboxes", "list_backup_messages"]),
    (Scope::BackupRead, &["create_backup", "verify_backup", "get_restore"]),
    (Scope::RestoreWrite, &["delete_backup", "restore_backup", "drop_restore", "restore_items"]),
    (Scope::JobsWrite, &["cancel_job"]),
];

/// Operations for whoever is known, whatever it may do.
const FOR_ANYBODY: &[&str] = &["get_version", "get_session", "delete_session"];

/// The security requirement of an operation: a token or a session, and the scope that it must have. `None` for one that the lists
/// above do not name.
///
/// OpenAPI 3.1 §4.8.30: the names in the list are roles, for a scheme that is not OAuth2.
pub(super) fn requirement(operation: &str) -> Option<Value> {
    if FOR_ANYBODY.contains(&operation) {
        return Some(either(&[]));
    }
    let (scope, _) = OPERATIONS.iter().find(|(_, operations)| operations.contains(&operation))?;
    Some(either(&[scope.as_str()]))
}

/// A token or a session, which stand for the same scopes.
fn either(scopes: &[&str]) -> Value {
    json!([{"token": scopes}, {"session": scopes}])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::document;
    use super::*;

    #[test]
    fn the_lists_name_every_operation_once() {
        let mut listed = BTreeSet::new();
        for name in OPERATIONS.iter().flat_map(|(_, operations)| *operations).chain(FOR_ANYBODY) {
            assert!(listed.insert(*name), "{name} is listed twice");
        }
        let paths = document::json()["paths"].as_object().unwrap().values();
        let operations = paths.flat_map(|operations| operations.as_object().unwrap().values());
        let guarded = operations.filter(|operation| operation["security"] != json!([{}]));
        let names: BTreeSet<&str> = guarded.map(|operation| operation["operationId"].as_str().unwrap()).collect();
        let missing: Vec<_> = names.difference(&listed).collect();
        let stale: Vec<_> = listed.difference(&names).collect();
        assert!(missing.is_empty(), "say in OPERATIONS which scope they need: {missing:?}");
        assert!(stale.is_empty(), "there are no such operations any more: {stale:?}");
    }
}
