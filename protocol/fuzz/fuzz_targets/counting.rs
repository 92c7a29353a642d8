//! An allocator that counts, so that a property can say what allocates nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::Ordering;

use protocol_fuzz::ALLOCATIONS;

struct Counting;

// SAFETY: it is the system's allocator, with a count beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
