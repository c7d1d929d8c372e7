//! The log.

use std::path::PathBuf;

use crate::value::{Setting, Value, words};

/// Where the log goes and what is in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// `stderr`, `stdout`, `syslog`, `topic`, `file`; none for no log.
    pub destinations: Vec<String>,
    /// Where `file` writes.
    pub file: Option<PathBuf>,
    /// What is told.
    pub types: LogTypes,
    /// What a line begins with.
    pub timestamps: Timestamps,
    /// How `Timestamps::Format` writes the time, as `strftime` does.
    pub timestamp_format: Option<String>,
    /// As whom the system log knows us.
    pub syslog_facility: SyslogFacility,
    /// Whether connects and disconnects are told.
    pub connection_messages: bool,
    /// In whose words that is done.
    pub wording: Wording,
}

impl Log {
    /// What `destinations` may hold.
    pub const DESTINATIONS: [&'static str; 5] = ["stderr", "stdout", "syslog", "topic", "file"];
}

impl Default for Log {
    fn default() -> Self {
        Self {
            destinations: vec!["stderr".into()],
            file: None,
            types: LogTypes::USUAL,
            timestamps: Timestamps::Local,
            timestamp_format: None,
            syslog_facility: SyslogFacility::Daemon,
            connection_messages: true,
            wording: Wording::Dunlin,
        }
    }
}

words! {
    /// One kind of line, as Mosquitto tells them apart.
    LogType {
        /// Nothing can go on so.
        Error = "error",
        /// Something is not as it should be.
        Warning = "warning",
        /// Something that happens seldom.
        Notice = "notice",
        /// What happens.
        Information = "information",
        /// Every packet.
        Debug = "debug",
        /// Every subscription.
        Subscribe = "subscribe",
        /// Every end of a subscription.
        Unsubscribe = "unsubscribe",
        /// What happens inside.
        Internal = "internal",
        /// What happens on WebSocket.
        WebSockets = "websockets",
    }
}

/// A set of [`LogType`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogTypes(u16);

impl LogTypes {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything.
    pub const ALL: Self = Self((1 << LogType::ALL.len()) - 1);
    /// What Mosquitto tells unless told otherwise.
    pub const USUAL: Self = Self::NONE
        .with(LogType::Error)
        .with(LogType::Warning)
        .with(LogType::Notice)
        .with(LogType::Information);

    /// These and one more.
    #[must_use]
    pub const fn with(self, kind: LogType) -> Self {
        Self(self.0 | 1 << kind as u16)
    }

    /// Whether it is among them.
    #[must_use]
    pub const fn has(self, kind: LogType) -> bool {
        self.0 & 1 << kind as u16 != 0
    }
}

impl Setting for LogTypes {
    fn kind() -> String {
        format!("`\"all\"`, `\"none\"`, or list of {}", LogType::kind())
    }

    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Text(text) if text == "all" => Ok(Self::ALL),
            Value::Text(text) if text == "none" => Ok(Self::NONE),
            value => {
                Vec::<String>::from_value(value)?.into_iter().try_fold(Self::NONE, |set, word| {
                    let kind = LogType::ALL.iter().find(|(known, _)| *known == word);
                    kind.map(|(_, kind)| set.with(*kind)).ok_or_else(|| {
                        let known: Vec<_> = LogType::ALL.iter().map(|(known, _)| *known).collect();
                        format!(
                            "`{word}` is none of: {}; nor one of these alone: all, none",
                            known.join(", ")
                        )
                    })
                })
            }
        }
    }

    fn to_value(&self) -> Option<Value> {
        Some(match *self {
            Self::ALL => Value::Text("all".into()),
            Self::NONE => Value::Text("none".into()),
            set => {
                let all = LogType::ALL.iter().filter(|(_, kind)| set.has(*kind));
                Value::List(all.map(|(word, _)| (*word).to_owned()).collect())
            }
        })
    }
}

words! {
    /// What a line begins with.
    Timestamps {
        /// Date and time of day, to the microsecond.
        Local = "local",
        /// Seconds since 1970, as Mosquitto writes them.
        Unix = "unix",
        /// What `timestamp_format` says.
        Format = "format",
        /// No time.
        None = "none",
    }
}

words! {
    /// In whose words it is told who comes and goes.
    Wording {
        /// Ours.
        Dunlin = "dunlin",
        /// Mosquitto's, for tools that look for them; ours follow.
        Mosquitto = "mosquitto",
    }
}

words! {
    /// As whom the system log knows us.
    SyslogFacility {
        /// A service.
        Daemon = "daemon",
        /// Of local meaning.
        Local0 = "local0",
        /// Of local meaning.
        Local1 = "local1",
        /// Of local meaning.
        Local2 = "local2",
        /// Of local meaning.
        Local3 = "local3",
        /// Of local meaning.
        Local4 = "local4",
        /// Of local meaning.
        Local5 = "local5",
        /// Of local meaning.
        Local6 = "local6",
        /// Of local meaning.
        Local7 = "local7",
    }
}
