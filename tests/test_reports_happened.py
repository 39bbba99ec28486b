"""What happened: the page names the rows that were left out of a search's data."""

from types import SimpleNamespace

from reports.sections.happened import about, settings


def test_rows_left_out_of_the_data_are_counted_and_named():
    rows = ["0101/a/7: 7_ar.jpg is missing", "0102/a/9: it is not a whole JPEG"]
    info = {"data": {"path": "wcpa", "left_out": 2, "left_out_rows": rows}}
    table = about(SimpleNamespace(records=[], info=info))
    said = {row["key"]: row["value"] for row in table.rows}
    assert said["data.left_out"] == "2"
    assert said["data.left_out_rows"] == ", ".join(rows)


def test_a_page_that_is_passed_on_holds_no_password():
    url = "postgresql://user:secret@host/db"
    info = {"command": f"python -m nas.search --storage {url} --seed 1", "config": {"storage": url}}
    run = SimpleNamespace(records=[], info=info)
    said = [row["value"] for table in (about(run), settings(run)) for row in table.rows]
    assert "secret" not in str(said) and "postgresql://user@host/db" in said
    assert "python -m nas.search --storage postgresql://user@host/db --seed 1" in said
