//! The gate: check-ins, scan bundles, keys, devices (contract D3, D4).
//!
//! Whoever scans is a member with `checkins:write` for the event, or a device of the event with
//! its key in `X-Device-Key`.

mod bundle;
mod check_ins;
mod devices;
mod past;

use florin_platform::http::auth::{Caller, Permission};
use florin_platform::http::problem::Problem;
use florin_platform::http::router::Routes;
use http::HeaderMap;

use super::permission;
use super::problem::event_not_found;
use super::scope::in_org;
use crate::Ticketing;
use crate::gate::devices::{Device, by_key};
use crate::model::event::Event;
use crate::store;

/// Header of a device's key.
const DEVICE_KEY: &str = "x-device-key";

/// The routes.
pub fn routes() -> Routes<Ticketing> {
    Routes::new()
        .merge(check_ins::routes())
        .merge(past::routes())
        .merge(bundle::routes())
        .merge(devices::routes())
}

/// Who works at a gate.
struct Keeper {
    event: Event,
    /// The device whose key was shown.
    device: Option<Device>,
    /// For the record.
    actor: String,
}

/// The event, if the caller or the shown device may do this at its gate.
async fn keeper(
    room: &Ticketing,
    caller: Option<&Caller>,
    headers: &HeaderMap,
    event_id: &str,
    permission: Permission,
) -> Result<Keeper, Problem> {
    let shown = headers.get(DEVICE_KEY).and_then(|key| key.to_str().ok());
    let event = store::events::load(&room.store.db, event_id).await?;
    if let Some(key) = shown {
        let device = by_key(room, key).await?;
        let device = device.ok_or_else(|| {
            Problem::unauthenticated("The device's key is not known or was revoked.")
        })?;
        if device.event_id != event_id {
            return Err(event_not_found());
        }
        return Ok(Keeper {
            event: event.ok_or_else(event_not_found)?,
            actor: format!("device:{}", device.id),
            device: Some(device),
        });
    }
    let caller = caller
        .ok_or_else(|| Problem::unauthenticated("A credential or a device's key is needed."))?;
    caller.require(permission)?;
    let event = event.ok_or_else(event_not_found)?;
    let (org, id) = (&event.org_id, Some(event_id));
    in_org(room, caller, org, id, permission, event_not_found).await?;
    Ok(Keeper {
        event,
        device: None,
        actor: caller.subject.to_string(),
    })
}
