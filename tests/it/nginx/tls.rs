//! TLS, HTTP/2, redirects and the dashboard's port, with the clients that people use.

use std::process::{Command, Stdio};

use halyard_tests::{Nginx, ScriptedNode};

/// What `openssl s_client` says of a handshake, and whether it came about.
fn handshake(nginx: &Nginx, arguments: &[&str]) -> (bool, String) {
    let mut openssl = Command::new("openssl");
    openssl.args(["s_client", "-connect", &nginx.site().https.to_string(), "-servername", "localhost"]);
    openssl.arg("-CAfile").arg(nginx.site().certificate()).arg("-verify_return_error").args(arguments);
    let output = openssl.stdin(Stdio::null()).output().expect("openssl");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said)
}

/// What `curl` prints.
fn curl(nginx: &Nginx, arguments: &[&str]) -> String {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--cacert"]).arg(nginx.site().certificate()).args(arguments);
    let output = curl.output().expect("curl");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    let node = ScriptedNode::answering(200, "", "{}");
    let nginx = Nginx::before(&[node.address()], &[]);
    for version in ["-tls1_2", "-tls1_3"] {
        let (done, said) = handshake(&nginx, &[version]);
        assert!(done && said.contains("Verify return code: 0 (ok)"), "{version}: {said}");
    }
    for arguments in [
        // Level 0, or the client would refuse to try.
        &["-tls1", "-cipher", "ALL:@SECLEVEL=0"][..],
        &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"],
        &["-tls1_2", "-cipher", "AES128-SHA"],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"],
    ] {
        let (done, said) = handshake(&nginx, arguments);
        assert!(!done, "{arguments:?}: {said}");
        assert!(said.contains("alert"), "{arguments:?}: it is the server who refuses: {said}");
    }
    let (_, said) = handshake(&nginx, &["-tls1_2"]);
    assert!(said.contains("ECDHE-ECDSA-AES"), "forward secrecy: {said}");
}

#[test]
fn a_session_is_resumed() {
    let node = ScriptedNode::answering(200, "", "{}");
    let nginx = Nginx::before(&[node.address()], &[]);
    let (_, said) = handshake(&nginx, &["-tls1_2", "-reconnect"]);
    assert!(said.contains("Reused, TLSv1.2"), "{said}");
}

#[test]
fn http_2_is_negotiated_and_http_1_1_is_spoken_too() {
    let node = ScriptedNode::answering(200, "", "{}");
    let nginx = Nginx::before(&[node.address()], &[]);
    let (_, said) = handshake(&nginx, &["-alpn", "h2,http/1.1"]);
    assert!(said.contains("ALPN protocol: h2"), "{said}");
    let url = nginx.base_url() + "/api/status";
    for (option, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        assert_eq!(
            curl(&nginx, &[option, "-o", "/dev/null", "-w", "%{http_version} %{http_code}", &url]),
            format!("{version} 200")
        );
    }
    // Behind it every request is HTTP/1.1 over connections that are kept.
    assert_eq!(node.requests("/api/status")[0].header("connection"), None);
}

#[test]
fn plain_http_is_sent_to_tls_with_method_and_body() {
    let node = ScriptedNode::answering(200, "", "{}");
    let nginx = Nginx::before(&[node.address()], &[]);
    let plain = format!("http://localhost:{}/auth/login?next=/a%20b", nginx.site().http.port());
    let sent_to = curl(&nginx, &["-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", &plain]);
    assert_eq!(sent_to, format!("308 https://localhost:{}/auth/login?next=/a%20b", nginx.site().https.port()));
    curl(&nginx, &["-L", "-d", "{}", &plain]);
    assert_eq!(node.requests("/auth/login")[0].method, "POST");
    let health = format!("http://localhost:{}/nginx-health", nginx.site().http.port());
    assert_eq!(curl(&nginx, &[&health]), "ok\n");
    // A browser that was told a port and no scheme.
    for port in [nginx.site().https.port(), nginx.site().dashboard.port()] {
        let plain = format!("http://localhost:{port}/dashboard");
        let sent_to = curl(&nginx, &["-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", &plain]);
        assert_eq!(sent_to, format!("308 https://localhost:{port}/dashboard"));
    }
    let public = Nginx::before(&[node.address()], &[("PUBLIC_PORT", "443")]);
    let plain = format!("http://localhost:{}/", public.site().http.port());
    assert_eq!(curl(&public, &["-o", "/dev/null", "-w", "%{redirect_url}", &plain]), "https://localhost/");
}

#[test]
fn the_dashboards_port_serves_the_dashboard_and_nothing_else() {
    let node = ScriptedNode::answering(200, "content-type: text/html\r\n", "<h1>pages</h1>");
    let nginx = Nginx::before(&[node.address()], &[]);
    let url = |path: &str| format!("https://localhost:{}{path}", nginx.site().dashboard.port());
    assert_eq!(curl(&nginx, &["-L", &url("/")]), "<h1>pages</h1>");
    assert_eq!(curl(&nginx, &[&url("/dashboard/tasks?page=2")]), "<h1>pages</h1>");
    assert_eq!(node.requests("/dashboard").len(), 1);
    assert_eq!(node.requests("/dashboard/tasks").len(), 1);
    let refused = curl(&nginx, &["-w", "%{http_code}", &url("/api/status")]);
    assert!(refused.contains("\"error\":\"not_found\"") && refused.ends_with("404"), "{refused}");
    assert!(node.requests("/api/status").is_empty());
}
