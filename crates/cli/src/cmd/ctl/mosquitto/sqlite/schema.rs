//! Which tables there are, and in which order their columns are stored.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::pages::Pages;
use super::record::Value;

/// Where a table begins and what its columns are called.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) root: u32,
    columns: Vec<String>,
}

/// A row whose columns are found by name.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) table: &'a Table,
    pub(super) values: &'a [Value<'a>],
}

impl<'a> Row<'a> {
    /// Nothing for a column that is not there.
    pub(super) fn get(self, name: &str) -> Value<'a> {
        let index = self.table.columns.iter().position(|column| column == name);
        index.and_then(|index| self.values.get(index)).copied().unwrap_or(Value::Null)
    }

    pub(super) fn text(self, name: &str) -> Result<String> {
        self.get(name).text().with_context(|| format!("{name} is no text"))
    }

    pub(super) fn number<T: TryFrom<i64>>(self, name: &str) -> Result<T> {
        let number = self.get(name).integer();
        T::try_from(number).ok().with_context(|| format!("{name} is {number}"))
    }
}

/// The tables of a database; the list of them is itself a table at the first page.
pub(super) fn tables(pages: &Pages<'_>) -> Result<BTreeMap<String, Table>> {
    let mut tables = BTreeMap::new();
    let row = &mut |values: Vec<Value<'_>>| {
        let [kind, name, _, root, sql] = values[..] else { return Ok(()) };
        if kind.text().as_deref() != Some("table") {
            return Ok(());
        }
        let name = name.text().context("a table without a name")?;
        let root = u32::try_from(root.integer()).with_context(|| format!("table {name}"))?;
        let columns = columns(&sql.text().unwrap_or_default());
        tables.insert(name, Table { root, columns });
        Ok(())
    };
    pages.table(1, row).context("list of tables")?;
    Ok(tables)
}

/// The names of the columns in the statement that made a table: the first word of each definition.
fn columns(sql: &str) -> Vec<String> {
    let Some((_, definitions)) = sql.split_once('(') else { return Vec::new() };
    let mut depth = 1;
    let inside = definitions.split(|letter| {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        letter == ',' && depth == 1 || letter == ')' && depth == 0
    });
    let first = |definition: &str| definition.split_whitespace().next().map(str::to_owned);
    inside.filter_map(first).collect()
}

#[cfg(test)]
mod tests {
    use super::columns;

    #[test]
    fn columns_are_named_in_their_order() {
        let sql =
            "CREATE TABLE t (a TEXT NOT NULL,b INT64 DEFAULT (1,2), c\tINT,PRIMARY KEY (a, b) )";
        assert_eq!(columns(sql), ["a", "b", "c", "PRIMARY"]);
        assert!(columns("").is_empty());
    }
}
