//! The statements of MQTT 3.1.1 and 5.0, shown on the real broker over sockets.
//!
//! A line `// shows <standard>: <ids>` above a test names the statements it shows; `spec/*.toml`
//! names the test in return, and `xtask tidy` holds the two together. All tests share one broker,
//! so each keeps to client identifiers and topics of its own.

mod alias;
mod auth;
mod connect;
mod disconnect;
mod flow;
mod hostile;
mod malformed;
mod ping;
mod publish;
mod qos;
mod retained;
mod sessions;
mod shared;
mod subscribe;
mod support;
mod topics;
mod unsubscribe;
mod wills;
