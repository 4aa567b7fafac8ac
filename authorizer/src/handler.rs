//! From credential to context.

use std::sync::Arc;

use async_trait::async_trait;
use halyard_auth::{AuthnError, AuthnFailure, Verifier, context::Authn};
use halyard_platform::function::{AuthorizerRequest, AuthorizerResponse, FunctionError, Handler, Invocation};

use crate::{Credential, credential};

/// The authorizer.
#[derive(Debug)]
pub struct Authorizer {
    verifier: Arc<Verifier>,
}

impl Authorizer {
    /// An authorizer that believes this verifier.
    pub fn new(verifier: Arc<Verifier>) -> Self {
        Self { verifier }
    }

    /// Says who the caller is.
    pub async fn authenticate(&self, event: &AuthorizerRequest) -> Authn {
        let verified = match credential(event) {
            Credential::Anonymous => return Authn::Anonymous,
            Credential::Missing => return Authn::Invalid(AuthnFailure::Missing),
            Credential::Authorization(header) => self.verifier.verify_bearer(&header).await,
            Credential::Cookie(token) => self.verifier.verify(&token).await,
        };
        match verified {
            Ok(principal) => Authn::Ok(Box::new(principal)),
            Err(AuthnError::Failure(failure)) => Authn::Invalid(failure),
            Err(AuthnError::Unavailable(_)) => Authn::Unavailable,
        }
    }
}

#[async_trait]
impl Handler<AuthorizerRequest, AuthorizerResponse> for Authorizer {
    async fn handle(&self, event: AuthorizerRequest, _: Invocation) -> Result<AuthorizerResponse, FunctionError> {
        let authn = self.authenticate(&event).await;
        if let Authn::Invalid(failure) = &authn {
            tracing::info!(reason = failure.code(), route = event.route_key.as_deref(), "a credential was refused");
        }
        let mut response = AuthorizerResponse::default();
        response.is_authorized = true;
        response.context = authn.to_context();
        Ok(response)
    }
}
