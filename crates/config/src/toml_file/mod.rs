//! `dunlin.toml`.

mod read;
mod write;

pub(crate) use read::{Wrong, assign, read};
pub use write::to_toml;
