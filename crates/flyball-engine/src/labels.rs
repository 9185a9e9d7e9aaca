//! Finds the services that labels describe, where a system keeps their count.

use std::collections::BTreeMap;

/// What begins the name of each of flyball's labels.
pub const PREFIX: &str = "flyball.";
/// The label that names a service.
pub const SERVICE: &str = "flyball.service";

/// A Swarm service or a Marathon app that is to be looked after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// What its `flyball.service` label says.
    pub service: String,
    /// What its system calls it.
    pub name: String,
    /// Its labels that begin with `flyball.`, as they were written.
    pub labels: BTreeMap<String, String>,
}

/// Those of `all`, each a name with labels, that name a service; in the order of the services'
/// names, then of their own.
pub fn labelled<'a>(
    all: impl Iterator<Item = (&'a str, &'a BTreeMap<String, String>)>,
) -> Vec<Labelled> {
    let mut found: Vec<Labelled> = all
        .filter_map(|(name, labels)| {
            let ours = labels.iter().filter(|(label, _)| label.starts_with(PREFIX));
            Some(Labelled {
                service: labels.get(SERVICE)?.clone(),
                name: name.to_owned(),
                labels: ours.map(|(label, value)| (label.clone(), value.clone())).collect(),
            })
        })
        .collect();
    found.sort_by(|a, b| (&a.service, &a.name).cmp(&(&b.service, &b.name)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn whatever_claims_a_name_is_found_with_its_own_name_and_flyballs_labels() {
        let all = [
            ("/z", labels(&[(SERVICE, "web")])),
            ("/a", labels(&[(SERVICE, "web"), ("flyball.max", "5"), ("team", "x")])),
            ("/b", labels(&[("team", "x")])),
        ];
        let found = labelled(all.iter().map(|(name, labels)| (*name, labels)));
        let claims: Vec<_> = found.iter().map(|it| (&*it.service, &*it.name)).collect();
        assert_eq!(claims, [("web", "/a"), ("web", "/z")]);
        assert_eq!(found[0].labels.len(), 2);
    }
}
