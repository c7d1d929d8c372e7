//! The contents of a store as text: one JSON object a line.

mod body;
mod check;
mod line;
mod read;

pub(super) use body::micros;
pub(super) use check::Checker;
pub(super) use line::{
    Base64, Body, Counts, Header, Held, Line, Message, Parted, Properties, Publisher, Receiver,
    Session, Subscription, VERSION, Will,
};
pub(super) use read::Reader;
