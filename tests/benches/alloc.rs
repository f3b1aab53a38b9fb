//! The allocator's cycles alone. `cargo bench --bench alloc`.

mod allocation;

fn main() {
    // `cargo test --benches` asks only whether it runs.
    allocation::row(std::env::args().any(|arg| arg == "--test"));
}
