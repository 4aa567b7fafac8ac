use std::{fs, net::SocketAddr, process::Command};

use halyard_tests::{
    Scratch,
    environment::variable,
    nginx::Site,
    nginx_routes,
    routes::{self, repository},
};

fn nodes() -> [SocketAddr; 3] {
    [8001, 8002, 8003].map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
}

#[test]
fn nginx_is_content_with_every_rendering() {
    let renderings: [&[(&str, &str)]; 9] = [
        &[],
        &[("LIMITS", "off")],
        &[("LIMITS", "1"), ("PUBLIC_PORT", "443")],
        &[("TRUSTED", "10.0.0.0/8 192.168.1.7"), ("LISTEN", "0.0.0.0")],
        &[("CORS_ORIGINS", "https://one.example,http://two.example:3000")],
        &[("ACCESS_LOG", "/dev/stdout"), ("ERROR_LOG", "stderr"), ("ERROR_LEVEL", "info")],
        &[("UPSTREAMS", "localhost:8001"), ("WORKERS", "auto")],
        &[("WORKER_USER", "")],
        &[("OBJECTS", "127.0.0.1:4566")],
    ];
    for variables in renderings {
        let site = Site::render(&nodes(), variables);
        if let Err(words) = site.check() {
            panic!("{variables:?}: {words}");
        }
    }
}

#[test]
fn nothing_is_left_to_fill_in_and_no_file_is_forgotten() {
    let site = Site::render(&nodes(), &[("OBJECTS", "127.0.0.1:4566")]);
    let mut all = String::new();
    for entry in fs::read_dir(site.path("conf")).expect("rendered").flatten().filter(|e| e.path().is_file()) {
        let text = fs::read_to_string(entry.path()).expect("rendered");
        let left = text.split('@').find(|w| w.len() > 1 && w.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
        assert_eq!(left, None, "{}", entry.path().display());
        all.push_str(&text);
    }
    for entry in fs::read_dir(repository("nginx-local/conf")).expect("the sources").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        assert!(name == "nginx.conf" || all.contains(&format!("include {name};")), "nobody includes {name}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_the_variables_name() {
    for (name, value) in [
        ("LIMITS", "0"),
        ("LIMITS", "a lot"),
        ("UPSTREAMS", "node-without-port"),
        ("UPSTREAMS", "a;b:1"),
        ("HTTPS_PORT", "https"),
        ("CERTIFICATE", ""),
        ("CORS_ORIGINS", "a\"b"),
        ("OBJECTS", "emulator-without-port"),
        ("OBJECTS", "a;b:1"),
    ] {
        let scratch = Scratch::new("render");
        let mut command = Command::new(repository("nginx-local/render"));
        command.arg(scratch.path()).env("UPSTREAMS", "a:1").env("CERTIFICATE", "/c").env("KEY", "/k").env(name, value);
        let output = command.output().expect("the script runs");
        assert!(!output.status.success(), "{name}={value}");
        assert!(!output.stderr.is_empty(), "{name}={value}");
        assert!(!scratch.path().join("nginx.conf").exists(), "{name}={value}: nothing is half made");
    }
}

#[test]
fn a_certificate_that_is_there_is_kept() {
    let scratch = Scratch::new("certificates");
    let (certificate, key) = (scratch.path().join("certificate.pem"), scratch.path().join("key.pem"));
    let make = || {
        let mut command = Command::new(repository("nginx-local/certificates"));
        assert!(command.arg(scratch.path()).args(["api.example", "10.1.2.3"]).status().expect("it runs").success());
        (fs::read(&certificate).expect("a certificate"), fs::read(&key).expect("a key"))
    };
    let first = make();
    assert_eq!(first, make());
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&key).expect("a key").permissions());
    assert_eq!(mode & 0o777, 0o600);
    let mut openssl = Command::new("openssl");
    let shown = openssl.args(["x509", "-noout", "-text", "-in"]).arg(&certificate).output().expect("openssl");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    for part in ["DNS:localhost", "IP Address:127.0.0.1", "DNS:api.example", "IP Address:10.1.2.3", "prime256v1"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    // Somebody else's is theirs, even when it is about to end.
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]);
    openssl.args(["-subj", "/O=Somebody", "-keyout"]).arg(&key).arg("-out").arg(&certificate);
    assert!(openssl.output().expect("openssl").status.success());
    let theirs = fs::read(&certificate).expect("a certificate");
    assert_eq!(make().0, theirs);
}

/// `scripts/nginx-routes` sets the variable.
#[test]
fn the_list_of_routes_is_the_templates() {
    let wanted = nginx_routes::generate();
    if variable("UPDATE_NGINX_ROUTES").is_some() {
        fs::write(nginx_routes::file(), &wanted).expect("the list can be written");
    }
    let there = fs::read_to_string(nginx_routes::file()).expect("the list");
    assert!(there == wanted, "nginx-local/conf/routes.conf is not what the template says: run scripts/nginx-routes");
}

#[test]
fn every_route_with_an_identity_is_protected_and_no_other_is() {
    let text = fs::read_to_string(nginx_routes::file()).expect("the list");
    let lines = text.lines().skip_while(|l| !l.starts_with("map $route $authorizer")).skip(2).take_while(|l| *l != "}");
    let listed: Vec<(String, String)> = lines
        .map(|line| {
            let (key, authorizer) = line.trim().trim_end_matches(';').rsplit_once(' ').expect("a key and a word");
            (key.trim_matches('"').to_owned(), authorizer.to_owned())
        })
        .collect();
    let of_template = routes::of_template();
    for route in &of_template {
        let wanted = route.authorizer.as_deref().filter(|a| *a != "optional");
        let found = listed.iter().find(|(key, _)| *key == route.key).map(|(_, a)| a.as_str());
        assert_eq!(found, wanted, "{}", route.key);
    }
    for (key, _) in &listed {
        assert!(of_template.iter().any(|r| r.key == *key), "{key} is not in the template");
    }
    assert!(listed.len() > 10, "{listed:?}");
}
