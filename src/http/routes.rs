use actix_web::dev::HttpServiceFactory;
use actix_web::web;
use utoipa_actix_web::OpenApiFactory;
use utoipa_actix_web::service_config::ServiceConfig;

use super::api::backups::{self, file as copies};
use super::api::mailboxes::{self, append, change, content as mail, messages};
use super::api::queue::{act, bulk, content, flush};
use super::api::{
    about, accounts, aliases, dkim_keys, dns, domains, events, jobs, logs, mail_routes, maintenance, overview, peers,
    queue, queue_rules, redeliver, resolve, restore, send, settings, state, tokens, trace, turn_sessions, wait,
};
use super::api::{account_actions, app_passwords, audit, backup_contents, restore_items, session, setup};
use super::{health, metrics};

/// Where the paths of [`api`] begin.
pub(super) const API: &str = "/api/v1";

/// What takes operations: the server's app, or the collector of the OpenAPI document. Two, as the collector takes megabytes
/// for what each worker of the server would then throw away.
pub(super) trait Operations {
    /// Adds one.
    fn service(&mut self, operation: impl HttpServiceFactory + OpenApiFactory + 'static) -> &mut Self;
}

impl Operations for web::ServiceConfig {
    fn service(&mut self, operation: impl HttpServiceFactory + OpenApiFactory + 'static) -> &mut Self {
        self.service(operation)
    }
}

impl Operations for ServiceConfig<'_> {
    fn service(&mut self, operation: impl HttpServiceFactory + OpenApiFactory + 'static) -> &mut Self {
        self.service(operation)
    }
}

/// The operations for supervisors, at the root.
pub(super) fn health(root: &mut impl Operations) {
    root.service(health::healthz).service(health::livez).service(health::readyz);
    root.service(metrics::get_metrics);
}

/// All others, below [`API`].
pub(super) fn api(api: &mut impl Operations) {
    api.service(audit::list_audit);
    api.service(backups::list_backups)
        .service(backups::create_backup)
        .service(backups::get_backup)
        .service(backups::delete_backup)
        .service(backups::verify_backup)
        .service(copies::get_backup_file)
        .service(copies::get_backup_now)
        .service(backup_contents::list_backup_accounts)
        .service(backup_contents::list_backup_mailboxes)
        .service(backup_contents::list_backup_messages)
        .service(restore_items::restore_items)
        .service(restore::restore_backup)
        .service(restore::get_restore)
        .service(restore::drop_restore);
    api.service(maintenance::compact::compact_file);
    api.service(maintenance::check::check_file);
    api.service(app_passwords::list_app_passwords)
        .service(app_passwords::create_app_password)
        .service(app_passwords::delete_app_password)
        .service(account_actions::disable_account)
        .service(account_actions::enable_account)
        .service(account_actions::log_out_account);
    api.service(setup::get_setup).service(setup::set_up).service(setup::create_setup_link);
    api.service(setup::restore::restore_at_setup);
    api.service(session::get_session).service(session::create_session).service(session::delete_session);
    api.service(events::get_events).service(overview::get_overview);
    api.service(logs::list_logs).service(logs::put_log_filter);
    api.service(about::get_version)
        .service(about::get_openapi)
        .service(domains::list_domains)
        .service(domains::get_domain)
        .service(domains::put_domain)
        .service(domains::patch_domain)
        .service(domains::delete_domain)
        .service(dkim_keys::list_dkim_keys)
        .service(dkim_keys::get_dkim_key)
        .service(dkim_keys::create_dkim_key)
        .service(dkim_keys::activate_dkim_key)
        .service(dkim_keys::delete_dkim_key)
        .service(dkim_keys::rotate_dkim_keys)
        .service(dns::get_domain_dns)
        .service(dns::get_domain_zone)
        .service(dns::check_domain_dns)
        .service(accounts::list_accounts)
        .service(accounts::get_account)
        .service(accounts::put_account)
        .service(accounts::patch_account)
        .service(accounts::delete_account)
        .service(mailboxes::list_mailboxes)
        .service(mailboxes::get_mailbox)
        .service(mailboxes::put_mailbox)
        .service(mailboxes::delete_mailbox)
        .service(messages::list_mailbox_messages)
        .service(append::append_mailbox_message)
        .service(mail::get_mailbox_message)
        .service(mail::get_mailbox_message_raw)
        .service(mail::get_mailbox_message_part)
        .service(change::patch_mailbox_message)
        .service(change::delete_mailbox_message)
        .service(aliases::list_aliases)
        .service(aliases::get_alias)
        .service(aliases::put_alias)
        .service(aliases::patch_alias)
        .service(aliases::delete_alias)
        .service(resolve::resolve_address)
        .service(tokens::list_tokens)
        .service(tokens::get_token)
        .service(tokens::create_token)
        .service(tokens::delete_token)
        .service(queue::list_queue)
        .service(queue::get_queue_summary)
        .service(flush::flush_queue)
        .service(bulk::act_on_queue)
        .service(content::get_queue_message_raw)
        .service(content::get_queue_message_headers)
        .service(queue_rules::list_queue_rules)
        .service(queue_rules::get_queue_rule)
        .service(queue_rules::put_queue_rule)
        .service(queue_rules::delete_queue_rule)
        .service(queue_rules::put_queue_pause)
        .service(queue_rules::delete_queue_pause)
        .service(queue::get_queue_message)
        // Behind the words that stand at the same place.
        .service(queue::get_queue_entry)
        .service(act::retry_queue_entry)
        .service(act::hold_queue_entry)
        .service(act::release_queue_entry)
        .service(act::redirect_queue_entry)
        .service(act::bounce_queue_entry)
        .service(act::drop_queue_entry)
        .service(mail_routes::list_routes)
        .service(mail_routes::get_route)
        .service(mail_routes::put_route)
        .service(mail_routes::delete_route)
        .service(peers::list_peers)
        .service(peers::get_peer)
        .service(peers::put_peer)
        .service(peers::patch_peer)
        .service(peers::delete_peer)
        .service(turn_sessions::start_turn_session)
        .service(turn_sessions::list_turn_sessions)
        .service(turn_sessions::get_turn_session)
        .service(turn_sessions::abort_turn_session)
        .service(turn_sessions::get_turn_waiting)
        .service(trace::list_trace)
        .service(trace::get_trace)
        .service(trace::get_trace_transcript)
        .service(redeliver::redeliver_message)
        .service(wait::wait_for_message)
        .service(send::send_message)
        .service(jobs::list_jobs)
        .service(jobs::get_job)
        .service(jobs::cancel_job)
        .service(state::get_state)
        .service(state::put_state)
        .service(settings::list_settings)
        .service(settings::get_setting)
        .service(settings::patch_settings);
}
