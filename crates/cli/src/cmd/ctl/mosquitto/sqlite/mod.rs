//! The database of Mosquitto's SQLite plugin (2.1).
//!
//! Only whole tables are read, so a few hundred lines do what would otherwise take the whole of SQLite:
//! two megabytes and a minute of building.

mod pages;
mod properties;
mod record;
mod schema;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use self::pages::Pages;
use self::record::Value;
use self::schema::{Row, Table, tables};
use super::snapshot::{BaseMessage, Client, ClientMessage, Snapshot, Source, Subscription, Will};

pub(super) use self::pages::is_one;

/// Refuses a database part of which is in another file.
pub(super) fn ensure_whole(path: &Path) -> Result<()> {
    for suffix in ["-wal", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let name = PathBuf::from(name);
        if name.metadata().is_ok_and(|metadata| metadata.len() > 0) {
            bail!(
                "{} holds changes that are not in the database yet: stop Mosquitto, which writes them \
                 there, or run: sqlite3 {} 'PRAGMA wal_checkpoint(TRUNCATE)'",
                name.display(),
                path.display()
            );
        }
    }
    Ok(())
}

/// Reads all of it. Errors tell the page.
pub(super) fn read(bytes: &[u8]) -> Result<Snapshot> {
    let pages = Pages::new(bytes)?;
    let tables = tables(&pages)?;
    let all = |name: &str, row: &mut dyn FnMut(Row<'_>) -> Result<()>| {
        let table = tables.get(name).with_context(|| format!("there is no table {name}"))?;
        each(&pages, table, row).with_context(|| format!("table {name}"))
    };
    all("version_info", &mut |row| {
        let ours = row.get("component").text().as_deref() == Some("database_schema");
        let major = row.get("major").integer();
        ensure!(!ours || major == 1, "version {major} of the schema; 1 can be read");
        Ok(())
    })?;
    let mut snapshot = Snapshot::default();
    all("base_msgs", &mut |row| {
        let message = message(row)?;
        snapshot.messages.insert(row.get("store_id").integer().cast_unsigned(), message);
        Ok(())
    })?;
    all("clients", &mut |row| {
        snapshot.clients.push(Client {
            client_id: row.text("client_id")?,
            username: row.get("username").text().filter(|name| !name.is_empty()),
            port: port(row, "listener_port"),
            session_expiry_time: row.get("session_expiry_time").integer(),
            session_expiry_interval: interval(row, "session_expiry_interval")?,
            will_delay_interval: interval(row, "will_delay_interval")?,
            will_delay_time: row.get("will_delay_time").integer(),
        });
        Ok(())
    })?;
    all("subscriptions", &mut |row| {
        snapshot.subscriptions.push(Subscription {
            client_id: row.text("client_id")?,
            topic_filter: row.text("topic")?,
            options: row.number("subscription_options")?,
            identifier: row.number("subscription_identifier")?,
        });
        Ok(())
    })?;
    all("client_msgs", &mut |row| {
        snapshot.client_messages.push(client_message(row)?);
        Ok(())
    })?;
    all("retains", &mut |row| {
        snapshot.retained.push(row.get("store_id").integer().cast_unsigned());
        Ok(())
    })?;
    // Since version 1.1 of the schema.
    if tables.contains_key("wills") {
        all("wills", &mut |row| {
            snapshot.wills.push(will(row)?);
            Ok(())
        })?;
    }
    Ok(snapshot)
}

fn each(
    pages: &Pages<'_>,
    table: &Table,
    row: &mut dyn FnMut(Row<'_>) -> Result<()>,
) -> Result<()> {
    pages.table(table.root, &mut |values: Vec<Value<'_>>| row(Row { table, values: &values }))
}

/// The highest ones may have been stored as negative numbers.
fn interval(row: Row<'_>, name: &str) -> Result<u32> {
    match i32::try_from(row.get(name).integer()) {
        Ok(number) => Ok(number.cast_unsigned()),
        Err(_) => row.number(name),
    }
}

/// 0 if it is not known.
fn port(row: Row<'_>, name: &str) -> u16 {
    u16::try_from(row.get(name).integer()).unwrap_or_default()
}

fn message(row: Row<'_>) -> Result<BaseMessage> {
    let (source, user) = (row.get("source_id").text(), row.get("source_username").text());
    let source =
        source.and_then(|source| Source::new(&source, user.as_deref(), port(row, "source_port")));
    let (properties, _) = properties::parse(row.get("properties"))?;
    Ok(BaseMessage {
        topic: row.text("topic")?,
        payload: row.get("payload").bytes(),
        properties,
        qos: row.number("qos")?,
        retain: row.get("retain").integer() != 0,
        expiry_time: row.get("expiry_time").integer(),
        source,
    })
}

fn client_message(row: Row<'_>) -> Result<ClientMessage> {
    Ok(ClientMessage {
        client_id: row.text("client_id")?,
        message: row.get("store_id").integer().cast_unsigned(),
        packet_id: row.number("mid")?,
        qos: row.number("qos")?,
        retain: row.get("retain").integer() != 0,
        direction: row.number("direction")?,
        state: row.number("state")?,
        subscription_identifier: row.number("subscription_identifier")?,
    })
}

fn will(row: Row<'_>) -> Result<Will> {
    let (_, message_expiry_interval) = properties::parse(row.get("properties"))?;
    let message = message(row)?;
    Ok(Will { client_id: row.text("client_id")?, message, message_expiry_interval })
}
