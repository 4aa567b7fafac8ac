//! How a test's application is put together.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, atomic::AtomicBool},
};

use halyard_cloud::{
    mail::MailTwin,
    objects::{BucketName, ObjectTwin},
    queue::{DeadLetter, Queue, QueueConfig, QueueName, QueueTwin},
    table::{Table, TableName, TableTwin},
};
use halyard_config::Vars;
use halyard_domain::{Clock, Entropy, ManualClock, SystemClock};
use halyard_gateway::{
    Gateway, GatewayConfig, InvokeConfig, Limits, TrustedPeers,
    template::{EnvValue, Grants, Inputs, Stack, Template},
};
use halyard_platform::Twins;

use crate::{
    app::TestApp,
    database::TestDatabase,
    environment::Servers,
    granted::{self, Ledger},
    process::free_port,
    proxy::CountingProxy,
    routes::repository,
    seed,
    servers::{PrivatePostgres, PrivateRedis},
    unreliable::{UnreliableMailer, UnreliableQueue},
    unreliable_table::UnreliableTable,
};

/// Settings of an application that is about to start.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
pub struct AppBuilder {
    database_url: Option<String>,
    redis_url: Option<String>,
    managed: bool,
    live: bool,
    one_at_a_time: bool,
    counting: bool,
    trusted_peers: Option<Vec<TrustedPeers>>,
    authorizers: Vec<(String, String)>,
    vars: Vec<(String, String)>,
}

impl AppBuilder {
    /// On this PostgreSQL instead of the shared one.
    #[must_use]
    pub fn postgres(mut self, server: &PrivatePostgres) -> Self {
        self.database_url = Some(server.url());
        self
    }

    /// With this Redis instead of the shared one.
    #[must_use]
    pub fn redis(mut self, server: &PrivateRedis) -> Self {
        self.redis_url = Some(server.url());
        self
    }

    /// In `managed` mode: environments take several invocations at once.
    #[must_use]
    pub fn managed(mut self) -> Self {
        self.managed = true;
        self
    }

    /// With the wall clock and real randomness; queues are polled and schedules fire by themselves.
    #[must_use]
    pub fn live(mut self) -> Self {
        self.live = true;
        self
    }

    /// Workers are given one doorbell at a time.
    #[must_use]
    pub fn one_at_a_time(mut self) -> Self {
        self.one_at_a_time = true;
        self
    }

    /// Requests are counted against limits but never refused.
    #[must_use]
    pub fn without_rate_limits(self) -> Self {
        self.var("RATE_LIMITS", "off")
    }

    /// With a counter in front of PostgreSQL, for [`TestApp::trips`].
    #[must_use]
    pub fn counting(mut self) -> Self {
        self.counting = true;
        self
    }

    /// On a socket, too: [`TestApp::address`]. What these peers say of their clients is believed.
    #[must_use]
    pub fn listening_behind(mut self, peers: &[&str]) -> Self {
        let peer = |text: &&str| text.parse().unwrap_or_else(|e| panic!("{e}"));
        self.trusted_peers = Some(peers.iter().map(peer).collect());
        self
    }

    /// With another authorizer in front of a route; both by their names in the template.
    #[must_use]
    pub fn authorized_by(mut self, route: &str, authorizer: &str) -> Self {
        self.authorizers.push((route.to_owned(), authorizer.to_owned()));
        self
    }

    /// With this variable for every function.
    #[must_use]
    pub fn var(mut self, name: &str, value: &str) -> Self {
        self.vars.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it.
    pub async fn spawn(self) -> TestApp {
        let shared = (self.database_url.is_none() || self.redis_url.is_none()).then(Servers::from_env);
        let database_url = self.database_url.clone().or_else(|| shared.as_ref().map(|s| s.database_url.clone()));
        let redis_url = self.redis_url.clone().or_else(|| shared.as_ref().map(|s| s.redis_url.clone()));
        let (database_url, redis_url) = (database_url.expect("a database"), redis_url.expect("a Redis"));
        let database = TestDatabase::create(&database_url, seed::start()).await;
        let proxy = self.counting.then(|| CountingProxy::before(&database.url()));
        let url = proxy.as_ref().map_or_else(|| database.url(), CountingProxy::url);
        // Two applications may share a Redis, also across runs.
        let namespace = format!("test-{:016x}", u64::from_be_bytes(Entropy::from_os().expect("randomness").bytes()));

        let manual = Arc::new(ManualClock::new(seed::start()));
        let clock: Arc<dyn Clock> = if self.live { Arc::new(SystemClock) } else { manual.clone() };
        let entropy = if self.live { Entropy::from_os().expect("randomness") } else { Entropy::seeded(1) };
        let entropy = Arc::new(entropy);
        let variables = seed::variables(&url, &redis_url, &namespace);
        let (stack, grants) = self.stack(&variables);
        let twin: Arc<dyn Queue> = Arc::new(queue_twin(&stack, &clock));
        let queue = Arc::new(UnreliableQueue::new(twin));
        let tables = stack.tables.values().map(|t| TableName(t.name.clone()));
        let twin: Arc<dyn Table> = Arc::new(TableTwin::in_memory(tables).expect("tables in memory"));
        let table = Arc::new(UnreliableTable::new(twin));
        let inbox = MailTwin::in_memory(Arc::clone(&clock), vec![value_of(&variables, "MAIL_FROM")]);
        let inbox = inbox.expect("an inbox in memory");
        let mailer = Arc::new(UnreliableMailer::new(Arc::new(inbox.clone())));
        let objects = object_twin(&stack, &clock, &entropy);
        let twins = Twins {
            queue: queue.clone(),
            table: table.clone(),
            objects: Arc::new(objects.clone()),
            mail: mailer.clone(),
        };

        let ledger = Arc::new(Ledger::default());
        let registry = granted::registry(&stack, &grants, &ledger);
        let mut config = GatewayConfig::new(stack.clone(), registry, Arc::clone(&clock), Arc::clone(&entropy));
        config.vars = for_every_function(&variables);
        config.vars.extend(self.vars.iter().cloned());
        config.twins = Some(twins.clone());
        config.inbox = Some(Arc::new(inbox.clone()));
        config.objects = Some(objects);
        (config.poll, config.tick) = (self.live, self.live);
        if let Some(peers) = self.trusted_peers {
            config.listen = Some((Ipv4Addr::LOCALHOST, free_port()).into());
            config.trusted_peers = peers;
        }
        if self.managed {
            config.invoke = InvokeConfig::InProcess(Limits::managed(16));
        }
        let gateway = Gateway::start(config).await.expect("the gateway starts");
        TestApp::new(crate::app::Parts {
            gateway: Arc::new(gateway),
            stack,
            variables,
            manual: (!self.live).then_some(manual),
            clock,
            entropy,
            queue,
            table,
            mailer,
            inbox,
            twins,
            ledger,
            database,
            proxy,
            redis_url,
            namespace,
            unfinished_allowed: AtomicBool::new(false),
        })
    }

    fn stack(&self, variables: &[(String, String)]) -> (Stack, BTreeMap<String, Grants>) {
        let text = std::fs::read_to_string(repository("infra/template.yaml")).expect("the template");
        let mut text = if self.one_at_a_time { text.replace("BatchSize: 10", "BatchSize: 1") } else { text };
        for (route, authorizer) in &self.authorizers {
            text = with_authorizer(&text, route, authorizer);
        }
        let template = Template::parse(&text).expect("the template");
        let mut inputs = Inputs::default();
        inputs.parameters.insert("SecretsPrefix".to_owned(), String::new());
        for (parameter, variable) in PARAMETERS {
            inputs.parameters.insert((*parameter).to_owned(), value_of(variables, variable));
        }
        let grants = template.grants(&inputs).unwrap_or_else(|e| panic!("{e}"));
        (template.resolve(&inputs).expect("a resolved template"), grants)
    }
}

/// Parameters of the template, and the variables whose value they carry: each function sees its own only.
const PARAMETERS: &[(&str, &str)] = &[
    ("Environment", "HALYARD_ENV"),
    ("DatabaseUrl", "DATABASE_URL"),
    ("RedisUrl", "REDIS_URL"),
    ("TokenKeySet", "TOKEN_KEY_SET"),
    ("TokenSigningKey", "TOKEN_SIGNING_KEY"),
    ("AccountKey", "ACCOUNT_KEY"),
    ("MailFrom", "MAIL_FROM"),
    ("PublicUrl", "PUBLIC_URL"),
    ("AdminUsername", "ADMIN_USERNAME"),
    ("AdminEmail", "ADMIN_EMAIL"),
    ("AdminPassword", "ADMIN_PASSWORD"),
];

/// The template with another authorizer on one route.
fn with_authorizer(text: &str, route: &str, authorizer: &str) -> String {
    let at = text.find(&format!("\n  {route}:\n")).unwrap_or_else(|| panic!("no route {route}"));
    let (before, rest) = text.split_at(at);
    let key = "AuthorizerId: !Ref ";
    let from = rest.find(key).expect("an authorizer") + key.len();
    let to = from + rest[from..].find("Authorizer").expect("its name") + "Authorizer".len();
    format!("{before}{}{authorizer}{}", &rest[..from], &rest[to..])
}

fn value_of(variables: &[(String, String)], name: &str) -> String {
    variables.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone()).expect("a variable of the seed")
}

/// What the template has no parameter for.
fn for_every_function(variables: &[(String, String)]) -> BTreeMap<String, String> {
    let by_parameter = |name: &String| PARAMETERS.iter().any(|(_, variable)| variable == name);
    variables.iter().filter(|(name, _)| !by_parameter(name)).cloned().collect()
}

/// The template's stack with these values in it.
pub fn stack(variables: &[(String, String)]) -> Stack {
    AppBuilder::default().stack(variables).0
}

/// What a function of the stack is told, and these on top.
pub fn vars_of(stack: &Stack, function: &str, variables: &[(String, String)]) -> Vars {
    let own = stack.functions[function].environment.iter().filter_map(|(name, value)| match value {
        EnvValue::Known(value) => Some((name.clone(), value.clone())),
        EnvValue::Missing(_) => None,
    });
    own.chain(variables.iter().cloned()).collect()
}

/// The stack's buckets.
pub fn object_twin(stack: &Stack, clock: &Arc<dyn Clock>, entropy: &Arc<Entropy>) -> ObjectTwin {
    let buckets = stack.buckets.values().map(|bucket| (BucketName(bucket.name.clone()), bucket.keep_days));
    ObjectTwin::in_memory(Arc::clone(clock), Arc::clone(entropy), buckets)
}

/// The stack's queues.
pub fn queue_twin(stack: &Stack, clock: &Arc<dyn Clock>) -> QueueTwin {
    let configs = stack.queues.values().map(|queue| QueueConfig {
        name: QueueName(queue.name.clone()),
        visibility: queue.visibility,
        delay: queue.delay,
        retention: queue.retention,
        dead_letter: queue.redrive.as_ref().map(|redrive| DeadLetter {
            queue: QueueName(stack.queues[&redrive.queue].name.clone()),
            max_receive_count: redrive.max_receive_count,
        }),
    });
    QueueTwin::new(Arc::clone(clock), configs).expect("the template's queues")
}
