//! A stack of a test's own in the emulator, deployed as any other: by `scripts/deploy`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use crate::{
    Scratch, Target, TestDatabase,
    emulator::{Emulator, elements, region},
    environment::{Servers, variable},
    wait,
};

const PATIENCE: Duration = Duration::from_mins(2);

/// A deployed stack with a database of its own. Deleted when it is dropped; [`EmulatedStack::delete`] also looks.
#[derive(Debug)]
pub struct EmulatedStack {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub emulator: Emulator,
    /// Its database.
    pub database: TestDatabase,
    scratch: Scratch,
    template: Option<PathBuf>,
}

/// A resource of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// For example `AWS::SQS::Queue`.
    pub kind: String,
    /// Its name in the template.
    pub logical: String,
    /// Its name, ARN or URL.
    pub physical: String,
}

/// What `scripts/deploy` said.
#[derive(Debug)]
pub struct Deployment {
    /// Did it succeed?
    pub succeeded: bool,
    /// The base URL of the API.
    pub url: String,
    /// Everything else.
    pub said: String,
}

impl EmulatedStack {
    /// Nothing yet but a name and an empty database.
    pub async fn prepare(purpose: &str) -> Self {
        let base = variable("TEST_STACK").expect("run these tests with `make test-emulated`");
        let database = TestDatabase::create_empty(&Servers::from_env().database_url).await;
        Self {
            name: format!("{base}-{purpose}"),
            emulator: Emulator::of_this_run(),
            database,
            scratch: Scratch::new("stack"),
            template: None,
        }
    }

    /// A stack that is up.
    pub async fn up(purpose: &str) -> (Self, Target) {
        let this = Self::prepare(purpose).await;
        let target = this.deploy(&[]).await.target();
        (this, target)
    }

    /// Deploys or updates it, with these parameters changed.
    pub async fn deploy(&self, parameters: &[(&str, &str)]) -> Deployment {
        self.deploy_with(parameters, &[]).await
    }

    /// The same, with these variables for the script.
    pub async fn deploy_with(&self, parameters: &[(&str, &str)], variables: &[(&str, &str)]) -> Deployment {
        let mut deploy = Command::new(repository().join("scripts/deploy"));
        deploy.arg(format!("DatabaseUrl={}", self.database.url()));
        deploy.args(parameters.iter().map(|(name, value)| format!("{name}={value}")));
        deploy.env("AWS_ENDPOINT_URL", &self.emulator.endpoint).env("AWS_REGION", region());
        deploy.env("STACK", &self.name).env("SKIP_PACKAGE", "1");
        deploy.env("PARAMETERS", variable("TEST_PARAMETERS").expect("run these tests with `make test-emulated`"));
        deploy.env_remove("RESTART").envs(variables.iter().copied());
        if let Some(template) = &self.template {
            deploy.env("TEMPLATE", template);
        }
        deploy.stdin(Stdio::null());
        let done = tokio::task::spawn_blocking(move || deploy.output()).await.expect("it ends").expect("it runs");
        Deployment::of(&done)
    }

    /// The code of a function becomes another one from the next deployment on: the same program, and a word more.
    pub fn change_code(&mut self, binary: &str) {
        let zips = self.scratch.path().join("target/lambda");
        let infra = self.scratch.path().join("infra");
        std::fs::create_dir_all(&zips).expect("a directory");
        std::fs::create_dir_all(&infra).expect("a directory");
        for entry in std::fs::read_dir(repository().join("target/lambda")).expect("the zips").flatten() {
            if entry.path().extension().is_some_and(|e| e == "zip") && !zips.join(entry.file_name()).exists() {
                std::os::unix::fs::symlink(entry.path(), zips.join(entry.file_name())).expect("a link");
            }
        }
        let changed = zips.join(format!("{binary}.zip"));
        let mut zip = std::fs::read(&changed).expect("the zip");
        // The end of central directory record ends with the comment, behind its length (APPNOTE 4.3.16).
        let length = zip.len() - 2;
        assert_eq!(zip[length..], [0, 0], "the zip has no comment yet");
        zip[length] = 1;
        zip.push(b'!');
        std::fs::remove_file(&changed).expect("the link goes");
        std::fs::write(&changed, zip).expect("the zip");
        let template = infra.join("template.yaml");
        std::fs::copy(repository().join("infra/template.yaml"), &template).expect("the template");
        self.template = Some(template);
    }

    /// The stack's outputs.
    pub async fn outputs(&self) -> BTreeMap<String, String> {
        let xml = self.emulator.cloudformation("DescribeStacks", &self.name).await.expect(200).text();
        let keys = elements(&xml, "OutputKey").into_iter().map(str::to_owned);
        keys.zip(elements(&xml, "OutputValue").into_iter().map(str::to_owned)).collect()
    }

    /// One of them.
    pub async fn output(&self, key: &str) -> String {
        self.outputs().await.remove(key).unwrap_or_else(|| panic!("the stack has no output {key}"))
    }

    /// The URL of a queue, by the output that names it.
    pub async fn queue(&self, output: &str) -> String {
        self.emulator.queue_url(&self.output(output).await).await
    }

    /// The version that a function's alias points at, and its configuration.
    pub async fn live(&self, function: &str) -> (u64, serde_json::Value) {
        let name = self.output(function).await;
        let alias = self.emulator.lambda(&format!("functions/{name}/aliases/live")).await.expect(200).json();
        let path = format!("functions/{name}/configuration?Qualifier=live");
        let configuration = self.emulator.lambda(&path).await.expect(200).json();
        let version = alias["FunctionVersion"].as_str().and_then(|v| v.parse().ok());
        (version.unwrap_or_else(|| panic!("no version in {alias}")), configuration)
    }

    /// What the stack consists of.
    pub async fn resources(&self) -> Vec<Resource> {
        let xml = self.emulator.cloudformation("ListStackResources", &self.name).await.expect(200).text();
        let of = |name: &str| elements(&xml, name).into_iter().map(str::to_owned).collect::<Vec<_>>();
        let (kinds, logical, physical) = (of("ResourceType"), of("LogicalResourceId"), of("PhysicalResourceId"));
        assert_eq!((kinds.len(), logical.len()), (physical.len(), physical.len()), "{xml}");
        let named = kinds.into_iter().zip(logical).zip(physical);
        named.map(|((kind, logical), physical)| Resource { kind, logical, physical }).collect()
    }

    /// Deletes the stack and waits until it is gone.
    pub async fn delete(&self) {
        self.emulator.cloudformation("DeleteStack", &self.name).await.expect(200);
        wait::until("the stack to be gone", PATIENCE, async || {
            let answer = self.emulator.cloudformation("DescribeStacks", &self.name).await;
            let text = answer.text();
            assert!(!text.contains("DELETE_FAILED"), "{text}");
            (answer.code() != 200 || elements(&text, "StackStatus") == ["DELETE_COMPLETE"]).then_some(())
        })
        .await;
    }
}

impl Drop for EmulatedStack {
    /// In a thread with a runtime of its own: the test's runtime cannot be waited on from here.
    fn drop(&mut self) {
        let (endpoint, name, database) = (self.emulator.endpoint.clone(), self.name.clone(), self.database.clone());
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                Emulator::at(&endpoint).cloudformation("DeleteStack", &name).await;
                database.drop_now().await;
            });
        });
        let _ = ended.join();
    }
}

impl Deployment {
    fn of(done: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        Self { succeeded: done.status.success(), url: text(&done.stdout), said: text(&done.stderr) }
    }

    /// The API. Panics when the deployment failed.
    pub fn target(&self) -> Target {
        assert!(self.succeeded, "{}", self.said);
        Target::at(&self.url)
    }
}

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}
