//! The migrator.

use std::str::FromStr as _;

use sqlx::{ConnectOptions as _, Connection as _, migrate::Migrator, postgres::PgConnectOptions};

use crate::{Result, StoreError};

/// The migrations of this build, in order. Forward only.
pub fn migrator() -> &'static Migrator {
    static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");
    &MIGRATOR
}

/// Brings the database at `url` up to this build's migrations, over a connection of its own without time limits;
/// answers how many were applied. Two at once are safe: the second waits for the first.
///
/// # Errors
/// [`StoreError::Unavailable`] when the database is; [`StoreError::Internal`] when a migration fails, or one that was
/// applied differs from the one in this build.
pub async fn migrate(url: &str) -> Result<u64> {
    let options = PgConnectOptions::from_str(url)?.application_name("halyard-migrate").disable_statement_logging();
    let mut conn = options.connect().await?;
    let before = applied(&mut conn).await?;
    migrator().run_direct(None, &mut conn, false).await.map_err(|e| match e {
        sqlx::migrate::MigrateError::Execute(e) => e.into(),
        e => StoreError::Internal(e.into()),
    })?;
    let after = applied(&mut conn).await?;
    conn.close().await?;
    Ok((after - before).unsigned_abs())
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
