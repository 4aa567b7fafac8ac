//! The authorizer on Lambda.

fn main() -> std::process::ExitCode {
    halyard_platform::lambda::run(|host| Box::pin(async move { halyard_authorizer::init(&host).await }))
}
