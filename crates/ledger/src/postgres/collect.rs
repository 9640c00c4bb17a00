//! What a batch will need, guessed from its calls before anything is judged. A guess that falls
//! short costs a round trip, never correctness: see [`super::book`].

use hashbrown::HashSet;
use uuid::Uuid;

use super::book::Working;
use crate::{
    call::{Call, CallKey, CreateWallet, ImportLine, Item, ResolveHold, ReverseCall, WalletMove},
    model::{AccountId, AssetNo, Slot, SystemAccount, TransferId},
    rules::book::{Book, Space},
};

/// What the rules asked for in vain, or what is to be loaded.
#[derive(Debug, Default, Clone)]
pub(super) struct Keys {
    pub slots: HashSet<Slot>,
    pub accounts: HashSet<AccountId>,
    pub identities: HashSet<Uuid>,
    pub pendings: HashSet<TransferId>,
    pub records: HashSet<u64>,
    pub notes: HashSet<u64>,
    pub owners: HashSet<(Box<str>, AssetNo)>,
    /// With each record also so many after it, up to `last_seq`: chains are asked for one by one.
    pub reach: u64,
    pub last_seq: u64,
}

impl Keys {
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
            && self.accounts.is_empty()
            && self.identities.is_empty()
            && self.pendings.is_empty()
            && self.records.is_empty()
            && self.notes.is_empty()
            && self.owners.is_empty()
    }
}

/// Adds to `keys` what a call will need and `working` does not have.
pub(super) struct Collector<'w> {
    working: &'w Working,
    /// Identities that callers make for one call are taken for new, which their insert verifies.
    trusts: bool,
    pub keys: Keys,
    /// The identities taken for new.
    pub trusted: Vec<Uuid>,
}

impl<'w> Collector<'w> {
    pub(super) fn new(working: &'w Working, trusts: bool) -> Self {
        Self {
            working,
            trusts,
            keys: Keys::default(),
            trusted: Vec::new(),
        }
    }

    pub(super) fn call(&mut self, call: &Call) {
        match call {
            Call::Transfers(c) => {
                self.call_key(c.key.as_ref());
                for item in &c.items {
                    self.item(item);
                }
            }
            Call::Reverse(c) => self.reverse(c),
            Call::CreateAsset { .. } => {}
            Call::CreateAccount(c) => {
                self.call_key(c.key.as_ref());
                self.account(&c.id);
            }
            Call::PatchAccount(c) => self.account(&c.id),
            Call::CreateWallet(c) => self.create_wallet(c),
            Call::WalletMove(c) => self.wallet_move(c),
            Call::ResolveHold(c) => self.resolve_hold(c),
            Call::UpdateWallet(c) => self.account(&AccountId::Wallet(c.id)),
            Call::Import(c) => {
                for line in &c.lines {
                    self.line(line);
                }
            }
        }
    }

    fn identity(&mut self, space: Space, scope: &[u8], id: &str) {
        let key = self.working.key(space, scope, id);
        self.keys.identities.insert(key);
    }

    /// An identity that is new unless a call was sent again.
    fn new_identity(&mut self, space: Space, scope: &[u8], id: &str) {
        if self.trusts {
            self.trusted.push(self.working.key(space, scope, id));
        } else {
            self.identity(space, scope, id);
        }
    }

    fn transfer_id(&mut self, id: &str) {
        self.identity(Space::Transfer, &[], id);
    }

    fn call_key(&mut self, key: Option<&CallKey>) {
        if let Some(key) = key {
            self.new_identity(Space::Key, key.scope.as_bytes(), &key.key);
        }
    }

    /// An account by id: met before, then by its slot, which spares an index.
    fn account(&mut self, id: &AccountId) {
        match self.working.met(id) {
            Some(slot) => drop(self.keys.slots.insert(slot)),
            None => drop(self.keys.accounts.insert(id.clone())),
        }
    }

    fn pending(&mut self, id: &TransferId) {
        self.keys.pendings.insert(id.clone());
    }

    fn item(&mut self, item: &Item) {
        if item.invalid.is_some() {
            return;
        }
        self.new_identity(Space::Transfer, &[], &item.id);
        for id in item.debit.iter().chain(&item.credit) {
            self.account(id);
        }
        if let Some(id) = &item.pending_id {
            self.pending(id);
        }
    }

    fn reverse(&mut self, call: &ReverseCall) {
        self.transfer_id(&call.id);
        self.transfer_id(&format!("{}:rev", call.id));
    }

    fn create_wallet(&mut self, call: &CreateWallet) {
        if !call.reference.generated {
            let subject = call.actor.as_deref().unwrap_or("");
            self.identity(Space::Creation, subject.as_bytes(), &call.reference.id);
        }
        self.account(&AccountId::Wallet(call.id));
        if let Some(asset) = self.working.asset_no(&call.currency) {
            self.keys.owners.insert((call.user_id.clone(), asset));
        }
    }

    fn wallet_move(&mut self, call: &WalletMove) {
        if !call.reference.generated {
            let scope = call.wallet.to_be_bytes();
            self.new_identity(Space::Wallet, &scope, &call.reference.id);
        }
        self.account(&AccountId::Wallet(call.wallet));
        let mut codes: Vec<Box<str>> = call.currency.iter().cloned().collect();
        codes.extend(self.code_of(call.wallet));
        if let Some(id) = call.destination {
            self.account(&AccountId::Wallet(id));
            codes.extend(self.code_of(id));
        }
        if let Some(id) = &call.counter_account {
            self.account(id);
        }
        let kind = if call.destination.is_some() {
            SystemAccount::Fx
        } else {
            SystemAccount::External
        };
        for code in codes {
            if self.working.asset_no(&code).is_some() {
                self.account(&AccountId::system(kind, &code));
            }
        }
    }

    /// The currency of a wallet, if it was met.
    fn code_of(&self, wallet: u128) -> Option<Box<str>> {
        let slot = self.working.met(&AccountId::Wallet(wallet))?;
        let no = self.working.met_asset(slot)?;
        Some(self.working.asset(no).code.clone())
    }

    fn resolve_hold(&mut self, call: &ResolveHold) {
        self.transfer_id(&call.hold);
        self.pending(&call.hold);
        if call.capture && !call.reference.generated {
            self.identity(Space::Hold, call.hold.as_bytes(), &call.reference.id);
        }
    }

    fn line(&mut self, line: &ImportLine) {
        match line {
            ImportLine::Asset(_) => {}
            ImportLine::Account(a) => {
                self.call_key(a.key.as_ref());
                self.account(&a.id);
            }
            ImportLine::Transfer(t) => self.item(&t.item),
            ImportLine::Expired { pending_id, .. } => {
                self.transfer_id(&format!("{pending_id}:exp"));
                self.pending(pending_id);
            }
            ImportLine::Wallet { wallet } => self.account(&AccountId::Wallet(wallet.id)),
            ImportLine::AccountUpdate(patch) => self.account(&patch.id),
            ImportLine::WalletUpdate { id, .. } => self.account(&AccountId::Wallet(*id)),
        }
    }
}
