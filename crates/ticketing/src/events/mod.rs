//! Organisations, events, ticket types, pools, promo codes, images, search (contract A).
