//! The case behind NGINX: TLS, the early filter, and the gateway's own authorizer, as a client of a cluster meets them.

use halyard_tests::Nginx;

use crate::{
    Options, cases,
    client::{self, CONNECTIONS, Connection, MakeRequest, Until},
    procfs,
    report::Line,
    server::Server,
};
use std::time::Duration;

/// Milliseconds of CPU for a request over all processes, and the 99th percentile of its latency.
const AIMS: (f64, f64) = (0.25, 8.0);

/// Requests to a protected path over kept connections with TLS, HTTP/1.1.
pub async fn protected(
    mode: &'static str,
    options: &Options,
    server: &Server,
    make: &MakeRequest,
) -> Result<Line, String> {
    eprintln!("{mode}: protected through nginx");
    let nginx = Nginx::before(&[server.process.address()], &[("LIMITS", "off"), ("WORKERS", "auto")]);
    let roots = [server.process.pid(), nginx.pid()];
    let open = || -> Vec<Connection> {
        (0..CONNECTIONS).map(|_| Connection::over_tls(&nginx.base_url(), &nginx.site().certificate())).collect()
    };
    // Handshakes are not part of it: the connections that are warmed up are the ones that are measured.
    let connections = client::run_over(open(), Until::Elapsed(Duration::from_secs(1)), false, make).await?.connections;
    server.quiet().await;
    let (shares, before) = (procfs::by_name(&roots), procfs::cpu_seconds(&roots));
    let run = client::run_over(connections, Until::Elapsed(options.span), false, make).await?;
    server.quiet().await;
    let cpu = cases::per_request(procfs::cpu_seconds(&roots) - before, run.answered);
    let note = cases::shares_of(&shares, &procfs::by_name(&roots), run.answered);
    let met = cpu <= AIMS.0 && run.quantile_ms(0.99) < AIMS.1;
    let aim = (format!("{} ms CPU, p99 {} ms", AIMS.0, AIMS.1), met);
    Ok(cases::line(mode, "protected_nginx", &run, cpu, Some(aim), note))
}
