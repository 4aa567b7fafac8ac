//! The program `halyard`: see `halyard --help`.

/// Every request and every task passes through many short-lived allocations, made by several threads and often freed by
/// another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    halyard_gateway::local::main()
}
