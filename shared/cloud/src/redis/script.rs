//! Lua scripts by their hash.

use redis::{Cmd, ErrorKind, FromRedisValue, Script, ServerErrorKind, ToRedisArgs};

use super::{Redis, RedisError};

const NO_SCRIPT: ErrorKind = ErrorKind::Server(ServerErrorKind::NoScript);

impl Redis {
    /// Runs a script: one round trip, and a second one that carries the text when the server does not know it (its
    /// first use, a restart, `SCRIPT FLUSH`).
    pub(super) async fn script<T: FromRedisValue>(
        &self,
        script: &Script,
        text: &str,
        keys: &[String],
        args: &[Arg],
    ) -> Result<T, RedisError> {
        let value = match self.run_raw(&command("EVALSHA", script.get_hash(), keys, args)).await {
            Err(error) if error.kind() == NO_SCRIPT => self.run_raw(&command("EVAL", text, keys, args)).await?,
            other => other?,
        };
        redis::from_redis_value(value).map_err(|e: redis::ParsingError| RedisError::Unexpected(e.to_string()))
    }
}

/// An argument of a script.
pub(super) enum Arg {
    Int(i64),
    Text(String),
}

impl ToRedisArgs for Arg {
    fn write_redis_args<W: ?Sized + redis::RedisWrite>(&self, out: &mut W) {
        match self {
            Self::Int(n) => n.write_redis_args(out),
            Self::Text(t) => t.write_redis_args(out),
        }
    }
}

fn command(verb: &str, what: &str, keys: &[String], args: &[Arg]) -> Cmd {
    let mut command = redis::cmd(verb);
    command.arg(what).arg(keys.len());
    for key in keys {
        command.arg(key);
    }
    for arg in args {
        command.arg(arg);
    }
    command
}
