//! An allocator that counts, so that a property can say how much memory a start takes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::Ordering::Relaxed;

use storage_fuzz::ALLOCATED;

struct Counting;

// SAFETY: it is the system's allocator, with counts beside it.
#[allow(unsafe_code, reason = "an allocator is an unsafe trait")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = ALLOCATED.now.fetch_add(layout.size(), Relaxed) + layout.size();
        ALLOCATED.peak.fetch_max(now, Relaxed);
        ALLOCATED.largest.fetch_max(layout.size(), Relaxed);
        // SAFETY: the caller keeps to what `alloc` asks for, which is the same of both.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.now.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the system's allocator made all that is given back here, with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
