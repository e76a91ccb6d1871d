use super::account::Role;
use super::scope::Scope;
use crate::base::DomainName;

/// What the roles of an account let it do by REST, in the words of a token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Powers {
    /// The scopes.
    pub scopes: Vec<Scope>,
    /// The only domains that it may see and change; empty: all.
    pub restrict_domains: Vec<DomainName>,
}

/// What somebody may do who administers a domain.
const DOMAIN_ADMIN: &[Scope] =
    &[Scope::DomainsRead, Scope::AccountsRead, Scope::AccountsWrite, Scope::QueueRead, Scope::TraceRead];

/// What an operator may not do: become more than that, make the server another one, read people's mail.
const NOT_FOR_OPERATORS: &[Scope] = &[
    Scope::TokensWrite,
    Scope::SettingsWrite,
    Scope::StateWrite,
    Scope::RestoreWrite,
    Scope::BackupRead,
    Scope::MessagesRead,
    Scope::Admin,
];

impl Powers {
    /// Of those roles together. Who is more than the administrator of some domains is restricted to none.
    pub fn of(roles: &[Role]) -> Self {
        if roles.contains(&Role::Admin) {
            return Self { scopes: Scope::ALL.to_vec(), restrict_domains: Vec::new() };
        }
        if roles.contains(&Role::Operator) {
            let scopes = Scope::ALL.iter().copied().filter(|scope| !NOT_FOR_OPERATORS.contains(scope)).collect();
            return Self { scopes, restrict_domains: Vec::new() };
        }
        let own = |role: &Role| match role {
            Role::DomainAdmin(domain) => Some(domain.clone()),
            _ => None,
        };
        let restrict_domains: Vec<DomainName> = roles.iter().filter_map(own).collect();
        // Without a domain there must be no scope: an empty restriction is none.
        let scopes = if restrict_domains.is_empty() { Vec::new() } else { DOMAIN_ADMIN.to_vec() };
        Self { scopes, restrict_domains }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(roles: &[&str], may: &[Scope], may_not: &[Scope], domains: &[&str]) {
        let parsed: Vec<Role> = roles.iter().map(|role| role.parse().expect("a role")).collect();
        let powers = Powers::of(&parsed);
        for scope in may {
            assert!(powers.scopes.contains(scope), "{roles:?} {scope}");
        }
        for scope in may_not {
            assert!(!powers.scopes.contains(scope), "{roles:?} {scope}");
        }
        let seen: Vec<String> = powers.restrict_domains.iter().map(DomainName::to_string).collect();
        assert_eq!(seen, domains, "{roles:?}");
    }

    #[test]
    fn each_role_has_its_powers() {
        check(&[], &[], Scope::ALL, &[]);
        check(&["user"], &[], Scope::ALL, &[]);
        check(&["user", "admin"], Scope::ALL, &[], &[]);
        let operator = [Scope::QueueWrite, Scope::AccountsWrite, Scope::AuditRead, Scope::SettingsRead];
        check(&["operator"], &operator, NOT_FOR_OPERATORS, &[]);
        check(&["domain_admin:a.test", "operator"], &operator, NOT_FOR_OPERATORS, &[]);
        let not_theirs: Vec<Scope> = Scope::ALL.iter().copied().filter(|scope| !DOMAIN_ADMIN.contains(scope)).collect();
        check(&["domain_admin:a.test"], DOMAIN_ADMIN, &not_theirs, &["a.test"]);
        check(
            &["domain_admin:a.test", "domain_admin:b.test", "user"],
            DOMAIN_ADMIN,
            &not_theirs,
            &["a.test", "b.test"],
        );
    }
}
