//! TLS as the harness speaks it: which certificates it trusts.

use std::{path::Path, sync::Arc};

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use crate::environment::variable;

/// For `http` and `https` URLs, HTTP/1.1. Trusted is what the PEM file has, or without one what the system trusts.
pub fn connector(ca: Option<&Path>) -> HttpsConnector<HttpConnector> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    HttpsConnectorBuilder::new().with_tls_config(config(ca)).https_or_http().enable_http1().wrap_connector(http)
}

/// `HALYARD_CA_FILE`, if the test run was given one.
pub fn ca_file() -> Option<std::path::PathBuf> {
    variable("HALYARD_CA_FILE").map(Into::into)
}

/// What serves by this certificate and its key (PEM).
pub(crate) fn server(certificate: &Path, key: &Path) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_file_iter(certificate).expect("a certificate's file");
    let chain = chain.map(|certificate| certificate.expect("a certificate")).collect();
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider's protocol versions")
        .with_no_client_auth()
        .with_single_cert(chain, key);
    Arc::new(config.expect("a certificate and its key"))
}

fn config(ca: Option<&Path>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    if let Some(file) = ca {
        let certificates = CertificateDer::pem_file_iter(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        for certificate in certificates {
            roots.add(certificate.expect("a certificate")).expect("a certificate that can be trusted");
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider's protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
