//! Random calls of accounts, wallets, holds and reversals.

use super::{
    generate::{Generator, KEEP, Step, keep},
    model::{Floor, Mode, Model, Status},
    model_wallets::{Movement, uuid_text},
};

impl Generator {
    pub fn create_account(&mut self, model: &Model) -> Step {
        let id = self.fresh("acc:");
        let asset = match self.accounts.len() {
            0..6 => "BRL",
            6..8 => "POINTS",
            _ => *self.random.pick(&["BRL", "USD", "JPY"]),
        };
        let floor = match self.random.below(4) {
            0 => Floor::None,
            1 => Floor::Minus(self.random.below(3_000) as u128),
            _ => Floor::Zero,
        };
        let floor = if asset == "POINTS" {
            Floor::None
        } else {
            floor
        };
        debug_assert!(!model.by_id.contains_key(&id));
        self.accounts.push(id.clone());
        Step::CreateAccount(id, asset, self.random.one_in(2), floor)
    }

    pub fn create_wallet(&mut self) -> Step {
        let id = self.fresh_uuid();
        self.wallets.push(id);
        let asset = *self.random.pick(&["BRL", "BRL", "USD", "JPY", "NONE"]);
        let tier = *self.random.pick(&["standard", "small"]);
        let user = format!("user-{}", self.random.below(5));
        Step::CreateWallet(id, user, asset, tier)
    }

    pub fn patch(&mut self) -> Step {
        let status = match self.random.below(8) {
            0 => Some(Status::Closed),
            1..3 => Some(Status::Frozen),
            _ => Some(Status::Open),
        };
        if self.random.one_in(2) {
            let limits = self.random.one_in(4).then(|| {
                let mut limit = || {
                    self.random
                        .one_in(2)
                        .then(|| 100 * self.random.below(5_000) as u128)
                };
                std::array::from_fn(|_| limit())
            });
            let wallet = *self.random.pick(&self.wallets);
            return Step::UpdateWallet(wallet, status.filter(|_| limits.is_none()), limits);
        }
        let floor = match self.random.below(6) {
            0 => Some(Floor::Zero),
            1 => Some(Floor::Minus(self.random.below(5_000) as u128)),
            2 => Some(Floor::None),
            _ => None,
        };
        let id = match self.random.one_in(8) {
            true => "nobody".into(),
            false => self.random.pick(&self.accounts).clone(),
        };
        Step::PatchAccount(id, status, floor)
    }

    pub fn movement(&mut self, model: &Model) -> Step {
        if self.random.one_in(8) && !self.movements.is_empty() {
            let mut again = self.random.pick(&self.movements).clone();
            again.id = uuid_text(self.fresh_uuid());
            match self.random.below(12) {
                0 => again.amount = "7".into(),
                1 => again.op = "DEPOSIT",
                2 => again.description = Some("another".into()),
                3 => again.destination = None,
                _ => {}
            }
            if again.op == "DEPOSIT" {
                (again.destination, again.rate, again.expires) = (None, None, None);
            }
            return Step::Move(again);
        }
        let wallet = *self.random.pick(&self.wallets);
        let op = *self.random.pick(&[
            "DEPOSIT",
            "DEPOSIT",
            "WITHDRAWAL",
            "TRANSFER",
            "TRANSFER",
            "HOLD",
            "HOLD",
        ]);
        let mut other = *self.random.pick(&self.wallets);
        if self.random.one_in(40) {
            other = 7;
        }
        let destination = match op {
            "TRANSFER" => Some(other),
            "HOLD" if self.random.one_in(2) => Some(other),
            _ => None,
        };
        let asset = |id: u128| {
            model
                .wallets
                .by_id
                .get(&id)
                .map(|w| model.accounts[w.account].asset)
        };
        let converts = op == "TRANSFER" && asset(wallet) != asset(other);
        let rate = ((converts && !self.random.one_in(12)) || self.random.one_in(40)).then(|| {
            self.random
                .pick(&["0.1999", "5.4321", "0.0065", "1", "123.456789"])
                .to_string()
        });
        let amount = match self.random.below(24) {
            0 => "0".into(),
            1 => "0.001".into(),
            2 => "1000000.01".into(),
            3 => "0.01".into(),
            4..12 => self.random.below(400).to_string(),
            _ => format!("{}.{:02}", self.random.below(400), self.random.below(100)),
        };
        let id = uuid_text(self.fresh_uuid());
        if op == "HOLD" {
            keep(&mut self.holds, id.clone(), &mut self.random);
        }
        keep(&mut self.ids, id.clone(), &mut self.random);
        let movement = Movement {
            op,
            wallet: if self.random.one_in(60) { 9 } else { wallet },
            id,
            amount,
            destination,
            rate: rate.filter(|_| op == "TRANSFER"),
            expires: (op == "HOLD").then(|| 1 + self.random.below(30) as u32),
            reference: self.fresh("ref-"),
            description: None,
            effective: self.effective(model),
        };
        keep(&mut self.movements, movement.clone(), &mut self.random);
        Step::Move(movement)
    }

    pub fn resolve(&mut self, model: &Model) -> Step {
        if self.random.one_in(6) && !self.captures.is_empty() {
            let Step::Resolve(hold, capture, _) = self.random.pick(&self.captures).clone() else {
                unreachable!("only resolutions are kept there");
            };
            let id = uuid_text(self.fresh_uuid());
            return Step::Resolve(hold, capture, id);
        }
        let from = self
            .holds
            .len()
            .saturating_sub(if self.random.one_in(4) { KEEP } else { 6 });
        let mut hold = self.holds[from + self.random.below(self.holds.len() - from)].clone();
        for _ in 0..6 {
            // Mostly one that was placed.
            if !model.transfers.contains_key(&hold) && !self.random.one_in(4) {
                hold = self.random.pick(&self.holds).clone();
            }
        }
        let capture = (self.random.below(10) < 6).then(|| {
            let amount = self
                .random
                .one_in(2)
                .then(|| self.random.below(200).to_string());
            (amount, self.fresh("cap-"))
        });
        let id = uuid_text(self.fresh_uuid());
        keep(&mut self.ids, id.clone(), &mut self.random);
        let step = Step::Resolve(hold, capture, id);
        keep(&mut self.captures, step.clone(), &mut self.random);
        step
    }

    pub fn reverse(&mut self, model: &Model) -> Step {
        if self.random.one_in(4) && !self.reversals.is_empty() {
            let Step::Reverse(id, reason, effective) = self.random.pick(&self.reversals).clone()
            else {
                unreachable!("only reversals are kept there");
            };
            let reason = if self.random.one_in(4) {
                "other".into()
            } else {
                reason
            };
            return Step::Reverse(id, reason, effective);
        }
        let mut id = self.random.pick(&self.ids).clone();
        for _ in 0..6 {
            let moves = |t: &super::model::Transfer| matches!(t.mode, Mode::Single | Mode::Post);
            if !model.transfers.get(&id).is_some_and(moves) && !self.random.one_in(8) {
                id = self.random.pick(&self.ids).clone();
            }
        }
        match self.random.below(30) {
            0 => id.push_str(":rev"),
            1 => id.push_str(":exp"),
            2 => id.push_str(":2"),
            _ => {}
        }
        let step = Step::Reverse(id, "why".into(), self.effective(model));
        keep(&mut self.reversals, step.clone(), &mut self.random);
        step
    }
}
