//! Damage, leftovers of crashes, wiping, and foreign layouts.

use super::*;

/// Every byte of every file matters: whichever is changed, some read or the open fails and asks
/// for a rebuild, and whatever is answered before that is right.
#[test]
fn a_changed_byte_is_an_error_and_never_another_answer() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(dir.path(), small(2));
    for _ in 0..3 {
        bench.apply(400);
        bench.index().flush().unwrap();
        bench.index().settle().unwrap();
    }
    let journal = bench.journal.clone();
    let model = bench.tables.clone();
    let live: Vec<String> = {
        let published = bench.index().core.published.lock();
        let marks = published
            .manifest
            .tables
            .iter()
            .zip(["ids", "entries", "backdated"]);
        let names = marks.flat_map(|(mark, table)| mark.runs.iter().map(move |r| (table, r.id)));
        names
            .map(|(table, id)| format!("{table}-{id}.run"))
            .collect()
    };
    drop(bench);
    for name in live
        .iter()
        .map(String::as_str)
        .chain(["MANIFEST", "numbers.array"])
    {
        let path = dir.path().join(name);
        let sound = std::fs::read(&path).unwrap();
        assert!(!sound.is_empty(), "{name}");
        let mut places: Vec<usize> = (0..sound.len()).step_by(sound.len() / 16 + 1).collect();
        places.extend([1, sound.len() - 20, sound.len() - 1]);
        for place in places {
            let mut changed = sound.clone();
            changed[place] ^= 0x10;
            std::fs::write(&path, &changed).unwrap();
            let error = read_all(dir.path(), &journal, &model)
                .expect_err(name)
                .to_string();
            assert!(
                error.contains("run `florin ledger rebuild-index`"),
                "{name}: {error}"
            );
        }
        std::fs::write(&path, &sound[..sound.len() - 1]).unwrap();
        assert!(
            read_all(dir.path(), &journal, &model).is_err(),
            "{name} cut short"
        );
        std::fs::write(&path, &sound).unwrap();
    }
    read_all(dir.path(), &journal, &model).unwrap();
    std::fs::remove_file(dir.path().join(&live[0])).unwrap();
    let error = read_all(dir.path(), &journal, &model).unwrap_err();
    assert!(matches!(error, IndexError::Damaged { .. }), "{error}");
}

fn read_all(dir: &Path, journal: &[u64], model: &[BTreeMap<Vec<u8>, Vec<u8>>; 3]) -> Result<()> {
    let (index, covered) = Index::open(dir, layout(), small(2))?;
    assert_eq!(covered.batch, journal.len() as u64);
    for (table, rows) in model.iter().enumerate() {
        for (key, value) in rows {
            assert_eq!(index.get(TableId(table), key)?.as_ref(), Some(value));
        }
    }
    for at in 0..covered.seq {
        assert_eq!(
            index.array(NUMBERS).get::<8>(at)?,
            Some(((at + 1) * 3).to_le_bytes())
        );
    }
    index.verify()
}

#[test]
fn leftovers_of_a_crash_are_removed_and_merged_inputs_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(dir.path(), small(2));
    for _ in 0..4 {
        bench.apply(50);
        bench.index().flush().unwrap();
        bench.index().settle().unwrap();
    }
    assert_eq!(bench.index().stats().runs, [1, 1, 1]);
    for name in [
        "ids-7.tmp",
        "ids-3.run",
        "entries-999.run",
        "backdated-999.run",
        "MANIFEST.tmp",
    ] {
        std::fs::write(dir.path().join(name), "left behind").unwrap();
    }
    let mut pages = std::fs::read(dir.path().join("hashes.array")).unwrap();
    pages.extend([7; 5000]);
    std::fs::write(dir.path().join("hashes.array"), pages).unwrap();
    bench.crash(dir.path());
    bench.check(1);
    let count = |table: &str| {
        let entries = std::fs::read_dir(dir.path()).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        entries
            .map(name)
            .filter(|name| name.to_str().unwrap().starts_with(table))
            .count()
    };
    assert_eq!(
        (count("ids-"), count("entries-"), count("MANIFEST")),
        (1, 1, 1)
    );
    assert_eq!(
        count("backdated-"),
        4 + 2 + 1,
        "four runs, two merged, one merged from those"
    );
}

#[test]
fn wiping_starts_from_nothing_and_another_layout_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(dir.path(), small(2));
    bench.apply(700);
    bench.index().flush().unwrap();
    drop(bench);
    std::fs::write(dir.path().join("notes.txt"), "not ours").unwrap();
    let mut other = layout();
    other.arrays.pop();
    let error = Index::open(dir.path(), other, small(2)).err().unwrap();
    assert!(matches!(error, IndexError::Layout { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("run `florin ledger rebuild-index`")
    );

    Index::wipe(dir.path()).unwrap();
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    let mut bench = Bench::new(dir.path(), small(2));
    bench.apply(30);
    bench.check(3);
    bench.index().flush().unwrap();
    drop(bench);
    std::fs::remove_file(dir.path().join("MANIFEST")).unwrap();
    let mut bench = Bench::new(dir.path(), small(2));
    bench.apply(30);
    bench.check(4);
}
