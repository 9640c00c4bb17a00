//! The routes of the shadow ledger: one file per resource.
//!
//! **Boundary.** A handler checks permission, scope, shape and grammar, calls store or service,
//! and prints. Every route needs one permission of contract E; roles are exact.
//!
//! **For those who add routes:** write `routes() -> Routes<Shared>` beside your handlers and
//! merge it in [`routes`]; turn your own problems with [`problem::ours`].

pub mod accounts;
pub mod alerts;
pub mod aliases;
pub mod audit;
pub mod balance;
pub mod batch;
pub mod books;
pub mod class;
pub mod control;
pub mod corrections;
pub mod dead_letters;
pub mod drift_check;
pub mod drift_checks;
pub mod entries;
pub mod event_list;
pub mod events;
pub mod links;
pub mod log;
pub mod money;
pub mod monitors;
pub mod permission;
pub mod problem;
pub mod query;
pub mod reconcile;
pub mod scope;

use std::sync::Arc;

use florin_platform::http::page::Cursors;
use florin_platform::http::problem::ErrorForm;
use florin_platform::http::router::Routes;

use crate::store::{Actor, Shadow};

/// What the handlers work with.
pub struct ShadowApi {
    /// The shadow ledger.
    pub shadow: Shadow,
    /// Makes and reads cursors.
    pub cursors: Cursors,
    /// The entrance of topics, for what was parked there.
    pub entrance: crate::worker::topics::Entrance,
    /// Signs checkpoints of the log.
    pub signer: Arc<dyn crate::worker::checkpoint::Signer>,
}

/// [`ShadowApi`] as handlers hold it.
pub type Shared = Arc<ShadowApi>;

/// Routes of the event service (part A), with `aliases` also at the root (contract section 0).
pub fn event_routes(aliases: bool) -> Routes<Shared> {
    let all = Routes::new()
        .merge(events::routes())
        .merge(event_list::routes())
        .merge(batch::routes())
        .merge(dead_letters::routes());
    let all = match aliases {
        true => all.merge(aliases::event_routes()),
        false => all,
    };
    all.with_error_form(ErrorForm::Words)
}

/// Routes of the shadow ledger service (part B), with `aliases` also at the root.
pub fn ledger_routes(aliases: bool) -> Routes<Shared> {
    let all = Routes::new()
        .merge(balance::routes())
        .merge(entries::routes())
        .merge(accounts::routes())
        .merge(books::routes())
        .merge(log::routes());
    let all = match aliases {
        true => all.merge(aliases::ledger_routes()),
        false => all,
    };
    all.with_error_form(ErrorForm::Words)
}

/// The caller as the log names him, with the trace of his request.
pub fn actor(caller: &florin_platform::http::auth::Principal) -> Actor {
    let roles: Vec<&str> = caller.roles.iter().map(|role| &**role).collect();
    Actor {
        subject: caller.subject.to_string(),
        role: (!roles.is_empty()).then(|| roles.join(",")),
        trace_id: trace_id(),
    }
}

/// The trace id of the request that runs on this task.
pub fn trace_id() -> Option<String> {
    florin_platform::http::trace::with_current_id(str::to_owned)
}
