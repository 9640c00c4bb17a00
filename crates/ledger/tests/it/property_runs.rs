//! Runs of random steps, and moves of the ledger between engines in the middle of them.

use florin_base::Secret;
use florin_ledger::{
    journal::DEFAULT_SEGMENT_BYTES,
    migrate::{Moved, Place, migrate},
};

use super::{
    generate::{Generator, Step},
    model::Item,
    property::{Kept, World},
    property_history,
};

impl World {
    fn place(&self) -> Place {
        match &self.kept {
            Kept::Files => Place::Directory(self.home.clone()),
            Kept::Database(url, schema) => Place::Database {
                url: Secret::new(url.clone()),
                schema: schema.clone(),
            },
        }
    }

    /// Closes the ledger, moves it elsewhere and opens it there; everything that can be read is
    /// what it was.
    pub fn move_to(&mut self, kept: Kept, home: &str) -> Moved {
        let head = self.bank().read().last_batch().expect("readable");
        let before = self.feed();
        (self.bank, self.replicas) = (None, Vec::new());
        let from = self.place();
        self.kept = kept;
        self.home = self.dir.path().join(home);
        self.segment_bytes = DEFAULT_SEGMENT_BYTES;
        let moved = migrate(&from, &self.place(), &mut |_| {}).expect("the ledger moves");
        self.start();
        assert_eq!(self.bank().read().last_batch().expect("readable"), head);
        assert!(before == self.feed(), "INV-L6: the same bytes");
        property_history::compare_all(self);
        moved
    }

    fn feed(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        let view = self.bank().read();
        view.feed(0, usize::MAX, &mut lines).expect("readable");
        lines
    }

    /// Goes on with random steps.
    pub fn go_on(&mut self, generator: &mut Generator, steps: u64) {
        for n in 0..steps {
            let step = generator.step(&self.model);
            self.step(&step);
            if self.is_current && n % 8 == 0 {
                property_history::compare_one(self);
            }
        }
        self.step(&Step::Transfers(vec![Item::default()], None));
    }
}

/// Random steps against the model; ends with a restart.
pub fn run(seed: u64, steps: u64, kept: Kept) -> World {
    eprintln!("FLORIN_SEED={seed} FLORIN_CASES={steps}");
    let mut world = World::on(seed, kept);
    let mut generator = Generator::new(seed);
    let mut operations = 0;
    for n in 0..steps {
        let step = generator.step(&world.model);
        operations += match &step {
            Step::Transfers(items, _) => items.len(),
            _ => 1,
        };
        world.step(&step);
        if !world.is_current {
            continue;
        }
        if n % 40 == 0 {
            world.compare_balance();
        }
        if n % 8 == 0 {
            property_history::compare_one(&mut world);
        }
        if world.random.one_in(250) {
            world.restart();
        }
    }
    world.step(&Step::Transfers(vec![Item::default()], None));
    world.restart();
    eprintln!(
        "{operations} operations, {} records: {:?}",
        world.model.seq(),
        world.counts
    );
    world
}
