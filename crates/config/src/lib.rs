//! The configuration: text in, one model or errors with file and line out.
//!
//! [`Loader`] reads `dunlin.toml` or `mosquitto.conf` through a [`Source`] into a [`Config`]. The keys of
//! `dunlin.toml` are one table ([`keys`]), from which reading, writing, environment variables, the
//! reference page and the comparison for a reload are made; the keys of `mosquitto.conf` are another
//! ([`mosquitto`]), in which each says what it sets or how it is answered. Nothing here opens a socket,
//! reads a clock or applies anything.
#![forbid(unsafe_code)]

pub mod command_line;
pub mod keys;
pub mod measure;
pub mod model;
pub mod mosquitto;
pub mod problem;
pub mod reference;
pub mod shown;
pub mod value;

mod changes;
mod check;
mod environment;
mod load;
mod nearest;
mod place;
mod source;
mod toml_file;

pub use changes::{Change, Effect, What, changes};
pub use command_line::CommandLine;
pub use load::{Format, Loaded, Loader};
pub use model::Config;
pub use place::{Place, Places};
pub use problem::{Note, Problem, Problems, Weight};
pub use source::{Disk, LARGEST_FILE, Memory, Source};
pub use toml_file::to_toml;
