//! A one-shot timer with nanoseconds in a poll whose own timeout counts milliseconds.

use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::{Context, Result};
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

use super::clock::timespec;

/// Wakes the poll at an instant of the monotonic clock.
#[derive(Debug)]
pub(super) struct Timer {
    descriptor: OwnedFd,
    set_for_ns: u64,
}

impl Timer {
    /// A timer that is not set.
    pub(super) fn new() -> Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let descriptor = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Ok(Self { descriptor, set_for_ns: 0 })
    }

    /// Adds the timer to a poll. Edge triggered: it need not be read, setting it again suffices.
    pub(super) fn register(&self, registry: &Registry, token: Token) -> Result<()> {
        registry
            .register(&mut SourceFd(&self.descriptor.as_raw_fd()), token, Interest::READABLE)
            .context("registering the timer")
    }

    /// Wakes the poll at `when_ns` or before: an earlier instant still to come is kept.
    pub(super) fn wake_by(&mut self, when_ns: u64, now_ns: u64) -> Result<()> {
        if self.set_for_ns <= now_ns || self.set_for_ns > when_ns {
            let when = Itimerspec { it_interval: timespec(0), it_value: timespec(when_ns) };
            timerfd_settime(&self.descriptor, TimerfdTimerFlags::ABSTIME, &when)
                .context("setting the timer")?;
            self.set_for_ns = when_ns;
        }
        Ok(())
    }
}
