//! Serves on the listeners of a configuration file and nothing else of it: for trying transports with
//! clients of all kinds. A line on standard input makes it read the file again; its end stops it.

use std::env;
use std::error::Error;
use std::io::{self, BufRead, Write};

use dunlin_config::{Disk, Loader};
use dunlin_server::{ListenerOptions, ServerOptions, start};

fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let path = env::args().nth(1).ok_or("usage: listeners FILE")?;
    let listeners = || -> Result<_, Box<dyn Error>> {
        let loaded =
            Loader::new(&Disk).load(Some(&path)).map_err(|problems| format!("{problems}"))?;
        Ok(ListenerOptions::from_config(&loaded.config)?)
    };
    let handle = start(ServerOptions { listeners: listeners()?, ..ServerOptions::default() })?;
    writeln!(io::stdout(), "ready")?;
    for line in io::stdin().lock().lines() {
        line?;
        let replaced = listeners().and_then(|new| Ok(handle.replace_listeners(&new)?));
        match replaced {
            Ok(()) => writeln!(io::stdout(), "reloaded")?,
            Err(cause) => writeln!(io::stdout(), "not reloaded: {cause}")?,
        }
        for report in handle.listeners() {
            writeln!(io::stdout(), "{report:?}")?;
        }
    }
    handle.stop_now();
    Ok(handle.join()?)
}
