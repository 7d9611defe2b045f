//! The catalogue: the only place that knows Auth0's shapes. Data files under `catalog/` are read
//! into a typed model; everything else (DDL, triggers, calls, the emulator's routes) derives from it.
//! It never does I/O beyond its own files and knows nothing of Postgres connections or HTTP.

mod ability;
mod check;
mod key;
mod limits;
mod load;
mod model;
mod route;
mod select;
mod target;
mod template;

pub use key::RowKey;
pub use limits::{Limits, Plan, REST, Rate, WHOLE, share};
pub use load::Catalog;
pub use model::{
    Bulk, Call, Class, Column, ColumnType, Command, Create, Each, EventKind, Events, Export, Format, Holds,
    JsonShape, Lasting, Lifecycle, List, LogHint, Merge, NewKey, Paging, PathHint, Protected, Recognise,
    Replace, Report, Resource, ResourceKind, Serves, Settling, Touch, View, Worth, WriteCall,
};
pub use route::{PathMatch, path_matches};
pub use select::{Follows, Selection};
pub use target::{Target, list_groups};
pub use template::{fill_body, fill_path, fill_query, placeholder, placeholders};
