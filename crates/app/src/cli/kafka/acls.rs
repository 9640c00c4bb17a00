//! `florin kafka acls`: what Florin's users may do at brokers that ask.

use std::collections::BTreeMap;

use clap::Args;
use florin_platform::bus::access::{self, Grant, Operation, Resource};
use serde_json::json;

use super::present;
use crate::config::{self, ConfigArgs};
use crate::fail::failure;
use crate::out::Output;

/// What the name of a role stands for in `--user`.
const ROLE: &str = "{role}";

/// Print what each role's user may do at the brokers, or lay it down there
///
/// A line is one call of Apache Kafka's own tool: `florin kafka acls | xargs -L 1 kafka-acls.sh
/// --bootstrap-server … --command-config …`. With --apply, what is missing is added over
/// bus.url, and printed; nothing is ever taken away. Other programs that publish to
/// transactions.raw or read topics need their own lists.
#[derive(Debug, Args)]
pub struct Acls {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Name of a role's user at the brokers; {role} stands for the role. More than one where users
    /// take turns
    #[arg(long, value_name = "NAME", default_value = ROLE)]
    pub user: Vec<String>,
    /// User that creates topics, changes lists and deals with dead letters
    #[arg(long, value_name = "NAME")]
    pub operator: Vec<String>,
    /// Add what is missing at the brokers of bus.url, as bus.sasl_user
    #[arg(long)]
    pub apply: bool,
}

impl Acls {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        let users = self.user.iter().map(|name| ("--user", name));
        let operators = self.operator.iter().map(|name| ("--operator", name));
        for (flag, name) in users.chain(operators) {
            if !is_name(&name.replace(ROLE, "")) {
                return Err(failure(
                    format!("`{flag}`: {name:?} is not the name of a user"),
                    "letters, digits, `.`, `_` and `-`, such as florin-staging-{role}",
                ));
            }
        }
        if !self.user.iter().all(|name| name.contains(ROLE)) {
            return Err(failure(
                "`--user` names one user for all roles",
                "let {role} stand for the role, such as florin-staging-{role}",
            ));
        }
        let bus = config::load(&self.config, Vec::new())?.config.bus;
        let users = self.users(&bus.prefix);
        let lists = match self.apply {
            false => users,
            true => {
                self.refuse_lockout(bus.sasl_user.as_deref())?;
                present::add_lists(&bus, users)?
            }
        };
        let lists = lists_of(&lists);
        let rows = lists.iter().map(|list| {
            json!({"user": list.user, "resource": kind(list.resource), "name": list.name, "operations": list.words().collect::<Vec<_>>()})
        });
        let member = if self.apply { "added" } else { "acls" };
        output.print(&json!({member: rows.collect::<Vec<_>>()}), || {
            let lines: Vec<String> = lists.iter().map(List::line).collect();
            match self.apply {
                true if lines.is_empty() => "nothing was missing".to_owned(),
                true => format!("added:\n{}", lines.join("\n")),
                false => lines.join("\n"),
            }
        })?;
        Ok(0)
    }

    /// What each user may do; operators come first.
    fn users(&self, prefix: &str) -> Vec<(String, Vec<Grant>)> {
        let operators = self.operator.iter();
        let operators = operators.map(|name| (name.clone(), access::of_operator(prefix)));
        let roles = access::of_roles(prefix);
        let roles = roles.iter().flat_map(|(role, grants)| {
            let named = self.user.iter().map(|user| user.replace(ROLE, role));
            named.map(|user| (user, grants.clone()))
        });
        operators.chain(roles).collect()
    }

    /// Once the cluster has a list, only operators change any: who lays the first down must be one.
    fn refuse_lockout(&self, own: Option<&str>) -> anyhow::Result<()> {
        let Some(own) = own else {
            return Err(failure(
                "`--apply` needs a user: lists are about users",
                "set bus.sasl_user and bus.sasl_password",
            ));
        };
        if !self.operator.iter().any(|operator| operator == own) {
            return Err(failure(
                format!(
                    "`--operator` does not name {own}, the user of bus.sasl_user: it would lock itself out"
                ),
                format!("--operator {own}"),
            ));
        }
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    name.chars().all(allowed)
}

/// What a user may do with a resource.
struct List<'a> {
    user: &'a str,
    resource: Resource,
    name: &'a str,
    operations: Vec<Operation>,
}

/// One list for each user and resource, in their order.
fn lists_of(users: &[(String, Vec<Grant>)]) -> Vec<List<'_>> {
    let mut lists = Vec::new();
    for (user, grants) in users {
        let mut of: BTreeMap<(Resource, &str), Vec<Operation>> = BTreeMap::new();
        for grant in grants {
            let operations = of.entry((grant.resource, &grant.name)).or_default();
            operations.push(grant.operation);
        }
        lists.extend(of.into_iter().map(|((resource, name), operations)| List {
            user,
            resource,
            name,
            operations,
        }));
    }
    lists
}

const fn kind(resource: Resource) -> &'static str {
    match resource {
        Resource::Topic => "topic",
        Resource::Group => "group",
        Resource::TransactionalId => "transactional-id",
        Resource::Cluster => "cluster",
    }
}

impl List<'_> {
    fn words(&self) -> impl Iterator<Item = &'static str> {
        self.operations.iter().map(|operation| operation.word())
    }

    fn line(&self) -> String {
        let operations: String = self.words().map(|o| format!(" --operation {o}")).collect();
        let (user, kind) = (self.user, kind(self.resource));
        let start = format!("--add --allow-principal User:{user}{operations} --{kind}");
        match self.resource {
            // There is one.
            Resource::Cluster => start,
            _ => format!("{start} {}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use florin_shadow::worker::{mirror, topics};

    use super::*;

    /// Topics on which a role may do something.
    fn of(role: &str, operation: Operation) -> BTreeSet<String> {
        let roles = access::of_roles("");
        let (_, grants) = roles
            .iter()
            .find(|(name, _)| *name == role)
            .expect("listed");
        let those = grants.iter();
        let those = those.filter(|g| g.resource == Resource::Topic && g.operation == operation);
        those.map(|grant| grant.name.clone()).collect()
    }

    #[test]
    fn dep_081_roles_may_do_what_their_rooms_do() {
        let feed = florin_wallets::events::TOPIC_CHANNELS.into_iter();
        let published = feed.chain(mirror::PUBLISHED).map(str::to_owned);
        assert_eq!(of("workers", Operation::Write), published.collect());
        assert_eq!(of("workers", Operation::Read), BTreeSet::new());
        let read = [topics::RAW, topics::CORRECTIONS].map(str::to_owned);
        assert_eq!(of("shadow-events", Operation::Read), read.into());
    }
}
