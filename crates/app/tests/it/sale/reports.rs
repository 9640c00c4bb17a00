//! The reports of a sale, held against the transfers of the ledger and nothing else (INV-T11).

use serde_json::Value;

use super::books::get;
use super::clients::Sale;
use crate::server::{Server, Who};
use crate::ticketing_story::figures;

/// All transfers of a list of the ledger; none of an account that was never used.
fn transfers(server: &Server, list: &str) -> Vec<Value> {
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/ledger/{list}limit=500{cursor}");
        if server.get(Who::Auditor, &path).status == 404 {
            return found;
        }
        let page = get(server, Who::Auditor, &path);
        found.extend(page["items"].as_array().expect("items").iter().cloned());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

/// Every money figure of the reports that is not the sum of its transfers.
pub fn disagreements(server: &Server, sale: &Sale) -> Vec<String> {
    let (org, event) = (&sale.org, &sale.event);
    let lists = [
        format!("transfers?metadata.eventId={event}&"),
        format!("accounts/florin:tk:payable:{org}:{event}:EUR/transfers?"),
        format!("accounts/florin:tk:tax:{org}:{event}:EUR/transfers?"),
    ];
    let all: Vec<Value> = lists
        .iter()
        .flat_map(|list| transfers(server, list))
        .collect();
    let counted = figures::recount(&all);
    let mut found = Vec::new();
    for report in ["overview", "revenue"] {
        let path = format!("/api/v1/analytics/events/{event}/{report}");
        let shown = get(server, Who::Ana, &path);
        for (figure, amount) in &counted {
            if figures::minor(&shown[figure]) != Some(*amount) {
                let (says, of) = (&shown[figure], all.len());
                found.push(format!(
                    "INV-T11: {figure} of {report} is {says}, {amount} by {of} transfers"
                ));
            }
        }
    }
    found
}
