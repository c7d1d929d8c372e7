//! The tables of normative statements.

use serde::Deserialize;

use crate::source::Repository;

/// The tables, oldest standard first.
const TABLES: [&str; 2] = ["spec/mqtt-3.1.1.toml", "spec/mqtt-5.0.toml"];

/// The statements of one standard.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    /// Its version, as `// shows` lines name it.
    pub(crate) standard: String,
    #[serde(rename = "statement")]
    pub(crate) statements: Vec<Statement>,
}

/// One statement that a conforming implementation must meet.
#[derive(Debug, Deserialize)]
pub(crate) struct Statement {
    pub(crate) id: String,
    pub(crate) summary: String,
    pub(crate) side: Side,
    #[serde(flatten)]
    pub(crate) status: Status,
}

/// Whom a statement binds.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    Server,
    Client,
    Both,
}

/// What is known of a statement.
#[derive(Debug, Deserialize)]
#[serde(tag = "status", rename_all = "kebab-case")]
pub(crate) enum Status {
    /// Shown by these tests.
    Tested { test: Vec<String> },
    /// Cannot be broken, or does not apply.
    ByDesign { why: String },
    /// Binds clients alone.
    Client,
    /// Waits for a part that is not built yet.
    Later { needs: Need },
}

/// Parts that statements wait for.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Need {
    Tls,
    WebSocket,
    Authentication,
    Disk,
}

impl Side {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Both => "both",
        }
    }
}

impl Need {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tls => "TLS",
            Self::WebSocket => "WebSocket",
            Self::Authentication => "authentication",
            Self::Disk => "the disk store",
        }
    }
}

/// Reads the tables; what does not parse is told with its file.
pub(crate) fn tables(repository: &Repository) -> Result<Vec<(&'static str, Table)>, String> {
    TABLES
        .into_iter()
        .map(|path| match toml::from_str(&repository.read(path)) {
            Ok(table) => Ok((path, table)),
            Err(error) => Err(format!("{path}:1: {error}")),
        })
        .collect()
}
