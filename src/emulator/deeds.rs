//! What a call does besides writing its own row, and when it is refused: features that the tenant
//! lacks, rules of bodies, limits of numbers, changes elsewhere, answers from templates. The data
//! stands in the catalogue; `rules/deeds.rs` describes it.

use serde_json::Value;

use super::keys;
use super::problem::{Answer, Problem};
use super::rules::{Fields, Moment, Refusal, Rules};
use super::select;
use super::store::Store;
use super::template::{Context, at, put_at, remove_at};
use super::world::World;
use super::writes;
use crate::catalog::Resource;

/// Refuses what the tenant's plan lacks.
///
/// # Errors
/// The gate's refusal.
pub(super) fn gates(
    world: &World,
    rules: &Rules,
    moment: Moment,
    body: Option<&Value>,
) -> Result<(), Problem> {
    for gate in &rules.gate {
        let meant = gate.on.is_empty() || gate.on.contains(&moment);
        let field = gate.field.as_ref();
        let asked = field.is_none_or(|field| has(body, field));
        let lacking = world.is_planned(&gate.lacking) == Some(true);
        let planned = world.is_planned(&gate.plans).map_or(!gate.rare, |has| has || gate.plans.is_empty());
        let planned = planned && !lacking;
        if meant && asked && (world.without.contains(&gate.feature) || !planned) {
            return Err(refused(&gate.refusal, &Context { body, ..Context::default() }));
        }
    }
    Ok(())
}

/// Refuses what the rules of bodies forbid.
///
/// # Errors
/// The rule's refusal.
pub(super) fn forbid(rules: &Rules, moment: Moment, context: &Context) -> Result<(), Problem> {
    for rule in &rules.forbid {
        let meant = rule.on.is_empty() && moment != Moment::Read || rule.on.contains(&moment);
        let fits = meant
            && rule.has.iter().all(|field| has(context.body, field))
            && rule.lacks.iter().all(|field| !has(context.body, field))
            && rule.when.iter().all(|(expression, values)| is_one_of(context, expression, values))
            && !rule.unless.iter().any(|(expression, values)| is_one_of(context, expression, values));
        if fits {
            return Err(refused(&rule.refusal, context));
        }
    }
    Ok(())
}

fn has(body: Option<&Value>, field: &str) -> bool {
    body.and_then(Value::as_object).and_then(|fields| at(fields, field)).is_some_and(|value| !value.is_null())
}

/// Whether an expression has one of these values; `$null` among them stands for none.
fn is_one_of(context: &Context, expression: &str, values: &[Value]) -> bool {
    match context.expression(expression) {
        Some(value) => values.contains(&value),
        None => values.iter().any(|value| value.as_str() == Some("$null")),
    }
}

/// A refusal with values of the call in its text.
pub(super) fn refused(refusal: &Refusal, context: &Context) -> Problem {
    let message = context.value(&Value::String(refusal.message.clone()));
    let message = message.and_then(|text| text.as_str().map(str::to_owned)).unwrap_or_default();
    let refusal = Refusal { message, ..refusal.clone() };
    Problem::refusal(&refusal, context.path.unwrap_or(&Fields::new()))
}

/// Refuses one row more than there may be.
///
/// # Errors
/// The limit's refusal.
pub(super) fn limits(
    world: &World,
    store: &Store,
    (resource, rules): (&Resource, &Rules),
    values: &Fields,
    body: &Fields,
) -> Result<(), Problem> {
    for limit in &rules.most {
        if !limit.plans.is_empty() && world.is_planned(&limit.plans) != Some(true) {
            continue;
        }
        let named = |name: &String| {
            let value = values.get(name).or_else(|| body.get(resource.field(name)));
            Some((name.clone(), value?.clone()))
        };
        let Some(wanted) = limit.by.iter().map(named).collect::<Option<Fields>>() else { continue };
        if select::having(store, resource, &wanted).len() >= limit.most {
            return Err(Problem::refusal(&limit.refusal, body));
        }
    }
    Ok(())
}

/// Changes what a successful call changes elsewhere.
pub(super) fn effects(
    world: &World,
    store: &mut Store,
    (rules, path): (&Rules, &str),
    moment: Moment,
    context: &Context,
) {
    for effect in &rules.effect {
        let meant = (effect.on.is_empty() || effect.on.contains(&moment))
            && effect.path.as_deref().is_none_or(|named| named == path)
            && effect.when.iter().all(|(expression, values)| is_one_of(context, expression, values));
        let Some((resource, other)) = world.shape(&effect.table).filter(|_| meant) else { continue };
        if let Some(template) = &effect.insert {
            insert(store, (resource, other), template, context);
        }
        let wanted: Option<Fields> = effect
            .rows
            .iter()
            .map(|(name, template)| Some((name.clone(), context.value(template)?)))
            .collect();
        let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty() || effect.all) else { continue };
        let rows = select::having(store, resource, &wanted).into_iter();
        let rows: Vec<_> = rows.map(|(key, row)| (key.clone(), row.clone())).collect();
        for (key, row) in rows {
            if effect.remove {
                writes::remove(world, store, &effect.table, &key);
                continue;
            }
            let mut body = row.body;
            for (field, template) in &effect.set {
                if let Some(value) = context.value(template) {
                    put_at(&mut body, field, value);
                }
            }
            effect.unset.iter().for_each(|field| remove_at(&mut body, field));
            store.put(&effect.table, &key, body, row.hidden);
        }
    }
}

fn insert(store: &mut Store, shape: (&Resource, &Rules), template: &Fields, context: &Context) {
    let (resource, rules) = shape;
    let row = context.fields(template);
    // Key columns of a parent stand in paths alone.
    let hidden = |column: &&String| {
        let parent = resource.columns.get(*column).is_some_and(|column| column.references.is_some());
        parent && resource.key.len() > 1 && !rules.shown_keys.contains(column)
    };
    let parents: Vec<&String> = resource.key.iter().filter(hidden).collect();
    let (values, mut body): (Fields, Fields) = row.into_iter().partition(|(name, _)| parents.contains(&name));
    writes::complete(shape, &mut body, context);
    if let Some(key) = keys::own_key(resource, &values, &body) {
        store.put(&resource.table, &key, body, Fields::new());
    }
}

/// The answer that a template gives instead of the usual one.
pub(super) fn answered(rules: &Rules, moment: Moment, context: &Context, usual: Answer) -> Answer {
    match rules.answer.of(moment).filter(|_| moment != Moment::Run) {
        Some(template) => templated(template, context, usual.status),
        None => usual,
    }
}

/// The answer of a template; `"$nothing"` has no body.
pub(super) fn templated(template: &Value, context: &Context, status: u16) -> Answer {
    if template.as_str() == Some("$nothing") {
        return Answer::empty(status);
    }
    context.value(template).map_or_else(|| Answer::empty(status), |body| Answer::new(status, body))
}
