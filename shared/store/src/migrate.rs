//! The migrator.

use std::sync::LazyLock;

use sqlx::{
    ConnectOptions as _, Connection as _,
    migrate::{MigrateError, Migrator},
};

use crate::{Result, StoreError, error::is_outage};

/// The migrations of this build, in order. Forward only.
///
/// A database that is ahead of the build is none of its business: after a roll-back the earlier release meets the
/// later one's schema, which it can use (expand, then contract).
pub fn migrator() -> &'static Migrator {
    static MIGRATOR: LazyLock<Migrator> = LazyLock::new(|| {
        let mut migrator = sqlx::migrate!("../../migrations");
        migrator.set_ignore_missing(true);
        migrator
    });
    &MIGRATOR
}

/// Brings the database at `url` up to this build's migrations, over a connection of its own without time limits;
/// answers how many were applied. Two at once are safe: the second waits for the first. Each migration commits with the
/// note that it was applied, or not at all, so one that was interrupted is done again.
///
/// # Errors
/// [`StoreError::Unavailable`] when the database is; [`StoreError::Internal`] when a migration fails, or one that was
/// applied differs from the one in this build.
pub async fn migrate(url: &str) -> Result<u64> {
    let options = crate::options::parse(url)?.application_name("halyard-migrate");
    let mut conn = options.connect().await?;
    let before = applied(&mut conn).await?;
    migrator().run_direct(None, &mut conn, false).await.map_err(failed)?;
    let after = applied(&mut conn).await?;
    conn.close().await?;
    Ok((after - before).unsigned_abs())
}

fn failed(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(e) => e.into(),
        MigrateError::ExecuteMigration(ref cause, _) if is_outage(cause) => StoreError::unavailable(error),
        e => StoreError::Internal(e.into()),
    }
}

async fn applied(conn: &mut sqlx::PgConnection) -> Result<i64> {
    // The table does not exist before the first run, so the name cannot be checked at compile time.
    let exists: bool =
        sqlx::query_scalar("select to_regclass('_sqlx_migrations') is not null").fetch_one(&mut *conn).await?;
    if !exists {
        return Ok(0);
    }
    Ok(sqlx::query_scalar("select count(*) from _sqlx_migrations where success").fetch_one(conn).await?)
}
