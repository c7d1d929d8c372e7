//! Drives the client engine over a socket, and connects again when the connection is lost.
//!
//! One thread, one `poll`: the socket, the signals that end the process, and whatever else the
//! command waits for. Packets go to the engine one at a time, so that what was not printed yet was
//! not acknowledged either.

use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use dunlin_proto::client::{Cause, ConnectOptions, Connection, Event, WillOptions};
use dunlin_proto::codec::{self, Framing};
use dunlin_proto::property::{Properties, Property, PropertyBuf};
use dunlin_proto::{ReasonCode, Time, TopicName};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::failure::Failure;
use super::options::{Login, Voice};
use super::socket::Socket;

/// The first wait before connecting again, and the longest, each one being twice the one before.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(30);
/// A connection that lasted so long was no failed attempt: the waits begin anew.
const STABLE: Duration = Duration::from_secs(10);

/// What a command is told.
#[derive(Debug)]
pub(crate) enum Occurrence {
    /// By the engine.
    Event(Event),
    /// What the command watches has something to read.
    Watched,
    /// The time that the command named has come.
    Deadline,
    /// The process is asked to end.
    Interrupted,
}

/// A client that stays connected.
#[derive(Debug)]
pub(crate) struct Link {
    login: Login,
    options: ConnectOptions,
    pub(crate) engine: Connection,
    socket: Option<Socket>,
    /// When the broker last accepted a connection.
    connected_at: Option<Instant>,
    /// When the next attempt to connect is due.
    retry_at: Option<Instant>,
    /// How long was waited for the last one.
    last_wait: Option<Duration>,
    signals: UnixStream,
    began: Instant,
}

impl Link {
    /// Connects for the first time: that must succeed.
    pub(crate) fn open(login: Login) -> Result<Self> {
        let options = connect_options(&login)?;
        let mut link = Self {
            login,
            options,
            engine: Connection::default(),
            socket: None,
            connected_at: None,
            retry_at: None,
            last_wait: None,
            signals: signals().context("cannot listen to signals")?,
            began: Instant::now(),
        };
        link.connect()?;
        Ok(link)
    }

    /// Waits until something happens: an event, `watched` readable, or the time `until`.
    pub(crate) fn next(
        &mut self,
        watched: Option<BorrowedFd<'_>>,
        until: Option<Instant>,
    ) -> Result<Occurrence, Failure> {
        loop {
            if let Some(event) = self.take_event()? {
                return Ok(Occurrence::Event(event));
            }
            if self.take_packet() {
                continue;
            }
            if self.socket.as_ref().is_some_and(Socket::has_ended) {
                self.engine.connection_lost();
                continue;
            }
            // To hand messages over is an event as well.
            self.transmit();
            if let Some(event) = self.take_event()? {
                return Ok(Occurrence::Event(event));
            }
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(Occurrence::Deadline);
            }
            if let Some(occurrence) = self.wait(watched, until)? {
                return Ok(occurrence);
            }
        }
    }

    /// Disconnects and waits until the broker has everything.
    pub(crate) fn close(mut self) -> Result<()> {
        let disconnect = self.login.properties.disconnect.as_properties();
        self.engine.disconnect(ReasonCode::NORMAL_DISCONNECTION, disconnect)?;
        let now = self.now();
        if let Some(mut socket) = self.socket.take() {
            while self.engine.poll_transmit(now, &mut socket.output) {}
            socket.finish().context("the connection broke before everything was sent")?;
        }
        Ok(())
    }

    /// How much goes to standard error.
    pub(crate) const fn voice(&self) -> Voice {
        self.login.voice
    }

    /// Prints a line that is no error of this command, unless it is to be quiet.
    pub(crate) fn warn(&self, message: &str) {
        if self.login.voice != Voice::Quiet {
            eprintln!("Warning: {message}");
        }
    }

    fn now(&self) -> Time {
        let micros = Instant::now().duration_since(self.began).as_micros();
        Time::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn connect(&mut self) -> Result<()> {
        self.debug(|link| format!("connecting to {} with {}", link.login, link.login.version));
        let socket = Socket::connect(&self.login)?;
        let now = self.now();
        self.engine.connect(&self.options, now).context("cannot connect with these options")?;
        self.socket = Some(socket);
        Ok(())
    }

    /// The next event that concerns the command; lost connections are dealt with here.
    fn take_event(&mut self) -> Result<Option<Event>, Failure> {
        while let Some(event) = self.engine.poll_event() {
            self.debug(|_| describe(&event));
            match &event {
                Event::Connected { .. } => self.connected_at = Some(Instant::now()),
                Event::Refused { reason, properties } => {
                    self.refused(*reason, properties.as_properties())?;
                    continue;
                }
                Event::Disconnected(cause) => {
                    self.disconnected(cause)?;
                    continue;
                }
                _ => {}
            }
            return Ok(Some(event));
        }
        Ok(None)
    }

    /// Gives the engine the next whole packet; false if there is none.
    fn take_packet(&mut self) -> bool {
        let now = self.now();
        let Some(socket) = &mut self.socket else { return false };
        let input = socket.input();
        let end = match codec::frame(input, self.options.maximum_packet_size) {
            Ok(Framing::Complete { len }) => len,
            Ok(Framing::Incomplete { .. }) => return false,
            // The engine is to see what is wrong with it.
            Err(_) => input.len(),
        };
        let taken = self.engine.handle_input(now, input.get(..end).unwrap_or_default());
        // After a violation nothing of it is usable; the event that follows says what it was.
        let used = taken.unwrap_or(end);
        socket.use_input(used);
        used > 0
    }

    fn transmit(&mut self) {
        let now = self.now();
        let Some(socket) = &mut self.socket else { return };
        loop {
            if socket.flush().is_err() {
                // What came before the end may say why.
                socket.fill();
                self.engine.connection_lost();
                return;
            }
            if !socket.is_drained() || !self.engine.poll_transmit(now, &mut socket.output) {
                return;
            }
        }
    }

    /// Waits for the socket, the signals, `watched` and the earliest deadline.
    fn wait(
        &mut self,
        watched: Option<BorrowedFd<'_>>,
        until: Option<Instant>,
    ) -> Result<Option<Occurrence>> {
        let engine_deadline = self
            .engine
            .poll_timeout()
            .and_then(|time| self.began.checked_add(Duration::from_micros(time.as_micros())));
        let deadline = [engine_deadline, self.retry_at, until].into_iter().flatten().min();
        let timeout = deadline.map(timespec_until);

        let idle = PollFlags::empty();
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        if let Some(socket) = &self.socket {
            let wants_out = if socket.is_drained() { idle } else { PollFlags::OUT };
            fds.push(PollFd::new(socket, PollFlags::IN | wants_out));
        }
        if let Some(watched) = &watched {
            fds.push(PollFd::new(watched, PollFlags::IN));
        }
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot wait for the socket"),
        }
        let mut ready = fds.iter().map(|fd| !fd.revents().is_empty());
        let interrupted = ready.next().unwrap_or(false);
        let socket_ready = self.socket.is_some() && ready.next().unwrap_or(false);
        let watched_ready = watched.is_some() && ready.next().unwrap_or(false);
        drop(fds);

        if interrupted {
            return Ok(Some(Occurrence::Interrupted));
        }
        if let (true, Some(socket)) = (socket_ready, &mut self.socket) {
            socket.fill();
        }
        self.engine.handle_timeout(self.now());
        self.retry_if_due();
        Ok(watched_ready.then_some(Occurrence::Watched))
    }

    /// The broker answered CONNECT with a refusal.
    fn refused(&mut self, reason: ReasonCode, properties: Properties<'_>) -> Result<(), Failure> {
        if self.connected_at.is_some() && may_pass(reason) {
            self.retry_later(&format!("the broker refused the connection: {reason}"));
            return Ok(());
        }
        let what = format!("{} refused the connection", self.login);
        let mut failure = Failure::refused(&what, reason, properties);
        if !self.login.version.is_v5() {
            failure.status = reason.connack_return_code();
        }
        Err(failure)
    }

    /// The connection is over: for good, or until the next attempt.
    fn disconnected(&mut self, cause: &Cause) -> Result<(), Failure> {
        let what = match cause {
            Cause::Requested => return Ok(()),
            Cause::Server { reason, properties } if !may_pass(*reason) => {
                let what = format!("{} closed the connection", self.login);
                return Err(Failure::refused(&what, *reason, properties.as_properties()));
            }
            Cause::Server { reason, .. } => format!("the broker closed it: {reason}"),
            Cause::Violation(violation) => {
                self.transmit();
                return Err(Failure::from(anyhow!(
                    "{} broke a rule of MQTT: {violation} [{}]",
                    self.login,
                    violation.clause()
                )));
            }
            Cause::ConnectTimeout => {
                "no answer to CONNECT: is that an MQTT broker, and of this version (-V)?".to_owned()
            }
            Cause::PingTimeout => "no answer to a ping".to_owned(),
            Cause::TransportLost if self.fault().is_some() => {
                self.fault().unwrap_or_default().to_owned()
            }
            Cause::TransportLost if self.connected_at.is_none() => {
                "closed instead of answering CONNECT: is that an MQTT broker, and of this version \
                 (-V)?"
                    .to_owned()
            }
            Cause::TransportLost => "the broker closed it".to_owned(),
        };
        if self.connected_at.is_none() {
            return Err(Failure::from(anyhow!("connection to {}: {what}", self.login)));
        }
        self.retry_later(&what);
        Ok(())
    }

    /// What went wrong below MQTT.
    fn fault(&self) -> Option<&str> {
        self.socket.as_ref().and_then(Socket::fault)
    }

    fn retry_later(&mut self, what: &str) {
        self.socket = None;
        let now = Instant::now();
        let was_stable = self.connected_at.is_some_and(|at| now - at >= STABLE);
        let wait = match self.last_wait {
            Some(last) if !was_stable => (last * 2).min(LAST_RETRY),
            _ => FIRST_RETRY,
        };
        self.last_wait = Some(wait);
        self.retry_at = Some(now + wait);
        let seconds = wait.as_secs();
        self.warn(&format!("connection to {}: {what}; next attempt in {seconds} s", self.login));
    }

    fn retry_if_due(&mut self) {
        if self.retry_at.is_some_and(|at| Instant::now() >= at) {
            self.retry_at = None;
            if let Err(error) = self.connect() {
                self.retry_later(&format!("{error:#}"));
            }
        }
    }

    /// Says what happened when asked for by `-d`.
    fn debug(&self, describe: impl FnOnce(&Self) -> String) {
        if self.login.voice == Voice::Debug {
            eprintln!("{}", describe(self));
        }
    }
}

/// Whether a later attempt may succeed where this one was turned away.
fn may_pass(reason: ReasonCode) -> bool {
    matches!(
        reason,
        ReasonCode::Success
            | ReasonCode::UnspecifiedError
            | ReasonCode::ServerUnavailable
            | ReasonCode::ServerBusy
            | ReasonCode::ServerShuttingDown
            | ReasonCode::KeepAliveTimeout
            | ReasonCode::ConnectionRateExceeded
            | ReasonCode::MaximumConnectTime
            | ReasonCode::QuotaExceeded
    )
}

fn describe(event: &Event) -> String {
    match event {
        Event::Connected { session_present, .. } => {
            format!("connected, session {}", if *session_present { "present" } else { "new" })
        }
        Event::Refused { reason, .. } => format!("refused: {reason}"),
        Event::Message(message) => format!(
            "received {} (QoS {}, retain {}, dup {}, {} bytes)",
            message.topic(),
            message.qos.as_u8(),
            u8::from(message.retain),
            u8::from(message.dup),
            message.payload.len()
        ),
        Event::PublishDone { token, result: Ok(reason) } => {
            format!("published {}: {reason}", token.as_u64())
        }
        Event::SubscribeDone { result: Ok(reasons), .. } => format!("subscribed: {reasons:?}"),
        Event::UnsubscribeDone { result: Ok(reasons), .. } => format!("unsubscribed: {reasons:?}"),
        Event::Disconnected(cause) => format!("disconnected: {cause:?}"),
        other => format!("{other:?}"),
    }
}

/// What `-D connect` says about the connection itself has a place of its own in the options.
fn connect_options(login: &Login) -> Result<ConnectOptions> {
    let mut options = ConnectOptions {
        version: login.version,
        client_id: login.client_id.clone(),
        clean_start: login.clean_start,
        keep_alive: login.keep_alive,
        username: login.username.clone(),
        password: login.password.clone().map(String::into_bytes),
        ..ConnectOptions::default()
    };
    let mut others = PropertyBuf::new();
    for property in login.properties.connect.as_properties().iter() {
        match property {
            Property::SessionExpiryInterval(seconds) => options.session_expiry_interval = seconds,
            Property::ReceiveMaximum(maximum) => options.receive_maximum = maximum,
            Property::MaximumPacketSize(maximum) => options.maximum_packet_size = maximum,
            Property::TopicAliasMaximum(maximum) => options.topic_alias_maximum = maximum,
            other => others.try_push(other)?,
        }
    }
    options.properties = others;
    if let Some(will) = &login.will {
        let topic = TopicName::new(&will.topic)?;
        let mut sent = WillOptions::new(topic, will.payload.clone());
        sent.qos = will.qos;
        sent.retain = will.retain;
        sent.properties = login.properties.will.clone();
        options.will = Some(sent);
    }
    Ok(options)
}

/// A stream on which a byte arrives for each signal that asks the process to end.
fn signals() -> std::io::Result<UnixStream> {
    let (receiver, sender) = UnixStream::pair()?;
    for signal in [SIGINT, SIGTERM] {
        signal_hook::low_level::pipe::register(signal, sender.try_clone()?)?;
    }
    Ok(receiver)
}

fn timespec_until(deadline: Instant) -> Timespec {
    // A millisecond more than is left: to wake up too early would mean to wait again.
    let left = deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
    Timespec {
        tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(left.subsec_nanos()),
    }
}
