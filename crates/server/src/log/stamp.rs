//! What a line begins with.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use dunlin_config::model::{Log, Timestamps};
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// The local time with its distance from UTC: lines of several machines can be compared.
const LOCAL: &str = "%Y-%m-%dT%H:%M:%S.%6f%:z";

/// How the time is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stamp {
    None,
    /// Seconds since 1970.
    Unix,
    /// As `strftime`.
    Format(String),
}

impl Stamp {
    /// What is configured; an error if the time cannot be written so.
    pub(super) fn of(log: &Log) -> io::Result<Self> {
        let stamp = match (log.timestamps, &log.timestamp_format) {
            (Timestamps::None, _) => Self::None,
            (Timestamps::Unix, _) => Self::Unix,
            (Timestamps::Format, Some(format)) => Self::Format(format.clone()),
            (Timestamps::Local | Timestamps::Format, _) => Self::Format(LOCAL.into()),
        };
        if let Self::Format(format) = &stamp {
            strtime::format(format, &local(SystemTime::now())).map_err(|cause| {
                io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("the form of the time in the log, `{format}`, cannot be used: {cause}"),
                )
            })?;
        }
        Ok(stamp)
    }

    /// The time as it stands before a line.
    pub(super) fn write(&self, at: SystemTime, into: &mut String) {
        match self {
            Self::None => return,
            Self::Unix => {
                let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
                into.push_str(&since.as_secs().to_string());
            }
            // It worked when it was configured; a time that cannot be written is left out.
            Self::Format(format) => {
                into.push_str(&strtime::format(format, &local(at)).unwrap_or_default());
            }
        }
        into.push_str(": ");
    }
}

fn local(at: SystemTime) -> Zoned {
    Timestamp::try_from(at).unwrap_or_default().to_zoned(TimeZone::system())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn written(timestamps: Timestamps, format: Option<&str>) -> io::Result<String> {
        let log = Log { timestamps, timestamp_format: format.map(Into::into), ..Log::default() };
        let mut line = String::new();
        Stamp::of(&log)?.write(UNIX_EPOCH + Duration::from_millis(1_700_000_000_123), &mut line);
        Ok(line)
    }

    #[test]
    fn a_line_begins_as_configured() {
        assert_eq!(written(Timestamps::None, None).unwrap(), "");
        assert_eq!(written(Timestamps::Unix, None).unwrap(), "1700000000: ");
        assert_eq!(written(Timestamps::Format, Some("%Y/%j")).unwrap(), "2023/318: ");
        let local = written(Timestamps::Local, None).unwrap();
        assert!(local.starts_with("2023-11-1") && local.contains(":20.123000"), "{local}");
    }

    #[test]
    fn a_form_that_is_none_is_refused() {
        let error = written(Timestamps::Format, Some("%J")).unwrap_err().to_string();
        assert!(error.contains("`%J`"), "{error}");
    }
}
