//! Lives here: columns of text, as wide as their widest cell.
//! Never here: what stands in them.

/// A table with two spaces between columns, without any at the end of a line. Control characters
/// become spaces: a carrier's words must not drive the operator's terminal.
pub(super) fn table<const N: usize>(
    head: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let head = head.map(str::to_owned);
    let tame = |cell: String| -> String {
        cell.chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect()
    };
    let lines: Vec<[String; N]> = std::iter::once(head)
        .chain(rows.map(|row| row.map(tame)))
        .collect();
    let mut widths = [0; N];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for line in &lines {
        let mut shown = String::new();
        for (width, cell) in widths.iter().zip(line) {
            shown.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(shown.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_harmless() {
        let rows = [["long one".to_owned(), "b\u{1b}[2J".to_owned()]];
        assert_eq!(
            table(["A", "B"], rows.into_iter()),
            "A         B\nlong one  b [2J\n"
        );
        assert_eq!(table(["A"], std::iter::empty()), "A\n");
    }
}
