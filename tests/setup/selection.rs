//! What is mirrored: the tables and columns that the configuration names.

use auth0_sync::catalog::{Catalog, Selection};

use super::kinds::{catalog, with};
use super::support::Stand;
use super::support::stand::DATABASE;

/// A catalogue's part by `objects` and the entries of `[columns]`.
pub(crate) fn part(
    catalog: &Catalog,
    objects: &[&str],
    columns: &[(&str, &[&str])],
) -> Result<Catalog, String> {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let columns = columns.iter().map(|(table, names)| ((*table).to_owned(), words(names))).collect();
    let selection = Selection { objects: words(objects), columns };
    catalog.selected(&selection).map_err(|error| error.to_string())
}

fn names(objects: &[&str]) -> Vec<String> {
    let part = part(&catalog(), objects, &[]).unwrap();
    let mut names: Vec<_> = part.iter().map(|resource| resource.table.clone()).collect();
    names.sort();
    names
}

#[test]
fn tables_are_chosen_by_name_by_star_and_by_leaving_out() {
    let all = ["act", "binding", "child", "child_watch", "gone", "old", "parent", "parent_child", "single"];
    assert_eq!(names(&[]), all, "nothing here is optional");
    assert_eq!(names(&["*"]), all.iter().copied().filter(|name| *name != "old").collect::<Vec<_>>());
    assert_eq!(names(&["*", "old"]), all);
    assert_eq!(names(&["single", "act"]), ["act", "single"], "a reference alone needs no table");
    assert_eq!(names(&["child"]), ["child", "parent"], "children are listed by their parents");
    assert_eq!(names(&["parent_child"]), ["binding", "parent", "parent_child"]);
    assert_eq!(
        names(&["-single", "-act", "-gone"]),
        ["binding", "child", "child_watch", "old", "parent", "parent_child"]
    );
    assert_eq!(names(&["*", "-parent"]), ["act", "child_watch", "gone", "single"]);

    let chosen = part(&catalog(), &["child"], &[]).unwrap();
    let follows = chosen.follows();
    assert_eq!(
        (follows[0].table.as_str(), follows[0].because_of.as_str(), follows[0].selected),
        ("parent", "child", true)
    );
    let chosen = part(&catalog(), &["act"], &[]).unwrap();
    assert_eq!(chosen.get("act").unwrap().columns["parent_id"].references, None);
}

#[test]
fn an_optional_table_is_named_or_not_there() {
    let catalog = with(&[(
        "a/single.toml",
        &format!("optional = \"It costs.\"\n{}", include_str!("catalog/single.toml")),
    )]);
    let has = |objects: &[&str]| part(&catalog, objects, &[]).unwrap().get("single").is_some();
    assert!(!has(&[]) && !has(&["-act"]));
    assert!(has(&["*"]) && has(&["single"]));
}

#[test]
fn columns_are_chosen_and_what_is_needed_stays() {
    let child = |names: &[&str]| {
        let chosen = part(&catalog(), &[], &[("child", names)]).unwrap();
        let child = chosen.get("child").unwrap();
        let of =
            |columns: &indexmap::IndexMap<String, _>| columns.keys().cloned().collect::<Vec<_>>().join(" ");
        (of(&child.columns), of(&child.hidden))
    };
    assert_eq!(child(&["id"]), ("parent_id id name".to_owned(), "note".to_owned()));
    assert_eq!(child(&["note"]), ("parent_id id name note".to_owned(), String::new()));
    assert_eq!(child(&["-note"]), ("parent_id id name".to_owned(), "note".to_owned()));
    let chosen = part(&catalog(), &["*", "-parent_child"], &[("binding", &["child_id"])]).unwrap();
    let hidden: Vec<_> = chosen.get("binding").unwrap().hidden.keys().collect();
    assert_eq!(hidden, ["note"], "a list's order is needed");
}

#[test]
fn what_is_not_there_is_named_with_what_is_near() {
    let wrong =
        |objects: &[&str], columns: &[(&str, &[&str])]| part(&catalog(), objects, columns).unwrap_err();
    assert_eq!(wrong(&["children"], &[]), "objects: there is no table children; near it: child");
    assert_eq!(wrong(&["-singel"], &[]), "objects: there is no table singel; near it: single");
    assert_eq!(wrong(&[], &[("childs", &[])]), "[columns]: there is no table childs; near it: child");
    assert_eq!(
        wrong(&[], &[("child", &["nmae"])]),
        "[columns]: child has no column nmae; near it: name, note"
    );
    assert_eq!(
        wrong(&[], &[("child", &["-id"])]),
        "[columns]: id of child cannot be left out: auth0-sync needs it"
    );
    let mixed = "[columns]: child names columns and leaves out others; one of the two is enough";
    assert_eq!(wrong(&[], &[("child", &["name", "-note"])]), mixed);
    assert_eq!(wrong(&["act", "-act"], &[]), "objects names act and leaves it out");
    assert_eq!(
        wrong(&["child", "-parent"], &[]),
        "objects leaves out parent, and child, which it names, needs it"
    );
}

#[tokio::test]
async fn a_service_mirrors_what_setup_has_made_or_says_so() {
    let mut stand = Stand::start(2).await;
    let before = std::mem::replace(&mut stand.objects, ["user", "user_role"].map(str::to_owned).into());
    let admin = stand.postgres.admin_url(DATABASE);
    let (status, out, log) = stand.run(&["setup", "--admin-url", &admin]).await;
    assert!(status.success(), "{out}{log}");
    for part in
        ["3 of ", "role is selected too: user_role needs it", "no longer sync auth0.tenant; its rows stay"]
    {
        assert!(out.contains(part), "no {part:?} in:\n{out}");
    }
    // The service that runs was told otherwise, and one that is told so still does not start.
    stand.service.as_mut().unwrap().ended().await;
    let after = std::mem::replace(&mut stand.objects, before);
    let (status, _, log) = stand.run(&["run"]).await;
    let said = "schema auth0 has other tables or columns than are selected; run `auth0-sync setup` first";
    assert!(!status.success() && log.contains(said), "{log}");
    stand.objects = after;
    stand.restart_service().await;
    let mut app = stand.session().await;
    assert_eq!(app.count("select count(*) from auth0.tenant").await, 1, "it stays as it was");
    let refusal = app.refused("update auth0.tenant set friendly_name = 'x'").await;
    assert_eq!(refusal.message, "[Auth0] auth0.tenant is not selected: it is no longer synced");
    app.confirmed("update auth0.\"user\" set nickname = 'still synced'").await;

    stand.objects.push("tenant".to_owned());
    let (status, out, log) = stand.run(&["setup"]).await;
    assert!(status.success() && out.contains("sync auth0.tenant again"), "{out}{log}");
    stand.service.as_mut().unwrap().ended().await;
    stand.restart_service().await;
    app.confirmed("update auth0.tenant set friendly_name = 'x'").await;
}
