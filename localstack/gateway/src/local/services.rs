//! PostgreSQL and Redis alone, for tests: started in the background, forgotten when they are stopped.

use std::path::Path;

use super::{
    error::LocalError,
    layout::Layout,
    lock::InstanceLock,
    postgres::{Postgres, Purpose},
    process::Life,
    redis::Redis,
};

/// Starts both and prints where they are, as lines that a shell can `eval`.
///
/// # Errors
/// When either does not start.
pub async fn up(data_dir: &Path) -> Result<(), LocalError> {
    let layout = Layout::prepare(data_dir)?;
    // A test may hold what is started here for as long as it likes; only an instance that serves is in the way.
    let _lock = InstanceLock::take(&layout)?;
    let postgres = Postgres::start(&layout, Life::OnItsOwn, Purpose::Test).await?;
    match Redis::start(&layout, Life::OnItsOwn).await {
        Ok(_) => {
            println!("export TEST_DATABASE_URL='{}'", Postgres::url(&layout));
            println!("export TEST_REDIS_URL='{}'", Redis::url(&layout));
            Ok(())
        }
        Err(error) => {
            drop(postgres);
            Postgres::clean_up(&layout).await;
            Err(error)
        }
    }
}

/// Stops both.
///
/// # Errors
/// When an instance that serves lives there.
pub async fn down(data_dir: &Path) -> Result<(), LocalError> {
    let Some(layout) = Layout::existing(data_dir)? else { return Ok(()) };
    let _lock = InstanceLock::take(&layout)?;
    clean_up(&layout).await;
    Ok(())
}

/// Stops whatever an earlier run left behind.
pub async fn clean_up(layout: &Layout) {
    Redis::clean_up(layout).await;
    Postgres::clean_up(layout).await;
}
