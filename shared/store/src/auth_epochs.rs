//! The number that ends every session of a user when it grows. PostgreSQL decides it; DynamoDB, which the authorizer
//! reads, learns it from whoever raises it and, should that fail, from beat.

use std::future::Future;

use halyard_domain::UserId;
use sqlx::PgConnection;

use crate::{Now, Pool, Result};

/// A raised epoch that has not been confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owed {
    /// Whose.
    pub user_id: UserId,
    /// The epoch to publish, or a higher one.
    pub auth_epoch: i64,
}

/// Raises the user's epoch and notes, in the same statement, that it is owed to `DynamoDB`. Answers with the new epoch;
/// `None` when there is no such user.
pub async fn raise(conn: &mut PgConnection, user: UserId, now: Now) -> Result<Option<i64>> {
    let row = sqlx::query!(
        r#"
        with raised as (
            update users set auth_epoch = auth_epoch + 1 where id = $1 returning id, auth_epoch
        )
        select auth_epoch, owe_epoch(id, auth_epoch, coalesce($2::timestamptz, statement_timestamp())) from raised
        "#,
        user.0,
        now,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| row.auth_epoch))
}

/// Epochs owed, the oldest first.
pub async fn owed(conn: &mut PgConnection, limit: i64) -> Result<Vec<Owed>> {
    let rows =
        sqlx::query!("select user_id, auth_epoch from auth_epoch_outbox order by since, user_id limit $1", limit)
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().map(|row| Owed { user_id: UserId(row.user_id), auth_epoch: row.auth_epoch }).collect())
}

/// Notes that an epoch is out. A higher one that was raised meanwhile is still owed.
pub async fn published(conn: &mut PgConnection, user: UserId, epoch: i64) -> Result<()> {
    sqlx::query!("delete from auth_epoch_outbox where user_id = $1 and auth_epoch <= $2", user.0, epoch)
        .execute(conn)
        .await?;
    Ok(())
}

/// The epoch that is owed for a user.
pub async fn owed_for(conn: &mut PgConnection, user: UserId) -> Result<Option<i64>> {
    let row = sqlx::query_scalar!("select auth_epoch from auth_epoch_outbox where user_id = $1", user.0);
    Ok(row.fetch_optional(conn).await?)
}

/// Waits for `telling`, which puts the epoch that a committed statement has raised to where sessions are verified, and notes
/// that it is out. Should that fail, the caller is to hear so, and beat publishes the epoch.
///
/// # Errors
/// What `telling` answers.
pub async fn tell<E>(
    pool: &Pool,
    user: UserId,
    epoch: i64,
    telling: impl Future<Output = std::result::Result<(), E>>,
) -> std::result::Result<(), E> {
    telling.await?;
    // It is out: a failure from here on costs beat one repeated write.
    let noted = async { published(&mut *pool.acquire().await?, user, epoch).await };
    if let Err(error) = noted.await {
        tracing::warn!(%error, "the published epoch stays owed");
    }
    Ok(())
}
