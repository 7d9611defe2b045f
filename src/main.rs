//! The `auth0-sync` program: everything it does is a command of [`auth0_sync::cli`].

fn main() -> std::process::ExitCode {
    auth0_sync::cli::main()
}
