//! The OpenAPI description against the routes served.

use florin_platform::http::openapi::{ApiInfo, assemble, gaps};
use florin_wallets::api::routes;

#[test]
fn every_route_is_described_and_nothing_else() {
    let described = routes().describe();
    let info = ApiInfo {
        title: "Florin".into(),
        version: "0".into(),
        description: "Wallets and ledger".into(),
    };
    let document = assemble(&info, &described);
    assert_eq!(gaps(&document, &described), Vec::<String>::new());
    let transaction = &document["components"]["schemas"]["Transaction"];
    assert_eq!(transaction["properties"]["amount"]["type"], "string");
    let required = transaction["required"]
        .as_array()
        .expect("required members");
    assert!(
        required.iter().any(|name| name == "walletId"),
        "{transaction}"
    );
    assert!(
        !required.iter().any(|name| name == "holdId"),
        "{transaction}"
    );
    let deposit = &document["paths"]["/api/v1/wallets/{id}/deposit"]["post"];
    assert_eq!(deposit["x-permission"], "wallets:deposit");
}
