//! The operations of one function.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use axum::handler::Handler;

use super::{Operation, Signature};
use crate::{RouteInfo, Routes};

/// Says what a handler's signature does not.
pub type Describe = fn(&mut Operation<'_>);

/// The operations of one function: its routes, and beside each what is said of it.
pub struct Operations<S> {
    group: Group,
    state: PhantomData<fn(S)>,
}

/// The same without the type of the function's state.
#[derive(Clone)]
pub struct Group {
    pub(super) tag: &'static str,
    pub(super) routes: Vec<RouteInfo>,
    /// By route key: what the signature says, and what stands beside the handler.
    pub(super) described: BTreeMap<&'static str, [Describe; 2]>,
}

impl<S: Clone + Send + Sync + 'static> Operations<S> {
    /// Of these routes, under one heading.
    pub fn of(tag: &'static str, routes: &Routes<S>) -> Self {
        let group = Group { tag, routes: routes.list().to_vec(), described: BTreeMap::new() };
        Self { group, state: PhantomData }
    }

    /// Describes the route of this key: by its handler's signature, and by `describe`, which stands beside it.
    #[must_use]
    pub fn on<T: Signature, H: Handler<T, S>>(mut self, key: &'static str, _: H, describe: Describe) -> Self {
        self.group.described.insert(key, [T::describe, describe]);
        self
    }

    /// The operations, for the document.
    pub fn group(self) -> Group {
        self.group
    }
}

impl<S> fmt::Debug for Operations<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Operations").field(&self.group.tag).finish()
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Group").field(&self.tag).finish()
    }
}
