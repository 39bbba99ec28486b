"""What happened: the page names the rows that were left out of a search's data."""

from types import SimpleNamespace

from reports.sections.happened import about


def test_rows_left_out_of_the_data_are_counted_and_named():
    rows = ["0101/a/7: 7_ar.jpg is missing", "0102/a/9: it is not a whole JPEG"]
    info = {"data": {"path": "wcpa", "left_out": 2, "left_out_rows": rows}}
    table = about(SimpleNamespace(records=[], info=info))
    said = {row["key"]: row["value"] for row in table.rows}
    assert said["data.left_out"] == "2"
    assert said["data.left_out_rows"] == ", ".join(rows)
