//! What an input costs whoever reads it: memory and time must follow its size, whatever it says.

use std::fs;
use std::sync::Mutex;
use std::time::Duration;

use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// One measurement at a time: memory is counted for the whole process.
static ALONE: Mutex<()> = Mutex::new(());

/// Bytes that reading one byte may take. 400: a digit and a comma of JSON or TOML become a value, a place
/// and a message about it.
const PER_BYTE: usize = 400;

/// Bytes that reading anything may take: tables of keys, buffers, messages. 4 MiB.
const ANYWAY: usize = 4 << 20;

/// Time on a processor for one input of at most 128 KiB, in a build that is not optimised. What is
/// quadratic takes minutes for that.
const LONGEST: Duration = Duration::from_secs(10);

/// Runs `read` on an input of so many bytes and asserts what it may cost.
pub(crate) fn bounded<T>(length: usize, read: impl FnOnce() -> T) -> T {
    let began = on_processor();
    let mut result = None;
    let memory = peak_of(|| result = Some(read()));
    let time = on_processor().saturating_sub(began);
    assert!(memory <= length * PER_BYTE + ANYWAY, "{memory} bytes of memory for {length} of input");
    assert!(time <= LONGEST, "{time:?} for {length} bytes of input");
    result.expect("it was just read")
}

/// The most memory that there was at once while `run` ran, above what there was before.
pub(crate) fn peak_of(run: impl FnOnce()) -> usize {
    // A test that failed has left nothing behind that matters here.
    let alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    run();
    let peak = MEMORY.peak_usage().saturating_sub(before);
    drop(alone);
    peak
}

/// How long this thread was on a processor, which others that are busy do not change.
fn on_processor() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|word| word.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}
