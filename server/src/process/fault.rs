//! What ends the process although nothing should: a disk that has failed, or a panic, in rushq or in a library. The
//! operator gets one line.

use std::panic;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Ends the process: the disk has failed, and nothing may be acknowledged any more.
pub(crate) fn end_at_disk(error: &shards::Error) -> ! {
    let then = match error {
        shards::Error::Damage { .. } => "start once with --repair to go on with all that is whole",
        shards::Error::Io { .. } => "what is on the disk is unknown",
    };
    log::error!("{error}; this process stops and acknowledges nothing more; {then}");
    process::exit(1);
}

/// What glommio's blocking threads panic with once their executor has ended: work that nothing waits for any more, the
/// preparation of a segment for instance, was not done yet when the shard stopped.
const EXECUTOR_HAS_ENDED: &str = "failed to send response";

/// Has a panic end the process with a line in the log, and with a core file if `core_files` asks for one.
///
/// glommio panics where io_uring refuses what it asks for; the shard cannot go on then, and the others not without it.
pub(crate) fn end_with_one_line(core_files: bool) {
    static IS_ENDING: AtomicBool = AtomicBool::new(false);
    panic::set_hook(Box::new(move |panic| {
        let what = panic.payload_as_str().unwrap_or("no reason is given");
        // The first is why the process ends, others follow from it; and a process that stops in order ends by itself.
        if what == EXECUTOR_HAS_ENDED || IS_ENDING.swap(true, Ordering::SeqCst) {
            loop {
                thread::park();
            }
        }
        let place = panic.location().map(|place| format!(" ({}:{})", place.file(), place.line())).unwrap_or_default();
        let line: Vec<&str> = what.split_whitespace().collect();
        log::error!(
            "rushq cannot go on and ends, what was acknowledged is kept: {}{place}; start it again, and report this line \
             if it comes again",
            line.join(" ")
        );
        if core_files {
            process::abort();
        }
        process::exit(1);
    }));
}
