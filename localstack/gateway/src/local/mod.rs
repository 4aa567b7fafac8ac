//! Halyard on one machine: the program `halyard`. It keeps a private PostgreSQL and a private Redis beside the gateway,
//! and leaves nothing running behind.

mod backing;
mod check;
pub mod cli;
mod client;
mod cloud;
mod console;
mod daemon;
mod demo;
mod engine;
mod environments;
mod error;
mod health;
mod keys;
mod layout;
mod lock;
mod logs;
mod node;
mod owner;
pub mod part;
mod places;
mod port;
mod postgres;
mod prepare;
mod process;
mod programs;
mod redis;
mod secrets;
mod serve;
mod services;
pub mod setup;
mod signals;
mod stack;
mod template_watch;
mod told;
mod variables;

use std::process::ExitCode;

use clap::Parser as _;

use self::cli::{Cli, Command, Switch};

pub use error::LocalError;

/// The program. Everything runs on the calling thread, which is also the one that starts the servers: they are told to
/// end when the *thread* that started them ends.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if matches!(&cli.command, Command::Serve(args) if args.detached) {
        daemon::detach();
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            console::fail(&error);
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            console::fail(&error);
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<(), LocalError> {
    match command {
        Command::Serve(args) => serve::run(&args).await,
        Command::Up(args) => daemon::up(&args).await,
        Command::Down(args) => daemon::down(&args.data_dir).await,
        Command::Demo(args) => demo::run(&args).await,
        Command::Services { action: Switch::Up, data_dir } => services::up(&data_dir.data_dir).await,
        Command::Services { action: Switch::Down, data_dir } => services::down(&data_dir.data_dir).await,
        Command::Node(args) => node::run(&args).await,
        Command::Prepare(args) => prepare::run(&args).await,
        Command::Keys(args) => keys::run(&args).await,
        Command::Health(args) => health::run(&args).await,
    }
}
