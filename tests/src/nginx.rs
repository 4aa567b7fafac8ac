//! NGINX as `nginx-local/render` configures it, in a directory of its own, on free ports.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::{
    Actor, Scratch,
    process::free_port,
    routes::repository,
    transport::{Remote, Transport},
    wait,
};

/// How long NGINX may take for what it does in milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running NGINX.
#[derive(Debug)]
pub struct Nginx {
    site: Site,
    child: Child,
}

/// A rendered configuration.
#[derive(Debug)]
pub struct Site {
    scratch: Scratch,
    variables: Vec<(String, String)>,
    /// Plain HTTP.
    pub http: SocketAddr,
    /// TLS.
    pub https: SocketAddr,
    /// The dashboard's port.
    pub dashboard: SocketAddr,
}

impl Site {
    /// Renders a configuration before these nodes; `variables` as `nginx-local/render` describes them.
    pub fn render(nodes: &[SocketAddr], variables: &[(&str, &str)]) -> Self {
        let local = |()| SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let scratch = Scratch::new("nginx");
        let (http, https, dashboard) = (local(()), local(()), local(()));
        let mut this = Self { scratch, variables: Vec::new(), http, https, dashboard };
        run(Command::new(repository("nginx-local/certificates")).arg(this.path("tls")));
        let text = |path: PathBuf| path.display().to_string();
        let mut set = |name: &str, value: String| this.variables.push((name.to_owned(), value));
        set("UPSTREAMS", nodes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        set("HTTP_PORT", http.port().to_string());
        set("HTTPS_PORT", https.port().to_string());
        set("DASHBOARD_PORT", dashboard.port().to_string());
        let tls = this.scratch.path().join("tls");
        set("CERTIFICATE", text(tls.join("certificate.pem")));
        set("KEY", text(tls.join("key.pem")));
        set("WORKERS", "2".to_owned());
        for (name, value) in variables {
            set(name, (*value).to_owned());
        }
        this.render_again(&[]);
        this
    }

    /// Renders again, with other values of some variables.
    pub fn render_again(&mut self, variables: &[(&str, &str)]) {
        self.variables.extend(variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())));
        let variables = self.variables.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        run(Command::new(repository("nginx-local/render")).arg(self.path("conf")).envs(variables));
    }

    /// What `nginx -t` says: `Err` with its words unless it is content and silent.
    pub fn check(&self) -> Result<(), String> {
        let output = self.nginx().args(["-t", "-q"]).output().expect("nginx is installed: scripts/install-deps");
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() && words.is_empty() { Ok(()) } else { Err(words) }
    }

    /// A file of this site.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The certificate that it shows, and that a client has to trust.
    pub fn certificate(&self) -> PathBuf {
        self.path("tls/certificate.pem")
    }

    fn nginx(&self) -> Command {
        let mut command = Command::new(program());
        command.arg("-c").arg(self.path("conf/nginx.conf")).arg("-p").arg(self.path("conf"));
        command
    }
}

impl Nginx {
    /// Starts NGINX before these nodes.
    pub fn before(nodes: &[SocketAddr], variables: &[(&str, &str)]) -> Self {
        Self::start(Site::render(nodes, variables))
    }

    /// Starts NGINX with a configuration.
    pub fn start(site: Site) -> Self {
        let log = fs::File::create(site.path("nginx.out")).expect("a log");
        let mut command = site.nginx();
        command.args(["-g", "daemon off;"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().expect("nginx is installed: scripts/install-deps");
        wait::until_blocking("nginx to listen", PATIENCE, || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("nginx ended with {status}: {}", fs::read_to_string(site.path("nginx.out")).unwrap_or_default());
            }
            let all = [site.http, site.https, site.dashboard];
            all.iter().all(|a| TcpStream::connect(a).is_ok()).then_some(())
        });
        Self { site, child }
    }

    /// Its configuration.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// `https://localhost:PORT`.
    pub fn base_url(&self) -> String {
        format!("https://localhost:{}", self.site.https.port())
    }

    /// The way in.
    pub fn transport(&self) -> Arc<dyn Transport> {
        Arc::new(Remote::trusting(&self.base_url(), &self.site.certificate()))
    }

    /// Somebody without a credential.
    pub fn anonymous(&self) -> Actor {
        Actor::anonymous(self.transport())
    }

    /// The local administrator, signed in through NGINX.
    pub async fn admin(&self) -> Actor {
        Actor::login(self.transport(), "admin", "admin123").await
    }

    /// The process id of its master.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Renders with other values, reloads, and waits until the workers that were are gone.
    pub async fn reload(&mut self, variables: &[(&str, &str)]) {
        self.site.render_again(variables);
        let before = self.workers();
        kill(Pid::from_raw(self.pid().cast_signed()), Signal::SIGHUP).expect("nginx runs");
        wait::until("the old workers to be gone", PATIENCE, async || {
            let now = self.workers();
            (!now.is_empty() && before.iter().all(|old| !now.contains(old))).then_some(())
        })
        .await;
    }

    /// The access log so far, once it has at least one line that fits (it is written within a second).
    pub async fn log_with(&self, fits: impl Fn(&Value) -> bool) -> Value {
        let file = self.site.path("conf/run/access.log");
        wait::until("a line of the access log", PATIENCE, async || {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let lines = text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap_or_else(|e| panic!("{e}: {l}")));
            let lines: Vec<Value> = lines.collect();
            lines.into_iter().rev().find(&fits)
        })
        .await
    }

    /// What it complained about so far.
    pub fn complaints(&self) -> String {
        fs::read_to_string(self.site.path("conf/run/error.log")).unwrap_or_default()
    }

    /// Its children, by what the kernel says, without those that are dying.
    pub fn workers(&self) -> Vec<u32> {
        let children = format!("/proc/{0}/task/{0}/children", self.pid());
        let text = fs::read_to_string(children).unwrap_or_default();
        let pids = text.split_whitespace().filter_map(|p| p.parse().ok());
        pids.filter(|pid| {
            let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&title).contains("worker process")
        })
        .collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.pid().cast_signed()), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

/// Debian puts it where only root looks.
pub fn program() -> &'static str {
    if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" }
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}
