//! The thread that writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, SystemTime};

use dunlin_config::model::LogType;

use super::outlet::Outlets;
use super::{Line, Order};
use crate::start::Handle;

/// Bytes that are written at once when lines come faster than they can be written one by one.
const BATCH: usize = 1 << 16;

/// What comes so soon after a line is written with it: waking this thread for each line would cost those who
/// tell more than all the rest of it.
const GATHER: Duration = Duration::from_millis(5);

/// Writes until nobody can tell anything any more.
pub(super) fn run(orders: &Receiver<Order>, outlets: Outlets, lost: &AtomicU64) {
    let mut writer = Writer { outlets, server: None, batch: String::new() };
    while let Ok(order) = orders.recv() {
        let mut next = Some(order);
        while let Some(order) = next {
            if !writer.obey(order) {
                return;
            }
            next = orders.try_recv().ok();
        }
        writer.write();
        let lost = lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            let text = format!(
                "{lost} lines of the log are lost: they came faster than they could be written"
            );
            writer.add(&Line { kind: LogType::Warning, at: SystemTime::now(), text });
            writer.write();
        }
        thread::sleep(GATHER);
    }
}

struct Writer {
    outlets: Outlets,
    server: Option<Arc<Handle>>,
    batch: String,
}

impl Writer {
    /// False if that was the last.
    fn obey(&mut self, order: Order) -> bool {
        match order {
            Order::Line(line) => {
                self.add(&line);
                if self.batch.len() >= BATCH {
                    self.write();
                }
            }
            Order::Outlets(outlets) => {
                self.write();
                self.outlets = *outlets;
            }
            Order::Publish(server) => self.server = Some(server),
            Order::Flush(done, last) => {
                self.write();
                // Who asked may have lost patience.
                let (Ok(()) | Err(_)) = done.send(());
                return !last;
            }
        }
        true
    }

    fn add(&mut self, line: &Line) {
        let text = on_one_line(&line.text);
        let start = self.batch.len();
        self.outlets.stamp.write(line.at, &mut self.batch);
        self.batch.push_str(word(line.kind));
        self.batch.push_str(&text);
        self.batch.push('\n');
        let line_text = self.batch.get(start..).unwrap_or_default();
        self.outlets.send(line.kind, line_text, &text, self.server.as_ref());
    }

    fn write(&mut self) {
        if !self.batch.is_empty() {
            self.outlets.write(&self.batch);
            self.batch.clear();
        }
    }
}

/// What makes a line stand out.
const fn word(kind: LogType) -> &'static str {
    match kind {
        LogType::Error => "Error: ",
        LogType::Warning => "Warning: ",
        _ => "",
    }
}

/// A line stays one line, whatever a client put into its identifier.
fn on_one_line(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains(char::is_control) {
        text.replace(char::is_control, " ").into()
    } else {
        text.into()
    }
}
