//! The causes by name: what counters, `$SYS` and `dunlin ctl why` know events by.

/// The causes, each with its name for machines and what it means.
macro_rules! causes {
    ($($name:ident = $text:literal $meaning:literal;)+) => {
        /// Why something happened. The names are part of the interface: they are not changed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Cause { $(#[doc = $meaning] $name,)+ }

        impl Cause {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its name.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// What it means.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)+ }
            }

            /// Its place in [`Self::ALL`].
            #[must_use]
            pub const fn index(self) -> usize {
                self as usize
            }
        }
    };
}

causes! {
    // Who comes and goes.
    Connected = "connected" "A client was let in.";
    Disconnected = "disconnected" "The client sent DISCONNECT.";
    Closed = "closed" "The client closed the connection without DISCONNECT.";
    Broken = "broken" "The connection broke.";
    KeepAlive = "keep-alive" "Nothing came from the client for one and a half times its keep alive.";
    TakenOver = "taken-over" "A newer connection uses the same client identifier.";
    Fight = "fight" "Two clients use one client identifier and take it from each other again and again.";
    ProtocolError = "protocol-error" "The client broke a rule of MQTT.";
    ConnectTimeout = "connect-timeout" "No whole CONNECT came in time.";
    Administrative = "administrative" "An operator closed the connection.";
    Stopping = "stopping" "The broker is stopping.";
    TokenExpired = "token-expired" "What the client was let in with is not valid any longer.";
    AuthTimeout = "auth-timeout" "No AUTH came in time.";
    NoLongerAllowed = "no-longer-allowed" "New rules do not allow the connection any longer.";
    // Who is not let in.
    TooManyConnections = "too-many-connections" "As many connections as are allowed are open.";
    TooManySessions = "too-many-sessions" "As many sessions as are allowed are kept.";
    TooManyFromAddress = "too-many-from-address" "As many connections as one address may have are open.";
    TooManyOfUser = "too-many-of-user" "As many connections as one user may have are open.";
    ConnectRate = "connect-rate" "More connections came in a second than are allowed.";
    Version = "version" "The listener does not speak this version of MQTT.";
    ClientIdRequired = "client-id-required" "The client identifier is empty, and may not be.";
    ClientIdNotAllowed = "client-id-not-allowed" "The client may not use this client identifier.";
    AuthMethod = "auth-method" "The authentication method is not offered.";
    Anonymous = "anonymous" "The client named no user, and nobody is let in without.";
    NotAuthorized = "not-authorized" "Who decides about it said no.";
    BadPassword = "bad-password" "User name or password are wrong.";
    BadToken = "bad-token" "The token is not valid.";
    Banned = "banned" "The client, its user or its address is banned.";
    Flapping = "flapping" "The client came and went too often.";
    AuthUnavailable = "auth-unavailable" "Who decides could not be asked.";
    KeepAliveTooLong = "keep-alive-too-long" "The keep alive is longer than allowed, and the version cannot be told a shorter one.";
    WillTooLarge = "will-too-large" "The will is larger than allowed.";
    WillDenied = "will-denied" "The client may not publish to the topic of its will.";
    // Who is turned away before MQTT.
    Network = "network" "Its network may not connect here.";
    Proxy = "proxy" "What a proxy has to say first was not said, or not by one that may say it.";
    BeforeConnect = "before-connect" "As many connections as are allowed have not sent their CONNECT.";
    WrongProtocol = "wrong-protocol" "Another protocol is spoken than the listener serves.";
    Tls = "tls" "TLS failed.";
    ClientCertificate = "client-certificate" "The client showed no certificate that is valid here.";
    ServerCertificate = "server-certificate" "The client does not accept the certificate of the broker.";
    WebSocket = "websocket" "The request for a WebSocket was refused, or a frame of it is wrong.";
    Quic = "quic" "QUIC failed.";
    NoDescriptor = "no-descriptor" "The system has no descriptor left.";
    // What is not done.
    AclDenied = "acl-denied" "The rules do not let the client publish, read or subscribe here.";
    ReservedTopic = "reserved-topic" "The topic is the broker's own.";
    PayloadTooLarge = "payload-too-large" "The payload is larger than allowed.";
    UserProperties = "user-properties" "The packet has more user properties than allowed.";
    PublishRate = "publish-rate" "The client publishes faster than allowed, so it is read more slowly.";
    HeldFull = "held-full" "As many bytes of QoS 2 messages as are allowed wait for their release.";
    DiskFull = "disk-full" "The disk has no room for the message.";
    MemoryFull = "memory-full" "The memory has no room for the message.";
    RetainedFull = "retained-full" "As many retained messages, or bytes of them, as are allowed are kept.";
    TooManySubscriptions = "too-many-subscriptions" "The session has as many subscriptions as are allowed.";
    MountedTooLong = "mounted-too-long" "With the mount point of the listener the topic is longer than a topic can be.";
    // What is done in a lesser way.
    QosLowered = "qos-lowered" "The listener grants a lower QoS than was asked for.";
    KeepAliveLowered = "keep-alive-lowered" "The keep alive is longer than allowed, and was lowered.";
    SessionExpiryLowered = "session-expiry-lowered" "The session expiry interval is longer than allowed, and was lowered.";
    // What is lost.
    SlowReader = "slow-reader" "The client reads too slowly for QoS 0.";
    QueueFull = "queue-full" "As many messages, or bytes of them, as are allowed wait for the session.";
    TooLargeForClient = "too-large-for-client" "The packet is larger than the client said it takes.";
    MessageExpired = "message-expired" "The message expired before the client took it.";
    SessionExpired = "session-expired" "The session expiry interval passed.";
    WillPublished = "will-published" "The client left without DISCONNECT, so its will was published.";
}

#[cfg(test)]
mod tests {
    use super::Cause;

    #[test]
    fn names_are_unique_and_fit_into_a_topic() {
        let mut names: Vec<_> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
        assert!(
            names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '-')),
            "{names:?}"
        );
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Cause::ALL.len());
        assert!(Cause::ALL.iter().enumerate().all(|(place, cause)| cause.index() == place));
    }
}
