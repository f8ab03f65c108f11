//! The `tachograph` command.

fn main() -> std::process::ExitCode {
    tachograph::cli::main()
}
