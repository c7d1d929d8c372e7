//! `dunlin ctl store` as its users run it: on directories, with brokers before and after.

mod mosquitto;
mod place;
mod store;
