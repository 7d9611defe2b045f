//! `auth0-sync catalog`: what the tables are, what can be done with them, and what that needs.
//! It reads the catalogue alone: no configuration, no database, no network.

pub mod check;
mod describe;
mod document;
mod listing;
mod markdown;

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use serde_json::json;

use crate::{
    Error, Kind, Result,
    catalog::{Catalog, Resource},
};

pub use markdown::page as reference;

/// Arguments of `auth0-sync catalog`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Compare with an OpenAPI document of Auth0's; exit code 1 where anything differs
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// Print the reference page of all tables
    #[arg(long, conflicts_with_all = ["json", "check", "tables"])]
    markdown: bool,
    /// Tables to show with their columns; without any, all tables in short
    #[arg(value_name = "TABLE", value_parser = known_table)]
    tables: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// `catalog` for a fault of the build, `config` for a document that cannot be read, `io` where standard
/// output cannot be written.
pub fn run(args: Args) -> Result<ExitCode> {
    let catalog = Catalog::load()?;
    if let Some(file) = &args.check {
        let report = check::compare(&catalog, file, &args.tables)?;
        print(&if args.json { format!("{:#}\n", report.document()) } else { report.text() })?;
        return Ok(if report.agrees() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let chosen: Vec<&Resource> = match args.tables.as_slice() {
        [] => catalog.iter().collect(),
        names => names.iter().map(|name| catalog.resource(name)).collect::<Result<_>>()?,
    };
    let output = if args.markdown {
        reference(&catalog)
    } else if args.json {
        let tables = chosen.iter().map(|resource| document::table(&catalog, resource));
        format!("{:#}\n", json!({"tables": tables.collect::<Vec<_>>()}))
    } else if args.tables.is_empty() {
        listing::overview(&catalog)
    } else {
        listing::details(&catalog, &chosen)
    };
    print(&output)?;
    Ok(ExitCode::SUCCESS)
}

fn print(output: &str) -> Result<()> {
    match io::stdout().lock().write_all(output.as_bytes()) {
        // The reader has seen enough: `auth0-sync catalog | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(|error| Error::with(Kind::Io, "cannot write to standard output", error)),
    }
}

fn known_table(name: &str) -> std::result::Result<String, String> {
    let catalog = Catalog::load().map_err(|error| error.to_string())?;
    match catalog.get(name) {
        Some(_) => Ok(name.to_owned()),
        None => Err("no such table; `auth0-sync catalog` lists all".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listing_tells_operations_scopes_and_constraints() {
        let catalog = Catalog::bundled().unwrap();
        let overview = listing::overview(&catalog);
        assert!(overview.contains("\nusers\n"), "by tag: {overview}");
        let line = overview.lines().find(|line| line.starts_with("  user ")).unwrap();
        assert!(line.contains(" CRUD  A person"), "{line}");
        let user = listing::details(&catalog, &[catalog.resource("user").unwrap()]);
        assert!(user.contains("  update  update:users or update:users_app_metadata"), "{user}");
        assert!(user.contains("PATCH /users/{user_id}\n"), "{user}");
        assert!(user.contains("format email"), "{user}");
        assert!(user.contains("secret, never stored"), "{user}");
    }

    #[test]
    fn the_document_has_every_column_and_only_the_constraints_that_stand() {
        let catalog = Catalog::bundled().unwrap();
        for resource in catalog.iter() {
            let document = document::table(&catalog, resource);
            assert_eq!(document["columns"].as_array().unwrap().len(), resource.columns.len());
        }
        let user = document::table(&catalog, catalog.resource("user").unwrap());
        assert_eq!(user["columns"][0]["name"], "user_id");
        assert_eq!(user["columns"][0]["max_length"], 255);
        assert_eq!(user["can"]["delete"], true);
        assert!(user["columns"][0].get("merge").is_none());
    }

    #[test]
    fn a_table_that_is_not_described_is_refused_as_an_argument() {
        assert!(known_table("user").is_ok());
        assert!(known_table("users").unwrap_err().contains("no such table"));
    }

    #[test]
    fn a_command_is_shown_with_an_insert_that_names_what_it_asks_for_and_what_it_fills() {
        let file = r#"
            table = "polish"
            kind = "command"
            comment = "Polishes a thing."
            [[command]]
            method = "POST"
            path = "/things/{thing_id}/polish"
            scopes = ["update:things"]
            status = [200]
            when = { type = "quick" }
            [columns.type]
            type = "text"
            class = "create_only"
            comment = "How."
            enum = ["slow", "quick"]
            [columns.thing_id]
            type = "text"
            class = "create_only"
            comment = "Which."
            [columns.note]
            type = "text"
            class = "create_only"
            comment = "Why."
            [columns.gloss]
            type = "bigint"
            class = "read_only"
            comment = "How much it shines."
        "#;
        let catalog = Catalog::from_files([("things/polish.toml", file)]).unwrap();
        let page = markdown::page(&catalog);
        let insert = "insert into auth0.polish (type, thing_id) values ('quick', '…') returning id;";
        assert!(page.contains(&format!("```sql\n{insert}\n```")), "{page}");
        assert!(page.contains("fills `gloss`, `state`, `error` and `answered_at`."), "{page}");
        assert!(
            page.contains(
                "| insert where `type = 'quick'` | `update:things` | `POST /things/{thing_id}/polish` |"
            ),
            "{page}"
        );
        assert!(page.contains("| [polish](#polish) | `C--D` | Polishes a thing. (command) |"), "{page}");
    }
}
