//! Registration of routes. A route is a [`RouteSpec`] (method, path, access rule, bounds) and a
//! handler; the access rule is a constructor argument, so that a route without one cannot be
//! written.
//!
//! [`Routes`] describes a room's routes without its state, for the golden route table and the
//! OpenAPI file; [`Routes::bind`] adds the state; [`AppBuilder`] joins the rooms. Every route
//! runs inside one [`super::guard`], instead of a stack of layers.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodFilter, MethodRouter};
use http::Method;

use super::auth::Access;
use super::forward::{Forward, Forwarding};
use super::guard::{Guard, Kit, RouteMetrics};
use super::json::DEFAULT_BODY_LIMIT;
use super::limit::LimitClass;
use super::openapi;
use super::problem::ErrorForm;

/// What the kit needs to know about a route.
#[derive(Debug, Clone)]
pub struct RouteSpec {
    method: Method,
    path: &'static str,
    access: Access,
    class: LimitClass,
    body_limit: usize,
    admission: bool,
    error_form: ErrorForm,
    documented: bool,
}

impl RouteSpec {
    /// A route with its access rule. Reads and writes have their limit classes by method.
    pub fn new(method: Method, path: &'static str, access: impl Into<Access>) -> Self {
        let class = match method {
            Method::GET | Method::HEAD => LimitClass::Read,
            _ => LimitClass::Write,
        };
        Self {
            method,
            path,
            access: access.into(),
            class,
            body_limit: DEFAULT_BODY_LIMIT,
            admission: true,
            error_form: ErrorForm::Plain,
            documented: true,
        }
    }

    /// GET (answers HEAD too).
    pub fn get(path: &'static str, access: impl Into<Access>) -> Self {
        Self::new(Method::GET, path, access)
    }

    /// POST.
    pub fn post(path: &'static str, access: impl Into<Access>) -> Self {
        Self::new(Method::POST, path, access)
    }

    /// PUT.
    pub fn put(path: &'static str, access: impl Into<Access>) -> Self {
        Self::new(Method::PUT, path, access)
    }

    /// PATCH.
    pub fn patch(path: &'static str, access: impl Into<Access>) -> Self {
        Self::new(Method::PATCH, path, access)
    }

    /// DELETE.
    pub fn delete(path: &'static str, access: impl Into<Access>) -> Self {
        Self::new(Method::DELETE, path, access)
    }

    /// Largest body in bytes (default 1 MiB).
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// Another limit class than that of the method.
    #[must_use]
    pub fn class(mut self, class: LimitClass) -> Self {
        self.class = class;
        self
    }

    /// Adds `error`, the code in upper case, to the route's problems (ledger-wallets contract,
    /// section 0).
    #[must_use]
    pub fn error_member(mut self) -> Self {
        self.error_form = ErrorForm::UpperCode;
        self
    }

    /// Adds further members to the route's problems.
    #[must_use]
    pub fn error_form(mut self, form: ErrorForm) -> Self {
        self.error_form = form;
        self
    }

    /// Leaves the route out of the OpenAPI file.
    #[must_use]
    pub fn undocumented(mut self) -> Self {
        self.documented = false;
        self
    }

    /// For probes: no limits, and answered even when the server is full.
    #[must_use]
    pub(super) fn probe(mut self) -> Self {
        self.class = LimitClass::None;
        self.admission = false;
        self
    }
}

/// One line of the golden file of routes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RouteRow {
    /// Path with its parameters in braces.
    pub path: String,
    /// Method in upper case.
    pub method: String,
    /// `public`, `authenticated` or the permission.
    pub permission: &'static str,
    /// Whether the OpenAPI file must describe it.
    pub documented: bool,
}

/// The table as text, one `METHOD path permission` a line, sorted: the golden file.
pub fn render_table(rows: &[RouteRow]) -> String {
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort();
    let line = |row: &&RouteRow| format!("{:6} {} {}\n", row.method, row.path, row.permission);
    rows.iter().map(line).collect()
}

/// A route that cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The same method and path, or the same path with other parameter names.
    #[error("{method} {path} is registered twice")]
    Duplicate {
        /// Method.
        method: String,
        /// Path.
        path: String,
    },
    /// Paths start with `/` and hold parameters as `{name}`.
    #[error("`{0}` is not a valid route path")]
    Path(String),
    /// Only GET, POST, PUT, PATCH and DELETE are registered.
    #[error("{0} routes cannot be registered")]
    Method(String),
}

type Mount<S> = Box<dyn FnOnce(&S, Arc<Kit>, Arc<RouteMeta>, MethodFilter) -> MethodRouter + Send>;

/// The routes of a room, not yet bound to its state.
pub struct Routes<S> {
    entries: Vec<(RouteSpec, Mount<S>)>,
    documents: Vec<utoipa::openapi::OpenApi>,
}

impl<S: Clone + Send + Sync + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Clone + Send + Sync + 'static> Routes<S> {
    /// No routes yet.
    pub fn new() -> Self {
        Self {
            entries: Vec::new(),
            documents: Vec::new(),
        }
    }

    /// Adds a route.
    #[must_use]
    pub fn route<H, T>(mut self, spec: RouteSpec, handler: H) -> Self
    where
        H: Handler<T, S> + Sync,
        T: 'static,
    {
        let mount: Mount<S> = Box::new(move |state, kit, meta, filter| {
            let inner = handler.with_state(state.clone());
            MethodRouter::new().on_service(filter, Guard::new(kit, meta, inner))
        });
        self.entries.push((spec, mount));
        self
    }

    /// Adds the room's OpenAPI document (`#[derive(OpenApi)]`).
    #[must_use]
    pub fn document(mut self, document: utoipa::openapi::OpenApi) -> Self {
        self.documents.push(document);
        self
    }

    /// All routes of another group with the same state.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.entries.extend(other.entries);
        self.documents.extend(other.documents);
        self
    }

    /// Sets [`RouteSpec::error_member`] on all routes so far.
    #[must_use]
    pub fn with_error_member(self) -> Self {
        self.with_error_form(ErrorForm::UpperCode)
    }

    /// Sets [`RouteSpec::error_form`] on all routes so far.
    #[must_use]
    pub fn with_error_form(mut self, form: ErrorForm) -> Self {
        for (spec, _) in &mut self.entries {
            spec.error_form = form;
        }
        self
    }

    /// The description of the routes, which needs no state.
    pub fn describe(&self) -> Description {
        Description {
            rows: self.entries.iter().map(|(spec, _)| row(spec)).collect(),
            documents: self.documents.clone(),
            specs: self.entries.iter().map(|(spec, _)| spec.clone()).collect(),
        }
    }

    /// Adds the state; the result can be given to [`AppBuilder::mount`].
    pub fn bind(self, state: S) -> BoundRoutes {
        let description = self.describe();
        let bind = |(spec, mount): (RouteSpec, Mount<S>)| {
            let state = state.clone();
            let mount: BoundMount =
                Box::new(move |kit, meta, filter| mount(&state, kit, meta, filter));
            (spec, mount)
        };
        BoundRoutes {
            entries: self.entries.into_iter().map(bind).collect(),
            description,
        }
    }
}

fn row(spec: &RouteSpec) -> RouteRow {
    RouteRow {
        path: spec.path.to_string(),
        method: spec.method.to_string(),
        permission: spec.access.as_str(),
        documented: spec.documented,
    }
}

/// What a group of routes promises, without the code behind it.
#[derive(Clone, Default)]
pub struct Description {
    /// One row for each route.
    pub rows: Vec<RouteRow>,
    /// The OpenAPI documents.
    pub documents: Vec<utoipa::openapi::OpenApi>,
    pub(super) specs: Vec<RouteSpec>,
}

impl Description {
    /// Joins descriptions of several rooms.
    pub fn join(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut all = Self::default();
        for part in parts {
            all.rows.extend(part.rows);
            all.documents.extend(part.documents);
            all.specs.extend(part.specs);
        }
        all.rows.sort();
        all
    }

    /// The same routes, with the same access rules and bounds, served by another process.
    pub fn forward(self, to: &Forward) -> BoundRoutes {
        let bind = |spec: &RouteSpec| {
            let inner = Forwarding(to.clone());
            let mount: BoundMount = Box::new(move |kit, meta, filter| {
                MethodRouter::new().on_service(filter, Guard::new(kit, meta, inner))
            });
            (spec.clone(), mount)
        };
        BoundRoutes {
            entries: self.specs.iter().map(bind).collect(),
            description: self,
        }
    }
}

type BoundMount = Box<dyn FnOnce(Arc<Kit>, Arc<RouteMeta>, MethodFilter) -> MethodRouter + Send>;

/// The routes of a room with its state.
pub struct BoundRoutes {
    entries: Vec<(RouteSpec, BoundMount)>,
    description: Description,
}

/// Facts about a route that stay the same for its whole life.
pub(super) struct RouteMeta {
    pub(super) path: &'static str,
    pub(super) access: Access,
    pub(super) class: LimitClass,
    pub(super) body_limit: usize,
    pub(super) admission: bool,
    pub(super) error_form: ErrorForm,
    pub(super) metrics: RouteMetrics,
}

impl RouteMeta {
    fn new(spec: &RouteSpec) -> Self {
        Self {
            path: spec.path,
            access: spec.access,
            class: spec.class,
            body_limit: spec.body_limit,
            admission: spec.admission,
            error_form: spec.error_form,
            metrics: RouteMetrics::new(spec.method.clone(), spec.path),
        }
    }
}

/// What handlers can learn about the request from its extensions.
#[derive(Clone)]
pub struct RequestInfo {
    pub(super) meta: Arc<RouteMeta>,
    pub(super) client: IpAddr,
    pub(super) body_timeout: Duration,
}

impl RequestInfo {
    /// The client's address, proxies taken off.
    pub fn client(&self) -> IpAddr {
        self.client
    }

    /// The registered path, with parameters in braces.
    pub fn route(&self) -> &'static str {
        self.meta.path
    }

    pub(super) fn body_limit(&self) -> usize {
        self.meta.body_limit
    }

    pub(super) fn body_timeout(&self) -> Duration {
        self.body_timeout
    }
}

/// Joins the rooms' routes into one application.
pub struct AppBuilder {
    kit: Arc<Kit>,
    groups: Vec<BoundRoutes>,
}

/// The whole HTTP side of a process.
#[derive(Debug, Clone)]
pub struct App {
    router: Router,
    rows: Arc<[RouteRow]>,
}

impl App {
    /// Starts with the kit that all routes share.
    pub fn builder(kit: Kit) -> AppBuilder {
        AppBuilder {
            kit: Arc::new(kit),
            groups: Vec::new(),
        }
    }

    /// The axum router.
    pub fn router(&self) -> Router {
        self.router.clone()
    }

    /// All routes, sorted.
    pub fn route_table(&self) -> &[RouteRow] {
        &self.rows
    }
}

impl AppBuilder {
    /// Adds a room.
    #[must_use]
    pub fn mount(mut self, routes: BoundRoutes) -> Self {
        self.groups.push(routes);
        self
    }

    /// Adds `/openapi.json` and `/q/swagger-ui` for everything mounted so far.
    #[must_use]
    pub fn with_openapi(self, info: &openapi::ApiInfo) -> Self {
        let described = self.groups.iter().map(|group| group.description.clone());
        let all = Description::join(described);
        let routes = openapi::routes(openapi::assemble(info, &all));
        self.mount(routes)
    }

    /// Builds the application, or names the route that cannot be registered.
    pub fn build(self) -> Result<App, RouteError> {
        let mut seen = BTreeSet::new();
        let mut rows = Vec::new();
        let mut router = Router::new();
        for group in self.groups {
            for (spec, mount) in group.entries {
                check(&spec, &mut seen)?;
                rows.push(row(&spec));
                let filter = MethodFilter::try_from(spec.method.clone())
                    .map_err(|_| RouteError::Method(spec.method.to_string()))?;
                let meta = Arc::new(RouteMeta::new(&spec));
                router = router.route(spec.path, mount(Arc::clone(&self.kit), meta, filter));
            }
        }
        rows.sort();
        Ok(App {
            router: super::guard::with_fallbacks(router, &self.kit),
            rows: rows.into(),
        })
    }
}

/// Refuses what axum would answer with a panic.
fn check(spec: &RouteSpec, seen: &mut BTreeSet<(String, String)>) -> Result<(), RouteError> {
    const METHODS: [Method; 5] = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
    ];
    if !METHODS.contains(&spec.method) {
        return Err(RouteError::Method(spec.method.to_string()));
    }
    let path = spec.path;
    if !path.starts_with('/') || path.contains("/:") || path.contains("/*") {
        return Err(RouteError::Path(path.to_string()));
    }
    let shape = path.split('/').map(|part| match part.starts_with('{') {
        true => "{}",
        false => part,
    });
    let shape = shape.collect::<Vec<_>>().join("/");
    match seen.insert((spec.method.to_string(), shape)) {
        true => Ok(()),
        false => Err(RouteError::Duplicate {
            method: spec.method.to_string(),
            path: path.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests;
