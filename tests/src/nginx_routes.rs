//! What NGINX has to know of the routes: `nginx-local/conf/routes.conf`, out of `infra/template.yaml` and, for the flood
//! limits, the code's own limits.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use halyard_gateway::template::{Route, RouteKey};
use halyard_http::{Rate, RouteInfo};

use crate::routes;

/// What the functions grant an address on routes with a limit by account, which NGINX cannot see
/// (`halyard_http::Throttle`).
const ADDRESS_QUOTA: u32 = 100;

/// The list as it is committed.
pub fn file() -> PathBuf {
    routes::repository("nginx-local/conf/routes.conf")
}

/// The list as it should be.
pub fn generate() -> String {
    let quotas = quotas();
    let api = routes::stack().api.expect("an API");
    let mut found: Vec<Entry> = api.routes.iter().filter_map(|route| Entry::of(route, &quotas)).collect();
    // The order in which the gateway tries them: text before variables, and a greedy one last.
    found.sort_by(|a, b| a.rank.cmp(&b.rank).then_with(|| a.key.cmp(&b.key)));
    let mut out = String::from(
        "# Generated from infra/template.yaml and the functions' limits; a test keeps it fresh and\n\
         # `scripts/nginx-routes` writes it.\n\n\
         # The route that the gateway will take, for those that have an authorizer or a limit. Whatever is not here, $default\n\
         # included, is public.\n\
         map \"$request_method $path\" $route {\n    default \"\";\n",
    );
    for entry in &found {
        let _ = writeln!(out, "    \"{}\" \"{}\";", entry.pattern, entry.key);
    }
    out.push_str(
        "}\n\n# What its authorizer looks at: `bearer` or `cookie`.\nmap $route $authorizer {\n    default none;\n",
    );
    for (key, authorizer) in found.iter().filter_map(|e| Some((&e.key, e.authorizer?))) {
        let _ = writeln!(out, "    \"{key}\" {authorizer};");
    }
    out.push_str(
        "}\n\n# How often the functions let one caller have it, a minute.\nmap $route $quota {\n    default 0;\n",
    );
    for (key, quota) in found.iter().filter_map(|e| Some((&e.key, e.quota?))) {
        let _ = writeln!(out, "    \"{key}\" {quota};");
    }
    out.push_str("}\n");
    out
}

struct Entry {
    rank: Vec<u8>,
    key: String,
    pattern: String,
    authorizer: Option<&'static str>,
    quota: Option<u32>,
}

impl Entry {
    fn of(route: &Route, quotas: &BTreeMap<String, u32>) -> Option<Self> {
        let RouteKey::Path { method, path } = &route.key else { return None };
        let key = route.key.to_string();
        let authorizer = match route.authorizer.as_deref() {
            Some("BearerAuthorizer") => Some("bearer"),
            Some("CookieAuthorizer") => Some("cookie"),
            // Asks nothing of anybody.
            Some("OptionalAuthorizer") | None => None,
            Some(other) => panic!("{key}: what does {other} look at?"),
        };
        let quota = quotas.get(&key).copied();
        if authorizer.is_none() && quota.is_none() {
            return None;
        }
        let segments: Vec<&str> = path.split('/').collect();
        let is_pattern = path.contains('{') || method.is_none();
        let pattern = if is_pattern {
            let path: Vec<String> = segments.iter().map(|s| regex(s)).collect();
            format!("~^{} {}$", method.as_deref().unwrap_or("[A-Z]+"), path.join("/"))
        } else {
            key.clone()
        };
        let greedy = u8::from(path.ends_with("+}"));
        let rank = std::iter::once(greedy).chain(segments.iter().map(|s| u8::from(s.starts_with('{'))));
        let rank = rank.chain(std::iter::once(u8::from(method.is_none()))).collect();
        Some(Self { rank, key, pattern, authorizer, quota })
    }
}

fn regex(segment: &str) -> String {
    if segment.ends_with("+}") {
        return ".+".to_owned();
    }
    if segment.starts_with('{') {
        return "[^/]+".to_owned();
    }
    segment
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c.to_string() } else { format!("[{c}]") })
        .collect()
}

/// A minute's quota by route key.
fn quotas() -> BTreeMap<String, u32> {
    let of = |info: &RouteInfo| {
        let quota = match info.rate {
            Rate::Unlimited => return None,
            Rate::PerCaller(quota) => quota,
            Rate::PerAccount(_) => ADDRESS_QUOTA,
        };
        Some((info.id.to_string(), quota))
    };
    let (auth, users) = (halyard_fn_auth::routes(), halyard_fn_users::routes());
    let (tasks, status) = (halyard_fn_tasks::routes(), halyard_fn_status::routes());
    [auth.list(), users.list(), tasks.list(), status.list()].into_iter().flatten().filter_map(of).collect()
}
