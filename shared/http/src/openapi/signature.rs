//! What a handler's signature says of its operation.

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
};
use http::HeaderMap;
use schemars::JsonSchema;

use super::Operation;
use crate::{
    AppPath, AppQuery, Caller, ClientAddress, Lenient, MaybeCaller, MaybeValid, NewIds, PageQuery, Permitted,
    RequestInfo, Requirement, SessionCaller, SteppedUp, Throttle, Valid,
};

/// A parameter of a handler: notes what it means for the operation.
pub trait Part {
    /// Notes it.
    fn describe(operation: &mut Operation<'_>);
}

/// The parameters of a handler, as axum's `Handler<T, S>` carries them in `T`.
pub trait Signature {
    /// Notes each of them.
    fn describe(operation: &mut Operation<'_>);
}

impl Signature for ((),) {
    fn describe(_: &mut Operation<'_>) {}
}

macro_rules! signature {
    ($($part:ident)+) => {
        impl<M, $($part: Part),+> Signature for (M, $($part,)+) {
            fn describe(operation: &mut Operation<'_>) {
                $($part::describe(operation);)+
            }
        }
    };
}

signature!(A);
signature!(A B);
signature!(A B C);
signature!(A B C D);
signature!(A B C D E);
signature!(A B C D E F);
signature!(A B C D E F G);
signature!(A B C D E F G H);

/// Parts that a client does not see.
macro_rules! invisible {
    ($($part:ty),+) => {
        $(impl Part for $part {
            fn describe(_: &mut Operation<'_>) {}
        })+
    };
}

// `Caller`: 401 follows from the route's access already.
invisible!(Caller, MaybeCaller, ClientAddress, NewIds, RequestInfo, Throttle, HeaderMap);

impl Part for SessionCaller {
    fn describe(operation: &mut Operation<'_>) {
        operation.problem(403, "session_required", "an API key cannot do this");
    }
}

impl Part for SteppedUp {
    fn describe(operation: &mut Operation<'_>) {
        operation.detail("Needs a sign-in, or a step-up, within the last ten minutes.");
        SessionCaller::describe(operation);
        operation.problem(401, "step_up_required", "it is too long since the caller showed who they are");
    }
}

impl<R: Requirement> Part for Permitted<R> {
    fn describe(operation: &mut Operation<'_>) {
        operation.needs(R::PERMISSION);
    }
}

impl<S> Part for State<S> {
    fn describe(_: &mut Operation<'_>) {}
}

impl<T: JsonSchema> Part for Valid<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.takes::<T>(true).refuses_other_types();
    }
}

impl<T: JsonSchema> Part for MaybeValid<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.takes::<T>(false).refuses_other_types();
    }
}

impl<T: JsonSchema> Part for Lenient<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.takes::<T>(false);
    }
}

/// A body that the handler reads itself: it says what it takes with [`Operation::takes`].
impl Part for Result<Bytes, BytesRejection> {
    fn describe(_: &mut Operation<'_>) {}
}

impl<T: JsonSchema> Part for AppPath<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.path::<T>().problem(404, "not_found", "there is nothing under this id, or it is not the caller's");
    }
}

impl<T: JsonSchema> Part for AppQuery<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.query::<T>();
    }
}

impl Part for PageQuery {
    fn describe(operation: &mut Operation<'_>) {
        operation.paged();
    }
}
