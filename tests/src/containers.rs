//! PostgreSQL, Redis and the emulator of SQS and `DynamoDB` in containers, made of the images of the docker profile.
//!
//! A test is a process of its own, and starting these takes seconds: so the first process of a run that asks starts them,
//! and the others find them through a file, locked meanwhile. Nobody drops them: whoever started the run removes what
//! carries its label (`scripts/test-containers`), also after a failure.

use std::{
    fs::File,
    io::{Read as _, Seek as _, Write as _},
    net::TcpStream,
    sync::OnceLock,
    time::Duration,
};

use serde_json::{Value, json};
use testcontainers::{
    ContainerRequest, GenericImage, ImageExt as _, ReuseDirective,
    core::{ContainerPort, ExecCommand, Healthcheck, IntoContainerPort as _, Mount, WaitFor, wait::HealthWaitStrategy},
    runners::AsyncRunner as _,
};

use crate::{
    environment::{Servers, variable},
    process::free_port,
};

/// As a label: which run a container belongs to.
const LABEL: &str = "halyard.test-run";
/// They hold nothing but what tests make.
const PASSWORD: &str = "test";
/// Until one is healthy, images being there.
const PATIENCE: Duration = Duration::from_mins(2);

/// The servers of this run, started if nobody did yet.
pub(crate) fn servers() -> Servers {
    static SERVERS: OnceLock<Servers> = OnceLock::new();
    SERVERS.get_or_init(|| find().unwrap_or_else(|e| panic!("the containers of the tests: {e}"))).clone()
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn find() -> Result<Servers> {
    let run = variable("TEST_RUN").unwrap_or_else(|| "shared".to_owned());
    let path = std::env::temp_dir().join(format!("halyard-containers-{run}"));
    let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    file.lock()?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    if let Some(servers) = serde_json::from_str(&text).ok().as_ref().and_then(read) {
        return Ok(servers);
    }
    // The caller's runtime cannot be waited on from here.
    let started = std::thread::spawn(move || -> Result<Value> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        runtime.block_on(start(&run))
    });
    let ports = started.join().map_err(|_| "starting them panicked")??;
    file.rewind()?;
    file.set_len(0)?;
    write!(file, "{ports}")?;
    read(&ports).ok_or_else(|| "they are gone again".into())
}

/// From the ports in the file, if somebody listens on each.
fn read(ports: &Value) -> Option<Servers> {
    let port = |name: &str| {
        let port = ports[name].as_u64().and_then(|n| u16::try_from(n).ok())?;
        TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(port)
    };
    let (postgres, redis, ministack) = (port("postgres")?, port("redis")?, port("ministack")?);
    Some(Servers {
        database_url: format!("postgres://halyard:{PASSWORD}@127.0.0.1:{postgres}/halyard"),
        redis_url: format!("redis://:{PASSWORD}@127.0.0.1:{redis}/0"),
        aws_endpoint: Some(format!("http://127.0.0.1:{ministack}")),
    })
}

async fn start(run: &str) -> Result<Value> {
    let (postgres, redis, ministack) = tokio::try_join!(postgres(run), redis(run), ministack(run))?;
    Ok(json!({"postgres": postgres, "redis": redis, "ministack": ministack}))
}

async fn postgres(run: &str) -> Result<u16> {
    let check = ["pg_isready", "--quiet", "--host=127.0.0.1", "--dbname=halyard", "--username=halyard"];
    let request = image(run, "postgres", 5432.tcp(), Healthcheck::cmd(check));
    let container =
        request.with_copy_to("/run/secrets/database_password", PASSWORD.as_bytes().to_vec()).start().await?;
    // The functions' role owns its database and no more; each test has one of its own.
    let grant =
        ["psql", "--quiet", "--username=postgres", "--dbname=postgres", "--command=alter role halyard createdb"];
    let mut done = container.exec(ExecCommand::new(grant)).await?;
    let said = done.stderr_to_vec().await?;
    if done.exit_code().await? != Some(0) {
        return Err(format!("psql: {}", String::from_utf8_lossy(&said)).into());
    }
    Ok(container.get_host_port_ipv4(5432).await?)
}

async fn redis(run: &str) -> Result<u16> {
    let request = image(run, "redis", 6379.tcp(), Healthcheck::cmd(["/usr/local/bin/health"]));
    let request = request.with_copy_to("/run/secrets/redis_password", PASSWORD.as_bytes().to_vec());
    let container = request.with_mount(Mount::tmpfs_mount("/run/redis").with_mode(0o1777)).start().await?;
    Ok(container.get_host_port_ipv4(6379).await?)
}

async fn ministack(run: &str) -> Result<u16> {
    // The image's own check waits for the queues and tables of the template, of which tests use none.
    let check = "import urllib.request as u; u.urlopen('http://127.0.0.1:4566/_localstack/health', timeout=5)";
    let request = image(run, "ministack", 4566.tcp(), Healthcheck::cmd(["/usr/bin/python3", "-c", check]));
    let container =
        request.with_env_var("MINISTACK_HOST", "localhost").with_env_var("PERSIST_STATE", "0").start().await?;
    Ok(container.get_host_port_ipv4(4566).await?)
}

/// One of the images, on a port of 127.0.0.1 below those that the system gives out by itself.
fn image(run: &str, name: &str, port: ContainerPort, check: Healthcheck) -> ContainerRequest<GenericImage> {
    let second = Duration::from_secs(1);
    let check = check.with_interval(second).with_timeout(5 * second).with_retries(60);
    let healthy = HealthWaitStrategy::new().with_poll_interval(Duration::from_millis(100));
    GenericImage::new(format!("halyard/{name}"), "local".to_owned())
        .with_wait_for(WaitFor::Healthcheck(healthy))
        .with_container_name(format!("halyard-test-{run}-{name}"))
        .with_label(LABEL, run)
        .with_reuse(ReuseDirective::Always)
        .with_health_check(check)
        .with_mapped_port(free_port(), port)
        .with_host_config_modifier(|config| {
            for binding in config.port_bindings.iter_mut().flat_map(|ports| ports.values_mut().flatten().flatten()) {
                binding.host_ip = Some("127.0.0.1".to_owned());
            }
        })
        .with_startup_timeout(PATIENCE)
}
