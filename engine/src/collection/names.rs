//! What a request comes to that changes which collections there are, their names or schemas: worked
//! out by the commit thread, on the set as the writes before it leave it.

use super::{
    state::State,
    tables::{Tables, unknown},
    write::Names,
};
use crate::{
    error::{Error, ErrorKind, Result},
    options::Limits,
    schema::quoted,
    wal::Change,
};

/// The change that a request comes to.
pub(super) fn change(
    request: Names,
    state: &State,
    tables: &Tables,
    limits: &Limits,
) -> Result<Change> {
    let id = |name: &str| state.find(name).map(|collection| collection.id);
    Ok(match request {
        Names::Create(name, schema) => {
            check_new(&name, state, limits)?;
            state.analyzers().check(&schema)?;
            Change::Create {
                collection: tables.next(),
                name,
                schema,
            }
        }
        Names::Remove(collection) => Change::Remove { collection },
        Names::Rename(from, to) => {
            let collection = id(&from)?;
            check_unused(&to, state)?;
            Change::Rename {
                collection,
                name: to,
            }
        }
        Names::Alter(collection, alteration) => {
            let table = tables.get(collection);
            let table = table.ok_or_else(|| unknown(collection))?;
            let shape = table.shape.altered(alteration)?;
            state.analyzers().check(&shape.schema)?;
            Change::Alter { collection, shape }
        }
        Names::Alias(alias, Some(name)) => {
            let collection = id(&name)?;
            if state.names().collections.contains_key(&alias) {
                return Err(taken(&alias));
            }
            Change::Alias {
                alias,
                collection: Some(collection),
            }
        }
        Names::Alias(alias, None) => {
            if !state.names().aliases.contains_key(&alias) {
                return Err(Error::new(
                    ErrorKind::NotFound,
                    format!("there is no alias {}", quoted(&alias)),
                ));
            }
            Change::Alias {
                alias,
                collection: None,
            }
        }
    })
}

fn check_new(name: &str, state: &State, limits: &Limits) -> Result<()> {
    check_unused(name, state)?;
    if state.names().collections.len() >= limits.collections {
        return Err(Error::invalid(format!(
            "there are {} collections, as many as there may be",
            limits.collections
        )));
    }
    Ok(())
}

fn check_unused(name: &str, state: &State) -> Result<()> {
    let names = state.names();
    if names.collections.contains_key(name) || names.aliases.contains_key(name) {
        return Err(taken(name));
    }
    Ok(())
}

fn taken(name: &str) -> Error {
    Error::new(
        ErrorKind::AlreadyExists,
        format!("there is a collection or an alias {} already", quoted(name)),
    )
}
