//! What an operator is answered.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dunlin_broker::{Client, End, Identity};
use dunlin_config::model::LogTypes;
use dunlin_config::value::{Setting, Value as Configured};
use serde_json::{Value, json};

use super::Desk;
use super::request::{Request, VERSION};
use crate::access::Expulsion;
use crate::start::Handle;

/// The answer to a request that has no end.
pub(super) fn too_long(longest: u64) -> Value {
    error(&format!("a request is one line of at most {longest} bytes"))
}

fn error(what: &str) -> Value {
    json!({ "version": VERSION, "error": what })
}

impl Desk {
    pub(super) fn answer(&self, line: &[u8]) -> Value {
        match Request::parse(line).and_then(|request| self.obey(request)) {
            Ok(result) => json!({ "version": VERSION, "result": result }),
            Err(what) => error(&what),
        }
    }

    fn obey(&self, request: Request) -> Result<Value, String> {
        let server = &self.server;
        Ok(match request {
            Request::Status => self.status(),
            Request::Clients { limit, prefix } => self.clients(limit, prefix),
            Request::Why { client, topic, limit } => {
                why(server, client.as_deref(), topic.as_deref(), limit)?
            }
            Request::Alarms => {
                let alarms = server.alarms().into_iter().map(|alarm| {
                    json!({ "alarm": alarm.name, "since": seconds(alarm.since), "text": alarm.text })
                });
                json!({ "alarms": alarms.collect::<Vec<_>>() })
            }
            Request::Kick { client } => json!({ "kicked": self.kick(&client) }),
            Request::Ban { target, reason, seconds } => {
                server.ban(&target, &reason, seconds.map(Duration::from_secs))?;
                tracing::info!("an operator has banned {target:?}: {reason:?}");
                json!({ "banned": target })
            }
            Request::Unban { target } => json!({ "unbanned": server.unban(&target)? }),
            Request::Bans => {
                let bans = server.bans().into_iter().map(
                    |ban| json!({ "target": ban.target, "reason": ban.reason, "until": ban.until }),
                );
                json!({ "bans": bans.collect::<Vec<_>>() })
            }
            Request::Reload => json!({ "changes": self.reloader.reload()? }),
            Request::LogLevel { types } => self.log_level(types)?,
        })
    }

    fn status(&self) -> Value {
        let server = &self.server;
        let listeners = server.listeners().into_iter().map(|listener| {
            json!({
                "listener": listener.label,
                "connections": listener.connections,
                "handshaking": listener.opening,
                "full_handshakes": listener.full_handshakes,
                "resumed_handshakes": listener.resumed_handshakes,
                "turned_away": listener.turned_away,
                "certificate_expires": listener.certificate_expires,
            })
        });
        let (clients, sessions, queued) = server
            .ask(|broker, _| {
                let stats = broker.stats();
                (stats.clients_connected, stats.sessions, stats.queued_messages)
            })
            .into_iter()
            .fold((0, 0, 0), |sum, shard| (sum.0 + shard.0, sum.1 + shard.1, sum.2 + shard.2));
        let config = self.reloader.config();
        let kept =
            config.persistence.enabled.then(|| config.persistence.directory.display().to_string());
        json!({
            "broker": concat!("dunlin ", env!("CARGO_PKG_VERSION")),
            "process": std::process::id(),
            "uptime_seconds": Instant::now().duration_since(self.started).as_secs(),
            "shards": server.shards(),
            "connections": server.shared.connections.load(Ordering::Relaxed),
            "maximum_connections": server.max_connections(),
            "clients": clients,
            "sessions": sessions,
            "queued_messages": queued,
            "store": kept,
            "listeners": listeners.collect::<Vec<_>>(),
        })
    }

    fn clients(&self, limit: usize, prefix: String) -> Value {
        let shards = self.server.ask(move |broker, now| {
            let wanted = |who: &Identity| who.client_id.starts_with(&prefix);
            let clients = broker.clients(&wanted, limit);
            clients.iter().map(|client| in_json(client, now)).collect::<Vec<_>>()
        });
        let mut clients: Vec<Value> = shards.into_iter().flatten().collect();
        clients.sort_by(|one, other| one["client"].as_str().cmp(&other["client"].as_str()));
        let more = clients.len() > limit;
        clients.truncate(limit);
        json!({ "clients": clients, "more": more })
    }

    /// Ends the connections of a client, and says how many there were.
    fn kick(&self, client: &str) -> usize {
        let wanted = client.to_owned();
        let found = self.server.ask(move |broker, _| {
            let clients = broker.clients(&|who| *who.client_id == *wanted, 1);
            clients.iter().filter(|client| client.online.is_some()).count()
        });
        let wanted = client.to_owned();
        let whom: Expulsion = Arc::new(move |present| {
            (*present.who.client_id == *wanted).then_some(End::Administrative)
        });
        self.server.shared.accesses.expel(&whom);
        let count = found.into_iter().sum();
        if count > 0 {
            tracing::info!("an operator has disconnected client {client:?}");
        }
        count
    }

    fn log_level(&self, types: Option<Vec<String>>) -> Result<Value, String> {
        if let Some(types) = types {
            let value = match types.as_slice() {
                [word] if word == "all" || word == "none" => Configured::Text(word.clone()),
                _ => Configured::List(types),
            };
            self.logger.set_types(LogTypes::from_value(value)?);
        }
        let told = match self.logger.types().to_value() {
            Some(Configured::List(types)) => types,
            Some(Configured::Text(word)) => vec![word],
            _ => Vec::new(),
        };
        Ok(json!({ "types": told }))
    }
}

fn why(
    server: &Handle,
    client: Option<&str>,
    topic: Option<&str>,
    limit: usize,
) -> Result<Value, String> {
    let mut answer = json!({});
    if client.is_some() || topic.is_none() {
        let mut told =
            client.map_or_else(|| server.told_lately(limit), |client| server.why(client));
        let older = told.len().saturating_sub(limit);
        let told = told.drain(older..).map(|told| {
            json!({
                "at": seconds(told.at),
                "cause": told.cause,
                "client": told.client,
                "topic": told.topic,
                "rule": told.rule,
                "text": told.text,
            })
        });
        answer["told"] = told.collect();
    }
    if let Some(topic) = topic {
        let explained = server
            .explain_topic(topic)
            .ok_or_else(|| format!("{topic:?} is no topic that can be published to"))?;
        answer["topic"] = json!({
            "topic": topic,
            "subscriptions": explained.subscriptions,
            "retained": explained.retained,
            "nearest": explained.nearest,
        });
    }
    Ok(answer)
}

/// Seconds since 1970.
fn seconds(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

fn in_json(client: &Client, now: dunlin_broker::Time) -> Value {
    let mut value = json!({
        "client": &*client.who.client_id,
        "user": client.who.username.as_deref(),
        "online": client.online.is_some(),
        "subscriptions": client.subscriptions,
        "waiting": client.waiting,
    });
    if let Some(online) = &client.online {
        value["address"] = online.address.to_string().into();
        value["version"] = online.version.to_string().into();
        value["keep_alive"] = online.keep_alive.into();
    }
    if let Some(ends) = client.ends_at {
        value["ends_in_seconds"] = ends.since(now).as_secs().into();
    }
    value
}
