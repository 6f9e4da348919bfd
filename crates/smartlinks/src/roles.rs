//! Which roles a process has (surface 1).

use std::collections::BTreeSet;

use crate::{config::Backend, failure::Failure};

/// One thing a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Redirects.
    Edge,
    /// Webhooks.
    Intake,
    /// Who subscribed through which pool link.
    Matcher,
    /// Clicks, fans and money.
    Attribution,
    /// Deliveries.
    Postback,
    /// The stock of pool links.
    Pool,
    /// `/api/…`.
    Api,
    /// The pages for people.
    Dashboard,
}

impl Role {
    const ALL: [(&'static str, Self); 8] = [
        ("edge", Self::Edge),
        ("intake", Self::Intake),
        ("matcher", Self::Matcher),
        ("attribution", Self::Attribution),
        ("postback", Self::Postback),
        ("pool", Self::Pool),
        ("api", Self::Api),
        ("dashboard", Self::Dashboard),
    ];

    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find_map(|(name, role)| (name == word).then_some(role))
    }
}

/// The roles of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleSet(BTreeSet<Role>);

impl RoleSet {
    /// All of them.
    pub(crate) fn all() -> Self {
        Self(Role::ALL.into_iter().map(|(_, role)| role).collect())
    }

    /// Reads `--roles`. Embedded storage has one process, and so one set (decisions 10).
    ///
    /// # Errors
    /// [`Failure::Usage`], naming the word and the remedy.
    pub(crate) fn parse(text: &str, backend: Backend) -> Result<Self, Failure> {
        let mut roles = Self(BTreeSet::new());
        for word in text.split(',').map(str::trim) {
            match Role::from_word(word) {
                Some(role) => drop(roles.0.insert(role)),
                None if word == "all" => roles = Self::all(),
                None => return Err(unknown(word)),
            }
        }
        if backend == Backend::Embedded && roles != Self::all() {
            return Err(Failure::Usage(
                "error: --roles: embedded storage runs every role in one process; use --roles all, or \
                 storage.backend = \"cluster\" for roles on several machines"
                    .to_owned(),
            ));
        }
        Ok(roles)
    }

    /// Whether it is the only one.
    pub(crate) fn is_only(&self, role: Role) -> bool {
        self.0.len() == 1 && self.has(role)
    }

    /// Whether it is one of them.
    pub(crate) fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }
}

fn unknown(word: &str) -> Failure {
    let names: Vec<_> = Role::ALL.into_iter().map(|(name, _)| name).collect();
    Failure::Usage(format!(
        "error: --roles {word:?}: there is no such role; use all, or some of {}",
        names.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn embedded_storage_knows_all_roles_only() {
        assert_eq!(RoleSet::parse("all", Backend::Embedded).unwrap(), RoleSet::all());
        let one = RoleSet::parse("edge,api", Backend::Embedded).unwrap_err().to_string();
        assert!(one.contains("cluster"), "{one}");
    }

    #[test]
    fn a_cluster_takes_any_of_them_and_names_what_it_does_not_know() {
        let some = RoleSet::parse("edge, api", Backend::Cluster).unwrap();
        assert!(some.has(Role::Edge) && some.has(Role::Api) && !some.has(Role::Pool));
        for wrong in ["edge,mailer", "", "edge,"] {
            let unknown = RoleSet::parse(wrong, Backend::Cluster).unwrap_err().to_string();
            assert!(unknown.contains("dashboard"), "{unknown}");
        }
    }
}
