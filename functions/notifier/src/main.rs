//! The function `notifier` on Lambda.

fn main() -> std::process::ExitCode {
    halyard_platform::lambda::run(|host| Box::pin(async move { halyard_fn_notifier::init(&host).await }))
}
