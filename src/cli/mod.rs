//! The command line: arguments, exit codes, and a client of the REST interface.
//!
//! Floor F6. stdout is for what was asked for, stderr for everything else.

mod accounts;
mod args;
mod audit;
mod backup;
mod client;
mod compact;
mod completions;
#[cfg(test)]
mod coverage;
mod directory;
mod dkim;
mod failure;
mod file;
mod jobs;
mod key;
mod live;
mod logs;
mod mail;
mod output;
mod password;
mod progress;
mod queue;
mod queue_rules;
mod request;
mod restore;
mod routes;
mod sendmail;
mod serve;
mod settings;
mod state;
mod trace;
mod turn;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use client::Client;
use failure::Failure;

use crate::http;

/// Runs the command that the arguments name.
///
/// Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 5 unreachable, 6 denied, 65 damaged data, 74 storage
/// error.
pub fn run() -> ExitCode {
    // What this program makes is for its user alone: the file, its socket, its ready file.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    crate::store::end_where_damage_aborts();
    let done = match Cli::parse().command {
        Command::Serve(flags) => return serve::serve(flags),
        Command::Dev(flags) => return serve::dev(flags),
        // Who calls it knows another list of exit codes.
        Command::Sendmail { args } => return sendmail::run(args),
        command => answer(command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, Failure::Different) {
                eprintln!("pillarbox: {failure}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn answer(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(_) | Command::Dev(_) | Command::Sendmail { .. } => Ok(()),
        Command::Domain { place, action } => {
            directory::act(&directory::DOMAINS, action, &Client::new(&place)?, place.output)
        }
        Command::Dkim { place, action } => dkim::act(action, &Client::new(&place)?, place.output),
        Command::Dns { place, action } => dkim::dns(action, &Client::new(&place)?, place.output),
        Command::Account { place, action } => accounts::act(action, &Client::new(&place)?, place.output),
        Command::AppPassword { place, action } => accounts::app_password(action, &Client::new(&place)?, place.output),
        Command::Audit { place, action } => audit::act(action, &Client::new(&place)?, place.output),
        Command::Admin { place, action } => audit::admin(action, &Client::new(&place)?, place.output),
        Command::Alias { place, action } => {
            directory::act(&directory::ALIASES, action, &Client::new(&place)?, place.output)
        }
        Command::Token { place, action } => directory::token(action, &Client::new(&place)?, place.output),
        Command::Queue { place, action } => queue::act(action, &Client::new(&place)?, place.output),
        Command::Redeliver { place, id, to, route, dry_run } => {
            mail::redeliver(&id, (to, route), dry_run, &Client::new(&place)?, place.output)
        }
        Command::Mailbox { place, action } => mail::mailbox(action, &Client::new(&place)?, place.output),
        Command::Message { place, action } => mail::message(action, &Client::new(&place)?, place.output),
        Command::Route { place, action } => routes::act(action, &Client::new(&place)?, place.output),
        Command::Turn { place, action } => turn::act(action, &Client::new(&place)?, place.output),
        Command::Trace { place, action } => trace::act(action, &Client::new(&place)?, place.output),
        Command::Backup { place, file: Some(file), compact, .. } => {
            let is_local = place.url.as_deref().is_none_or(str::is_empty);
            backup::make(&file, compact, &place.data, is_local, &Client::new(&place)?)
        }
        Command::Backup { place, action: Some(action), .. } => backup::act(action, &Client::new(&place)?, place.output),
        Command::Backup { .. } => Err(Failure::Usage("name a file to write, or an action: see --help".into())),
        Command::Compact { file: Some(file), .. } => compact::file(&file),
        Command::Compact { place, file: None, no_wait } => {
            let is_local = place.url.as_deref().is_none_or(str::is_empty);
            compact::by_server(&place.data, is_local, !no_wait, &Client::new(&place)?, place.output)
        }
        Command::Job { place, action } => jobs::act(action, &Client::new(&place)?, place.output),
        Command::Settings { place, action } => settings::act(action, &Client::new(&place)?, place.output),
        Command::State { place, action } => state::act(action, &Client::new(&place)?, place.output),
        Command::Resolve { place, address } => directory::resolve(&address, &Client::new(&place)?, place.output),
        Command::Health { place } => directory::health(&Client::new(&place)?, place.output),
        Command::Completions { shell } => completions::print(shell),
        Command::Events { topics, seconds, last_event_id, place } => {
            live::events(&topics, seconds, last_event_id, &Client::new(&place)?, place.output)
        }
        Command::Logs { level, target, after, limit, follow, place } => {
            let wanted = live::Logs { level, target, after, limit, follow };
            live::logs(wanted, &Client::new(&place)?, place.output)
        }
        Command::LogFilter { filter, seconds, place } => {
            live::log_filter(&filter, seconds, &Client::new(&place)?, place.output)
        }
        Command::Overview { place } => live::overview(&Client::new(&place)?, place.output),
        Command::Metrics { place } => live::metrics(&Client::new(&place)?),
        Command::Openapi => output::print(&http::openapi()),
        Command::Restore { action: Some(action), .. } => restore::act(action),
        Command::Restore { file: Some(file), restart, data, .. } => restore::put(&file, restart, &data.data),
        Command::Restore { .. } => Err(Failure::Usage("name a copy, or an action: see --help".into())),
        Command::Check { file, repair: true, place } => file::repair(&file.unwrap_or(place.data)),
        Command::Check { file: Some(file), .. } => file::check(&file),
        Command::Check { file: None, place, .. } => {
            let is_local = place.url.as_deref().is_none_or(str::is_empty);
            match jobs::check(&Client::new(&place)?, place.output) {
                Err(Failure::Unreachable(_)) if is_local => file::check(&place.data),
                checked => checked,
            }
        }
        Command::Key { action } => key::act(action),
        Command::Version => output::print(&format!("pillarbox {}\n", env!("CARGO_PKG_VERSION"))),
    }
}
