//! `florin kafka acls`: what Florin's users may do at brokers that ask.

use std::collections::BTreeMap;

use clap::Args;
use florin_platform::bus::access::{self, Grant, Resource};
use serde_json::json;

use crate::config::{self, ConfigArgs};
use crate::fail::failure;
use crate::out::Output;

/// What the name of a role stands for in `--user`.
const ROLE: &str = "{role}";

/// Print what each role's user may do at the brokers, as arguments of Apache Kafka's kafka-acls.sh
///
/// A line is one call: `florin kafka acls | xargs -L 1 kafka-acls.sh --bootstrap-server …
/// --command-config …`. Adding what is there already changes nothing. Other programs that publish
/// to transactions.raw or read topics need their own lists.
#[derive(Debug, Args)]
pub struct Acls {
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Name of a role's user at the brokers; {role} stands for the role
    #[arg(long, value_name = "NAME", default_value = ROLE)]
    pub user: String,
    /// User that creates topics and deals with dead letters
    #[arg(long, value_name = "NAME")]
    pub operator: Option<String>,
}

impl Acls {
    /// Runs the command.
    pub fn run(self, output: Output) -> anyhow::Result<u8> {
        for (flag, name) in [
            ("--user", Some(&self.user)),
            ("--operator", self.operator.as_ref()),
        ] {
            if let Some(name) = name.filter(|name| !is_name(&name.replace(ROLE, ""))) {
                return Err(failure(
                    format!("`{flag}`: {name:?} is not the name of a user"),
                    "letters, digits, `.`, `_` and `-`, such as florin-staging-{role}",
                ));
            }
        }
        if !self.user.contains(ROLE) {
            return Err(failure(
                "`--user` names one user for all roles",
                "let {role} stand for the role, such as florin-staging-{role}",
            ));
        }
        let prefix = config::load(&self.config, Vec::new())?.config.bus.prefix;
        let roles = access::of_roles(&prefix).into_iter();
        let mut users: Vec<(String, Vec<Grant>)> = roles
            .map(|(role, grants)| (self.user.replace(ROLE, role), grants))
            .collect();
        if let Some(operator) = self.operator {
            users.push((operator, access::of_operator(&prefix)));
        }
        let lists = lists(&users);
        let rows = lists.iter().map(|list| {
            json!({"user": list.user, "resource": kind(list.resource), "name": list.name, "operations": list.operations})
        });
        output.print(&json!({"acls": rows.collect::<Vec<_>>()}), || {
            let lines: Vec<String> = lists.iter().map(List::line).collect();
            lines.join("\n")
        })?;
        Ok(0)
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
    operations: Vec<&'static str>,
}

/// One list for each user and resource, in their order.
fn lists(users: &[(String, Vec<Grant>)]) -> Vec<List<'_>> {
    let mut lists = Vec::new();
    for (user, grants) in users {
        let mut of: BTreeMap<(Resource, &str), Vec<&'static str>> = BTreeMap::new();
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
    }
}

impl List<'_> {
    fn line(&self) -> String {
        let operations = self.operations.iter();
        let operations: String = operations.map(|o| format!(" --operation {o}")).collect();
        let (user, kind, name) = (self.user, kind(self.resource), self.name);
        format!("--add --allow-principal User:{user}{operations} --{kind} {name}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use florin_shadow::worker::{mirror, topics};

    use super::*;

    /// Topics on which a role may do something.
    fn of(role: &str, operation: &str) -> BTreeSet<String> {
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
        assert_eq!(of("workers", "Write"), published.collect());
        assert_eq!(of("workers", "Read"), BTreeSet::new());
        let read = [topics::RAW, topics::CORRECTIONS].map(str::to_owned);
        assert_eq!(of("shadow-events", "Read"), read.into());
    }
}
