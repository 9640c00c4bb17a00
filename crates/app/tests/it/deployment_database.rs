//! What `deploy/` promises about the database, against a real PostgreSQL: its parameters are such, the
//! ledger's writer commits durably whatever the database's default is, the journal has its months.

use serde_json::Value;

use crate::drill::Site;
use crate::server::launch::florin_with;

/// Name and value of each parameter of the group that Terraform makes.
fn parameters() -> Vec<(String, String)> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../deploy/aws/modules/database/main.tf"
    );
    let text = std::fs::read_to_string(path).expect("the module of the database");
    let word = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!("{name} = \""))?;
        rest.split('"').next().map(str::to_owned)
    };
    let rows = text.lines().filter(|line| line.contains("method = \""));
    rows.filter_map(|line| {
        let name = word(line, "name")?;
        // Another input: as the variable has it by default.
        let value = word(line, "value").unwrap_or_else(|| "2000".to_owned());
        Some((name, value))
    })
    .collect()
}

/// DEP-067: PostgreSQL knows each parameter and takes its value; those of RDS alone are left out.
#[test]
fn dep_067_the_parameters_are_parameters_of_postgresql() {
    let Some(site) = Site::start("dep_067_the_parameters") else {
        return;
    };
    let listed = parameters();
    assert!(listed.len() > 8, "{listed:?}");
    assert!(listed.contains(&("synchronous_commit".to_owned(), "on".to_owned())));
    let url = site.create("parameters");
    // ALTER SYSTEM refuses what is no parameter and what is no value of it.
    for (name, value) in listed.iter().filter(|(name, _)| !name.starts_with("rds.")) {
        let set = format!("ALTER SYSTEM SET {name} = '{value}'");
        site.program(
            "psql",
            &[
                "--quiet",
                "--dbname",
                &url,
                "--set",
                "ON_ERROR_STOP=1",
                "--command",
                &set,
            ],
        );
        let shown = site.ask(&url, &format!("SELECT count(*) FROM pg_file_settings WHERE name = '{name}' AND setting = '{value}'"));
        assert_eq!(shown, "1", "{name} = {value}");
    }
}

/// DEP-067, DEP-072: a database whose default is lower durability gets no such commit from the ledger,
/// and the journal has the running month and the months ahead as partitions.
#[test]
fn dep_067_dep_072_the_ledger_commits_durably_into_months_made_ahead() {
    let Some(site) = Site::start("dep_067_dep_072_the_ledger_commits_durably") else {
        return;
    };
    let url = site.create("durable");
    let psql = |sql: &str| {
        let args = ["--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", &url];
        site.program("psql", &[&args[..], &["--command", sql]].concat());
    };
    psql("ALTER DATABASE durable SET synchronous_commit = off");
    let scratch = tempfile::tempdir().expect("temporary folder");
    let dir = scratch.path().to_str().expect("plain");
    let settings = [
        ("FLORIN__LEDGER__URL", url.clone()),
        ("FLORIN__DATABASE__URL", url.clone()),
    ];
    let (code, out, err) = florin_with(&["migrate", "--data-dir", dir], &settings);
    assert_eq!(code, Some(0), "{out} {err}");
    psql("CREATE TABLE public.seen (setting text)");
    psql(
        "CREATE FUNCTION public.look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$",
    );
    psql(
        "CREATE TRIGGER look AFTER INSERT ON florin_ledger.journal FOR EACH STATEMENT EXECUTE FUNCTION public.look()",
    );

    let server = site.serve(&url);
    let wallet = server.funded("BRL", "10.00");
    server.withdraw(&wallet, "1.00").ok(200);
    drop(server);
    assert_eq!(
        site.ask(&url, "SHOW synchronous_commit"),
        "off",
        "the default of the database"
    );
    assert_eq!(
        site.ask(
            &url,
            "SELECT string_agg(DISTINCT setting, ',') FROM public.seen"
        ),
        "on",
        "what the ledger committed with"
    );

    let months = site.ask(&url, "SELECT json_agg(substring(child.relname from 9) ORDER BY child.relname) FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid WHERE inhparent = 'florin_ledger.journal'::regclass AND child.relname ~ '^journal_[0-9]'");
    let months: Vec<String> = serde_json::from_str::<Value>(&months)
        .ok()
        .and_then(|value| serde_json::from_value(value).ok())
        .unwrap_or_else(|| panic!("{months}"));
    let running = site.ask(&url, "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')");
    assert!(months.contains(&running), "{months:?} without {running}");
    let ahead = months.iter().filter(|month| **month > running).count();
    assert!(ahead >= 3, "{months:?}");
}
