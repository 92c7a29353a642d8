//! An allocator that counts, so that a property can say what allocates nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::Ordering;

use protocol_fuzz::ALLOCATIONS;

struct Counting;

// SAFETY: it is the system's allocator, with a count beside it.
#[allow(unsafe_code, reason = "an allocator is an unsafe trait")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps to what `alloc` asks for, which is the same of both.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the system's allocator made all that is given back here, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
