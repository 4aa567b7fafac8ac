//! Where queues, tables and functions are: in this process, or behind AWS's own APIs on this machine.

use std::{collections::BTreeMap, fs::File, io::Write as _, os::unix::fs::OpenOptionsExt as _, sync::Arc};

use halyard_cloud::{
    queue::{DeadLetter, QueueConfig, QueueName, QueueTwin, SqsQueue},
    table::{TableName, TableTwin},
};
use halyard_platform::Twins;

use super::{
    cli::{InvokeKind, Mode, ServeArgs},
    cloud,
    error::LocalError,
    layout::Layout,
};
use crate::{
    GatewayConfig, InvokeConfig, Limits, Naming,
    template::{EnvValue, Inputs, Stack},
};

/// Invocations that one environment takes at a time in `managed` mode: what the benchmark's connections need.
const MANAGED_CONCURRENCY: u32 = 32;

/// Which of the two.
#[derive(Debug)]
pub enum Backing {
    /// Functions linked in, twins of SQS and DynamoDB.
    Twins,
    /// Functions behind Lambda's Invoke API; SQS and DynamoDB at an endpoint.
    Endpoints {
        /// Of the functions.
        lambda: String,
        /// Of SQS and DynamoDB.
        aws: String,
    },
}

impl Backing {
    /// As the arguments say.
    pub fn of(args: &ServeArgs) -> Self {
        match args.invoke {
            InvokeKind::InProcess => Self::Twins,
            InvokeKind::LambdaApi => Self::Endpoints { lambda: args.endpoint.clone(), aws: args.aws_endpoint.clone() },
        }
    }

    /// What the template is resolved with, besides parameters.
    pub fn inputs(&self) -> Inputs {
        match self {
            Self::Twins => Inputs::default(),
            Self::Endpoints { aws, .. } => Inputs { queue_endpoint: aws.clone(), ..Inputs::default() },
        }
    }

    /// Makes what is missing and tells the gateway where it is.
    ///
    /// # Errors
    /// When a file or an endpoint refuses.
    /// Answers with the tables' twin, if there is one: somebody has to sweep it.
    pub async fn prepare(
        &self,
        config: &mut GatewayConfig,
        layout: &Layout,
        mode: Mode,
    ) -> Result<Option<TableTwin>, LocalError> {
        match self {
            Self::Twins => {
                let (twins, table) = twins(config, layout)?;
                config.twins = Some(twins);
                if mode == Mode::Managed {
                    config.invoke = InvokeConfig::InProcess(Limits::managed(MANAGED_CONCURRENCY));
                }
                Ok(Some(table))
            }
            Self::Endpoints { lambda, aws } => {
                cloud::make(&config.stack, aws).await?;
                let sdk = cloud::settings(&config.stack, aws).sdk_config();
                let account = format!("{}/{}/", aws.trim_end_matches('/'), config.stack.account);
                config.queue = Some(Arc::new(SqsQueue::with_prefix(&sdk, &account)));
                config.invoke = InvokeConfig::LambdaApi { endpoint: lambda.clone(), naming: Naming::Binary };
                write_environment(config, layout, aws)?;
                Ok(None)
            }
        }
    }
}

/// Queues in memory (they may forget), tables in a file.
fn twins(config: &GatewayConfig, layout: &Layout) -> Result<(Twins, TableTwin), LocalError> {
    let path = layout.tables();
    let names = config.stack.tables.values().map(|table| TableName(table.name.clone()));
    let damaged = |why: String| LocalError::Damaged { path: path.clone(), why };
    let table = TableTwin::open(&path, names).map_err(|e| damaged(e.to_string()))?;
    let queue = QueueTwin::new(Arc::clone(&config.clock), queues(&config.stack));
    let queue = queue.map_err(|e| LocalError::Gateway(e.to_string()))?;
    Ok((Twins { queue: Arc::new(queue), table: Arc::new(table.clone()) }, table))
}

fn queues(stack: &Stack) -> impl Iterator<Item = QueueConfig> {
    stack.queues.values().map(|queue| {
        let redrive = queue.redrive.as_ref().and_then(|redrive| Some((stack.queues.get(&redrive.queue)?, redrive)));
        QueueConfig {
            name: QueueName(queue.name.clone()),
            visibility: queue.visibility,
            delay: queue.delay,
            retention: queue.retention,
            dead_letter: redrive.map(|(dead, redrive)| DeadLetter {
                queue: QueueName(dead.name.clone()),
                max_receive_count: redrive.max_receive_count,
            }),
        }
    })
}

/// The environment of the functions that run elsewhere, for `cargo lambda watch --env-file`. One file for all of them:
/// where they differ (the size of a pool) the larger value is right for each.
fn write_environment(config: &GatewayConfig, layout: &Layout, aws: &str) -> Result<(), LocalError> {
    let mut all: BTreeMap<&str, &str> = BTreeMap::new();
    for function in config.stack.functions.values() {
        for (name, value) in &function.environment {
            if let EnvValue::Known(value) = value {
                let entry = all.entry(name).or_insert(value);
                *entry = value.as_str().max(entry);
            }
        }
    }
    all.extend(config.vars.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    all.extend([("AWS_ENDPOINT_URL", aws), ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]);
    all.insert("AWS_REGION", &config.stack.region);
    let text = all.iter().fold(String::new(), |text, (name, value)| text + name + "='" + value + "'\n");
    let path = layout.data_dir.join("functions.env");
    let new = path.with_extension("new");
    let _ = std::fs::remove_file(&new);
    // It holds the signing key.
    let written = File::options().create_new(true).write(true).mode(0o600).open(&new);
    written
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| std::fs::rename(&new, &path))
        .map_err(LocalError::io("write", path))
}
