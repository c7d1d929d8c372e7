//! What `tracing` gives its lines to.

use std::fmt::{self, Write as _};
use std::time::SystemTime;

use dunlin_config::model::LogType;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata};

use super::{CONNECTION, Filter, Line, Logger};

/// Puts events into words. There are no spans here: a line says itself what it is about.
pub(super) struct Subscriber(Logger);

impl Subscriber {
    pub(super) const fn new(logger: Logger) -> Self {
        Self(logger)
    }
}

impl tracing::Subscriber for Subscriber {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.0.filter.read().tells(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.0.filter.read().level())
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        let kind = kind(event.metadata());
        self.0.tell(Line { kind, at: SystemTime::now(), text: text.cut() });
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

impl Filter {
    fn tells(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.target() == CONNECTION && !self.connections {
            return false;
        }
        // What is worth a line in the normal course Mosquitto tells partly as notice, partly as information,
        // and few know which: either brings them.
        match kind(metadata) {
            LogType::Information | LogType::Notice => {
                self.types.has(LogType::Information) || self.types.has(LogType::Notice)
            }
            kind => self.types.has(kind),
        }
    }

    /// The least important level of which anything is told.
    fn level(&self) -> LevelFilter {
        let levels = [
            (LogType::Internal, LevelFilter::TRACE),
            (LogType::WebSockets, LevelFilter::DEBUG),
            (LogType::Unsubscribe, LevelFilter::DEBUG),
            (LogType::Subscribe, LevelFilter::DEBUG),
            (LogType::Debug, LevelFilter::DEBUG),
            (LogType::Information, LevelFilter::INFO),
            (LogType::Notice, LevelFilter::INFO),
            (LogType::Warning, LevelFilter::WARN),
            (LogType::Error, LevelFilter::ERROR),
        ];
        let told = levels.iter().find(|(kind, _)| self.types.has(*kind));
        told.map_or(LevelFilter::OFF, |(_, level)| *level)
    }
}

fn kind(metadata: &Metadata<'_>) -> LogType {
    match *metadata.level() {
        Level::ERROR => LogType::Error,
        Level::WARN => LogType::Warning,
        Level::INFO if metadata.target() == CONNECTION => LogType::Notice,
        Level::INFO => LogType::Information,
        _ if metadata.target().ends_with("::subscribe") => LogType::Subscribe,
        _ if metadata.target().ends_with("::unsubscribe") => LogType::Unsubscribe,
        _ if metadata.target().contains("websocket") => LogType::WebSockets,
        Level::DEBUG => LogType::Debug,
        Level::TRACE => LogType::Internal,
    }
}

/// Bytes of a line. 8 KiB: what a line says has a few hundred, but clients choose their names and topics
/// themselves, of 64 KiB and, written readably, six times as many.
const LONGEST: usize = 8 << 10;

/// The message of an event, and what else it carries.
struct Text(String);

impl Text {
    /// All of it, unless that is too much.
    fn cut(self) -> String {
        let Self(mut text) = self;
        if text.len() > LONGEST {
            let length = text.len();
            text.truncate(text.floor_char_boundary(LONGEST));
            text.push_str(&format!(".. ({length} bytes)"));
            text.shrink_to_fit();
        }
        text
    }
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String does not fail.
        let (Ok(()) | Err(_)) = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_a_client_makes_long_is_cut() {
        assert_eq!(Text("short".into()).cut(), "short");
        let cut = Text("ä".repeat(100_000)).cut();
        assert!(cut.len() < LONGEST + 50 && cut.ends_with(".. (200000 bytes)"), "{}", cut.len());
    }
}
