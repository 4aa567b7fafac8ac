//! `AWS::ApiGatewayV2::*`: one HTTP API with integrations, routes, authorizers and the stage `$default`.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, de::IgnoredAny};

use super::{
    error::TemplateError,
    events, lenient,
    model::{Api, Authorizer, Cors, FunctionSpec, Route, RouteKey, Stage, Throttle},
    stack::Reader,
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct RawApi {
    protocol_type: String,
    cors_configuration: Option<RawCors>,
    #[serde(rename = "Name")]
    _name: Option<IgnoredAny>,
    #[serde(rename = "Description")]
    _description: Option<IgnoredAny>,
    #[serde(rename = "Version")]
    _version: Option<IgnoredAny>,
    #[serde(rename = "IpAddressType")]
    _address_type: Option<IgnoredAny>,
    #[serde(rename = "DisableExecuteApiEndpoint")]
    _endpoint: Option<IgnoredAny>,
    #[serde(rename = "Tags")]
    _tags: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct RawCors {
    #[serde(default)]
    allow_origins: Vec<String>,
    #[serde(default)]
    allow_methods: Vec<String>,
    #[serde(default)]
    allow_headers: Vec<String>,
    #[serde(default)]
    expose_headers: Vec<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    allow_credentials: Option<bool>,
    #[serde(default, deserialize_with = "lenient::optional")]
    max_age: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct RawIntegration {
    integration_type: String,
    integration_uri: String,
    #[serde(deserialize_with = "lenient::scalar")]
    payload_format_version: String,
    #[serde(default, deserialize_with = "lenient::optional")]
    timeout_in_millis: Option<u64>,
    #[serde(rename = "ApiId")]
    _api: IgnoredAny,
    #[serde(rename = "IntegrationMethod")]
    _method: Option<IgnoredAny>,
    #[serde(rename = "ConnectionType")]
    _connection: Option<IgnoredAny>,
    #[serde(rename = "Description")]
    _description: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct RawRoute {
    route_key: String,
    target: String,
    authorization_type: Option<String>,
    authorizer_id: Option<String>,
    #[serde(rename = "ApiId")]
    _api: IgnoredAny,
    #[serde(rename = "OperationName")]
    _operation: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct RawAuthorizer {
    authorizer_type: String,
    authorizer_uri: String,
    #[serde(deserialize_with = "lenient::scalar")]
    authorizer_payload_format_version: String,
    #[serde(deserialize_with = "lenient::scalar")]
    enable_simple_responses: bool,
    #[serde(default)]
    identity_source: Vec<String>,
    #[serde(default, deserialize_with = "lenient::optional")]
    authorizer_result_ttl_in_seconds: Option<u64>,
    #[serde(rename = "ApiId")]
    _api: IgnoredAny,
    #[serde(rename = "Name")]
    _name: Option<IgnoredAny>,
    #[serde(rename = "AuthorizerCredentialsArn")]
    _credentials: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct RawStage {
    stage_name: String,
    default_route_settings: Option<RawSettings>,
    #[serde(default)]
    route_settings: BTreeMap<String, RawSettings>,
    #[serde(default)]
    stage_variables: BTreeMap<String, String>,
    #[serde(rename = "ApiId")]
    _api: IgnoredAny,
    #[serde(rename = "AutoDeploy")]
    _auto: Option<IgnoredAny>,
    #[serde(rename = "AccessLogSettings")]
    _log: Option<IgnoredAny>,
    #[serde(rename = "Description")]
    _description: Option<IgnoredAny>,
    #[serde(rename = "Tags")]
    _tags: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct RawSettings {
    #[serde(default, deserialize_with = "lenient::optional")]
    throttling_rate_limit: Option<f64>,
    #[serde(default, deserialize_with = "lenient::optional")]
    throttling_burst_limit: Option<u32>,
    #[serde(rename = "DetailedMetricsEnabled")]
    _metrics: Option<IgnoredAny>,
}

type Functions = BTreeMap<String, FunctionSpec>;

pub(super) fn api(reader: &Reader<'_>, functions: &Functions) -> Result<Option<Api>, TemplateError> {
    let mut ids = reader.of_kind("AWS::ApiGatewayV2::Api");
    let Some(id) = ids.next() else { return Ok(None) };
    if let Some(second) = ids.next() {
        return Err(TemplateError::resource(second, "Type", "there is a second API; one is played here"));
    }
    let api: RawApi = reader.properties(id)?;
    if api.protocol_type != "HTTP" {
        return Err(TemplateError::resource(id, "ProtocolType", "only HTTP APIs are played here"));
    }
    let cors = api.cors_configuration.map(|c| Cors {
        allow_origins: c.allow_origins,
        allow_methods: c.allow_methods,
        allow_headers: c.allow_headers,
        expose_headers: c.expose_headers,
        allow_credentials: c.allow_credentials.unwrap_or_default(),
        max_age: c.max_age,
    });
    if cors.as_ref().is_some_and(|c| c.allow_credentials && c.allow_origins.iter().any(|o| o == "*")) {
        let message = "AWS refuses credentials together with the origin *";
        return Err(TemplateError::resource(id, "CorsConfiguration.AllowCredentials", message));
    }
    let authorizers = authorizers(reader, functions)?;
    let (stage, throttles) = stage(reader)?;
    let routes = routes(reader, functions, &authorizers, &throttles)?;
    Ok(Some(Api { id: id.to_owned(), cors, routes, authorizers, stage }))
}

/// Source: <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html>: the stage's default
/// applies to each route by itself, and a route's own setting takes its place.
struct Throttles {
    default: Option<Throttle>,
    routes: BTreeMap<String, Throttle>,
}

impl RawSettings {
    fn throttle(&self) -> Option<Throttle> {
        let rate = self.throttling_rate_limit?;
        Some(Throttle { rate, burst: self.throttling_burst_limit.unwrap_or(1) })
    }
}

fn stage(reader: &Reader<'_>) -> Result<(Stage, Throttles), TemplateError> {
    let mut throttles = Throttles { default: None, routes: BTreeMap::new() };
    let mut stage = Stage::default();
    for id in reader.of_kind("AWS::ApiGatewayV2::Stage") {
        let raw: RawStage = reader.properties(id)?;
        if raw.stage_name != "$default" {
            return Err(TemplateError::resource(id, "StageName", "only $default is played here"));
        }
        throttles.default = raw.default_route_settings.as_ref().and_then(RawSettings::throttle);
        throttles.routes = raw.route_settings.iter().filter_map(|(k, s)| Some((k.clone(), s.throttle()?))).collect();
        stage.variables = raw.stage_variables;
    }
    Ok((stage, throttles))
}

fn authorizers(reader: &Reader<'_>, functions: &Functions) -> Result<BTreeMap<String, Authorizer>, TemplateError> {
    let mut out = BTreeMap::new();
    for id in reader.of_kind("AWS::ApiGatewayV2::Authorizer") {
        let raw: RawAuthorizer = reader.properties(id)?;
        let wrong = |property: &str, message: &str| Err(TemplateError::resource(id, property, message));
        if raw.authorizer_type != "REQUEST" {
            return wrong("AuthorizerType", "only REQUEST is played here");
        }
        if !is_version_2(&raw.authorizer_payload_format_version) || !raw.enable_simple_responses {
            return wrong("AuthorizerPayloadFormatVersion", "only 2.0 with simple responses is played here");
        }
        let known = ["$request.header.", "$request.querystring.", "$context.", "$stageVariables."];
        if let Some(odd) = raw.identity_source.iter().find(|s| !known.iter().any(|k| s.starts_with(k))) {
            return wrong("IdentitySource", &format!("{odd} is not known here"));
        }
        // 300 s when not stated; without identity sources there is nothing to key a cache by.
        let ttl = raw.authorizer_result_ttl_in_seconds.unwrap_or(300);
        if ttl > 3_600 {
            return wrong("AuthorizerResultTtlInSeconds", "is above 3,600");
        }
        let ttl = if raw.identity_source.is_empty() { 0 } else { ttl };
        let function = events::function(functions, (id, "AuthorizerUri"), &raw.authorizer_uri)?;
        let authorizer = Authorizer {
            id: id.to_owned(),
            function,
            identity_source: raw.identity_source,
            ttl: Duration::from_secs(ttl),
        };
        out.insert(id.to_owned(), authorizer);
    }
    Ok(out)
}

fn is_version_2(version: &str) -> bool {
    matches!(version, "2.0" | "2")
}

fn routes(
    reader: &Reader<'_>,
    functions: &Functions,
    authorizers: &BTreeMap<String, Authorizer>,
    throttles: &Throttles,
) -> Result<Vec<Route>, TemplateError> {
    let mut integrations = BTreeMap::new();
    for id in reader.of_kind("AWS::ApiGatewayV2::Integration") {
        let raw: RawIntegration = reader.properties(id)?;
        if raw.integration_type != "AWS_PROXY" || !is_version_2(&raw.payload_format_version) {
            let message = "only AWS_PROXY with payload format 2.0 is played here";
            return Err(TemplateError::resource(id, "IntegrationType", message));
        }
        let timeout = raw.timeout_in_millis.unwrap_or(30_000);
        if !(50..=30_000).contains(&timeout) {
            return Err(TemplateError::resource(id, "TimeoutInMillis", "is not between 50 and 30,000"));
        }
        let function = events::function(functions, (id, "IntegrationUri"), &raw.integration_uri)?;
        integrations.insert(id.to_owned(), (function, Duration::from_millis(timeout)));
    }
    let mut routes: Vec<Route> = Vec::new();
    for id in reader.of_kind("AWS::ApiGatewayV2::Route") {
        let raw: RawRoute = reader.properties(id)?;
        let wrong = |property: &str, message: String| TemplateError::resource(id, property, message);
        let target = raw.target.strip_prefix("integrations/").and_then(|name| integrations.get(name));
        let (function, timeout) = target
            .cloned()
            .ok_or_else(|| wrong("Target", format!("{} is no integration of this template", raw.target)))?;
        let authorizer = match (raw.authorization_type.as_deref(), raw.authorizer_id) {
            (None | Some("NONE"), None) => None,
            (Some("CUSTOM"), Some(id)) if authorizers.contains_key(&id) => Some(id),
            (Some("CUSTOM"), other) => {
                return Err(wrong("AuthorizerId", format!("{} is no authorizer", other.unwrap_or_default())));
            }
            (other, _) => {
                return Err(wrong("AuthorizationType", format!("{} is not played here", other.unwrap_or("NONE"))));
            }
        };
        let key = RouteKey::parse(&raw.route_key).map_err(|e| wrong("RouteKey", e))?;
        if let Some(twin) = routes.iter().find(|route| route.key == key) {
            return Err(wrong("RouteKey", format!("{} has the same", twin.id)));
        }
        let throttle = throttles.routes.get(&raw.route_key).copied().or(throttles.default);
        routes.push(Route { id: id.to_owned(), key, function, authorizer, timeout, throttle });
    }
    Ok(routes)
}

impl RouteKey {
    /// Reads `GET /path/{variable}`, `ANY /path/{rest+}` or `$default`.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "$default" {
            return Ok(Self::Default);
        }
        let (method, path) = text.split_once(' ').ok_or_else(|| format!("{text:?} has no path"))?;
        let methods = ["ANY", "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
        if !methods.contains(&method) {
            return Err(format!("{method} is not a method of a route key"));
        }
        let segments = path.strip_prefix('/').ok_or_else(|| format!("{path:?} does not start with a slash"))?;
        let mut left = segments.split('/').count();
        for segment in segments.split('/') {
            left -= 1;
            let variable = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
            match variable {
                Some(name) if name.ends_with('+') && left > 0 => {
                    return Err(format!("{segment} takes the rest of the path, so it must stand last"));
                }
                Some("" | "+") => return Err(format!("{segment} has no name")),
                None if segment.contains(['{', '}']) => {
                    return Err(format!("{segment} is neither a text nor a variable"));
                }
                _ => {}
            }
        }
        Ok(Self::Path { method: (method != "ANY").then(|| method.to_owned()), path: path.to_owned() })
    }
}
