//! The `gangway` binary: reads the configuration, assembles the roles, decides nothing.

/// Messages are made on one thread and freed on another; this allocator is twice as fast at it.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    gangway::cli::main()
}
