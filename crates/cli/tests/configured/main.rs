//! The broker as Mosquitto's users start it: with their files, their command lines, their signals.

mod admin;
mod command_line;
mod files;
mod keeping;
mod keys;
mod process;
mod raw;
mod reload;
mod root;
mod service;
mod ways;
