//! Metrics of the wallet operations (contract E, volume and latency). No label holds an id.
//!
//! Money is counted in minor units of its currency: counters are whole numbers. What also
//! happens outside of HTTP (expiries, other rooms' payments) is counted where the change feed
//! is read.

use std::{sync::OnceLock, time::Instant};

use axum::response::Response;
use florin_ledger::{Ledger, ResultCode, call::ItemResult, model::Record};
use florin_platform::http::{idempotency::IDEMPOTENCY_REPLAYED, problem::Problem};
use metrics::{Counter, Histogram, counter, histogram};

/// Operations with a counter and a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A new wallet.
    Creation,
    /// Money from outside.
    Deposit,
    /// Money to the outside.
    Withdrawal,
    /// Money between wallets.
    Transfer,
    /// Any read.
    Query,
}

struct Handles {
    done: Counter,
    duration: Histogram,
}

struct All {
    by_operation: [Handles; 5],
    failed: Counter,
    transactions: Counter,
}

/// Looked up once: the registry of the recorder costs a hash and a lock at each look.
fn handles() -> &'static All {
    static ALL: OnceLock<All> = OnceLock::new();
    ALL.get_or_init(|| All {
        by_operation: [
            Handles {
                done: counter!("wallet_operations_created_total"),
                duration: histogram!("wallet_operations_creation_duration_seconds"),
            },
            Handles {
                done: counter!("wallet_operations_deposits_total"),
                duration: histogram!("wallet_operations_deposit_duration_seconds"),
            },
            Handles {
                done: counter!("wallet_operations_withdrawals_total"),
                duration: histogram!("wallet_operations_withdrawal_duration_seconds"),
            },
            Handles {
                done: counter!("wallet_operations_transfers_total"),
                duration: histogram!("wallet_operations_transfer_duration_seconds"),
            },
            Handles {
                done: counter!("wallet_operations_queries_total"),
                duration: histogram!("wallet_operations_query_duration_seconds"),
            },
        ],
        failed: counter!("wallet_operations_failed_total"),
        transactions: counter!("wallet_transactions_total"),
    })
}

/// Counts the results of a ledger call by their codes, of which a call has few.
pub fn count_results(results: &[ItemResult]) {
    let mut counts: Vec<(ResultCode, u64)> = Vec::new();
    for result in results {
        match counts.iter_mut().find(|(code, _)| *code == result.code) {
            Some((_, count)) => *count += 1,
            None => counts.push((result.code, 1)),
        }
    }
    for (code, count) in counts {
        counter!("ledger_results_total", "code" => code.word()).increment(count);
    }
}

/// Measures one operation; dropped without [`Timer::done`] it counts as failed.
#[must_use]
pub struct Timer {
    operation: Operation,
    started: Instant,
    has_failed: bool,
}

impl Timer {
    /// Begins now.
    pub fn start(operation: Operation) -> Self {
        Self {
            operation,
            started: Instant::now(),
            has_failed: true,
        }
    }

    /// Ends with an answer, which is passed on. Replays are neither new nor failed.
    pub fn done(mut self, result: Result<Response, Problem>) -> Result<Response, Problem> {
        if let Ok(response) = &result {
            let is_replay = response.headers().contains_key(&IDEMPOTENCY_REPLAYED);
            self.has_failed = !response.status().is_success() && !is_replay;
            if response.status().is_success() && !is_replay {
                handles().by_operation[self.operation as usize]
                    .done
                    .increment(1);
            }
        }
        result
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let handles = handles();
        if self.has_failed {
            handles.failed.increment(1);
        }
        let own = &handles.by_operation[self.operation as usize];
        own.duration.record(self.started.elapsed());
    }
}

/// Counts a transaction.
pub fn count_transaction() {
    handles().transactions.increment(1);
}

/// Counts the money of a deposit, withdrawal or transfer.
pub fn count_money(ledger: &Ledger, operation: Operation, record: Option<&Record>) {
    let Some(transfer) = record.and_then(Record::transfer) else {
        return;
    };
    let name = match operation {
        Operation::Deposit => "wallet_money_deposited_total",
        Operation::Withdrawal => "wallet_money_withdrawn_total",
        Operation::Transfer => "wallet_money_transferred_total",
        Operation::Creation | Operation::Query => return,
    };
    let currency = ledger.asset(transfer.asset).code.to_string();
    let amount = u64::try_from(transfer.amount).unwrap_or(u64::MAX);
    counter!(name, "currency" => currency).increment(amount);
}

/// What became of a hold.
pub fn count_hold(name: &'static str) {
    counter!(name).increment(1);
}
