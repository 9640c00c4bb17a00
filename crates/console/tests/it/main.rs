//! The console over an API that answers as a test wants: sign-in through a provider, refreshing,
//! refusals in words, and what holds for all routes.

mod admin;
mod fake;
mod oidc;
mod pages;
mod sessions;
mod shadow;
mod shadow_settings;
mod ticketing;
