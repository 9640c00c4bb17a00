//! The routes of wallets, holds and transactions (contract, part B).
//!
//! Boundary: decimals and owners live here, minor units and accounts in the ledger. Each file
//! holds one endpoint or a group that shares one view: request, answer, OpenAPI, handler.
//!
//! Where the contract is silent:
//!
//! | point | choice |
//! |---|---|
//! | freeze, unfreeze, close, capture, void | the body may be left out; `reason` is optional, at most 500 characters |
//! | `POST /wallets` | a user may leave out `userId`; `referenceId` is taken like the header |
//! | `Idempotency-Key` | as an identity it may have the header's whole grammar, `referenceId` only its own |
//! | holds | `currency` is taken as a check; the owner of the receiving wallet may read the hold too; a wallet's list has the holds that it pays |
//! | conversions | one transaction under the first leg's id, whichever leg or wallet it is reached by; so is its reversal |
//! | `rate.source` | checked, not kept: `origin` has room for the value only |
//! | `GET /transactions/{id}` | takes any transfer id, since adjustments have ids of their callers |
//! | lists | a page may be shorter than its limit when filters match little; `nextCursor` leads on |
//! | statements | `from` and `to` are required; `final` waits a minute beyond `to` on a silent ledger, far longer than any commit takes |
//! | `X-Min-Seq` | beyond the end of the ledger: 409 `seq_ahead`, as on the change feed |

pub mod answer;
pub mod create;
pub mod deposit;
pub mod historical;
pub mod hold_reads;
pub mod holds;
pub mod limits;
pub mod list;
pub mod movement;
pub mod request;
pub mod reverse;
pub mod statement;
mod statement_csv;
pub mod status;
pub mod transactions;
pub mod transfer;
mod walk;
pub mod withdraw;

use florin_platform::http::router::{RouteSpec, Routes};
use utoipa::OpenApi;

use super::{Shared, permission};

/// The OpenAPI description of these routes.
#[derive(OpenApi)]
#[openapi(
    paths(
        create::create,
        list::list,
        list::list_of_user,
        list::get,
        list::balance,
        status::freeze,
        status::unfreeze,
        status::close,
        deposit::deposit,
        withdraw::withdraw,
        transfer::transfer,
        holds::place,
        holds::capture,
        holds::void,
        hold_reads::get,
        hold_reads::list,
        transactions::get,
        transactions::list,
        reverse::reverse,
        historical::historical,
        historical::history,
        limits::get,
        limits::put,
        statement::statement,
    ),
    tags(
        (name = "wallets", description = "Wallets: owners, decimals, statuses and limits over the ledger"),
        (name = "holds", description = "Money reserved, then captured or voided"),
        (name = "transactions", description = "Movements of wallet money"),
    )
)]
struct Document;

/// All routes of this part, each with its permission (contract C). Their problems carry
/// `error`, the code in upper case.
pub fn routes() -> Routes<Shared> {
    let routes = Routes::new().document(Document::openapi());
    movements(wallets(routes)).with_error_member()
}

/// The wallets themselves: what they are, hold and may do.
fn wallets(routes: Routes<Shared>) -> Routes<Shared> {
    use permission as may;
    routes
        .route(
            RouteSpec::post("/api/v1/wallets", may::WALLETS_WRITE),
            create::create,
        )
        .route(
            RouteSpec::get("/api/v1/wallets", may::WALLETS_READ),
            list::list,
        )
        .route(
            RouteSpec::get("/api/v1/users/{userId}/wallets", may::WALLETS_READ),
            list::list_of_user,
        )
        .route(
            RouteSpec::get("/api/v1/wallets/{id}", may::WALLETS_READ),
            list::get,
        )
        .route(
            RouteSpec::get("/api/v1/wallets/{id}/balance", may::WALLETS_READ),
            list::balance,
        )
        .route(
            RouteSpec::get("/api/v1/wallets/{id}/balance/historical", may::WALLETS_READ),
            historical::historical,
        )
        .route(
            RouteSpec::get("/api/v1/wallets/{id}/balance/history", may::WALLETS_READ),
            historical::history,
        )
        .route(
            RouteSpec::post("/api/v1/wallets/{id}/freeze", may::WALLETS_STATUS),
            status::freeze,
        )
        .route(
            RouteSpec::post("/api/v1/wallets/{id}/unfreeze", may::WALLETS_STATUS),
            status::unfreeze,
        )
        .route(
            RouteSpec::post("/api/v1/wallets/{id}/close", may::WALLETS_STATUS),
            status::close,
        )
        .route(
            RouteSpec::get("/api/v1/wallets/{id}/statement", may::WALLETS_READ),
            statement::statement,
        )
        .route(
            RouteSpec::get("/api/v1/wallets/{id}/limits", may::WALLETS_READ),
            limits::get,
        )
        .route(
            RouteSpec::put("/api/v1/wallets/{id}/limits", may::WALLETS_LIMITS),
            limits::put,
        )
}

/// What moves money, and what was moved.
fn movements(routes: Routes<Shared>) -> Routes<Shared> {
    use permission as may;
    routes
        .route(
            RouteSpec::post("/api/v1/wallets/{id}/deposit", may::WALLETS_DEPOSIT),
            deposit::deposit,
        )
        .route(
            RouteSpec::post("/api/v1/wallets/{id}/withdraw", may::WALLETS_WRITE),
            withdraw::withdraw,
        )
        .route(
            RouteSpec::post("/api/v1/wallets/{id}/transfer", may::WALLETS_WRITE),
            transfer::transfer,
        )
        .route(
            RouteSpec::post("/api/v1/wallets/{id}/holds", may::WALLETS_WRITE),
            holds::place,
        )
        .route(
            RouteSpec::get("/api/v1/wallets/{id}/holds", may::WALLETS_READ),
            hold_reads::list,
        )
        .route(
            RouteSpec::get("/api/v1/holds/{id}", may::WALLETS_READ),
            hold_reads::get,
        )
        .route(
            RouteSpec::post("/api/v1/holds/{id}/capture", may::WALLETS_CAPTURE),
            holds::capture,
        )
        .route(
            RouteSpec::post("/api/v1/holds/{id}/void", may::WALLETS_CAPTURE),
            holds::void,
        )
        .route(
            RouteSpec::get("/api/v1/wallets/{id}/transactions", may::WALLETS_READ),
            transactions::list,
        )
        .route(
            RouteSpec::get("/api/v1/transactions/{id}", may::WALLETS_READ),
            transactions::get,
        )
        .route(
            RouteSpec::post("/api/v1/transactions/{id}/reverse", may::WALLETS_REVERSE),
            reverse::reverse,
        )
}
