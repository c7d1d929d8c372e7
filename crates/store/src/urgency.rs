//! How soon a thread is let run.

use std::io;

/// How long a thread that is to be woken soon asks to run at a time, in nanoseconds: the least that Linux takes.
#[cfg(target_os = "linux")]
const SHORT: u64 = 100_000;

/// The same for a thread that others may interrupt: the most that Linux takes. It is not let run for longer
/// because of that, while a thread with shorter slices wants to run.
#[cfg(target_os = "linux")]
const LONG: u64 = 100_000_000;

/// Asks the system to let this thread run soon after it is woken, in exchange for short slices. On a busy
/// machine a flush of a tenth of a millisecond takes a tick of 4 ms otherwise, because the thread that it
/// wakes has to wait for another one's slice to end. Needs no privilege.
///
/// # Errors
/// The system is not Linux, or is older than 6.12 and has no such slices. All is well without.
#[cfg(target_os = "linux")]
pub fn sharpen() -> io::Result<()> {
    // As it is.
    schedule(rustix::process::getpriority_process(None)?, SHORT)
}

/// Makes this thread one that others interrupt as soon as they are woken, where Linux (since 6.12) would let it
/// end its slice first, up to a tick of 4 ms; and gives it a smaller share by `niceness`. Unlike threads of the idle
/// class it keeps that share whatever else runs, so it cannot be starved, nor can who waits for a lock that it
/// holds. Needs no privilege, if it was not nicer before.
///
/// # Errors
/// The system is not Linux, or does not let the thread do so. It then runs as before.
#[cfg(target_os = "linux")]
pub fn step_back(niceness: i32) -> io::Result<()> {
    schedule(niceness, LONG)
}

#[cfg(target_os = "linux")]
fn schedule(niceness: i32, slice: u64) -> io::Result<()> {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER as u32,
        sched_flags: 0,
        sched_nice: niceness,
        sched_priority: 0,
        sched_runtime: slice,
        sched_deadline: 0,
        sched_period: 0,
    };
    const THIS_THREAD: libc::pid_t = 0;
    const NO_FLAGS: libc::c_uint = 0;
    #[expect(unsafe_code, reason = "no crate has a safe function for this system call")]
    // SAFETY: The call reads `size` bytes from the pointer, which is what the structure has, and keeps
    // nothing of it. It changes how this thread is scheduled and no memory.
    let failed = unsafe {
        libc::syscall(libc::SYS_sched_setattr, THIS_THREAD, &raw const attributes, NO_FLAGS)
    };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Does nothing here.
///
/// # Errors
/// The system is not Linux.
#[cfg(not(target_os = "linux"))]
pub fn sharpen() -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Does nothing here.
///
/// # Errors
/// The system is not Linux.
#[cfg(not(target_os = "linux"))]
pub fn step_back(_niceness: i32) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    /// As `uname` says it: major and minor.
    fn release() -> (u32, u32) {
        let uname = rustix::system::uname();
        let release = uname.release().to_string_lossy().into_owned();
        let mut numbers = release.split('.').map_while(|part| part.parse::<u32>().ok());
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }

    /// Nanoseconds that this thread asks to run at a time, where the system tells.
    fn slice() -> Option<u64> {
        let sched = std::fs::read_to_string("/proc/thread-self/sched").ok()?;
        let line = sched.lines().find(|line| line.starts_with("se.slice"))?;
        line.rsplit(':').next()?.trim().parse().ok()
    }

    #[test]
    fn a_thread_is_sharpened_without_privilege() {
        let sharpened = super::sharpen();
        // Before 6.12 the slice is ignored; nothing fails then either.
        assert!(sharpened.is_ok() || release().0 < 6, "{sharpened:?} on {:?}", release());
    }

    #[test]
    fn a_thread_that_steps_back_is_nice_and_asks_for_long_slices() {
        let before = slice();
        super::step_back(10).expect("no privilege is needed");
        assert_eq!(rustix::process::getpriority_process(None).expect("its own"), 10);
        if before.is_some() && release() >= (6, 12) {
            assert_eq!(slice(), Some(super::LONG));
        }
    }
}
