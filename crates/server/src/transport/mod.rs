//! What lies between the socket and MQTT: the header of a proxy, TLS, WebSocket, any of them or none.
//!
//! Everything here is bytes in, bytes out; sockets are the business of `layered.rs` beside it.

mod fault;
mod guess;
#[cfg(test)]
mod pki;
mod proxy;
mod stack;
mod tls;
mod websocket;

pub(crate) use fault::Fault;
pub(crate) use guess::Spoken;
pub use proxy::ProxyVersion;
pub(crate) use stack::{Known, Layers, Scratch, Transport};
pub(crate) use tls::{Certificate, Expires, KEY_LOG, TlsSetup, Trust};
pub use tls::{
    CertificateFiles, ClientCertificates, ClientTrust, DialOptions, Dialer, NameCheck, TlsError,
    TlsOptions, TlsStream, TlsVersion, explain_dial,
};
pub use websocket::WebSocketOptions;
