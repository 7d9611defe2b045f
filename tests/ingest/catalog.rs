//! A catalogue of things that Auth0 does not have: each way to list, one table.

use auth0_sync::catalog::Catalog;

const COLUMN: &str = "class = \"writable\"\ncomment = \"A value.\"\n";

/// A resource from its head and `name: type` columns; the first line of the head is its table.
fn file(head: &str, columns: &[(&str, &str)]) -> (String, String) {
    let table = head.trim_start().split('"').nth(1).unwrap();
    let columns =
        columns.iter().map(|(name, kind)| format!("[columns.{name}]\ntype = \"{kind}\"\n{COLUMN}\n"));
    (format!("test/{table}.toml"), format!("{head}\n{}", columns.collect::<String>()))
}

fn get(path: &str) -> String {
    format!("[get]\nmethod = \"GET\"\npath = \"{path}\"\nscopes = []\nstatus = [200]\n")
}

fn write(what: &str, method: &str, path: &str, more: &str) -> String {
    format!("[{what}]\nmethod = \"{method}\"\npath = \"{path}\"\nscopes = []\nstatus = [200]\n{more}\n")
}

fn list(path: &str, paging: &str, more: &str) -> String {
    let array = if matches!(paging, "offset" | "checkpoint") { "array = \"items\"\n" } else { "" };
    format!("[[list]]\npath = \"{path}\"\nscopes = []\npaging = \"{paging}\"\n{array}{more}\n")
}

fn head(table: &str, kind: &str, key: &str, more: &str) -> String {
    format!("table = \"{table}\"\nkind = \"{kind}\"\ncomment = \"A {table}.\"\nkey = {key}\n{more}\n")
}

/// Every table of the test.
pub(crate) fn catalog() -> Catalog {
    let server = "new_key = { by = \"server\" }";
    let fixed = |value: &str| format!("new_key = {{ by = \"fixed\", value = \"{value}\" }}");
    let recognised = "recognise = { by = \"repeat\" }";
    let plots = "/gardens/{garden_id}/plots";
    let files = [
        file(
            &[
                head("garden", "collection", "[\"id\"]", &format!("{server}\nchanges = [\"gate\"]")),
                list("/gardens", "offset", ""),
                get("/gardens/{id}"),
                write("create", "POST", "/gardens", recognised),
                write("update", "PATCH", "/gardens/{id}", ""),
                write("delete", "DELETE", "/gardens/{id}", ""),
            ]
            .concat(),
            &[("id", "text"), ("name", "text"), ("style", "text"), ("languages", "text[]"), ("warden", "jsonb"), ("token", "text\"\nkept = true\n#\"")],
        ),
        // Children with a key of two columns.
        file(
            &[
                head("plot", "collection", "[\"garden_id\", \"id\"]", server),
                list(plots, "offset", "parent = \"garden\""),
                get("/gardens/{garden_id}/plots/{id}"),
                write("create", "POST", plots, recognised),
            ]
            .concat(),
            &[("garden_id", "text"), ("id", "text"), ("size", "bigint")],
        ),
        // Bare values below a parent of two key columns.
        file(
            &[
                head("herb", "association", "[\"garden_id\", \"plot_id\", \"name\"]", ""),
                list("/gardens/{garden_id}/plots/{plot_id}/herbs", "none", "parent = \"plot\"\nitem = \"name\""),
            ]
            .concat(),
            &[("garden_id", "text"), ("plot_id", "text"), ("name", "text")],
        ),
        // One for each parent, listed for the whole tenant.
        file(
            &[
                head("gate", "collection", "[\"garden_id\"]", "new_key = { by = \"given\" }"),
                list("/gates", "checkpoint", ""),
                list("/gardens/{garden_id}/gate", "single", "parent = \"garden\""),
                get("/gardens/{garden_id}/gate"),
                write("create", "POST", "/gardens/{garden_id}/gate", recognised),
                write("update", "PUT", "/gardens/{garden_id}/gate", ""),
                write("delete", "DELETE", "/gardens/{garden_id}/gate", ""),
            ]
            .concat(),
            &[("garden_id", "text"), ("colour", "text")],
        ),
        // Whole answers, by values of another table and fixed ones, of some parents.
        file(
            &[
                head("label", "collection", "[\"garden_id\", \"language\", \"page\"]", "new_key = { by = \"given\" }\nwhole = \"texts\""),
                list(
                    "/gardens/{garden_id}/labels/{language}/{page}",
                    "single",
                    "parent = \"garden\"\nonly = { style = [\"english\"] }\neach = { language = { table = \"garden\", column = \"languages\" }, page = [\"map\", \"sign\"] }",
                ),
                get("/gardens/{garden_id}/labels/{language}/{page}"),
                write("update", "PUT", "/gardens/{garden_id}/labels/{language}/{page}", ""),
            ]
            .concat(),
            &[("garden_id", "text"), ("language", "text"), ("page", "text"), ("texts", "jsonb")],
        ),
        // Fixed values in the query, and no call for one row.
        file(
            &[
                head("tool", "collection", "[\"id\"]", server),
                list("/tools", "offset", "each = { type = [\"hand\", \"power\"] }\nquery = { type = \"{type}\" }"),
                write("delete", "DELETE", "/tools/{id}", ""),
            ]
            .concat(),
            &[("id", "text"), ("type", "text"), ("weight", "double precision")],
        ),
        // By a column of the parent that is no key, a scalar inside jsonb.
        file(
            &[
                head("guard", "collection", "[\"id\"]", server),
                list("/guards/{id}", "single", "parent = \"garden\"\nfrom = { id = \"warden\" }"),
                get("/guards/{id}"),
            ]
            .concat(),
            &[("id", "text"), ("rank", "text")],
        ),
        // Listed in part.
        file(
            &[
                head("tree", "collection", "[\"id\"]", server),
                list("/trees", "offset", "part = true"),
                get("/trees/{id}"),
            ]
            .concat(),
            &[("id", "text"), ("age", "bigint"), ("state", "text")],
        )
        .at_work("state", "growing"),
        file(
            &[head("season", "singleton", "[\"id\"]", &fixed("season")), get("/season"), write("update", "PUT", "/season", "")].concat(),
            &[("id", "text"), ("name", "text")],
        ),
        file(
            &[head("visits", "singleton", "[\"id\"]", &format!("{}\nwhole = \"count\"", fixed("visits"))), get("/visits")].concat(),
            &[("id", "text"), ("count", "bigint")],
        ),
        // Refused: by scope, and as a whole endpoint.
        file(&[head("vault", "collection", "[\"id\"]", server), list("/vaults", "offset", ""), get("/vaults/{id}")].concat(), &[("id", "text")]),
        file(&[head("ruin", "collection", "[\"id\"]", server), list("/ruins", "none", "")].concat(), &[("id", "text")]),
        // What clients ask for, and what their commands made.
        file(&head("pest_watch", "watch", "[\"address\"]", ""), &[("address", "text")]),
        file(
            &[
                head("pest", "collection", "[\"address\"]", "new_key = { by = \"given\" }"),
                list("/pests/{address}", "single", "parent = \"pest_watch\""),
                get("/pests/{address}"),
            ]
            .concat(),
            &[("address", "text"), ("kind", "text")],
        ),
        file(
            "table = \"sow\"\nkind = \"command\"\ncomment = \"Sows.\"\nchanges = [\"task\"]\n[[command]]\nmethod = \"POST\"\npath = \"/gardens/{garden_id}/sow\"\nscopes = []\nstatus = [200]\n",
            &[("garden_id", "text\"\nreferences = \"garden"), ("task_id", "text\"\nfield = \"id")],
        ),
        file(
            &[
                head("task", "collection", "[\"id\"]", server),
                list("/tasks/{id}", "single", "parent = \"sow\"\nfrom = { id = \"task_id\" }"),
                get("/tasks/{id}"),
            ]
            .concat(),
            &[("id", "text"), ("status", "text")],
        ),
        file(
            &[head("entry", "collection", "[\"log_id\"]", &format!("{server}\nkeeps_rows = true")), list("/logs", "log", "per_page = 2"), get("/logs/{log_id}")].concat(),
            &[("log_id", "text"), ("type", "text"), ("at", "timestamptz\"\nfield = \"date")],
        ),
    ];
    Catalog::from_files(files.iter().map(|(name, text)| (name.as_str(), text.as_str()))).unwrap()
}

trait AtWork {
    fn at_work(self, column: &str, value: &str) -> Self;
}

impl AtWork for (String, String) {
    fn at_work(self, column: &str, value: &str) -> Self {
        let settling = format!("settling = {{ column = \"{column}\", values = [\"{value}\"] }}\n");
        (self.0, self.1.replacen("[[list]]", &format!("{settling}[[list]]"), 1))
    }
}
