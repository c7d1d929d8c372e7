//! The log.

use super::line::Line;
use super::reader::Reader;
use super::{MosquittoKey, sets};
use crate::model::{LogType, LogTypes, SyslogFacility};
use crate::problem::Weight;
use crate::value::{Setting, Value};

pub(super) const KEYS: &[&[MosquittoKey]] = &[SETTING];

#[rustfmt::skip]
const SETTING: &[MosquittoKey] = sets! {
    "connection_messages" Broker "log.connection_messages" Allowed |r, l| { r.config.log.connection_messages = l.flag()?; Ok(()) };
    "log_dest" Broker "log.destinations" Allowed destination;
    "log_facility" Broker "log.syslog_facility" Allowed |r, l| {
        let word = format!("local{}", l.between(0, 7)?);
        r.config.log.syslog_facility = SyslogFacility::from_value(Value::Text(word))?;
        Ok(())
    };
    "log_timestamp" Broker "log.timestamps" Allowed |r, l| { r.log.no_timestamps = !l.flag()?; Ok(()) };
    "log_timestamp_format" Broker "log.timestamp_format" Refused |r, l| { r.config.log.timestamp_format = Some(l.text()?.into()); Ok(()) };
    "log_type" Broker "log.types" Allowed |r, l| {
        let types = r.log.types.unwrap_or(LogTypes::NONE);
        r.log.types = Some(match l.word()? {
            "none" => LogTypes::NONE,
            "all" => LogTypes::ALL,
            word => types.with(LogType::from_value(Value::Text(word.into()))?),
        });
        Ok(())
    };
};

/// Each line adds a destination; `none` takes those before it back.
fn destination(reader: &mut Reader<'_>, line: &Line<'_>) -> Result<(), String> {
    let mut destinations = reader.log.destinations.take().unwrap_or_default();
    match line.word()? {
        "none" => destinations.clear(),
        "file" => {
            if reader.config.log.file.is_some() {
                return Err("there is already a `log_dest file`".into());
            }
            let path = line.after_word();
            if path.is_empty() {
                return Err("it needs the path of a file".into());
            }
            reader.config.log.file = Some(path.into());
            destinations.push("file".into());
        }
        word @ ("stdout" | "stderr" | "syslog" | "topic") => {
            if !destinations.iter().any(|known| known == word) {
                destinations.push(word.into());
            }
        }
        "dlt" => {
            let text =
                "Diagnostic Log and Trace is not supported; `log_dest syslog` or `stderr` is";
            reader.note(line, Weight::Warning, text);
            // The log must not vanish because nothing else was asked for.
            if destinations.is_empty() {
                destinations.push("stderr".into());
            }
        }
        other => {
            let known = "stderr, stdout, syslog, topic, file and none";
            return Err(format!("`{other}` is no place for a log: there are {known}"));
        }
    }
    reader.log.destinations = Some(destinations);
    Ok(())
}
