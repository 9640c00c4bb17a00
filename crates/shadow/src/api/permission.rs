//! Permissions of this room (contract E). Roles are exact: `admin` alone cannot post events.

use florin_platform::http::auth::Permission;

/// POST events and batches.
pub const INTAKE: Permission = Permission::new("shadow:intake");
/// GET shadow-balance.
pub const BALANCE: Permission = Permission::new("shadow:balance");
/// All other GETs.
pub const READ: Permission = Permission::new("shadow:read");
/// Drift checks.
pub const CHECK: Permission = Permission::new("shadow:check");
/// Statements, lines, profiles, account references.
pub const IMPORT: Permission = Permission::new("shadow:import");
/// Reconciliations and matches.
pub const MATCH: Permission = Permission::new("shadow:match");
/// Corrections, reversals, redrives, rejects, dead letters.
pub const CORRECT: Permission = Permission::new("shadow:correct");
/// Approve or reject a correction.
pub const APPROVE: Permission = Permission::new("shadow:approve");
/// Books, links, monitors, alerts.
pub const CONFIGURE: Permission = Permission::new("shadow:configure");

/// Every permission of this room.
pub const ALL: [Permission; 9] = [
    INTAKE, BALANCE, READ, CHECK, IMPORT, MATCH, CORRECT, APPROVE, CONFIGURE,
];
