//! The `auth0-sync` program: everything it does is a command of [`auth0_sync::cli`].

/// Rows are JSON on their way: many small pieces, made and dropped at once.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    auth0_sync::cli::main()
}
