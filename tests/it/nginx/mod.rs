//! NGINX in front of applications on sockets, of nodes that misbehave on purpose, and of real processes that are killed.

mod answers;
mod cache;
mod configuration;
mod filter;
mod identity;
mod kills;
mod limits;
mod load;
mod nodes;
mod objects;
mod tls;

use halyard_tests::{Nginx, TestApp};

/// An application, and NGINX before it.
async fn app_and_nginx(variables: &[(&str, &str)]) -> (TestApp, Nginx) {
    let app = TestApp::builder().listening_behind(&["127.0.0.1"]).spawn().await;
    let nginx = Nginx::before(&[app.address()], variables);
    (app, nginx)
}
