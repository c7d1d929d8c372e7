//! Writes the reference pages below `docs/`.

use std::path::Path;
use std::{fs, io};

fn main() -> io::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    fs::write(docs.join("configuration.md"), dunlin_config::reference::configuration())?;
    fs::write(docs.join("mosquitto-keys.md"), dunlin_config::reference::mosquitto_keys())
}
