//! The function `users` on Lambda.

fn main() -> std::process::ExitCode {
    halyard_platform::lambda::run(|host| Box::pin(async move { halyard_fn_users::init(&host).await }))
}
