//! The program `halyard`: see `halyard --help`.

fn main() -> std::process::ExitCode {
    halyard_gateway::local::main()
}
