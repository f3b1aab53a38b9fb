//! The allocator's tests.
