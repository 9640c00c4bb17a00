//! Every setting, once: name, kind, default, meaning. The default configuration file, the checks
//! of names and kinds, redaction and the reference page all come from this table.

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number, not negative.
    Number,
    /// A number with decimals.
    Fraction,
    /// `true` or `false`.
    Flag,
    /// A number with a unit: `500ms`, `60s`, `15m`, `24h`, `90d`.
    Duration,
    /// A list of texts; in the environment separated by commas.
    List,
    /// A TOML table or a list of tables, with its own inside.
    Table,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Full name, sections joined by dots.
    pub name: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// The value in force when nothing is said, as TOML; `None`: there is none.
    pub default: Option<&'static str>,
    /// A value to start from, where there is no default.
    pub example: &'static str,
    /// Shown only as redacted.
    pub secret: bool,
    /// What it does; one sentence or a few.
    pub about: &'static str,
}

const fn key(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Key {
    Key {
        name,
        kind,
        default: Some(default),
        example: "",
        secret: false,
        about,
    }
}

const fn open(name: &'static str, kind: Kind, example: &'static str, about: &'static str) -> Key {
    Key {
        name,
        kind,
        default: None,
        example,
        secret: false,
        about,
    }
}

const fn secret(mut key: Key) -> Key {
    key.secret = true;
    key
}

/// Sections in the order of the file, with their purpose. Keys without a dot come first.
pub const SECTIONS: &[(&str, &str)] = &[
    ("server", "Listening, TLS and the bounds of HTTP."),
    (
        "gateway",
        "Roles that other processes serve; only read by role gateway.",
    ),
    (
        "database",
        "The service tables: users, keys, webhooks, audit log.",
    ),
    (
        "cache",
        "What several processes remember together: rate limits, news of revocations, small values.",
    ),
    (
        "bus",
        "Topics for events: Kafka, which needs a program built with the feature `kafka`.",
    ),
    (
        "blobs",
        "Documents and files: S3, which needs a program built with the feature `s3`.",
    ),
    (
        "archive",
        "The feed of the ledger, kept beside it: exact lines in segments, each under a signed checkpoint. Kept by role workers.",
    ),
    ("ledger", "What decides about postings."),
    ("wallets", "Owners, ranges and limits."),
    (
        "shadow",
        "The second record of accounts that somebody else keeps.",
    ),
    (
        "ticketing",
        "Events, ticket sales and the gate: limits, mails, card payments.",
    ),
    (
        "console",
        "The web console, `/console`: where it finds the API, sign-in.",
    ),
    ("auth", "Users, tokens, keys, roles."),
    ("limits", "Rate limits: per credential, and per address."),
    ("log", "Logs on stderr."),
    (
        "telemetry",
        "OpenTelemetry traces, off unless an endpoint is given.",
    ),
];

/// All settings, section by section.
pub const KEYS: &[Key] = &[
    key(
        "environment",
        Kind::Text,
        "\"development\"",
        "`development`, `staging` or `production`. Production refuses to start with anything that is only fit for development, and names the setting.",
    ),
    open(
        "data_dir",
        Kind::Text,
        "\"/var/lib/florin\"",
        "Where ledger and service tables lie. Left out: `$XDG_DATA_HOME/florin`, else `~/.local/share/florin`.",
    ),
    key(
        "roles",
        Kind::List,
        "[]",
        "Which roles this process has; empty: all of them. See `florin roles`.",
    ),
    key(
        "server.listen",
        Kind::Text,
        "\"127.0.0.1\"",
        "Address to listen on.",
    ),
    open(
        "server.port",
        Kind::Number,
        "8080",
        "Port to listen on; 0 picks a free one. Left out: 8080, or the role's own when roles are named.",
    ),
    open(
        "server.public_url",
        Kind::Text,
        "\"https://money.example.com\"",
        "URL under which callers reach the server; tokens are issued under it. Left out: made of address and port.",
    ),
    open(
        "server.tls_certificate",
        Kind::Text,
        "\"/etc/florin/tls.crt\"",
        "Certificate chain, PEM. A changed file is taken over within 30 s.",
    ),
    open(
        "server.tls_key",
        Kind::Text,
        "\"/etc/florin/tls.key\"",
        "Private key of the certificate, PEM.",
    ),
    key(
        "server.tls_self_signed",
        Kind::Flag,
        "false",
        "Makes a certificate on the spot, for development; it lies in the data directory as `tls/self-signed.pem`.",
    ),
    key(
        "server.trusted_proxies",
        Kind::List,
        "[]",
        "Addresses or ranges (`10.0.0.0/8`) of proxies that end TLS and whose `X-Forwarded-For` is believed.",
    ),
    key(
        "server.max_connections",
        Kind::Number,
        "10000",
        "Connections above this are answered 503 and closed.",
    ),
    key(
        "server.max_in_progress",
        Kind::Number,
        "8192",
        "Requests in progress above this are answered 503 `overloaded`.",
    ),
    key(
        "server.handshake_timeout",
        Kind::Duration,
        "\"10s\"",
        "Time for a TLS handshake and for the first byte of a connection.",
    ),
    key(
        "server.idle_timeout",
        Kind::Duration,
        "\"75s\"",
        "Time from the end of one request to the end of the next one's head. Above the 60 s for which load balancers keep connections, so that they never send into a closed one.",
    ),
    key(
        "server.body_timeout",
        Kind::Duration,
        "\"30s\"",
        "Time within which a request body must have arrived.",
    ),
    key(
        "server.drain_delay",
        Kind::Duration,
        "\"0s\"",
        "Time after the first signal to stop in which new connections are still taken while `/ready` says 503. Behind a gateway or load balancer: a little more than the time between two of its looks.",
    ),
    key(
        "server.drain_timeout",
        Kind::Duration,
        "\"30s\"",
        "Time for requests in progress after the first signal to stop.",
    ),
    key(
        "server.max_lifetime",
        Kind::Duration,
        "\"0s\"",
        "Age at which the process ends as after a first signal to stop, with exit code 0, so that what runs it starts one that reads its secrets anew; up to a quarter is added by chance, so that several do not end together. 0: never.",
    ),
    key(
        "server.slow_request",
        Kind::Duration,
        "\"1s\"",
        "Requests that take longer stand in the log.",
    ),
    secret(open(
        "server.cursor_key",
        Kind::Text,
        "\"env:FLORIN_CURSOR_KEY\"",
        "Secret behind the cursors of lists, the same in every process of an installation. Left out: made from auth.signing_key, else a key file in the data directory.",
    )),
    key(
        "gateway.upstreams",
        Kind::List,
        "[]",
        "Where roles are served that this process does not have: `role=http://host:port`, several for one role share its requests. A name stands for all its addresses and is looked up again every 5 s.",
    ),
    key(
        "gateway.answer_timeout",
        Kind::Duration,
        "\"60s\"",
        "Longest wait for the head of an answer of another process.",
    ),
    key(
        "gateway.probe_interval",
        Kind::Duration,
        "\"500ms\"",
        "Time between two looks at `/ready` of each process.",
    ),
    secret(open(
        "database.url",
        Kind::Text,
        "\"env:FLORIN_DATABASE\"",
        "PostgreSQL server of the service tables: `postgres://user:password@host:5432/name?sslmode=verify-full&sslrootcert=/etc/florin/db-ca.pem`; several processes share it. Left out or empty: SQLite in the data directory, for one process.",
    )),
    key(
        "database.schema",
        Kind::Text,
        "\"florin\"",
        "Schema of the tables on that server; made at the first start.",
    ),
    key(
        "database.pool_max",
        Kind::Number,
        "16",
        "Most connections of this process to that server. All processes together must stay below its `max_connections`.",
    ),
    secret(open(
        "cache.url",
        Kind::Text,
        "\"env:FLORIN_CACHE\"",
        "Redis server that several processes share: `rediss://user:password@host:6379/0`; its certificate is checked against the roots of the system. While it is away each process allows its share of the rate limits. Left out or empty: inside the process.",
    )),
    key(
        "cache.prefix",
        Kind::Text,
        "\"florin\"",
        "Stands before every key, so that installations can share a server.",
    ),
    key(
        "bus.url",
        Kind::Text,
        "\"\"",
        "Brokers: `kafkas://broker-1:9096,broker-2:9096` over TLS, `kafka://broker-1:9092` without. Empty: topics inside the process.",
    ),
    key(
        "bus.prefix",
        Kind::Text,
        "\"\"",
        "Stands before the name of every topic and group, so that installations can share a cluster.",
    ),
    key(
        "bus.create_topics",
        Kind::Flag,
        "true",
        "Creates missing topics. Off where topics are made by `florin kafka topics apply` alone.",
    ),
    key(
        "bus.partitions",
        Kind::Number,
        "12",
        "Partitions of topics keyed by wallet when they are created, at least 6. More partitions later would break the order of keys.",
    ),
    key(
        "bus.replication",
        Kind::Number,
        "0",
        "Copies of each partition when topics are created; 0: as the brokers are set.",
    ),
    key(
        "bus.transactions",
        Kind::Flag,
        "true",
        "Shuts former publishers of a topic out by the brokers' transactions. Off for brokers that have none: then the lease and time alone keep two publishers apart.",
    ),
    open(
        "bus.sasl_mechanism",
        Kind::Text,
        "\"scram-sha-512\"",
        "How the user signs in: `scram-sha-512`, `scram-sha-256` or `plain`. Absent: `scram-sha-512` over TLS, else `plain`.",
    ),
    open(
        "bus.sasl_user",
        Kind::Text,
        "\"florin\"",
        "User of the brokers.",
    ),
    secret(open(
        "bus.sasl_password",
        Kind::Text,
        "\"env:FLORIN_BUS_PASSWORD\"",
        "Password of that user.",
    )),
    open(
        "bus.tls_ca",
        Kind::Text,
        "\"/etc/florin/kafka-ca.pem\"",
        "Certificates that brokers are believed by, PEM. Absent: the roots of the system.",
    ),
    key(
        "blobs.url",
        Kind::Text,
        "\"\"",
        "Bucket: `s3://bucket/prefix`; credentials are found as usual on AWS. Empty: the folder `blobs` of the data directory.",
    ),
    open(
        "blobs.endpoint",
        Kind::Text,
        "\"https://s3.example.com\"",
        "Another endpoint than that of AWS.",
    ),
    open(
        "blobs.region",
        Kind::Text,
        "\"eu-west-1\"",
        "Region of the bucket. Left out: `AWS_REGION`.",
    ),
    key(
        "blobs.path_style",
        Kind::Flag,
        "false",
        "The bucket stands in the path and not in the host's name, as most servers beside AWS want it.",
    ),
    key(
        "archive.url",
        Kind::Text,
        "\"\"",
        "Bucket: `s3://bucket/prefix`, reached as blobs are, best with a lock on its objects; or the full path of a folder. Empty: no archive. Another URL begins at the first record.",
    ),
    key(
        "archive.interval",
        Kind::Duration,
        "\"1h\"",
        "A segment is kept when its oldest record has waited for so long, or when it is full.",
    ),
    secret(open(
        "ledger.url",
        Kind::Text,
        "\"env:FLORIN_LEDGER\"",
        "PostgreSQL server of the ledger, as in database.url; any number of processes share it. Left out or empty: the embedded engine in the data directory, for one process.",
    )),
    key(
        "ledger.schema",
        Kind::Text,
        "\"florin_ledger\"",
        "Schema of the ledger on that server; made at the first start.",
    ),
    secret(open(
        "ledger.replica_url",
        Kind::Text,
        "\"env:FLORIN_LEDGER_REPLICA\"",
        "A read replica of that server for lists, history, statements and the feed. Decisions never read there.",
    )),
    key(
        "ledger.sequencer",
        Kind::Text,
        "\"elect\"",
        "Who commits when several processes write to one ledger on PostgreSQL: `elect` hands calls over to an elected process with the role `wallets`, which this one may be; `follow` hands over and is never elected; `off` commits by itself.",
    ),
    key(
        "ledger.sequencer_listen",
        Kind::Text,
        "\"127.0.0.1:0\"",
        "Where an elected process takes calls of the others, over TLS with a certificate of its own; port 0 takes a free one. Processes on other machines need an address that they can reach, such as `0.0.0.0:7443`.",
    ),
    open(
        "ledger.sequencer_address",
        Kind::Text,
        "\"10.0.1.17:7443\"",
        "How the others reach it, `host:port`. Left out: the address that listens, or, where that is every address, the one under which the database server sees this process.",
    ),
    key(
        "ledger.pool_max",
        Kind::Number,
        "8",
        "Most connections of this process for reads of the ledger, beside the one that writes.",
    ),
    key(
        "ledger.assets",
        Kind::Table,
        "[]",
        "Assets beside the built-in BRL, USD, EUR, JPY, BTC, ETH and POINTS: `[{ code = \"GBP\", scale = 2, kind = \"fiat\", name = \"Pound sterling\" }]`.",
    ),
    open(
        "ledger.closed_before",
        Kind::Text,
        "\"2026-01-01T00:00:00Z\"",
        "Nothing may be posted with an `effectiveAt` before this time. Move it forward only.",
    ),
    key(
        "ledger.clock_forward_max",
        Kind::Duration,
        "\"24h\"",
        "How far the wall clock may jump ahead of the boot-time clock before postings stop with `clock_unsafe`.",
    ),
    key(
        "ledger.checkpoint_interval",
        Kind::Duration,
        "\"60s\"",
        "Time between two signed checkpoints, when there is news.",
    ),
    open(
        "ledger.checkpoint_key_name",
        Kind::Text,
        "\"ledger.example.com\"",
        "Name of the key that signs checkpoints. Left out: `florin/ledger/{ledgerId}`.",
    ),
    secret(open(
        "ledger.checkpoint_key",
        Kind::Text,
        "\"env:FLORIN_CHECKPOINT_KEY\"",
        "Secret of the key that signs checkpoints of a ledger in PostgreSQL: 64 hex digits. Left out or empty: one is generated once and kept in the database, where whoever may read the table checkpoint_keys can sign. The embedded engine keeps its own in checkpoint.key.",
    )),
    key(
        "ledger.disk_free_min_percent",
        Kind::Number,
        "5",
        "Postings stop when the disk has less space free; reads go on.",
    ),
    key(
        "ledger.snapshot_mib",
        Kind::Number,
        "512",
        "Journal between two snapshots; less makes the start after a crash faster.",
    ),
    key(
        "ledger.queue_max",
        Kind::Number,
        "16384",
        "Calls waiting for the writer; above it 503 `overloaded`.",
    ),
    key(
        "ledger.accounts_cached",
        Kind::Number,
        "1000000",
        "Accounts of a ledger on PostgreSQL that a process remembers between batches, about 700 bytes each.",
    ),
    key(
        "wallets.default_currency",
        Kind::Text,
        "\"BRL\"",
        "Currency of a wallet created without one.",
    ),
    key(
        "wallets.profile",
        Kind::Text,
        "\"strict\"",
        "`strict`, or `compat`: JSON-number amounts with too many decimals are rounded half-even, and wallet routes print money as numbers. Not for production.",
    ),
    key(
        "wallets.per_user_max",
        Kind::Number,
        "100",
        "Most wallets of one user in one currency.",
    ),
    key(
        "wallets.amounts",
        Kind::Table,
        "{}",
        "Smallest and largest amount of one call by currency, where they differ from 0.01 (one minor unit where the scale is not 2) and 1000000.00: `{ BRL = { min = \"1.00\", max = \"5000.00\" } }`.",
    ),
    key(
        "wallets.tiers",
        Kind::Table,
        "{}",
        "Limits by tier and currency; a member left out is no limit: `{ basic = { BRL = { out = { per_transaction = \"500.00\", daily = \"1000.00\", monthly = \"9000.00\" }, in = { daily = \"2000.00\" } } } }`. The tier `standard` always exists.",
    ),
    key(
        "shadow.policy",
        Kind::Text,
        "\"watermark\"",
        "How debits are decided: `watermark` (open for the grace, then final), `derived` (over all events, never final) or `arrival` (final at once). A book keeps the policy of its first event.",
    ),
    key(
        "shadow.grace",
        Kind::Duration,
        "\"30s\"",
        "How long an event stays open after it was recorded, 0s to 24h.",
    ),
    key(
        "shadow.max_future_skew",
        Kind::Duration,
        "\"5m\"",
        "How far ahead of the clock an event may be dated.",
    ),
    key(
        "shadow.root_aliases",
        Kind::Flag,
        "true",
        "Serves `/events`, `/events/batch`, `/accounts/{id}/shadow-balance` and others at the root too, for existing clients.",
    ),
    key(
        "shadow.compat",
        Kind::Flag,
        "false",
        "Habits of older systems that are unsafe: drifts are corrected at once, without four eyes. Needs --unsafe-dev, and --dev-auth-remote on a listener that is not loopback; never in production.",
    ),
    key(
        "shadow.compat_ports",
        Kind::List,
        "[]",
        "Further listeners on 127.0.0.1 in the compat profile, each with all routes, for clients that know every service by its port: `[\"8081\", \"8082\", \"8083\"]`.",
    ),
    key(
        "shadow.role_hierarchy",
        Kind::Flag,
        "false",
        "Role `admin` may do in the shadow ledger what every other role may; four eyes stay.",
    ),
    key(
        "shadow.four_eyes_above",
        Kind::Table,
        "{}",
        "Corrections above this amount are approved by somebody else than who proposed them: `{ BRL = \"100.00\" }`. Left out: 100.00 in the default currency, 0 in the others.",
    ),
    key(
        "shadow.drift.mode",
        Kind::Text,
        "\"propose\"",
        "What follows from a difference: `report` (it is told), `propose` (a correction waits for approval where exactly one explanation fits) or `auto` (within shadow.drift.auto_limits it is also posted).",
    ),
    key(
        "shadow.drift.strict",
        Kind::Flag,
        "false",
        "Every account of a check must name `asOf`, `currency` and `statementId`.",
    ),
    key(
        "shadow.drift.max_subset",
        Kind::Number,
        "4",
        "Records of the largest group that is tried as an explanation, 2 to 6.",
    ),
    key(
        "shadow.drift.look_back_days",
        Kind::Number,
        "35",
        "How old evidence may be, 1 to 400.",
    ),
    key(
        "shadow.drift.tolerance",
        Kind::Table,
        "{}",
        "Differences by currency that count as none: `{ BRL = { absolute = \"3.00\", percent = \"0.5\" } }`; both bounds hold, `percent` of the reported balance may be left out. Left out: 0. A book may have its own.",
    ),
    key(
        "shadow.drift.auto_limits",
        Kind::Table,
        "{}",
        "What may be posted without a person, by currency: `{ BRL = { single = \"10000.00\", percent = \"1\", daily = \"10000.00\" } }`, for one correction, as a share of the reported balance, and for a book in a UTC day. Left out: these figures in the default currency, 0 in the others.",
    ),
    secret(open(
        "ticketing.secret",
        Kind::Text,
        "\"sm://florin/production/ticketing#secret\"",
        "Seals names, addresses and answers of people, and digests tokens; the same in every process, for ever. Left out: made from auth.signing_key where that is set, else kept in the data directory.",
    )),
    key(
        "ticketing.mail_from",
        Kind::Text,
        "\"tickets@localhost\"",
        "Sender of mails to buyers and holders.",
    ),
    open(
        "ticketing.mail_url",
        Kind::Text,
        "\"https://mail.example.com/send\"",
        "Where mails are POSTed as JSON `{from, to, subject, text, html, attachments}`. Left out: they stay in the table of mails, which --unsafe-dev shows at `/api/v1/dev/mails`.",
    ),
    secret(open(
        "ticketing.mail_key",
        Kind::Text,
        "\"sm://florin/production/mail#key\"",
        "Bearer token for ticketing.mail_url.",
    )),
    key(
        "ticketing.limits",
        Kind::Table,
        "{}",
        "Calls of one kind that differ from the usual bound, 0: no limit: `{ reserve = 10, reserve_address = 300, quote = 60, pages = 1000, track = 20, checkout = 10, refund = 50, transfer = 5, event_create = 10, event_update = 100, image = 60, check_in = 1000, check_in_batch = 30, guess = 20, analytics = 1000, export = 10, payout = 10, webhook = 60 }`.",
    ),
    open(
        "ticketing.stripe.base_url",
        Kind::Text,
        "\"http://127.0.0.1:12111\"",
        "Another address than that of Stripe, such as the one that `florin dev stripe` prints.",
    ),
    secret(open(
        "ticketing.stripe.secret_key",
        Kind::Text,
        "\"sm://florin/production/stripe#secret_key\"",
        "Secret key of the Stripe account. Left out: cards are not taken.",
    )),
    open(
        "ticketing.stripe.publishable_key",
        Kind::Text,
        "\"pk_live_…\"",
        "Publishable key of the Stripe account; buyers' browsers get it.",
    ),
    secret(key(
        "ticketing.stripe.webhook_secrets",
        Kind::List,
        "[]",
        "Signing secrets of the Stripe webhook endpoint, several while one is replaced by another.",
    )),
    open(
        "console.api_url",
        Kind::Text,
        "\"https://gateway.internal:8443\"",
        "Where the console finds the API when role console runs apart from role gateway. Left out: in its own process. The gateway should trust the console as a proxy (server.trusted_proxies), so that rate limits count visitors.",
    ),
    secret(open(
        "console.secret",
        Kind::Text,
        "\"sm://florin/production/console#secret\"",
        "Seals the cookies of the console; the same in every process. Left out: made from auth.signing_key where that is set, else kept in the data directory.",
    )),
    key(
        "console.session",
        Kind::Duration,
        "\"12h\"",
        "Longest time from a sign-in at the console to the next one.",
    ),
    open(
        "console.oidc.issuer",
        Kind::Text,
        "\"https://login.example.com/realms/florin\"",
        "Provider through which people sign in at the console (OpenID Connect, authorization code with PKCE); it must stand in auth.issuers too, which decides about its tokens. Its redirect URL is `/console/oidc/callback` below server.public_url. Left out: users with passwords only.",
    ),
    open(
        "console.oidc.client_id",
        Kind::Text,
        "\"florin-console\"",
        "Name of the console at the provider.",
    ),
    secret(open(
        "console.oidc.client_secret",
        Kind::Text,
        "\"sm://florin/production/oidc-client#secret\"",
        "Secret of the console at the provider; public clients have none.",
    )),
    key(
        "console.oidc.scopes",
        Kind::Text,
        "\"openid profile email\"",
        "What the console asks the provider for; many give a refresh token only for `offline_access`.",
    ),
    key(
        "console.oidc.name",
        Kind::Text,
        "\"the company account\"",
        "Name of the provider on the button: “Sign in with …”.",
    ),
    key(
        "console.oidc.token",
        Kind::Text,
        "\"access\"",
        "Which token of the provider the API is shown: `access`, or `id` where access tokens are not JWTs.",
    ),
    open(
        "auth.signup",
        Kind::Text,
        "\"closed\"",
        "`open`: anybody may make an account of role `user`; `closed`: administrators do. Left out: closed in production, open elsewhere.",
    ),
    open(
        "auth.issuer",
        Kind::Text,
        "\"https://money.example.com\"",
        "`iss` of Florin's own tokens. Left out: `server.public_url`.",
    ),
    key(
        "auth.audience",
        Kind::Text,
        "\"florin\"",
        "`aud` of Florin's own tokens.",
    ),
    key(
        "auth.access_token_seconds",
        Kind::Number,
        "900",
        "Life of an access token.",
    ),
    key(
        "auth.refresh_token_seconds",
        Kind::Number,
        "2592000",
        "Life of a refresh token since it was made.",
    ),
    key(
        "auth.session_seconds",
        Kind::Number,
        "7776000",
        "Life of a log-in, however often it is refreshed.",
    ),
    key(
        "auth.plain_token_seconds",
        Kind::Number,
        "3600",
        "Life of the token that `POST /auth/token` answers, which cannot be refreshed.",
    ),
    key(
        "auth.local_users",
        Kind::Flag,
        "true",
        "Users with passwords exist here. Off where foreign issuers alone say who calls: log-in and sign-up then answer 404.",
    ),
    secret(open(
        "auth.signing_key",
        Kind::Text,
        "\"env:FLORIN_SIGNING_KEY\"",
        "Seed of the key that signs tokens, 32 bytes in base64 or hex. Left out: a key file in the data directory, made on first start and rotated.",
    )),
    secret(open(
        "auth.signing_key_next",
        Kind::Text,
        "\"env:FLORIN_SIGNING_KEY_NEXT\"",
        "Seed of the key that will sign after the next change. It is published already and its tokens are accepted, so that processes which have not heard of the change accept those of processes which have.",
    )),
    secret(open(
        "auth.signing_key_former",
        Kind::Text,
        "\"env:FLORIN_SIGNING_KEY_FORMER\"",
        "Seed of the key that signed before the last change; its tokens are still accepted.",
    )),
    key(
        "auth.signing_key_days",
        Kind::Number,
        "90",
        "Age at which the key file gets a new key.",
    ),
    key(
        "auth.password.memory_kib",
        Kind::Number,
        "19456",
        "Memory of one password computation (argon2id).",
    ),
    key(
        "auth.password.iterations",
        Kind::Number,
        "2",
        "Passes over that memory.",
    ),
    key(
        "auth.password.parallelism",
        Kind::Number,
        "1",
        "Lanes of one computation.",
    ),
    key(
        "auth.password.concurrent",
        Kind::Number,
        "2",
        "Password computations at the same time; others wait.",
    ),
    key(
        "auth.issuers",
        Kind::Table,
        "[]",
        "OpenID Connect providers whose tokens are accepted: `[{ issuer = \"https://login.example.com\", audiences = [\"florin\"] }]`; further members: `jwks_url`, `hmac_secret` with `hmac_algorithm` (`HS256`, `HS384` or `HS512`), `algorithms`, `subject_claim`, `owner_claim`, `subject_prefix`, `roles_claim`, `permissions_claim`, `role_map`.",
    ),
    key(
        "auth.roles",
        Kind::Table,
        "{}",
        "Named sets of permissions, over the built-in roles of the same name: `{ teller = [\"wallets:read\", \"wallets:deposit\"] }`. `name@own` reaches own objects only, `role:name` takes in another role.",
    ),
    key(
        "limits.read_per_second",
        Kind::Number,
        "500",
        "Reads of one credential; 0: no limit.",
    ),
    key(
        "limits.write_per_second",
        Kind::Number,
        "100",
        "Writes of one credential; 0: no limit.",
    ),
    key(
        "limits.token_per_user_minute",
        Kind::Number,
        "5",
        "Log-ins for one user name; 0: no limit.",
    ),
    key(
        "limits.token_per_address_minute",
        Kind::Number,
        "20",
        "Log-ins from one address; 0: no limit.",
    ),
    key(
        "limits.address_per_second",
        Kind::Number,
        "2000",
        "Requests from one address, unless the caller's role is without limits; 0: no limit.",
    ),
    key(
        "limits.intake_per_second",
        Kind::Number,
        "2000",
        "Requests with events to the shadow ledger, single or in batches, of one credential, whatever its role; 0: no limit.",
    ),
    key(
        "limits.drift_checks_per_minute",
        Kind::Number,
        "60",
        "Drift checks of one credential, whatever its role; 0: no limit.",
    ),
    key(
        "limits.corrections_per_minute",
        Kind::Number,
        "30",
        "Corrections, reversals, redrives and rejections of events of one credential, whatever its role; 0: no limit.",
    ),
    key(
        "limits.imports_per_minute",
        Kind::Number,
        "30",
        "Imports of statements of one credential, whatever its role; 0: no limit.",
    ),
    key(
        "limits.roles",
        Kind::Table,
        "{ service = { read_per_second = 0, write_per_second = 0 } }",
        "Roles with allowances of their own; 0: no limit. Of several roles the widest counts.",
    ),
    key(
        "log.filter",
        Kind::Text,
        "\"info\"",
        "What is logged: `error`, `warn`, `info`, `debug`, also by part: `warn,florin::access=debug`.",
    ),
    key(
        "log.format",
        Kind::Text,
        "\"auto\"",
        "`json`, `text`, or `auto`: text on a terminal, JSON elsewhere.",
    ),
    open(
        "telemetry.endpoint",
        Kind::Text,
        "\"http://localhost:4318\"",
        "Collector for OTLP over HTTP; `/v1/traces` is added.",
    ),
    key(
        "telemetry.service_name",
        Kind::Text,
        "\"florin\"",
        "`service.name` of the traces.",
    ),
    key(
        "telemetry.sample_ratio",
        Kind::Fraction,
        "1.0",
        "Share of requests traced when the caller did not decide, 0 to 1.",
    ),
    key(
        "telemetry.embedded_metrics",
        Kind::Flag,
        "false",
        "Writes chosen metrics to stdout each minute, as lines from which CloudWatch takes them (embedded metric format).",
    ),
    secret(key(
        "telemetry.headers",
        Kind::Table,
        "{}",
        "Headers for the collector, such as its credential: `{ authorization = \"env:OTLP_TOKEN\" }`.",
    )),
];

/// The setting of a name.
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// True for names that other names lie below.
pub fn is_section(name: &str) -> bool {
    let prefix = format!("{name}.");
    KEYS.iter().any(|key| key.name.starts_with(&prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_stands_once_under_a_known_section_with_a_meaning() {
        for (index, key) in KEYS.iter().enumerate() {
            assert!(
                !KEYS[..index].iter().any(|other| other.name == key.name),
                "{}",
                key.name
            );
            let section = key.name.split_once('.').map(|(section, _)| section);
            let known = |name| SECTIONS.iter().any(|(section, _)| *section == name);
            assert!(section.is_none_or(known), "{}", key.name);
            assert!(key.about.ends_with('.'), "{}", key.name);
            assert!(
                key.default.is_some() || !key.example.is_empty(),
                "{}",
                key.name
            );
        }
    }
}
