//! Reading an export line by line.

use std::io::BufRead;

use anyhow::{Context, Result, bail};

use super::check::Checker;
use super::line::{Header, Line, VERSION};

/// Reads the lines of one file into records.
pub(crate) struct Reader<R> {
    from: R,
    /// Reused.
    text: String,
    checker: Checker,
    lines: u64,
    place: Place,
}

/// How far a file was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Sessions,
    Messages,
    End,
}

impl<R: BufRead> Reader<R> {
    /// Begins at the header.
    pub(crate) fn new(from: R) -> Self {
        let (text, checker) = (String::new(), Checker::default());
        Self { from, text, checker, lines: 0, place: Place::Start }
    }

    /// What was read.
    pub(crate) const fn checker(&self) -> &Checker {
        &self.checker
    }

    /// Appends the records of the next line; false at the end.
    pub(crate) fn read(&mut self, into: &mut Vec<u8>) -> Result<bool> {
        self.text.clear();
        self.lines += 1;
        let line = format!("line {}", self.lines);
        let length = self.from.read_line(&mut self.text).with_context(|| line.clone())?;
        if length == 0 {
            if self.place != Place::End {
                bail!("{line}: the file ends without its last line: it was cut, export it again");
            }
            return Ok(false);
        }
        if !self.text.trim().is_empty() {
            self.line(into).with_context(|| line)?;
        }
        Ok(true)
    }

    fn line(&mut self, into: &mut Vec<u8>) -> Result<()> {
        if self.place == Place::End {
            bail!("something comes after the last line");
        }
        let line = serde_json::from_str(&self.text);
        if self.place == Place::Start {
            let Ok(Line::Store(Header { version, .. })) = line else {
                bail!("this is no export of a store: its first line is {{\"kind\":\"store\",...}}");
            };
            if !(1..=VERSION).contains(&version) {
                bail!("version {version} of the format; this dunlin reads up to {VERSION}");
            }
            self.place = Place::Sessions;
            return Ok(());
        }
        match line? {
            Line::Store(_) => bail!("a second header"),
            Line::Session(session) if self.place == Place::Sessions => {
                self.checker.session(&session, into)?;
            }
            Line::Session(_) => bail!("a session after the first message"),
            Line::Message(message) => {
                self.place = Place::Messages;
                self.checker.message(&message, into)?;
            }
            Line::End(counts) => {
                self.place = Place::End;
                let read = self.checker.counts();
                if counts != read {
                    bail!("lines are missing: it says {counts:?}, but there were {read:?}");
                }
                self.checker.finish(into);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use dunlin_broker::journal::Records;

    use super::*;

    const GOOD: &str = concat!(
        r#"{"kind":"store","version":1}"#,
        "\n",
        r##"{"kind":"session","number":2,"client_id":"c","session_expiry_interval":60,"parted":{"ends_at_us":5},"subscriptions":[{"topic_filter":"#","qos":1}],"releases":[7]}"##,
        "\n\n",
        r#"{"kind":"message","id":9,"message":{"topic":"t","payload":"x","qos":1},"receivers":[{"session":2,"qos":1,"packet_id":8}]}"#,
        "\n",
        r#"{"kind":"end","sessions":1,"messages":1}"#,
        "\n",
    );

    fn read(text: &[u8]) -> Result<usize> {
        let mut records = Vec::new();
        let mut reader = Reader::new(text);
        while reader.read(&mut records)? {}
        let records: Result<Vec<_>, _> = Records::new(&records).collect();
        Ok(records.expect("nothing but records").len())
    }

    #[test]
    fn sessions_and_messages_become_records() {
        assert_eq!(read(GOOD.as_bytes()).unwrap(), 6);
    }

    #[test]
    fn each_fault_is_told_with_its_line() {
        for (from, to, line, why) in [
            (r#""kind":"store""#, r#""kind":"stove""#, 1, "no export"),
            (r#""version":1"#, r#""version":2"#, 1, "version 2"),
            (r#""number":2"#, r#""number":0"#, 2, "ascend"),
            ("\"#\"", "\"a#\"", 2, "topic filter"),
            (r#""releases":[7]"#, r#""releases":[7,7]"#, 2, "in use twice"),
            (r#""releases":[7]"#, r#""releases":[0]"#, 2, "packet identifier 0"),
            (r#""releases":[7]"#, r#""surprise":[7]"#, 2, "surprise"),
            (r#""packet_id":8"#, r#""packet_id":7"#, 4, "in use twice"),
            (r#""session":2"#, r#""session":3"#, 4, "no session 3"),
            (r#""topic":"t""#, r#""topic":"""#, 4, "topic"),
            (r#"2,"qos":1"#, r#"2,"qos":0"#, 4, "QoS 0"),
            (r#""messages":1"#, r#""messages":2"#, 5, "missing"),
            ("{\"kind\":\"end\",\"sessions\":1,\"messages\":1}\n", "", 5, "cut"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD, "{from}");
            let error = format!("{:#}", read(text.as_bytes()).unwrap_err());
            assert!(error.starts_with(&format!("line {line}: ")), "{from}: {error}");
            assert!(error.contains(why), "{from}: {error}");
        }
    }

    #[test]
    fn a_cut_file_is_never_taken_for_whole() {
        for end in 0..GOOD.len() - 1 {
            assert!(read(&GOOD.as_bytes()[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn flipped_bits_never_panic() {
        for index in 0..GOOD.len() {
            for bit in 0..8 {
                let mut text = GOOD.as_bytes().to_vec();
                text[index] ^= 1 << bit;
                drop(read(&text));
            }
        }
    }
}
