//! The migrations of this crate.

use std::path::Path;

use crate::testing::{mirrored, postgres::TestPostgres};

fn migrations() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"))
}

#[test]
fn both_folders_hold_the_same_numbers_and_names() {
    mirrored::same_names(migrations());
}

#[tokio::test]
async fn both_make_the_same_columns_on_postgres() {
    let Some(server) = TestPostgres::start().await else {
        return;
    };
    mirrored::same_tables(&server, migrations()).await;
}
