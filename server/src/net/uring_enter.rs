//! io_uring_enter, tried again where it fails by what may pass.
//!
//! glommio 0.9 panics when it fails by EINTR, EAGAIN or EBUSY while a timer is set, and by ENOMEM at any time
//! (`Reactor::wait`, `Reactor::poll_io`): a kernel that is short of memory for a moment, or a debugger that is attached,
//! would end the server. glommio has no place where that can be mended from outside, and its newest release is old. So the
//! linker leads the two functions of its liburing that make the system call here (`build.rs`).
#![allow(unsafe_code, reason = "two functions of C are wrapped")]

use std::ffi::{c_int, c_uint, c_void};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;

/// How long a shard stands still for this. Then the error is glommio's, and ends the process.
const PATIENCE: Duration = Duration::from_secs(3);
/// EBUSY can mean that completions must be taken first. glommio does that when it gets the error.
const PATIENCE_WHEN_BUSY: Duration = Duration::from_millis(20);
const PAUSE: Duration = Duration::from_millis(1);

/// How long to wait before a call that has failed so is made again, and for how long it is; `None`: it fails for good.
fn pause_after(error: Errno) -> Option<(Duration, Duration)> {
    match error {
        Errno::EINTR => Some((Duration::ZERO, PATIENCE)),
        Errno::EAGAIN | Errno::ENOMEM => Some((PAUSE, PATIENCE)),
        Errno::EBUSY => Some((PAUSE, PATIENCE_WHEN_BUSY)),
        _ => None,
    }
}

/// Makes a call until it does not fail any more by what may pass, for a while. The error is left in `errno`.
fn persist(mut call: impl FnMut() -> c_int) -> c_int {
    let mut began = None;
    loop {
        let result = call();
        if result >= 0 {
            return result;
        }
        let error = Errno::last();
        let since = *began.get_or_insert_with(Instant::now);
        match pause_after(error) {
            Some((pause, patience)) if since.elapsed() < patience => sleep(pause),
            _ => {
                log::debug!("io_uring_enter has failed: {error}");
                // The log has made system calls of its own.
                error.set();
                return result;
            }
        }
    }
}

// SAFETY: both are as liburing has them (syscall.h); the linker finds them behind these names.
unsafe extern "C" {
    fn __real___sys_io_uring_enter(
        ring: c_int,
        to_submit: c_uint,
        min_complete: c_uint,
        flags: c_uint,
        signals: *mut c_void,
    ) -> c_int;

    fn __real___sys_io_uring_enter2(
        ring: c_int,
        to_submit: c_uint,
        min_complete: c_uint,
        flags: c_uint,
        argument: *mut c_void,
        bytes: c_int,
    ) -> c_int;
}

/// # Safety
/// As for the system call.
// SAFETY: no other function has the name.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___sys_io_uring_enter(
    ring: c_int,
    to_submit: c_uint,
    min_complete: c_uint,
    flags: c_uint,
    signals: *mut c_void,
) -> c_int {
    // SAFETY: the arguments are the caller's own; a call that has failed has taken nothing from the ring, so it can be
    // made again.
    persist(|| unsafe { __real___sys_io_uring_enter(ring, to_submit, min_complete, flags, signals) })
}

/// # Safety
/// As for the system call.
// SAFETY: no other function has the name.
#[unsafe(no_mangle)]
unsafe extern "C" fn __wrap___sys_io_uring_enter2(
    ring: c_int,
    to_submit: c_uint,
    min_complete: c_uint,
    flags: c_uint,
    argument: *mut c_void,
    bytes: c_int,
) -> c_int {
    // SAFETY: as above.
    persist(|| unsafe { __real___sys_io_uring_enter2(ring, to_submit, min_complete, flags, argument, bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls_until_over(error: Errno, failures: u32) -> (c_int, u32) {
        let mut calls = 0;
        let result = persist(|| {
            calls += 1;
            if calls > failures {
                return 7;
            }
            error.set();
            -1
        });
        (result, calls)
    }

    #[test]
    fn what_may_pass_is_tried_again_and_else_the_error_stays() {
        for passing in [Errno::EINTR, Errno::EAGAIN, Errno::EBUSY, Errno::ENOMEM] {
            assert_eq!(calls_until_over(passing, 3), (7, 4), "{passing}");
        }
        assert_eq!(calls_until_over(Errno::EBADF, 5), (-1, 1));
        assert_eq!(Errno::last(), Errno::EBADF);
    }
}
