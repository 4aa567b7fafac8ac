//! What a handler needs its caller to be allowed, in its signature.

use std::{marker::PhantomData, ops::Deref};

use axum::extract::FromRequestParts;
use halyard_auth::Principal;
use halyard_domain::authz::Permission;
use http::request::Parts;

use crate::{Caller, Problem};

/// A permission as a type, for [`Permitted`].
pub trait Requirement: Send + Sync + 'static {
    /// Which.
    const PERMISSION: Permission;
}

/// A caller who may do what `R` says; 401 without a caller, 403 for one who may not.
#[derive(Debug, Clone)]
pub struct Permitted<R>(Principal, PhantomData<R>);

impl<R> Deref for Permitted<R> {
    type Target = Principal;
    fn deref(&self) -> &Principal {
        &self.0
    }
}

impl<S: Sync, R: Requirement> FromRequestParts<S> for Permitted<R> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Caller(principal) = Caller::from_request_parts(parts, state).await?;
        if principal.may(R::PERMISSION) {
            return Ok(Self(principal, PhantomData));
        }
        Err(Problem::forbidden(format!("this needs the permission {}", R::PERMISSION.as_str())))
    }
}

macro_rules! requirements {
    ($($name:ident)*) => { $(
        #[doc = concat!("[`Permission::", stringify!($name), "`].")]
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl Requirement for $name {
            const PERMISSION: Permission = Permission::$name;
        }
    )* };
}

requirements!(UsersRead UsersWrite TasksManageAll MetricsRead SystemManage);
