//! Check-in with and without a network, devices, scan bundles, conflicts (contract D3, D4).
