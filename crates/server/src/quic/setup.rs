//! What the protocol itself is told to keep: windows, streams, time without a sign of life.

use std::sync::Arc;
use std::time::Duration;

use quinn_proto::crypto::rustls::QuicServerConfig;
use quinn_proto::{ServerConfig, TransportConfig, VarInt};
use rustls::Error;
use rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;

/// Streams that a client may open. One carries MQTT; a second is allowed only so that a client which
/// wants several is told that there is one, instead of waiting for ever.
const STREAMS: VarInt = VarInt::from_u32(2);

/// Bytes of a stream on their way to us that we have not taken. 256 KiB: 2.5 MB a second over 100 ms.
const RECEIVE_WINDOW: VarInt = VarInt::from_u32(256 * 1024);

/// Bytes on their way to a client that it has not acknowledged: they are kept to be sent again.
const SEND_WINDOW: u64 = 256 * 1024;

/// What may differ between listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuicOptions {
    /// A connection without a sign of the other side ends after that. Default: two minutes, as long as
    /// TCP takes with the keep alive that its listeners have.
    pub idle_timeout: Duration,
    /// How often a silent client is asked for a sign. Default: 25 s, since routers forget who speaks UDP
    /// to whom after half a minute.
    pub keep_alive: Duration,
}

impl Default for QuicOptions {
    fn default() -> Self {
        Self { idle_timeout: Duration::from_secs(120), keep_alive: Duration::from_secs(25) }
    }
}

/// What new connections are made with, as `tls` says.
///
/// Early data stays off, as it is in `tls`: who listens in could send it a second time, and a CONNECT
/// or PUBLISH is not the same when it comes twice.
pub(crate) fn setup(
    tls: Arc<rustls::ServerConfig>,
    options: QuicOptions,
) -> Result<Arc<ServerConfig>, Error> {
    // First packets are always sealed with this one, whatever was chosen for the others.
    let initial = TLS13_AES_128_GCM_SHA256.tls13().and_then(|suite| suite.quic_suite());
    let initial = initial.ok_or_else(|| Error::General("no cipher suite for QUIC".into()))?;
    let crypto = QuicServerConfig::with_initial(tls, initial);
    let crypto = crypto.map_err(|cause| Error::General(cause.to_string()))?;
    let idle = options.idle_timeout.try_into();
    let idle = idle.map_err(|_| Error::General("the idle timeout of QUIC is too long".into()))?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(STREAMS)
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(RECEIVE_WINDOW)
        .receive_window(RECEIVE_WINDOW)
        .send_window(SEND_WINDOW)
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(options.keep_alive))
        // MQTT has no use for datagrams beside its stream.
        .datagram_receive_buffer_size(None);
    let mut config = ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(Arc::new(transport)).migration(true);
    Ok(Arc::new(config))
}
