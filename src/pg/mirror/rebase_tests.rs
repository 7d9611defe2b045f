use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::catalog::Catalog;

fn row(value: Value) -> Row {
    value.as_object().cloned().unwrap()
}

fn update(id: i64, before: Value, after: Value) -> Unsettled {
    Unsettled { id, operation: Operation::Update, before: Some(row(before)), after: Some(row(after)) }
}

fn users(test: impl FnOnce(&Resource)) {
    test(Catalog::bundled().unwrap().resource("user").unwrap());
}

#[test]
fn a_value_from_auth0_goes_under_the_mutation_that_touches_its_column() {
    users(|user| {
        let visible = row(json!({"user_id": "u", "name": "mine", "nickname": "old"}));
        let mutations = [update(1, json!({"name": "old"}), json!({"name": "mine"}))];
        let news = News::Present(row(json!({"user_id": "u", "name": "theirs", "nickname": "new"})));
        let rebased = rebase(user, Some(&visible), &mutations, news);
        let expected = row(json!({"user_id": "u", "nickname": "new", "name": "mine"}));
        assert_eq!(rebased.visible, Some(expected));
        assert_eq!(rebased.befores, [(1, row(json!({"name": "theirs"})))]);
    });
}

#[test]
fn a_revert_hands_its_before_to_the_next_mutation_or_to_the_row() {
    users(|user| {
        let visible = row(json!({"user_id": "u", "name": "two", "nickname": "changed"}));
        let mutations = [
            update(
                1,
                json!({"name": "zero", "nickname": "old"}),
                json!({"name": "one", "nickname": "changed"}),
            ),
            update(2, json!({"name": "one"}), json!({"name": "two"})),
        ];
        let rebased = rebase(user, Some(&visible), &mutations, News::Dropped { ids: vec![1] });
        assert_eq!(rebased.visible, Some(row(json!({"user_id": "u", "name": "two", "nickname": "old"}))));
        assert_eq!(rebased.befores, [(2, row(json!({"name": "zero"})))]);
    });
}

#[test]
fn metadata_rebases_key_by_key() {
    users(|user| {
        let visible = row(json!({"user_id": "u", "app_metadata": {"a": 2, "b": 1}}));
        let mutations = [update(1, json!({"app_metadata": {"a": 1}}), json!({"app_metadata": {"a": 2}}))];
        let theirs = row(json!({"user_id": "u", "app_metadata": {"a": 9, "b": 8, "c": 7}}));
        let rebased = rebase(user, Some(&visible), &mutations, News::Present(theirs));
        assert_eq!(rebased.visible.unwrap()["app_metadata"], json!({"a": 2, "b": 8, "c": 7}));
        assert_eq!(rebased.befores, [(1, row(json!({"app_metadata": {"a": 9}})))]);
    });
}

#[test]
fn metadata_that_was_null_is_null_again_after_a_revert() {
    users(|user| {
        let visible = row(json!({"user_id": "u", "app_metadata": {"a": 1}}));
        let mutations = [update(1, json!({"app_metadata": null}), json!({"app_metadata": {"a": 1}}))];
        let rebased = rebase(user, Some(&visible), &mutations, News::Dropped { ids: vec![1] });
        assert_eq!(rebased.visible, Some(row(json!({"user_id": "u"}))));
    });
}

#[test]
fn a_refused_insert_takes_what_hangs_on_it_with_it_and_a_refused_delete_brings_all_back() {
    users(|user| {
        let visible = row(json!({"user_id": "u", "name": "b"}));
        let insert = row(json!({"user_id": "u", "name": "a"}));
        let mutations = [
            Unsettled { id: 1, operation: Operation::Insert, before: None, after: Some(insert) },
            update(2, json!({"name": "a"}), json!({"name": "b"})),
        ];
        let rebased = rebase(user, Some(&visible), &mutations, News::Dropped { ids: vec![1] });
        assert_eq!((rebased.visible, rebased.cancelled), (None, vec![2]));
        let before = row(json!({"user_id": "u", "name": "a", "column_of_a_user": 7, "nickname": null}));
        let delete = Unsettled { id: 3, operation: Operation::Delete, before: Some(before), after: None };
        let rebased = rebase(user, None, &[delete], News::Dropped { ids: vec![3] });
        assert_eq!(rebased.visible, Some(row(json!({"user_id": "u", "name": "a", "column_of_a_user": 7}))));
    });
}

/// One step of a random schedule for one row.
#[derive(Clone, Debug)]
enum Step {
    ClientWrites { column: usize, value: u8 },
    ClientRemoves { column: usize },
    ClientDeletes,
    ClientInserts { value: u8 },
    RemoteWrites { column: usize, value: u8 },
    RemoteDeletes,
    WeRead,
    Auth0Accepts,
    Auth0Refuses { which: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..5usize, any::<u8>()).prop_map(|(column, value)| Step::ClientWrites { column, value }),
        1 => (0..5usize).prop_map(|column| Step::ClientRemoves { column }),
        1 => Just(Step::ClientDeletes),
        1 => any::<u8>().prop_map(|value| Step::ClientInserts { value }),
        3 => (0..5usize, any::<u8>()).prop_map(|(column, value)| Step::RemoteWrites { column, value }),
        1 => Just(Step::RemoteDeletes),
        3 => Just(Step::WeRead),
        3 => Just(Step::Auth0Accepts),
        2 => (0..4usize).prop_map(|which| Step::Auth0Refuses { which }),
    ]
}

/// Places that steps write to: two columns, and three keys of a column that merges.
fn place(row: &mut Row, column: usize, value: Value) {
    match column {
        0 | 1 => {
            row.insert(["name", "nickname"][column].to_owned(), value);
        }
        key => {
            let there = row.get("app_metadata").and_then(Value::as_object).cloned().unwrap_or_default();
            let mut object = there;
            if value.is_null() {
                object.shift_remove(["a", "b", "c"][key - 2]);
            } else {
                object.insert(["a", "b", "c"][key - 2].to_owned(), value);
            }
            row.insert("app_metadata".to_owned(), Value::Object(object));
        }
    }
    row.retain(|_, value| !value.is_null());
}

/// The model: the table as clients see it, its unsettled mutations, Auth0's row, and what Auth0 last told.
struct Model<'a> {
    user: &'a Resource,
    visible: Option<Row>,
    unsettled: Vec<Unsettled>,
    remote: Option<Row>,
    told: Option<Row>,
    next: i64,
}

impl Model<'_> {
    /// As the capture trigger does it.
    fn client(&mut self, new: Option<Row>) {
        let (operation, before, after) = match (&self.visible, &new) {
            (None, Some(new)) => (Operation::Insert, None, Some(new.clone())),
            (Some(old), None) => (Operation::Delete, Some(old.clone()), None),
            (Some(old), Some(new)) => {
                let (mut before, mut after) = (Row::new(), Row::new());
                for column in ["name", "nickname"] {
                    if old.get(column) != new.get(column) {
                        before.insert(column.into(), old.get(column).cloned().unwrap_or_default());
                        after.insert(column.into(), new.get(column).cloned().unwrap_or_default());
                    }
                }
                let object = |row: &Row| row.get("app_metadata").cloned();
                let changed = |mine: Option<Value>, other: Option<Value>| match mine {
                    None => Value::Null,
                    Some(mine) => {
                        let keys = ["a", "b", "c"]
                            .into_iter()
                            .filter(|key| mine.get(key) != other.as_ref().and_then(|other| other.get(key)));
                        keys.map(|key| (key.to_owned(), mine.get(key).cloned().unwrap_or_default())).collect()
                    }
                };
                let empty = |value: Option<Value>| value.unwrap_or_else(|| json!({}));
                if empty(object(old)) != empty(object(new)) {
                    before.insert("app_metadata".into(), changed(object(old), object(new)));
                    after.insert("app_metadata".into(), changed(object(new), object(old)));
                }
                if before.is_empty() {
                    return;
                }
                (Operation::Update, Some(before), Some(after))
            }
            (None, None) => return,
        };
        self.next += 1;
        self.unsettled.push(Unsettled { id: self.next, operation, before, after });
        self.visible = new;
    }

    fn tell(&mut self, news: News) {
        let rebased = rebase(self.user, self.visible.as_ref(), &self.unsettled, news.clone());
        if let News::Applied { ids, .. } | News::Dropped { ids } = &news {
            self.unsettled.retain(|m| !ids.contains(&m.id));
        }
        self.unsettled.retain(|m| !rebased.cancelled.contains(&m.id));
        for (id, before) in rebased.befores {
            self.unsettled.iter_mut().find(|m| m.id == id).unwrap().before = Some(before);
        }
        self.visible = rebased.visible;
        match news {
            News::Present(_) | News::Absent | News::Applied { .. } => self.told.clone_from(&self.remote),
            News::Dropped { .. } => {}
        }
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::ClientWrites { column, value } => {
                if let Some(mut new) = self.visible.clone() {
                    place(&mut new, *column, json!(value));
                    self.client(Some(new));
                }
            }
            Step::ClientRemoves { column } => {
                if let Some(mut new) = self.visible.clone() {
                    place(&mut new, *column, Value::Null);
                    self.client(Some(new));
                }
            }
            Step::ClientDeletes => self.client(None),
            Step::ClientInserts { value } => {
                if self.visible.is_none() {
                    self.client(Some(row(json!({"user_id": "u", "name": value}))));
                }
            }
            Step::RemoteWrites { column, value } => {
                if let Some(remote) = &mut self.remote {
                    place(remote, *column, json!(value));
                }
            }
            Step::RemoteDeletes => self.remote = None,
            Step::WeRead => match self.remote.clone() {
                Some(remote) if self.unsettled.first().is_none_or(|m| m.operation != Operation::Insert) => {
                    self.tell(News::Present(remote));
                }
                None if self.unsettled.is_empty() => self.tell(News::Absent),
                _ => {}
            },
            Step::Auth0Accepts => self.send(),
            Step::Auth0Refuses { which } => {
                if let Some(mutation) = self.unsettled.get(*which % self.unsettled.len().max(1)) {
                    self.tell(News::Dropped { ids: vec![mutation.id] });
                }
            }
        }
    }

    /// The first mutation reaches Auth0, which takes it if it can.
    fn send(&mut self) {
        let Some(first) = self.unsettled.first().cloned() else { return };
        let ids = vec![first.id];
        match (first.operation, &mut self.remote) {
            (Operation::Insert, None) => self.remote = first.after.clone(),
            (Operation::Update, Some(remote)) => {
                write(self.user, remote, first.after.as_ref().unwrap(), first.before.as_ref());
            }
            (Operation::Delete, _) => self.remote = None,
            (Operation::Insert, Some(_)) => return self.tell(News::Dropped { ids }),
            (Operation::Update, None) => return self.tell(News::Absent),
        }
        let answer = self.remote.clone();
        self.tell(News::Applied { ids, answer });
    }

    fn check(&self) {
        let base = base_of(self.user, self.visible.as_ref(), &self.unsettled);
        assert_eq!(normal(base.as_ref()), normal(self.told.as_ref()), "base is what Auth0 last told");
        let mut redone = self.told.clone();
        for mutation in &self.unsettled {
            redone = redo(self.user, redone, mutation).ok().unwrap();
        }
        assert_eq!(normal(self.visible.as_ref()), normal(redone.as_ref()), "visible = base + unsettled");
    }
}

/// NULL and an object without keys are the same to Auth0.
fn normal(row: Option<&Row>) -> Option<Value> {
    let mut row = row?.clone();
    row.retain(|_, value| value != &json!({}));
    let mut keys: Vec<_> = row.keys().cloned().collect();
    keys.sort();
    Some(keys.into_iter().map(|key| (key.clone(), row[&key].clone())).collect())
}

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| Catalog::bundled().unwrap());

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn visible_is_base_plus_unsettled_at_every_step_and_auth0_s_row_at_the_end(
        steps in prop::collection::vec(step(), 1..40)
    ) {
        let user = CATALOG.resource("user").unwrap();
        let there = Some(row(json!({"user_id": "u", "name": "first", "app_metadata": {"a": 0}})));
        let mut model =
            Model { user, visible: there.clone(), unsettled: Vec::new(), remote: there.clone(), told: there, next: 0 };
        for step in &steps {
            model.run(step);
            model.check();
        }
        while !model.unsettled.is_empty() {
            model.send();
            model.check();
        }
        model.run(&Step::WeRead);
        prop_assert_eq!(normal(model.visible.as_ref()), normal(model.remote.as_ref()));
    }
}

#[test]
fn what_auth0_shows_once_stays_until_it_shows_another() {
    let text = "table = \"token\"\nkind = \"collection\"\ncomment = \"x\"\nkey = [\"id\"]\nnew_key = { by = \"server\" }\n\
                [columns.id]\ntype = \"text\"\nclass = \"read_only\"\ncomment = \"x\"\n\
                [columns.value]\ntype = \"text\"\nclass = \"read_only\"\ncomment = \"x\"\nkept = true\n";
    let catalog = Catalog::from_files([("t/token.toml", text)]).unwrap();
    let token = catalog.resource("token").unwrap();
    let visible = row(json!({"id": "t", "value": "once", "extra": {"old": 1}}));
    let read = |news: Value| {
        rebase::<Unsettled>(token, Some(&visible), &[], News::Present(row(news))).visible.unwrap()
    };
    assert_eq!(read(json!({"id": "t"})), row(json!({"id": "t", "value": "once"})));
    assert_eq!(read(json!({"id": "t", "value": "twice"})), row(json!({"id": "t", "value": "twice"})));
}
