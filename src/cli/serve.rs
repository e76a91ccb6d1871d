use std::process::ExitCode;

use super::args::ServeFlags;
use super::{logs, state};
use crate::server::{self, Config, ListenFlag};

/// Added to every port in `dev`: no port below 1024, and none that browsers refuse.
const DEV_PORT_OFFSET: u16 = 3000;

/// `pillarbox serve`
pub fn serve(flags: ServeFlags) -> ExitCode {
    logs::start(flags.log_format);
    match config(flags) {
        Ok(config) => server::run(config),
        Err(message) => usage(&message),
    }
}

/// `pillarbox dev`: the same with presets.
pub fn dev(mut flags: ServeFlags) -> ExitCode {
    logs::start(flags.log_format);
    // The folder goes with the server.
    let folder = match flags.data {
        Some(_) => None,
        None => match tempfile::Builder::new().prefix("pillarbox-dev-").tempdir() {
            Ok(folder) => Some(folder),
            Err(error) => {
                eprintln!("pillarbox: there can be no temporary folder: {error}; name a file with --data");
                return ExitCode::FAILURE;
            }
        },
    };
    if let Some(folder) = &folder {
        flags.data = Some(folder.path().join("pillarbox.redb"));
    }
    flags.port_offset.get_or_insert(DEV_PORT_OFFSET);
    flags.hostname.get_or_insert_with(|| "localhost".to_owned());
    match config(flags) {
        Ok(config) => server::run(config.for_development()),
        Err(message) => usage(&message),
    }
}

fn usage(message: &str) -> ExitCode {
    eprintln!("pillarbox: {message}");
    ExitCode::from(2)
}

fn config(flags: ServeFlags) -> Result<Config, String> {
    let state = flags.state.as_deref().map(state::read_document).transpose();
    let state = state.map_err(|failure| format!("--state {failure}"))?;
    // A repeatable flag's environment variable may end with a line end, or be empty.
    let lines = flags.listen.iter().map(|line| line.trim()).filter(|line| !line.is_empty());
    let listen = lines
        .map(|line| line.parse::<ListenFlag>().map_err(|error| format!("--listen {line}: {error}")))
        .collect::<Result<Vec<_>, _>>()?;
    let resolver = flags.resolver.as_deref().map(str::trim).filter(|servers| !servers.is_empty());
    let resolver = resolver.map(server::name_servers).transpose().map_err(|error| format!("--resolver: {error}"))?;
    if flags.without_key && flags.key_file.is_some() {
        return Err(
            "--without-key and --key-file exclude each other: start once without the key, then with a new one".into()
        );
    }
    let default = Config::default();
    Ok(Config {
        data: flags.data.or(default.data),
        hostname: flags.hostname,
        listen,
        port_offset: flags.port_offset.unwrap_or(default.port_offset),
        ready_file: flags.ready_file,
        key_file: flags.key_file,
        without_key: flags.without_key,
        http_token_file: flags.http_token_file,
        settings: flags.set,
        state,
        resolver: resolver.unwrap_or_default(),
        remote_port: flags.remote_port.unwrap_or(default.remote_port),
        trust_anchor: flags.trust_anchor,
        policy_port: flags.policy_port.unwrap_or(default.policy_port),
        settings_environment: std::env::var("PILLARBOX_SET").unwrap_or_default(),
        ..Config::default()
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::{Cli, Command};
    use super::*;

    fn check(line: &str, expected: Result<(&str, usize, u16), &str>) {
        let Ok(Cli { command: Command::Serve(flags) }) = Cli::try_parse_from(line.split(' ')) else {
            panic!("{line} is not serve");
        };
        let seen = config(flags).map(|config| {
            (
                config.data.map(|data| data.display().to_string()).unwrap_or_default(),
                config.listen.len(),
                config.port_offset,
            )
        });
        match (seen, expected) {
            (Ok((data, listen, offset)), Ok(expected)) => {
                assert_eq!((data.as_str(), listen, offset), expected, "{line}")
            }
            (Err(error), Err(word)) => assert!(error.contains(word), "{line}: {error}"),
            (seen, _) => panic!("{line}: {seen:?}"),
        }
    }

    #[test]
    fn flags_become_a_configuration() {
        check("pillarbox serve", Ok(("pillarbox.redb", 0, 0)));
        check("pillarbox serve --data /x/y.redb --port-offset 3000", Ok(("/x/y.redb", 0, 3000)));
        check("pillarbox serve --listen smtp=127.0.0.1:0 --listen http=off", Ok(("pillarbox.redb", 2, 0)));
        check("pillarbox serve --listen smtp=off\npop3=off\n", Ok(("pillarbox.redb", 2, 0)));
        check("pillarbox serve --resolver 127.0.0.1:5353", Ok(("pillarbox.redb", 0, 0)));
        check("pillarbox serve --resolver dns.example.org", Err("--resolver"));
        check("pillarbox serve --listen smpt=off", Err("smpt"));
        check("pillarbox serve --listen smtp", Err("NAME=ADDRESS"));
        check("pillarbox serve --key-file /k --without-key", Err("exclude each other"));
        check("pillarbox serve --state /nowhere.yaml", Err("--state /nowhere.yaml: No such file"));
    }
}
