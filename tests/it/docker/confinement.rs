use serde_json::json;

use super::stack::{SERVICES, Stack};

#[tokio::test(flavor = "multi_thread")]
async fn nobody_in_a_container_is_root() {
    let stack = Stack::find().await;
    for service in SERVICES {
        let id = stack.exec(service, &["id", "-u"]);
        let uid = String::from_utf8_lossy(&id.stdout).trim().to_owned();
        assert!(id.status.success() && uid != "0", "{service} runs as {uid:?}");
        // The first process itself, not only whoever is let in.
        let own =
            stack.exec(service, &["sh", "-c", "while read k v _; do [ $k = Uid: ] && echo $v; done </proc/1/status"]);
        assert_eq!(String::from_utf8_lossy(&own.stdout).trim(), uid, "{service}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_program_can_change_its_image() {
    let stack = Stack::find().await;
    for service in SERVICES {
        assert_eq!(stack.inspect(service)["HostConfig"]["ReadonlyRootfs"], true, "{service}");
        for path in ["/written", "/usr/local/bin/written", "/etc/written", "/var/written"] {
            let tried = stack.exec(service, &["sh", "-c", &format!(": >{path}")]);
            assert!(!tried.status.success(), "{service} may write {path}");
        }
        let tried = stack.exec(service, &["sh", "-c", ": >/tmp/written && rm /tmp/written"]);
        assert!(tried.status.success(), "{service} has a place for temporary files");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_program_can_gain_rights() {
    let stack = Stack::find().await;
    for service in SERVICES {
        let host = &stack.inspect(service)["HostConfig"];
        assert_eq!(host["Privileged"], false, "{service}");
        assert_eq!(host["CapDrop"], json!(["ALL"]), "{service}");
        assert!(host["CapAdd"].as_array().is_none_or(Vec::is_empty), "{service}");
        let options = host["SecurityOpt"].to_string();
        assert!(options.contains("no-new-privileges"), "{service}: {options}");
        let status = stack.exec(service, &["cat", "/proc/1/status"]);
        let status = String::from_utf8_lossy(&status.stdout).into_owned();
        let line = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).map(str::trim).map(str::to_owned);
        assert_eq!(line("CapEff:").as_deref(), Some("0000000000000000"), "{service}");
        assert_eq!(line("CapBnd:").as_deref(), Some("0000000000000000"), "{service}");
        assert_eq!(line("NoNewPrivs:").as_deref(), Some("1"), "{service}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_processors_processes_and_logs_are_limited() {
    let stack = Stack::find().await;
    for service in SERVICES {
        let host = &stack.inspect(service)["HostConfig"];
        let memory = host["Memory"].as_u64().unwrap_or_default();
        assert!((1..=1 << 30).contains(&memory), "{service}: {memory} bytes");
        let processors = host["NanoCpus"].as_u64().unwrap_or_default();
        assert!((1..=1_000_000_000).contains(&processors), "{service}: {processors}");
        assert!((1..=256).contains(&host["PidsLimit"].as_u64().unwrap_or_default()), "{service}");
        assert_eq!(host["LogConfig"]["Config"]["max-size"], "10m", "{service}");
        assert_eq!(host["LogConfig"]["Config"]["max-file"], "3", "{service}");
        assert_eq!(host["RestartPolicy"]["Name"], "unless-stopped", "{service}");
        // The kernel has been told: cgroups of either version.
        let told = "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes";
        let told = stack.exec(service, &["sh", "-c", told]);
        assert_eq!(String::from_utf8_lossy(&told.stdout).trim(), memory.to_string(), "{service}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_images_carry_no_package_lists_and_no_certificates_of_the_build() {
    let stack = Stack::find().await;
    for service in ["nginx", "api-1", "postgres", "redis", "ministack"] {
        let left =
            stack.exec(service, &["sh", "-c", "ls -A /var/lib/apt/lists; ls -A /run/secrets | grep -x ca; true"]);
        assert_eq!(String::from_utf8_lossy(&left.stdout).trim(), "", "{service}");
    }
}
