//! A `tc`-compatible command.

// Linked for the kinds that register themselves.
use tc_qdiscs as _;

fn main() -> std::process::ExitCode {
    tc_cli::main()
}
