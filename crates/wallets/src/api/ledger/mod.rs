//! The routes below `/api/v1/ledger` (contract A6).
//!
//! **Boundary.** Amounts are whole minor units in strings, never decimals. A handler checks
//! permissions, shapes and grammar, hands a call to the ledger, and prints its answer; a batch
//! of transfers is judged by the ledger alone. Lists and streams show the ledger as of one
//! `seq`, named in `X-Florin-Seq`.
//!
//! **Invariants.** A whole-call refusal judges nothing; a missing permission for one item
//! refuses the call; lines of the feed are sent as the ledger gives them, byte for byte (INV-L6).

mod accounts;
mod assets;
mod changes;
mod checkpoints;
mod export;
mod head;
mod history;
mod import;
mod lookup;
mod params;
mod proofs;
mod render;
mod reverse;
mod stream;
mod support;
mod transfer_lists;
mod transfers;

use florin_platform::http::{
    auth::Permission,
    router::{RouteSpec, Routes},
};
use utoipa::OpenApi;

use super::{Shared, permission};

pub use changes::{HEARTBEAT, type_word};

#[derive(OpenApi)]
#[openapi(
    tags((name = "Ledger", description = "Double entry in whole minor units: assets, accounts, transfers, history, change feed, proofs")),
    paths(
        head::get,
        head::trial_balance,
        assets::post,
        assets::list,
        assets::get,
        accounts::post,
        accounts::list,
        accounts::get,
        accounts::patch,
        accounts::balance,
        history::get,
        transfer_lists::of_one,
        transfer_lists::all,
        transfers::post,
        transfers::get,
        lookup::post,
        reverse::post,
        changes::get,
        checkpoints::list,
        checkpoints::post,
        checkpoints::keys,
        checkpoints::get,
        checkpoints::consistency,
        proofs::get,
        export::get,
        import::post,
    ),
    components(schemas(transfers::TransferRequest))
)]
struct Document;

/// All routes of this part, each with its permission (contract, section C).
pub fn routes() -> Routes<Shared> {
    let read = permission::LEDGER_READ;
    let write = permission::LEDGER_WRITE;
    let admin = permission::LEDGER_ADMIN;
    Routes::new()
        .document(Document::openapi())
        .route(RouteSpec::get("/api/v1/ledger", read), head::get)
        .route(
            RouteSpec::get("/api/v1/ledger/trial-balance", read),
            head::trial_balance,
        )
        .route(
            RouteSpec::post("/api/v1/ledger/assets", admin),
            assets::post,
        )
        .route(RouteSpec::get("/api/v1/ledger/assets", read), assets::list)
        .route(
            RouteSpec::get("/api/v1/ledger/assets/{code}", read),
            assets::get,
        )
        .route(
            RouteSpec::post("/api/v1/ledger/accounts", write),
            accounts::post,
        )
        .route(
            RouteSpec::get("/api/v1/ledger/accounts", read),
            accounts::list,
        )
        .route(
            RouteSpec::get("/api/v1/ledger/accounts/{id}", read),
            accounts::get,
        )
        .route(
            RouteSpec::patch("/api/v1/ledger/accounts/{id}", admin),
            accounts::patch,
        )
        .route(
            RouteSpec::get("/api/v1/ledger/accounts/{id}/balance", read),
            accounts::balance,
        )
        .route(
            RouteSpec::get("/api/v1/ledger/accounts/{id}/history", read),
            history::get,
        )
        .route(
            RouteSpec::get("/api/v1/ledger/accounts/{id}/transfers", read),
            transfer_lists::of_one,
        )
        .route(
            RouteSpec::get("/api/v1/ledger/transfers", read),
            transfer_lists::all,
        )
        .route(
            RouteSpec::post("/api/v1/ledger/transfers", write).body_limit(transfers::BODY_MAX),
            transfers::post,
        )
        .route(
            RouteSpec::post("/api/v1/ledger/transfers/lookup", read),
            lookup::post,
        )
        .route(
            RouteSpec::get("/api/v1/ledger/transfers/{id}", read),
            transfers::get,
        )
        .route(
            RouteSpec::post(
                "/api/v1/ledger/transfers/{id}/reverse",
                permission::LEDGER_REVERSE,
            ),
            reverse::post,
        )
        .route(RouteSpec::get("/api/v1/ledger/changes", read), changes::get)
        .route(
            RouteSpec::get("/api/v1/ledger/export", permission::LEDGER_EXPORT),
            export::get,
        )
        .route(
            RouteSpec::post("/api/v1/ledger/import", permission::LEDGER_IMPORT),
            import::post,
        )
        .merge(evidence(read))
}

/// Checkpoints and proofs (contract A9).
fn evidence(read: Permission) -> Routes<Shared> {
    let checkpoint = permission::LEDGER_CHECKPOINT;
    Routes::new()
        .route(
            RouteSpec::get("/api/v1/ledger/checkpoints", read),
            checkpoints::list,
        )
        .route(
            RouteSpec::post("/api/v1/ledger/checkpoints", checkpoint),
            checkpoints::post,
        )
        .route(
            RouteSpec::get("/api/v1/ledger/checkpoints/keys", read),
            checkpoints::keys,
        )
        .route(
            RouteSpec::get("/api/v1/ledger/checkpoints/{n}", read),
            checkpoints::get,
        )
        .route(
            RouteSpec::get("/api/v1/ledger/checkpoints/{n}/consistency", read),
            checkpoints::consistency,
        )
        .route(
            RouteSpec::get("/api/v1/ledger/proofs/{transferId}", read),
            proofs::get,
        )
}
