//! Calls of the API, by user (`halyard_domain::api_calls`).

use std::collections::BTreeMap;

use halyard_domain::UserId;
use sqlx::PgConnection;

use crate::Result;

/// Up to which minute calls are in the database.
pub async fn calls_folded(conn: &mut PgConnection) -> Result<i64> {
    Ok(sqlx::query_scalar!("select minute from api_calls_folded").fetch_one(conn).await?)
}

/// Adds the calls of the minutes after `from`, up to `to`. `false`, and nothing is added, when somebody else was faster.
pub async fn fold_calls(conn: &mut PgConnection, from: i64, to: i64, calls: &BTreeMap<UserId, i64>) -> Result<bool> {
    let (users, counts): (Vec<i64>, Vec<i64>) = calls.iter().map(|(user, n)| (user.0, *n)).unzip();
    let moved = sqlx::query_scalar!(
        r#"
        with moved as (
            update api_calls_folded set minute = $2 where minute = $1 returning minute
        ), added as (
            insert into api_calls as a (user_id, calls)
            select c.user_id, c.calls from unnest($3::bigint[], $4::bigint[]) as c (user_id, calls), moved
            on conflict (user_id) do update set calls = a.calls + excluded.calls
        )
        select count(*) as "n!" from moved
        "#,
        from,
        to,
        &users,
        &counts,
    )
    .fetch_one(conn)
    .await?;
    Ok(moved == 1)
}
