//! A thread that is woken soon.

use std::io;

/// How long the thread asks to run at a time, in nanoseconds; Linux takes 100 us to 100 ms.
#[cfg(target_os = "linux")]
const SLICE: u64 = 100_000;

/// Asks the system to let this thread run soon after it is woken, in exchange for short slices. On a busy
/// machine a flush of a tenth of a millisecond takes a tick of 4 ms otherwise, because the thread that it
/// wakes has to wait for another one's slice to end. Needs no privilege.
///
/// # Errors
/// The system is not Linux, or is older than 6.12 and has no such slices. All is well without.
#[cfg(target_os = "linux")]
pub fn sharpen() -> io::Result<()> {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_OTHER as u32,
        sched_flags: 0,
        // As it is.
        sched_nice: rustix::process::getpriority_process(None)?,
        sched_priority: 0,
        sched_runtime: SLICE,
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn a_thread_is_sharpened_without_privilege() {
        let release = rustix::system::uname();
        let release = release.release().to_string_lossy().into_owned();
        let mut numbers = release.split('.').map_while(|part| part.parse::<u32>().ok());
        let sharpened = super::sharpen();
        // Before 6.12 the slice is ignored; nothing fails then either.
        assert!(sharpened.is_ok() || numbers.next() < Some(6), "{sharpened:?} on {release}");
    }
}
