//! The four forms of an answer: a table for people, JSON and YAML for programs, names for pipes.

use comfy_table::{Cell, ContentArrangement, Table as Grid, presets};
use serde::{Serialize, Serializer};
use tessera_types::{PresentedSecret, Timestamp};

use crate::problem::Problem;

/// How an answer is written (`-o`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people; may change between versions.
    #[default]
    Table,
    /// For programs.
    Json,
    /// For programs and people.
    Yaml,
    /// Identifiers only, one on each line.
    Name,
}

/// An answer that can be written in each [`Format`].
pub trait View: Serialize {
    /// The form for people.
    fn table(&self) -> Table;

    /// The identifiers of what it shows.
    fn names(&self) -> Vec<String>;
}

/// A table for people.
#[derive(Debug, PartialEq, Eq)]
pub enum Table {
    /// One thing: a line for each of its sides.
    Record(Vec<(&'static str, String)>),
    /// Several things: a heading and a row for each.
    List(Vec<&'static str>, Vec<Vec<String>>),
    /// Just a text, such as a token.
    Text(String),
}

impl<V: View> View for Vec<V>
where
    V: ListedView,
{
    fn table(&self) -> Table {
        Table::List(V::HEAD.to_vec(), self.iter().map(ListedView::row).collect())
    }

    fn names(&self) -> Vec<String> {
        self.iter().flat_map(View::names).collect()
    }
}

/// A view that has a row in a list.
pub trait ListedView {
    /// The headings.
    const HEAD: &'static [&'static str];

    /// The row, a cell for each heading.
    fn row(&self) -> Vec<String>;
}

/// Writes an answer in the form asked for, with the line break at its end.
///
/// # Errors
/// Internal, where the answer cannot be serialized.
pub fn render(view: &impl View, format: Format) -> Result<String, Problem> {
    let unwritable = |error: &dyn std::fmt::Display| Problem::internal("OUTPUT", format!("cannot write: {error}"));
    match format {
        Format::Table => Ok(view.table().to_text()),
        Format::Json => serde_json::to_string_pretty(view).map(|json| json + "\n").map_err(|e| unwritable(&e)),
        Format::Yaml => serde_saphyr::to_string(view).map(ending_in_a_line_break).map_err(|e| unwritable(&e)),
        Format::Name => Ok(view.names().iter().map(|name| printable(name) + "\n").collect()),
    }
}

fn ending_in_a_line_break(mut text: String) -> String {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

impl Table {
    /// The table as aligned text; nothing for an empty list.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut grid = Grid::new();
        grid.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        match self {
            Self::Text(text) => return printable(text) + "\n",
            Self::List(_, rows) if rows.is_empty() => return String::new(),
            Self::Record(sides) => {
                for (name, value) in sides.iter().filter(|(_, value)| !value.is_empty()) {
                    grid.add_row([Cell::new(name), Cell::new(printable(value))]);
                }
            }
            Self::List(head, rows) => {
                grid.set_header(head.iter().map(Cell::new));
                for row in rows {
                    grid.add_row(
                        row.iter().map(|cell| Cell::new(if cell.is_empty() { "-".into() } else { printable(cell) })),
                    );
                }
            }
        }
        for column in grid.column_iter_mut() {
            column.set_padding((0, 2));
        }
        grid.lines().fold(String::new(), |text, line| text + line.trim_end() + "\n")
    }
}

/// A text without control characters: what a server or a file says must not drive the terminal.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        // Besides control characters, those that turn the direction of what follows.
        let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

/// A moment as RFC 3339.
#[must_use]
pub fn moment(time: Option<&prost_types::Timestamp>) -> Option<String> {
    time.map(|t| Timestamp(t.seconds).to_string())
}

/// Writes a secret into an answer: the one place where that happens.
///
/// # Errors
/// Those of the serializer.
pub fn show_secret<S: Serializer>(secret: &Option<PresentedSecret>, serializer: S) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(PresentedSecret::expose).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Thing {
        name: &'static str,
        words: Vec<&'static str>,
        nothing: Option<u8>,
    }

    impl View for Thing {
        fn table(&self) -> Table {
            Table::Record(vec![("name", self.name.into()), ("words", self.words.join(" ")), ("nothing", String::new())])
        }

        fn names(&self) -> Vec<String> {
            vec![self.name.into()]
        }
    }

    impl ListedView for Thing {
        const HEAD: &'static [&'static str] = &["NAME", "WORDS"];

        fn row(&self) -> Vec<String> {
            vec![self.name.into(), self.words.join(" ")]
        }
    }

    fn thing() -> Thing {
        Thing { name: "no", words: vec!["a:b", "1e3"], nothing: None }
    }

    #[test]
    fn one_thing_in_each_form() {
        let written = |format| render(&thing(), format).expect("renders");
        insta::assert_snapshot!(written(Format::Table), @r"
        name   no
        words  a:b 1e3
        ");
        insta::assert_snapshot!(written(Format::Json), @r#"
        {
          "name": "no",
          "words": [
            "a:b",
            "1e3"
          ],
          "nothing": null
        }
        "#);
        insta::assert_snapshot!(written(Format::Yaml), @r#"
        name: "no"
        words:
        - a:b
        - "1e3"
        nothing: null
        "#);
        insta::assert_snapshot!(written(Format::Name), @"no");
    }

    #[test]
    fn several_things_in_a_table() {
        let things = vec![thing(), Thing { name: "longer-name", words: vec![], nothing: Some(1) }];
        insta::assert_snapshot!(render(&things, Format::Table).expect("renders"), @r#"
        NAME         WORDS
        no           a:b 1e3
        longer-name  -
        "#);
        assert_eq!(render(&things, Format::Name).expect("renders"), "no\nlonger-name\n");
    }

    #[test]
    fn an_empty_list_is_an_empty_table_and_an_empty_array() {
        assert_eq!(render(&Vec::<Thing>::new(), Format::Table).expect("renders"), "");
        assert_eq!(render(&Vec::<Thing>::new(), Format::Json).expect("renders"), "[]\n");
    }

    #[test]
    fn what_a_server_says_cannot_drive_the_terminal() {
        let shown = Table::Text("a\u{1b}[2Jb\r\n\u{202e}c".into()).to_text();
        assert_eq!(shown, "a\\u{1b}[2Jb\\r\\n\\u{202e}c\n");
    }
}
