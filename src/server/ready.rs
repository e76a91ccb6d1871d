use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::net::Listener;

/// What the ready file says: written when everything is bound and served, for whoever started the server.
#[derive(Debug, Serialize)]
pub(super) struct Ready {
    pid: u32,
    socket: Option<PathBuf>,
    listeners: BTreeMap<&'static str, SocketAddr>,
}

impl Ready {
    pub(super) fn new(socket: Option<PathBuf>, bound: &[(Listener, SocketAddr)]) -> Self {
        let listeners = bound.iter().map(|(listener, address)| (listener.name(), *address)).collect();
        Self { pid: std::process::id(), socket, listeners }
    }

    /// Writes it beside its place and renames it: a reader sees all of it or none.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension(format!("{}.part", std::process::id()));
        std::fs::write(&beside, serde_json::to_vec(self)?)?;
        std::fs::rename(&beside, path)
    }
}
