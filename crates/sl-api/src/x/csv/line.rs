//! Rows as CSV (RFC 4180), safe to open in a spreadsheet.

use csv::{Terminator, WriterBuilder};
use serde_json::Value;
use sl_core::money::Cents;

use crate::error::{ApiError, Result};

/// A spreadsheet runs a cell that begins with one of these. Wide ones are signs of formulas where they are typed.
const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];

/// One cell of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    /// A number or a word of ours: written as it is.
    Own(String),
    /// Text that may come from anybody.
    Text(String),
}

// === impl Cell ===

impl Cell {
    /// As it is written. Text that looks like a formula gets a `'` in front, by which spreadsheets know text.
    fn written(&self) -> String {
        match self {
            Self::Text(text) if text.starts_with(FORMULA) => format!("'{text}"),
            Self::Own(text) | Self::Text(text) => text.clone(),
        }
    }
}

/// Two decimals, made of the cents.
impl From<Cents> for Cell {
    fn from(cents: Cents) -> Self {
        Self::Own(cents.to_string())
    }
}

/// Nothing of `null`; a list of words with blanks between. All text counts as of anybody.
impl From<&Value> for Cell {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Own(String::new()),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => {
                Self::Text(items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "))
            }
            other => Self::Own(other.to_string()),
        }
    }
}

/// The cells of a row of JSON. A column is the name of its field, `click.id` the field `id` of `click`. Amounts are given apart: JSON
/// has them as floats.
pub(crate) fn cells(columns: &[impl AsRef<str>], row: &Value, amounts: &[(&str, Cents)]) -> Vec<Cell> {
    let field = |column: &str| column.split('.').try_fold(row, |row, name| row.get(name));
    let cell = |column: &str| match amounts.iter().find(|(name, _)| *name == column) {
        Some((_, cents)) => Cell::from(*cents),
        None => Cell::from(field(column).unwrap_or(&Value::Null)),
    };
    columns.iter().map(|column| cell(column.as_ref())).collect()
}

/// Lines of CSV, each with its CR LF.
///
/// # Errors
/// A fault: a writer to memory has none.
pub(crate) fn lines(rows: &[Vec<Cell>]) -> Result<Vec<u8>> {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row.iter().map(Cell::written)).map_err(|_| ApiError::Fault)?;
    }
    writer.into_inner().map_err(|_| ApiError::Fault)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written(value: &Value) -> String {
        String::from_utf8(lines(&[vec![Cell::from(value)]]).unwrap()).unwrap()
    }

    #[test]
    fn text_that_a_spreadsheet_would_run_is_text_and_numbers_stay_numbers() {
        for (text, want) in [
            ("=HYPERLINK(1)", "'=HYPERLINK(1)\r\n"),
            ("+1", "'+1\r\n"),
            ("-1", "'-1\r\n"),
            ("@SUM(A1)", "'@SUM(A1)\r\n"),
            ("\t=1", "'\t=1\r\n"),
            ("\r=1", "\"'\r=1\"\r\n"),
            ("\n=1", "\"'\n=1\"\r\n"),
            ("＝1", "'＝1\r\n"),
            ("a=1", "a=1\r\n"),
            ("'=1", "'=1\r\n"),
            ("🔥 summer", "🔥 summer\r\n"),
        ] {
            assert_eq!(written(&json!(text)), want, "{text:?}");
        }
        assert_eq!(written(&json!(-3)), "-3\r\n");
        assert_eq!(written(&json!(true)), "true\r\n");
        assert_eq!(written(&json!(["=1", "b"])), "'=1 b\r\n");
    }

    #[test]
    fn quotes_commas_and_line_ends_are_quoted() {
        let rows = [
            vec![Cell::Text("a,b".into()), Cell::Text("say \"hi\"".into()), Cell::Text("one\r\ntwo".into())],
            vec![Cell::Own(String::new()), Cell::Own(String::new()), Cell::Text("ü;ö".into())],
        ];
        let text = String::from_utf8(lines(&rows).unwrap()).unwrap();
        assert_eq!(text, "\"a,b\",\"say \"\"hi\"\"\",\"one\r\ntwo\"\r\n,,ü;ö\r\n");
    }

    #[test]
    fn amounts_are_exact_and_never_text() {
        let row = json!({ "amount": 0.1, "click": { "utm": "x" }, "gone": null });
        let amount = |cents| cells(&["amount", "click.utm", "gone", "no.such"], &row, &[("amount", cents)]);
        for (cents, want) in [
            (Cents(-350), "-3.50,x,,\r\n"),
            (Cents(5), "0.05,x,,\r\n"),
            (Cents(i64::MAX), "92233720368547758.07,x,,\r\n"),
        ] {
            assert_eq!(lines(&[amount(cents)]).unwrap(), want.as_bytes());
        }
    }
}
