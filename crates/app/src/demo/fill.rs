//! Demo data: two users with wallets, a few days of life between them. Made through the API.

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::inproc::InProcess;

/// Makes the data unless Ana has wallets already.
pub async fn fill(service: &InProcess) -> anyhow::Result<()> {
    let known = service
        .get("/api/v1/users/ana/wallets?limit=1")
        .await?
        .success()?;
    if known["items"]
        .as_array()
        .is_some_and(|items| !items.is_empty())
    {
        return Ok(());
    }
    let ana = wallet(service, "ana", "BRL", "everyday").await?;
    let savings = wallet(service, "ana", "USD", "savings").await?;
    let bob = wallet(service, "bob", "BRL", "everyday").await?;
    let act = |wallet: &str, what: &str, body: Value| {
        let path = format!("/api/v1/wallets/{wallet}/{what}");
        async move { service.post(&path, &body).await?.success().context(path) }
    };
    act(
        &ana,
        "deposit",
        json!({"amount": "2500.00", "referenceId": "demo-salary", "description": "Salary"}),
    )
    .await?;
    act(
        &bob,
        "deposit",
        json!({"amount": "800.00", "referenceId": "demo-salary", "description": "Salary"}),
    )
    .await?;
    act(
        &savings,
        "deposit",
        json!({"amount": "300.00", "referenceId": "demo-start", "description": "Opening"}),
    )
    .await?;
    act(&ana, "transfer", json!({"amount": "120.50", "toWalletId": bob, "referenceId": "demo-dinner", "description": "Dinner"})).await?;
    act(&bob, "transfer", json!({"amount": "35.00", "toWalletId": ana, "referenceId": "demo-taxi", "description": "Taxi"})).await?;
    act(
        &ana,
        "withdraw",
        json!({"amount": "200.00", "referenceId": "demo-cash", "description": "Cash"}),
    )
    .await?;
    act(
        &bob,
        "holds",
        json!({"amount": "60.00", "referenceId": "demo-hotel", "description": "Hotel deposit"}),
    )
    .await?;
    Ok(())
}

async fn wallet(
    service: &InProcess,
    user: &str,
    currency: &str,
    label: &str,
) -> anyhow::Result<String> {
    let body = json!({
        "userId": user, "currency": currency, "label": label,
        "referenceId": format!("demo-{user}-{currency}"),
    });
    let made = service.post("/api/v1/wallets", &body).await?.success()?;
    let id = made["walletId"].as_str().context("a wallet without id")?;
    Ok(id.to_owned())
}
