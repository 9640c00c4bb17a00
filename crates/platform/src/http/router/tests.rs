//! Tests of router.

use super::*;
use crate::http::guard::KitConfig;

async fn nothing() {}

fn build(specs: impl IntoIterator<Item = RouteSpec>) -> Result<App, RouteError> {
    let routes = specs
        .into_iter()
        .fold(Routes::new(), |routes, spec| routes.route(spec, nothing));
    App::builder(Kit::new(KitConfig::default()))
        .mount(routes.bind(()))
        .build()
}

#[test]
fn what_cannot_be_registered_is_named() {
    let get = |path| RouteSpec::get(path, Access::Public);
    let app = build([get("/a/{id}"), RouteSpec::post("/a/{id}", Access::Public)]);
    assert_eq!(app.map(|app| app.route_table().len()), Ok(2));
    let twice = build([get("/a/{id}"), get("/a/{name}")]).err();
    let path = "/a/{name}".to_string();
    let method = "GET".to_string();
    assert_eq!(twice, Some(RouteError::Duplicate { method, path }));
    assert_eq!(
        build([get("a")]).err(),
        Some(RouteError::Path("a".to_string()))
    );
    let connect = RouteSpec::new(Method::CONNECT, "/a", Access::Public);
    assert_eq!(
        build([connect]).err(),
        Some(RouteError::Method("CONNECT".to_string()))
    );
}
