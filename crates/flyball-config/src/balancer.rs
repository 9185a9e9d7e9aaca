//! The balancer of a service, from its keys. Its claims are returned even if the rest is wrong, so
//! that the same run reports a clash.

use std::path::Path;

use crate::config_error::ConfigError;
use crate::reservations::Claims;
use crate::table_reader::{Field, TableReader};
use crate::{Backend, Balancer, OwnedFile, Template, address, check, keys};

/// The balancer of the service `name`, the requests that one replica works on at once, and what
/// the service wants for itself.
pub(crate) fn balancer(
    fields: &mut TableReader<'_>,
    name: &str,
    base: &Path,
) -> (Option<Balancer>, Option<u32>, Claims) {
    let mut claims = Claims::default();
    let word = fields.take(&keys::BALANCER, check::word).or("proxy");
    if let Some(word) = word {
        fields.refuse_useless(&keys::BALANCER, word);
    }
    let listen = fields.take(&keys::LISTEN, address::address);
    let slots = fields.take(&keys::SLOTS, check::count).optional();
    let known_slots = slots.flatten();
    let balancer = match word {
        None => None,
        Some("none") => Some(Balancer::None),
        Some("haproxy") => haproxy(fields, name, base, &mut claims)
            .and_then(|backend| Some(Balancer::Haproxy { backend, slots: slots? })),
        Some(_) => {
            if matches!(listen, Field::Absent) {
                fields.missing(&keys::LISTEN, "\"127.0.0.1:8080\"");
            }
            claims.listen = listen.given().map(|(address, span)| (*address, span.clone()));
            (|| Some(Balancer::Proxy { listen: listen.optional()??, slots: slots? }))()
        }
    };
    (balancer, known_slots, claims)
}

fn haproxy(
    fields: &mut TableReader<'_>,
    service: &str,
    base: &Path,
    claims: &mut Claims,
) -> Option<Backend> {
    let mut fields = fields.take_table_or_empty(&keys::BACKEND_TABLE, &keys::BACKEND)?;
    let name = fields.take(&keys::BACKEND_NAME, check::haproxy_name);
    let by_default = (service.to_owned(), fields.span.clone());
    claims.backend = match &name {
        Field::Refused => None,
        Field::Absent => Some(by_default.clone()),
        Field::Given { value, span } => Some((value.clone(), span.clone())),
    };
    let file = file(&mut fields, base, claims);
    let template = template(&mut fields);
    let checks = fields.take(&keys::CHECK, check::flag).optional();
    let options = fields.take(&keys::OPTIONS, check::options);
    fields.finish();
    Some(Backend {
        name: name.or(by_default.0)?,
        file: file?,
        template: template?,
        check: checks?,
        options: options.or(String::new())?,
        must_ask: false,
    })
}

fn file(
    fields: &mut TableReader<'_>,
    base: &Path,
    claims: &mut Claims,
) -> Option<Option<OwnedFile>> {
    let path = fields.take(&keys::FILE, check::path);
    let lines = fields.take(&keys::FILE_LINES, check::lines);
    claims.file = path.given().map(|(path, span)| (base.join(path), span.clone()));
    if let (Field::Absent, Some((lines, span))) = (&path, lines.given())
        && !lines.is_empty()
    {
        let example = fields.assign(&keys::FILE, "\"/etc/haproxy/flyball.cfg\"");
        let instead = format!("add {example}, the file for these lines");
        fields.report(ConfigError::Missing { key: fields.path_of(keys::FILE.name), instead }, span);
    }
    let lines = lines.or(Vec::new())?;
    Some(path.optional()?.map(|path| OwnedFile { path: base.join(path), lines }))
}

fn template(fields: &mut TableReader<'_>) -> Option<Option<Template>> {
    if !fields.names().contains(&keys::TEMPLATE_TABLE.name) {
        return Some(None);
    }
    let mut fields = fields.take_table(&keys::TEMPLATE_TABLE, &keys::TEMPLATE)?;
    let prefix = fields.take(&keys::PREFIX, check::haproxy_name);
    let count = fields.take(&keys::COUNT, check::count);
    if matches!(prefix, Field::Absent) {
        fields.missing(&keys::PREFIX, "\"fb\"");
    }
    if matches!(count, Field::Absent) {
        fields.missing(&keys::COUNT, "50");
    }
    fields.finish();
    Some(Some(Template { prefix: prefix.optional()??, count: count.optional()?? }))
}
