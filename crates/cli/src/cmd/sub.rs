//! `dunlin sub`: prints the messages of some topics.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use dunlin_proto::client::{Event, Failure as NotSent, Message, Token};
use dunlin_proto::packet::{RetainHandling, SubscribeOptions};
use dunlin_proto::property::PropertyBuf;
use dunlin_proto::topic::parse_subscription;
use dunlin_proto::{QoS, ReasonCode, TopicFilter, Version};

use super::client::failure::Failure;
use super::client::format::{Format, Layout};
use super::client::link::{Link, Occurrence};
use super::client::options::{ClientOptions, parse_qos, parse_seconds};

/// The exit status when `-W` ends it, as Mosquitto's client has it.
const TIMED_OUT: u8 = 27;

/// Subscribe and print messages
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct SubOptions {
    /// Topic filter to subscribe to (may be repeated)
    #[arg(short, long, required_unless_present_any = ["url", "unsubscribe"])]
    topic: Vec<String>,
    /// Topic filter to unsubscribe from (may be repeated)
    #[arg(short = 'U', long, value_name = "FILTER")]
    unsubscribe: Vec<String>,
    /// Do not print messages whose topic matches this filter (may be repeated)
    #[arg(short = 'T', long, value_name = "FILTER")]
    filter_out: Vec<String>,
    /// Highest QoS wanted
    #[arg(short, long, value_parser = parse_qos, default_value = "0")]
    qos: QoS,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    retained: RetainedOptions,
    #[command(flatten)]
    end: EndOptions,
    #[command(flatten)]
    client: ClientOptions,
}

/// How messages are printed, as typed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
struct OutputOptions {
    /// Print the topic before the payload
    #[arg(short, long, conflicts_with = "format")]
    verbose: bool,
    /// Print messages in this format: `%t` topic, `%p` payload, `%q` QoS, `%r` retained, `%l`
    /// length, `%x` hexadecimal, `%j` JSON, `%I` and `@H:@M` time (UTC), `%C %R %D %P %E %F %S`
    /// properties
    #[arg(short = 'F', value_name = "FORMAT", value_parser = Format::parse)]
    #[arg(allow_hyphen_values = true)]
    format: Option<Format>,
    /// No line feed after a message
    #[arg(short = 'N')]
    no_newline: bool,
}

/// What is done about retained messages, as typed.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Retained messages")]
struct RetainedOptions {
    /// Do not print them
    #[arg(short = 'R', conflicts_with = "retained_only")]
    no_stale: bool,
    /// Print only them, and end with the first message that is not
    #[arg(long)]
    retained_only: bool,
    /// Clear them at the broker
    #[arg(long)]
    remove_retained: bool,
}

/// When it ends, as typed.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "End")]
struct EndOptions {
    /// End after so many messages
    #[arg(short = 'C', value_name = "COUNT")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after so many seconds, with status 27
    #[arg(short = 'W', value_name = "SECONDS", value_parser = parse_seconds)]
    timeout: Option<Duration>,
    /// End once the broker has answered all subscriptions
    #[arg(short = 'E')]
    exit_after_subscribing: bool,
}

pub(crate) fn run(options: SubOptions) -> ExitCode {
    let voice = options.client.voice();
    match subscribe(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(voice),
    }
}

fn subscribe(options: SubOptions) -> Result<(), Failure> {
    let deadline = options.end.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut login = options.client.resolve("sub")?;
    let mut wanted = options.topic;
    wanted.extend(login.url_topic.take());
    check_filters(&wanted, login.version)?;
    check_filters(&options.unsubscribe, login.version)?;
    check_filters(&options.filter_out, login.version)?;
    let layout = match options.output {
        OutputOptions { format: Some(format), .. } => Layout::Custom(format),
        OutputOptions { verbose: true, .. } => Layout::Verbose,
        OutputOptions { .. } => Layout::Payload,
    };
    let mut subscriber = Subscriber {
        subscription: Subscription {
            wanted,
            unwanted: options.unsubscribe,
            options: subscribe_options(options.qos, options.retained),
            subscribe: std::mem::take(&mut login.properties.subscribe),
            unsubscribe: std::mem::take(&mut login.properties.unsubscribe),
        },
        link: Link::open(login)?,
        hidden: options.filter_out,
        printer: Printer { layout, newline: !options.output.no_newline, line: Vec::new() },
        retained: options.retained,
        end: options.end,
        deadline,
        printed: 0,
        progress: Progress::default(),
    };
    let ending = subscriber.run()?;
    // What was asked for is printed: how the connection ends changes nothing.
    drop(subscriber.link.close());
    match ending {
        Ending::Done => Ok(()),
        Ending::TimedOut => Err(Failure::new(TIMED_OUT, "timed out (-W)")),
        Ending::Refused(failure) => Err(failure),
    }
}

/// Checks what is typed before anything is sent.
fn check_filters(filters: &[String], version: Version) -> Result<()> {
    for filter in filters {
        parse_subscription(filter, version)
            .with_context(|| format!("{filter:?} is no topic filter"))?;
    }
    Ok(())
}

/// Where the version has it, the broker need not send what would not be printed.
fn subscribe_options(qos: QoS, retained: RetainedOptions) -> SubscribeOptions {
    let retain_handling =
        if retained.no_stale { RetainHandling::Never } else { RetainHandling::Always };
    SubscribeOptions { qos, no_local: false, retain_as_published: false, retain_handling }
}

/// What is asked of the broker at each connection without a session.
#[derive(Debug)]
struct Subscription {
    wanted: Vec<String>,
    unwanted: Vec<String>,
    options: SubscribeOptions,
    subscribe: PropertyBuf,
    unsubscribe: PropertyBuf,
}

/// Why it ends, connected still.
#[derive(Debug)]
enum Ending {
    Done,
    TimedOut,
    Refused(Failure),
}

/// What the broker has not answered yet.
#[derive(Debug, Default)]
struct Progress {
    has_connected: bool,
    subscribing: Option<Token>,
    unsubscribing: Option<Token>,
    /// Retained messages that are being cleared.
    clearing: u64,
}

#[derive(Debug)]
struct Subscriber {
    link: Link,
    subscription: Subscription,
    hidden: Vec<String>,
    printer: Printer,
    retained: RetainedOptions,
    end: EndOptions,
    deadline: Option<Instant>,
    printed: u64,
    progress: Progress,
}

impl Subscriber {
    fn run(&mut self) -> Result<Ending, Failure> {
        loop {
            let ending = match self.link.next(None, self.deadline)? {
                Occurrence::Event(event) => self.handle(event)?,
                Occurrence::Deadline => Some(Ending::TimedOut),
                Occurrence::Interrupted => Some(Ending::Done),
                Occurrence::Watched => None,
            };
            if let Some(ending) = ending {
                return Ok(ending);
            }
            if self.is_done() {
                return Ok(Ending::Done);
            }
        }
    }

    fn handle(&mut self, event: Event) -> Result<Option<Ending>, Failure> {
        match event {
            Event::Connected { session_present, .. } => self.connected(session_present)?,
            Event::Message(message) => return self.message(&message),
            Event::SubscribeDone { token, result } if self.progress.subscribing == Some(token) => {
                self.progress.subscribing = None;
                return Ok(self.subscribed(result));
            }
            Event::UnsubscribeDone { token, .. } if self.progress.unsubscribing == Some(token) => {
                self.progress.unsubscribing = None;
            }
            Event::PublishDone { .. } => {
                self.progress.clearing = self.progress.clearing.saturating_sub(1);
            }
            _ => {}
        }
        Ok(None)
    }

    /// Whether all that was asked for is there, and nothing waits for the broker.
    fn is_done(&self) -> bool {
        let progress = &self.progress;
        let is_answered = progress.subscribing.is_none() && progress.unsubscribing.is_none();
        let is_subscribed = progress.has_connected && is_answered;
        let is_enough =
            self.has_printed_enough() || self.end.exit_after_subscribing && is_subscribed;
        is_enough && progress.clearing == 0
    }

    fn has_printed_enough(&self) -> bool {
        self.end.count.is_some_and(|count| self.printed >= count)
    }

    /// Subscribes, unless the broker has the subscriptions or is still to answer: the engine asks
    /// again by itself for what was not answered.
    fn connected(&mut self, session_present: bool) -> Result<()> {
        let has_subscriptions = session_present && self.progress.has_connected;
        self.progress.has_connected = true;
        let subscription = &self.subscription;
        if !has_subscriptions
            && self.progress.subscribing.is_none()
            && !subscription.wanted.is_empty()
        {
            let filters = parsed(&subscription.wanted)?;
            let filters: Vec<_> =
                filters.into_iter().map(|filter| (filter, subscription.options)).collect();
            let token = self.link.engine.subscribe(&filters, subscription.subscribe.clone())?;
            self.progress.subscribing = Some(token);
        }
        if !has_subscriptions
            && self.progress.unsubscribing.is_none()
            && !subscription.unwanted.is_empty()
        {
            let filters = parsed(&subscription.unwanted)?;
            let token = self.link.engine.unsubscribe(&filters, subscription.unsubscribe.clone())?;
            self.progress.unsubscribing = Some(token);
        }
        Ok(())
    }

    /// Reports refused filters; when all were refused there is nothing to wait for.
    fn subscribed(&self, result: Result<Vec<ReasonCode>, NotSent>) -> Option<Ending> {
        let reasons = match result {
            Ok(reasons) => reasons,
            Err(not_sent) => {
                let what = format!("cannot subscribe: {not_sent:?}");
                return Some(Ending::Refused(Failure::new(1, what)));
            }
        };
        let mut last_refusal = None;
        for (filter, reason) in self.subscription.wanted.iter().zip(&reasons) {
            if reason.is_error() {
                self.link
                    .warn(&format!("the broker refused the subscription to {filter}: {reason}"));
                last_refusal = Some(*reason);
            }
        }
        let reason = last_refusal?;
        let is_all_refused = reasons.iter().all(|reason| reason.is_error());
        is_all_refused.then(|| {
            let none = PropertyBuf::new();
            Ending::Refused(Failure::refused("no subscription", reason, none.as_properties()))
        })
    }

    fn message(&mut self, message: &Message) -> Result<Option<Ending>, Failure> {
        if self.has_printed_enough() {
            return Ok(None);
        }
        if self.retained.retained_only && !message.retain {
            return Ok(Some(Ending::Done));
        }
        if self.retained.no_stale && message.retain || self.is_hidden(message)? {
            return Ok(None);
        }
        if self.retained.remove_retained && message.retain {
            self.clear(message)?;
        }
        self.printed += 1;
        match self.printer.print(message) {
            Ok(()) => Ok(None),
            // Whoever read the output has enough of it.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Some(Ending::Done)),
            Err(error) => Err(Failure::new(1, format!("cannot print: {error}"))),
        }
    }

    fn is_hidden(&self, message: &Message) -> Result<bool> {
        let hidden = parsed(&self.hidden)?;
        Ok(hidden.iter().any(|filter| filter.matches(message.topic())))
    }

    fn clear(&mut self, message: &Message) -> Result<()> {
        let empty = Message::new(message.topic(), Vec::new());
        let empty = empty.with_qos(QoS::AtLeastOnce).retained();
        self.link.engine.publish(empty).context("cannot clear a retained message")?;
        self.progress.clearing += 1;
        Ok(())
    }
}

fn parsed(filters: &[String]) -> Result<Vec<TopicFilter<'_>>> {
    Ok(filters.iter().map(|filter| TopicFilter::new(filter)).collect::<Result<_, _>>()?)
}

/// Writes messages to the standard output, each of them at once.
#[derive(Debug)]
struct Printer {
    layout: Layout,
    newline: bool,
    line: Vec<u8>,
}

impl Printer {
    fn print(&mut self, message: &Message) -> std::io::Result<()> {
        self.line.clear();
        if !self.layout.write(message, &mut self.line) {
            return Ok(());
        }
        if self.newline {
            self.line.push(b'\n');
        }
        let mut out = std::io::stdout().lock();
        out.write_all(&self.line)?;
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cmd::typed::typed;

    fn parsed(line: &str) -> Result<SubOptions, clap::Error> {
        typed(line.split_whitespace())
    }

    #[test]
    fn topics_may_be_repeated_and_one_is_needed() {
        assert_eq!(parsed("-t a -t b/#").unwrap().topic, ["a", "b/#"]);
        assert!(parsed("-L mqtt://h/t").is_ok() && parsed("-U a").is_ok());
        assert!(parsed("-v").is_err());
    }

    #[test]
    fn everyday_flags_are_understood() {
        let options = parsed("-t a -q 2 -v -C 3 -W 1.5 -N -R -T x/+ -T y --remove-retained -E");
        let options = options.unwrap();
        assert_eq!(options.qos, QoS::ExactlyOnce);
        assert_eq!(options.end.count, Some(3));
        assert_eq!(options.end.timeout, Some(Duration::from_millis(1_500)));
        assert_eq!(options.filter_out, ["x/+", "y"]);
        assert!(options.output.verbose && options.output.no_newline && options.retained.no_stale);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for wrong in ["-C 0", "-W soon", "-q 3", "-v -F %t", "-F %k", "-R --retained-only"] {
            assert!(parsed(&format!("-t a {wrong}")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn filters_are_checked_before_connecting() {
        let check = |filter: &str| check_filters(&[filter.to_owned()], Version::V5_0);
        assert!(check("a/+/#").is_ok() && check("$share/group/a").is_ok());
        for wrong in ["", "a#", "a/#/b", "a+/b", "$share/group"] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
