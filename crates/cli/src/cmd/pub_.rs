//! `dunlin pub`: publishes what the command line, a file or the standard input gives, and ends
//! once the broker has acknowledged it.

mod source;

use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use dunlin_proto::client::{Event, Failure as NotSent, Message, Token};
use dunlin_proto::property::PropertyBuf;
use dunlin_proto::{QoS, ReasonCode, TopicName};

use self::source::{Lines, Source, SourceOptions};
use super::client::failure::Failure;
use super::client::link::{Link, Occurrence};
use super::client::options::{ClientOptions, parse_qos, parse_seconds};

/// Messages of QoS 0 that may wait to be sent while lines are read: enough to fill a socket, few
/// enough to hold back whoever writes the lines when the broker is slow.
const WAITING_TO_BE_SENT_MAX: u64 = 1_000;
/// Connections that may break one after the other without any message done: a message that the
/// broker does not want breaks every one of them, and before MQTT 5 it cannot say so.
const FRUITLESS_MAX: u32 = 3;
/// The exit status of a process that SIGINT ended.
const INTERRUPTED: u8 = 130;

/// Publish messages
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct PubOptions {
    /// Topic to publish to
    #[arg(short, long, required_unless_present = "url")]
    topic: Option<String>,
    #[command(flatten)]
    source: SourceOptions,
    /// QoS of the messages
    #[arg(short, long, value_parser = parse_qos, default_value = "0")]
    qos: QoS,
    /// The messages are retained
    #[arg(short, long)]
    retain: bool,
    /// Publish the message so many times
    #[arg(long, value_name = "COUNT", conflicts_with = "stdin_line", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    repeat: u64,
    /// Seconds between repetitions
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, default_value = "0")]
    repeat_delay: Duration,
    /// QoS 1 and 2 messages that are on their way at the same time
    // Brokers cannot say before MQTT 5 how many they take, and some drop what is more than 20.
    #[arg(short = 'M', long, value_name = "COUNT", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=65_535))]
    max_inflight: u64,
    #[command(flatten)]
    client: ClientOptions,
}

pub(crate) fn run(options: PubOptions) -> ExitCode {
    let voice = options.client.voice();
    match publish(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(voice),
    }
}

fn publish(options: PubOptions) -> Result<(), Failure> {
    let mut login = options.client.resolve("pub")?;
    let topic = options.topic.or_else(|| login.url_topic.take());
    let topic = topic.context("no topic: give one with -t")?;
    let name =
        TopicName::new(&topic).with_context(|| format!("{topic:?} cannot be published to"))?;
    let mut template = Message::new(name, Vec::new()).with_qos(options.qos);
    template.retain = options.retain;
    template.properties = std::mem::take(&mut login.properties.publish);
    let work = match options.source.open()? {
        Source::Lines(lines) => Work::Lines(lines),
        Source::Payload(payload) => Work::Repeat {
            payload,
            left: options.repeat,
            pause: options.repeat_delay,
            next: Instant::now(),
        },
    };
    let waiting_max = match options.qos {
        QoS::AtMostOnce => WAITING_TO_BE_SENT_MAX,
        QoS::AtLeastOnce | QoS::ExactlyOnce => options.max_inflight,
    };
    let mut publisher = Publisher {
        link: Link::open(login)?,
        template,
        work,
        is_connected: false,
        waiting: 0,
        waiting_max,
        connections: 0,
        refusal: None,
    };
    publisher.run()?;
    publisher.link.close()?;
    publisher.refusal.map_or(Ok(()), Err)
}

/// What is left to be published.
#[derive(Debug)]
enum Work {
    Lines(Lines),
    Repeat { payload: Vec<u8>, left: u64, pause: Duration, next: Instant },
}

#[derive(Debug)]
struct Publisher {
    link: Link,
    /// A message but for its payload.
    template: Message,
    work: Work,
    is_connected: bool,
    /// Messages whose outcome is not known.
    waiting: u64,
    waiting_max: u64,
    /// Connections opened since a message was done.
    connections: u32,
    /// The first message that was not taken.
    refusal: Option<Failure>,
}

impl Publisher {
    fn run(&mut self) -> Result<(), Failure> {
        loop {
            self.publish_what_is_due()?;
            if self.waiting == 0 && self.is_all_published() {
                return Ok(());
            }
            let stdin = std::io::stdin();
            let watched = self.wants_input().then(|| stdin.as_fd());
            match self.link.next(watched, self.next_due())? {
                Occurrence::Event(Event::Connected { .. }) => self.connected()?,
                Occurrence::Event(Event::PublishDone { token, result }) => {
                    self.connections = 1;
                    self.waiting = self.waiting.saturating_sub(1);
                    self.check(token, result);
                }
                Occurrence::Watched => self.read()?,
                Occurrence::Interrupted => {
                    return Err(Failure::new(INTERRUPTED, "interrupted"));
                }
                Occurrence::Event(_) | Occurrence::Deadline => {}
            }
        }
    }

    fn connected(&mut self) -> Result<()> {
        self.is_connected = true;
        self.connections += 1;
        ensure!(
            self.waiting == 0 || self.connections <= FRUITLESS_MAX,
            "the broker closed {FRUITLESS_MAX} connections one after the other instead of \
             acknowledging a message: it may be too long for it, or not allowed; its log, or -V \
             mqttv5, may tell"
        );
        Ok(())
    }

    /// Nothing is published before the broker accepted the connection: a refusal comes first.
    fn publish_what_is_due(&mut self) -> Result<(), Failure> {
        while self.is_connected && self.waiting < self.waiting_max {
            let payload = match &mut self.work {
                Work::Lines(lines) => match lines.next() {
                    Some(line) => line,
                    None => return Ok(()),
                },
                Work::Repeat { payload, left, pause, next } => {
                    if *left == 0 || Instant::now() < *next {
                        return Ok(());
                    }
                    *left -= 1;
                    *next += *pause;
                    payload.clone()
                }
            };
            let mut message = self.template.clone();
            message.payload = payload;
            self.link.engine.publish(message).context("cannot publish")?;
            self.waiting += 1;
        }
        Ok(())
    }

    fn is_all_published(&self) -> bool {
        match &self.work {
            Work::Lines(lines) => lines.is_at_end(),
            Work::Repeat { left, .. } => *left == 0,
        }
    }

    fn wants_input(&self) -> bool {
        match &self.work {
            Work::Lines(lines) => {
                self.is_connected && self.waiting < self.waiting_max && !lines.is_at_end()
            }
            Work::Repeat { .. } => false,
        }
    }

    /// When the next repetition is due.
    fn next_due(&self) -> Option<Instant> {
        match &self.work {
            // With as many on their way as may be, the answers come first.
            Work::Repeat { left, next, .. }
                if self.is_connected && self.waiting < self.waiting_max && *left > 0 =>
            {
                Some(*next)
            }
            _ => None,
        }
    }

    fn read(&mut self) -> Result<(), Failure> {
        if let Work::Lines(lines) = &mut self.work {
            lines.read().context("cannot read the standard input")?;
        }
        Ok(())
    }

    /// Reports a message that the broker did not take; the first one decides how this ends.
    fn check(&mut self, token: Token, result: Result<ReasonCode, NotSent>) {
        let number = token.as_u64() + 1;
        let failure = match result {
            Ok(reason) if reason.is_error() => {
                let what = format!("message {number} was refused");
                Failure::refused(&what, reason, PropertyBuf::new().as_properties())
            }
            Ok(_) => return,
            Err(not_sent) => {
                Failure::from(anyhow!("message {number} was not delivered: {}", explain(not_sent)))
            }
        };
        if self.refusal.is_none() {
            self.refusal = Some(failure);
        } else {
            failure.report(self.link.voice());
        }
    }
}

fn explain(not_sent: NotSent) -> &'static str {
    match not_sent {
        NotSent::SessionLost => {
            "the connection broke and the broker forgot the session; whether the message arrived \
             is unknown"
        }
        NotSent::TooLarge => "it is longer than the broker takes",
        NotSent::QoSNotSupported => "the broker does not support this QoS",
        NotSent::RetainNotSupported => "the broker does not retain messages",
        NotSent::NotEncodable => "it cannot be sent in this version of MQTT",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::typed::typed;

    fn parsed(line: &str) -> Result<PubOptions, clap::Error> {
        typed(line.split_whitespace())
    }

    #[test]
    fn a_topic_and_one_source_are_needed() {
        assert!(parsed("-t a -m b").is_ok());
        assert!(parsed("-L mqtt://h/t -n").is_ok());
        for wrong in ["-m b", "-t a", "-t a -m b -n", "-t a -l -s", "-t a -f x -m b"] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn everyday_flags_are_understood() {
        let options = parsed("-h host -p 1884 -t a/b -m -5 -q 2 -r --repeat 3 --repeat-delay 0.5");
        let options = options.unwrap();
        assert_eq!(options.qos, QoS::ExactlyOnce);
        assert_eq!(options.repeat_delay, Duration::from_millis(500));
        assert!(options.retain && options.repeat == 3);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in ["-q 3", "--repeat 0", "--repeat-delay -1", "-p 70000", "-k -1", "--bogus"] {
            assert!(parsed(&format!("-t a -m b {wrong}")).is_err(), "{wrong}");
        }
        assert!(parsed("-t a -l --repeat 2").is_err());
    }
}
