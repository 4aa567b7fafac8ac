//! Which route a request takes.
//!
//! Source: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html>: a full match of
//! route and method first, then a match with a greedy variable, then `$default`; among several the most specific one.
//! Specific is read segment by segment: text before `{variable}` before `{rest+}`; with equal paths a method before
//! `ANY`. A route whose method does not fit is no match at all, so another one may take the request.

use std::{borrow::Cow, cmp::Ordering, collections::HashMap};

use http::Method;

use crate::{encoding::decode_path, template::RouteKey};

/// The routes of one API, in the order in which they are tried.
#[derive(Debug)]
pub struct Router {
    /// Paths without variables, where the first fit is the best one.
    literal: HashMap<String, Vec<(Option<Method>, usize)>>,
    /// All paths, best first.
    patterns: Vec<Pattern>,
    default: Option<usize>,
}

/// A route that was found, by its position in the list the router was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The position.
    pub route: usize,
    /// The path's variables, decoded.
    pub parameters: Vec<(String, String)>,
}

#[derive(Debug)]
struct Pattern {
    route: usize,
    method: Option<Method>,
    segments: Vec<Segment>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Text(String),
    Variable(String),
    Rest(String),
}

impl Router {
    /// A router over `keys`.
    pub fn new<'k>(keys: impl IntoIterator<Item = &'k RouteKey>) -> Self {
        let mut router = Self { literal: HashMap::new(), patterns: Vec::new(), default: None };
        for (route, key) in keys.into_iter().enumerate() {
            match key {
                RouteKey::Default => router.default = Some(route),
                RouteKey::Path { method, path } => {
                    let method = method.as_deref().and_then(|name| Method::from_bytes(name.as_bytes()).ok());
                    if !path.contains(['{', '%']) {
                        router.literal.entry(path.clone()).or_default().push((method.clone(), route));
                    }
                    router.patterns.push(Pattern {
                        route,
                        method,
                        segments: segments(path).map(Segment::parse).collect(),
                    });
                }
            }
        }
        router.patterns.sort_by(Pattern::best_first);
        for routes in router.literal.values_mut() {
            routes.sort_by_key(|(method, _)| method.is_none());
        }
        router
    }

    /// The route for a request, if any. `path` is the raw path, still encoded.
    pub fn find(&self, method: &Method, path: &str) -> Option<Found> {
        let fits = |wanted: &Option<Method>| wanted.as_ref().is_none_or(|wanted| wanted == method);
        if let Some(routes) = self.literal.get(path)
            && let Some((_, route)) = routes.iter().find(|(wanted, _)| fits(wanted))
        {
            return Some(Found { route: *route, parameters: Vec::new() });
        }
        let parts: Vec<Cow<'_, str>> = segments(path).map(decode_path).collect();
        self.patterns
            .iter()
            .filter(|pattern| fits(&pattern.method))
            .find_map(|pattern| Some(Found { route: pattern.route, parameters: pattern.matches(&parts)? }))
            .or_else(|| Some(Found { route: self.default?, parameters: Vec::new() }))
    }
}

fn segments(path: &str) -> std::str::Split<'_, char> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

impl Segment {
    fn parse(text: &str) -> Self {
        match text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
            Some(name) => match name.strip_suffix('+') {
                Some(rest) => Self::Rest(rest.to_owned()),
                None => Self::Variable(name.to_owned()),
            },
            None => Self::Text(decode_path(text).into_owned()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Text(_) => 0,
            Self::Variable(_) => 1,
            Self::Rest(_) => 2,
        }
    }
}

impl Pattern {
    fn is_greedy(&self) -> bool {
        matches!(self.segments.last(), Some(Segment::Rest(_)))
    }

    fn best_first(&self, other: &Self) -> Ordering {
        let ranks = |p: &Self| p.segments.iter().map(Segment::rank).collect::<Vec<_>>();
        self.is_greedy()
            .cmp(&other.is_greedy())
            .then_with(|| ranks(self).cmp(&ranks(other)))
            .then_with(|| self.method.is_none().cmp(&other.method.is_none()))
    }

    /// The variables, if the path fits. A variable takes one segment and `{rest+}` one or more; neither takes nothing.
    fn matches(&self, parts: &[Cow<'_, str>]) -> Option<Vec<(String, String)>> {
        if parts.len() < self.segments.len() || (parts.len() > self.segments.len() && !self.is_greedy()) {
            return None;
        }
        let mut parameters = Vec::new();
        for (at, segment) in self.segments.iter().enumerate() {
            match segment {
                Segment::Text(text) if *text == parts[at] => {}
                Segment::Variable(name) if !parts[at].is_empty() => {
                    parameters.push((name.clone(), parts[at].clone().into_owned()));
                }
                Segment::Rest(name) => {
                    let rest = parts[at..].join("/");
                    if rest.is_empty() {
                        return None;
                    }
                    parameters.push((name.clone(), rest));
                }
                _ => return None,
            }
        }
        Some(parameters)
    }
}
