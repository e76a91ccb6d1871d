use utoipa_actix_web::scope;
use utoipa_actix_web::service_config::ServiceConfig;

use super::api::mailboxes::{self, append, change, content as mail, messages};
use super::api::queue::{act, bulk, content, flush};
use super::api::{
    about, accounts, aliases, domains, events, jobs, logs, mail_routes, overview, peers, queue, redeliver, resolve,
    send, settings, state, tokens, trace, turn_sessions, wait,
};
use super::api::{account_actions, app_passwords, audit, session, setup};
use super::{health, metrics};

/// Every operation of the OpenAPI document.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config.service(health::healthz).service(health::livez).service(health::readyz);
    config.service(metrics::get_metrics);
    config.service(scope("/api/v1").configure(|api| {
        api.service(audit::list_audit);
        api.service(app_passwords::list_app_passwords)
            .service(app_passwords::create_app_password)
            .service(app_passwords::delete_app_password)
            .service(account_actions::disable_account)
            .service(account_actions::enable_account)
            .service(account_actions::log_out_account);
        api.service(setup::get_setup).service(setup::set_up).service(setup::create_setup_link);
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
    }));
}
