//! Accounts and wallets as they are now, with the `seq` that they are as of: each read is one
//! statement, which sees the head and the balances in one state.

use florin_base::Timestamp;
use sqlx::{AssertSqlSafe, Row as _, postgres::PgPool, postgres::PgRow};
use uuid::Uuid;

use super::{
    super::{directory::Row, rows},
    store::{Store, account, broken, text},
};
use crate::{
    call::{AccountView, AssetSums, Head, LimitsView, WalletView},
    engine::ReadError,
    model::{AccountId, AccountKind, AssetNo, Floor, Limits, Metadata, Slot, Status, Totals},
    record::{
        bytes::{Read, Take},
        codec::{take_floor, take_metadata},
        wallets::take_limits,
    },
    rules::{
        book::{WalletInfo, Windows},
        limits_in_force,
    },
};

/// Slots that one list looks at before it answers with what it has.
const SCAN_MAX: i64 = 50_000;
/// Rows fetched at a time when a filter is judged here.
const FETCH: i64 = 1_000;

/// The first nine columns are those of [`account`].
const COLUMNS: &str = "a.slot, a.wallet, a.name, a.asset, a.kind, a.normal, a.created_seq, \
     a.created_at, a.owner, a.status, a.version, a.floor, a.metadata, a.tier, a.limits, a.label, \
     a.wallet_metadata, a.updated_at, b.dp, b.cp, b.dr, b.cr, b.high, b.postings, b.events, \
     b.windows, h.seq";

/// Everything about one account.
pub(super) struct Found {
    slot: Slot,
    row: std::sync::Arc<Row>,
    status: Status,
    version: u32,
    floor: Floor,
    metadata: Metadata,
    tier: Box<str>,
    limits: Option<Limits>,
    label: Option<Box<str>>,
    wallet_metadata: Metadata,
    updated_at: Timestamp,
    totals: Totals,
    windows: Windows,
    seq: u64,
}

fn taken<T>(
    row: &PgRow,
    at: usize,
    take: impl FnOnce(&mut Take<'_>) -> Read<T>,
) -> Result<Option<T>, ReadError> {
    let bytes: Option<&[u8]> = row.try_get(at).map_err(broken)?;
    bytes
        .map(|bytes| take(&mut Take::new(bytes)))
        .transpose()
        .map_err(broken)
}

fn words(row: &PgRow, at: usize) -> Result<Option<Box<str>>, ReadError> {
    let bytes: Option<&[u8]> = row.try_get(at).map_err(broken)?;
    Ok(bytes.map(text).transpose()?.map(Into::into))
}

fn number(row: &PgRow, at: usize) -> Result<i64, ReadError> {
    row.try_get(at).map_err(broken)
}

impl Found {
    fn read(store: &Store, row: &PgRow) -> Result<Self, ReadError> {
        let slot = row.try_get::<i32, _>(0).map_err(broken)? as Slot;
        let facts = account(row)?;
        store.shared.directory.add([(slot, facts.clone())]);
        let status = row.try_get::<i16, _>(9).map_err(broken)?;
        let status = u8::try_from(status).ok().and_then(Status::from_number);
        let low = [
            number(row, 18)?,
            number(row, 19)?,
            number(row, 20)?,
            number(row, 21)?,
        ];
        let high: Option<&[u8]> = row.try_get(22).map_err(broken)?;
        let totals = rows::totals(low, high, number(row, 23)?, number(row, 24)?);
        let windows: Option<&[u8]> = row.try_get(25).map_err(broken)?;
        let updated_at: Option<i64> = row.try_get(17).map_err(broken)?;
        Ok(Self {
            slot,
            status: status.ok_or_else(|| broken("an account has an unknown status"))?,
            version: row.try_get::<i32, _>(10).map_err(broken)? as u32,
            floor: taken(row, 11, take_floor)?.unwrap_or_default(),
            metadata: taken(row, 12, take_metadata)?.unwrap_or_default(),
            tier: words(row, 13)?.unwrap_or_default(),
            limits: taken(row, 14, take_limits)?,
            label: words(row, 15)?,
            wallet_metadata: taken(row, 16, take_metadata)?.unwrap_or_default(),
            updated_at: updated_at.map_or(facts.created_at, Timestamp),
            totals: totals.map_err(broken)?,
            windows: windows
                .map_or(Ok(Windows::default()), rows::take_windows)
                .map_err(broken)?,
            seq: number(row, 26)? as u64,
            row: facts,
        })
    }

    pub(super) fn account(self) -> AccountView {
        AccountView {
            slot: self.slot,
            facts: self.row.facts(),
            totals: self.totals,
            status: self.status,
            floor: self.floor,
            metadata: self.metadata,
            version: self.version,
            as_of_seq: self.seq,
        }
    }

    /// As a wallet, if there is one behind the account.
    pub(super) fn wallet(self) -> Option<WalletView> {
        let owner = self.row.owner.clone()?;
        Some(WalletView {
            id: self.row.id.wallet()?,
            slot: self.slot,
            user_id: (&*owner).into(),
            asset: self.row.asset,
            totals: self.totals,
            status: self.status,
            tier: self.tier,
            limits: self.limits,
            label: self.label,
            metadata: self.wallet_metadata,
            version: self.version,
            created_at: self.row.created_at,
            updated_at: self.updated_at,
            as_of_seq: self.seq,
        })
    }
}

/// Which wallets to list.
pub(super) struct WalletFilter {
    pub user_id: Option<Box<str>>,
    pub status: Option<Status>,
    pub asset: Option<AssetNo>,
    pub after: Option<Slot>,
    pub limit: usize,
}

/// Which accounts to list.
pub(super) struct AccountFilter {
    pub asset: Option<AssetNo>,
    pub kind: Option<AccountKind>,
    pub status: Option<Status>,
    pub id_prefix: Option<Box<str>>,
    pub metadata: Vec<(Box<str>, Box<str>)>,
    pub after: Option<Slot>,
    pub limit: usize,
}

impl AccountFilter {
    fn lets(&self, found: &Found) -> bool {
        self.metadata
            .iter()
            .all(|(key, value)| found.metadata.get(key) == Some(value))
    }
}

fn after_slot(after: Option<Slot>) -> i64 {
    after.map_or(-1, i64::from)
}

impl Store {
    /// One account now.
    pub(super) async fn account_now(
        &self,
        pool: &PgPool,
        id: &AccountId,
    ) -> Result<Option<Found>, ReadError> {
        let wanted = match id {
            AccountId::Wallet(_) => "a.wallet = $1",
            AccountId::Named(_) => "a.name = $1",
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM head h, accounts a JOIN balances b USING (slot) WHERE {wanted}"
        );
        let query = sqlx::query(AssertSqlSafe(sql));
        let query = match id {
            AccountId::Wallet(wallet) => query.bind(Uuid::from_u128(*wallet)),
            AccountId::Named(name) => query.bind(name.as_str().to_owned()),
        };
        let found = query.fetch_optional(pool).await.map_err(broken)?;
        found.map(|row| Found::read(self, &row)).transpose()
    }

    /// How many wallets there are.
    pub(super) async fn count_wallets(&self) -> Result<u64, ReadError> {
        let counted: i64 =
            sqlx::query_scalar("SELECT count(*) FROM accounts WHERE owner IS NOT NULL")
                .fetch_one(&self.primary)
                .await
                .map_err(broken)?;
        Ok(counted.unsigned_abs())
    }

    /// One wallet now; another user's does not exist for `owner`.
    pub(super) async fn wallet_now(
        &self,
        pool: &PgPool,
        id: u128,
        owner: Option<&str>,
    ) -> Result<Option<(WalletView, Windows)>, ReadError> {
        let found = self.account_now(pool, &AccountId::Wallet(id)).await?;
        let Some(found) = found else { return Ok(None) };
        let windows = found.windows;
        let view = found.wallet();
        Ok(view
            .filter(|view| owner.is_none_or(|user| *view.user_id == *user))
            .map(|view| (view, windows)))
    }

    /// Limits in force and their use at a time.
    pub(super) async fn limits_now(
        &self,
        pool: &PgPool,
        id: u128,
        owner: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<LimitsView>, ReadError> {
        let Some((wallet, windows)) = self.wallet_now(pool, id, owner).await? else {
            return Ok(None);
        };
        if self.shared.directory.asset(wallet.asset).is_none() {
            self.load_assets(pool).await?;
        }
        let asset = self.shared.directory.asset(wallet.asset);
        let asset = asset.ok_or_else(|| broken("a wallet has an unknown asset"))?;
        let info = WalletInfo {
            user_id: (&*wallet.user_id).into(),
            tier: (&*wallet.tier).into(),
            limits: wallet.limits.map(Box::new),
            updated_at: wallet.updated_at,
        };
        Ok(Some(LimitsView {
            limits: limits_in_force(&self.shared.policy, &info, &asset.code),
            used: windows.at(now).used,
            day_resets_at: now.next_day(),
            month_resets_at: now.next_month(),
            wallet,
        }))
    }

    /// Wallets in order of creation, and the slot to go on after when there may be more.
    pub(super) async fn wallets_now(
        &self,
        pool: &PgPool,
        filter: WalletFilter,
    ) -> Result<(Vec<WalletView>, Option<Slot>), ReadError> {
        let low = after_slot(filter.after);
        // The wallets of one user are few; all others are looked at in stretches.
        let high = match filter.user_id {
            Some(_) => i64::MAX,
            None => low + SCAN_MAX,
        };
        let sql = format!(
            "SELECT {COLUMNS}, h.accounts FROM head h, accounts a JOIN balances b USING (slot)
             WHERE a.owner IS NOT NULL AND a.slot > $1 AND a.slot <= $2
               AND ($3::bytea IS NULL OR a.owner = $3)
               AND ($4::smallint IS NULL OR a.status = $4)
               AND ($5::smallint IS NULL OR a.asset = $5)
             ORDER BY a.slot LIMIT $6"
        );
        // A statement of its own for one user, so that the index of owners is used.
        let of_user = format!(
            "SELECT {COLUMNS}, h.accounts FROM head h, accounts a JOIN balances b USING (slot)
             WHERE a.owner = $3 AND a.slot > $1 AND a.slot <= $2
               AND ($4::smallint IS NULL OR a.status = $4)
               AND ($5::smallint IS NULL OR a.asset = $5)
             ORDER BY a.owner, a.slot LIMIT $6"
        );
        let sql = if filter.user_id.is_some() {
            of_user
        } else {
            sql
        };
        let found = sqlx::query(AssertSqlSafe(sql))
            .bind(low)
            .bind(high)
            .bind(filter.user_id.map(|user| user.as_bytes().to_vec()))
            .bind(filter.status.map(|status| status as i16))
            .bind(filter.asset.map(|asset| asset as i16))
            .bind(filter.limit as i64 + 1)
            .fetch_all(pool)
            .await
            .map_err(broken)?;
        let more = found.len() > filter.limit;
        let mut wallets = Vec::new();
        for row in found.iter().take(filter.limit) {
            wallets.extend(Found::read(self, row)?.wallet());
        }
        let next = if more {
            wallets.last().map(|wallet| wallet.slot)
        } else {
            self.end_of_scan(pool, high).await?
        };
        Ok((wallets, next))
    }

    /// Where a walk goes on after a stretch of slots; `None` when it was the last one.
    async fn end_of_scan(&self, pool: &PgPool, high: i64) -> Result<Option<Slot>, ReadError> {
        if high == i64::MAX {
            return Ok(None);
        }
        let (accounts,): (i64,) = sqlx::query_as("SELECT accounts FROM head")
            .fetch_one(pool)
            .await
            .map_err(broken)?;
        Ok((high < accounts - 1).then_some(high as Slot))
    }

    /// Accounts in order of creation, and the slot to go on after when there may be more.
    pub(super) async fn accounts_now(
        &self,
        pool: &PgPool,
        filter: AccountFilter,
    ) -> Result<(Vec<AccountView>, Option<Slot>), ReadError> {
        let mut low = after_slot(filter.after);
        let high = low + SCAN_MAX;
        let fetch = match filter.metadata.is_empty() {
            true => filter.limit as i64 + 1,
            false => FETCH,
        };
        let sql = format!(
            "SELECT {COLUMNS} FROM head h, accounts a JOIN balances b USING (slot)
             WHERE a.slot > $1 AND a.slot <= $2
               AND ($3::smallint IS NULL OR a.asset = $3)
               AND ($4::smallint IS NULL OR a.kind = $4)
               AND ($5::smallint IS NULL OR a.status = $5)
               AND ($6::text IS NULL
                    OR starts_with(COALESCE(a.name, 'florin:wallet:' || a.wallet::text), $6))
               AND (NOT $7 OR a.metadata IS NOT NULL)
             ORDER BY a.slot LIMIT $8"
        );
        let mut accounts: Vec<AccountView> = Vec::new();
        loop {
            let found = sqlx::query(AssertSqlSafe(sql.clone()))
                .bind(low)
                .bind(high)
                .bind(filter.asset.map(|asset| asset as i16))
                .bind(filter.kind.map(|kind| kind as i16))
                .bind(filter.status.map(|status| status as i16))
                .bind(filter.id_prefix.as_deref().map(str::to_owned))
                .bind(!filter.metadata.is_empty())
                .bind(fetch)
                .fetch_all(pool)
                .await
                .map_err(broken)?;
            for row in &found {
                let found = Found::read(self, row)?;
                low = i64::from(found.slot);
                if !filter.lets(&found) {
                    continue;
                }
                if accounts.len() == filter.limit {
                    let last = accounts.last().map(|account| account.slot);
                    return Ok((accounts, last));
                }
                accounts.push(found.account());
            }
            if (found.len() as i64) < fetch {
                let next = self.end_of_scan(pool, high).await?;
                return Ok((accounts, next));
            }
        }
    }

    /// A real sum over all accounts; nothing is kept that could hide a difference.
    pub(super) async fn trial_balance_now(
        &self,
        pool: &PgPool,
    ) -> Result<(Vec<AssetSums>, Head), ReadError> {
        let assets = self.load_assets(pool).await?;
        let mut sums: Vec<AssetSums> = assets
            .iter()
            .map(|asset| AssetSums {
                asset: asset.code.clone(),
                ..AssetSums::default()
            })
            .collect();
        let mut tx = pool.begin().await.map_err(broken)?;
        // One state for all three statements, and plans that may read whole tables.
        sqlx::raw_sql(
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
             SET LOCAL enable_seqscan = on; SET LOCAL enable_hashjoin = on;
             SET LOCAL plan_cache_mode = auto",
        )
        .execute(&mut *tx)
        .await
        .map_err(broken)?;
        let head = read_head(&mut tx).await?;
        // Totals are the low 64 bits as signed numbers: those that look negative lack 2^64.
        let low: Vec<PgRow> = sqlx::query(
            "SELECT a.asset, count(*),
                    sum(b.dp)::text, count(*) FILTER (WHERE b.dp < 0),
                    sum(b.cp)::text, count(*) FILTER (WHERE b.cp < 0),
                    sum(b.dr)::text, count(*) FILTER (WHERE b.dr < 0),
                    sum(b.cr)::text, count(*) FILTER (WHERE b.cr < 0)
             FROM accounts a JOIN balances b USING (slot) GROUP BY a.asset",
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(broken)?;
        for row in &low {
            add_low(sum_of(&mut sums, row)?, row)?;
        }
        let high: Vec<PgRow> = sqlx::query(
            "SELECT a.asset, b.high FROM accounts a JOIN balances b USING (slot)
             WHERE b.high IS NOT NULL",
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(broken)?;
        for row in &high {
            let bytes: &[u8] = row.try_get(1).map_err(broken)?;
            let totals = rows::totals([0; 4], Some(bytes), 0, 0).map_err(broken)?;
            add(&mut sum_of(&mut sums, row)?.totals, &totals);
        }
        tx.commit().await.map_err(broken)?;
        Ok((sums, head))
    }

    /// Where the ledger stands.
    pub(super) async fn head_now(&self, pool: &PgPool) -> Result<Head, ReadError> {
        let mut connection = pool.acquire().await.map_err(broken)?;
        read_head(&mut connection).await
    }
}

async fn read_head(connection: &mut sqlx::PgConnection) -> Result<Head, ReadError> {
    let row = sqlx::query(
        "SELECT h.seq, h.batch, COALESCE(b.recorded_at, 0)
         FROM head h LEFT JOIN batches b ON b.batch = h.batch",
    )
    .fetch_one(connection)
    .await
    .map_err(broken)?;
    Ok(Head {
        seq: number(&row, 0)? as u64,
        batch: number(&row, 1)? as u64,
        recorded_at: Timestamp(number(&row, 2)?),
    })
}

fn sum_of<'s>(sums: &'s mut [AssetSums], row: &PgRow) -> Result<&'s mut AssetSums, ReadError> {
    let asset: i16 = row.try_get(0).map_err(broken)?;
    sums.get_mut(asset as usize)
        .ok_or_else(|| broken("an account has an unknown asset"))
}

fn add_low(sum: &mut AssetSums, row: &PgRow) -> Result<(), ReadError> {
    sum.accounts += number(row, 1)? as u64;
    let total = |at: usize| -> Result<u128, ReadError> {
        let signed: String = row.try_get(at).map_err(broken)?;
        let signed: i128 = signed.parse().map_err(broken)?;
        let lacking = (number(row, at + 1)? as u128) << 64;
        Ok((signed as u128).wrapping_add(lacking))
    };
    let totals = Totals {
        debits_posted: total(2)?,
        credits_posted: total(4)?,
        debits_pending: total(6)?,
        credits_pending: total(8)?,
        ..Totals::default()
    };
    add(&mut sum.totals, &totals);
    Ok(())
}

fn add(sum: &mut Totals, totals: &Totals) {
    let pairs = [
        (&mut sum.debits_posted, totals.debits_posted),
        (&mut sum.credits_posted, totals.credits_posted),
        (&mut sum.debits_pending, totals.debits_pending),
        (&mut sum.credits_pending, totals.credits_pending),
    ];
    for (sum, value) in pairs {
        *sum = sum.saturating_add(value);
    }
}
