//! Properties as Mosquitto's plugin writes them: a JSON array.

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value as Json;

use super::super::super::dump::{Base64, Properties};
use super::record::Value;

#[derive(Deserialize)]
struct Entry {
    identifier: String,
    /// Of a user property.
    #[serde(default)]
    name: String,
    value: Json,
}

/// The properties that travel with a message, and the expiry interval that only a will has here.
pub(super) fn parse(column: Value<'_>) -> Result<(Properties, Option<u32>)> {
    let (mut properties, mut expiry) = (Properties::default(), None);
    let text = column.text().unwrap_or_default();
    if text.is_empty() {
        return Ok((properties, expiry));
    }
    let entries: Vec<Entry> = serde_json::from_str(&text).context("properties")?;
    for entry in entries {
        let text = || {
            let text = entry.value.as_str().map(str::to_owned);
            text.with_context(|| format!("{} is no text", entry.identifier))
        };
        let number = || {
            let number = entry.value.as_u64().and_then(|number| u32::try_from(number).ok());
            number.with_context(|| format!("{} is no number", entry.identifier))
        };
        match entry.identifier.as_str() {
            "payload-format-indicator" => {
                properties.payload_format_indicator = Some(u8::from(number()? != 0));
            }
            "message-expiry-interval" => expiry = Some(number()?),
            "content-type" => properties.content_type = Some(text()?),
            "response-topic" => properties.response_topic = Some(text()?),
            "correlation-data" => {
                properties.correlation_data_base64 = Some(Base64(hexadecimal(&text()?)?));
            }
            "user-property" => properties.user_properties.push((entry.name.clone(), text()?)),
            _ => {}
        }
    }
    Ok((properties, expiry))
}

fn hexadecimal(text: &str) -> Result<Vec<u8>> {
    ensure!(text.len().is_multiple_of(2), "binary data with half a byte");
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            let digits = core::str::from_utf8(pair).context("binary data")?;
            u8::from_str_radix(digits, 16).context("binary data")
        })
        .collect()
}
