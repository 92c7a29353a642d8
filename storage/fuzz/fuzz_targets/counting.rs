//! An allocator that counts, so that a property can say how much memory a start takes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::Ordering::Relaxed;

use storage_fuzz::ALLOCATED;

struct Counting;

// SAFETY: it is the system's allocator, with counts beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = ALLOCATED.now.fetch_add(layout.size(), Relaxed) + layout.size();
        ALLOCATED.peak.fetch_max(now, Relaxed);
        ALLOCATED.largest.fetch_max(layout.size(), Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.now.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
