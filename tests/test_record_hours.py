"""Device hours: what runs held of a device, as run.json recorded it."""

from types import SimpleNamespace

import pytest

from nas.record.hours import device_hours


def run(started, seconds):
    return SimpleNamespace(started=started, seconds=seconds)


HALF = {"since": "2026-03-01T08:00:00.000+00:00", "gpus": 0.5, "cpus": 4.0}
WHOLE = {"since": "2026-03-01T10:00:00.000+00:00", "gpus": 1.0, "cpus": 4.0}


@pytest.mark.parametrize(
    ("resources", "hours"),
    [([HALF], 1.0), ([{**HALF, "gpus": 0.0}], 8.0), ([HALF, WHOLE], 1.5), ([], 2.0)],
    ids=["slice of a GPU", "cores without one", "changed on resume", "nothing recorded"],
)  # fmt: skip
def test_a_run_counts_for_the_share_that_it_held(resources, hours):
    runs = [run("2026-03-01T09:00:00.000+00:00", 3600), run("2026-03-01T10:00:00.000+00:00", 3600)]
    assert device_hours({"resources": resources}, runs) == pytest.approx(hours)


def test_a_run_that_began_in_the_second_of_the_record_counts_as_the_first_share():
    assert device_hours({"resources": [WHOLE]}, [run("2026-03-01T09:59:59.999+00:00", 1800)]) == 0.5
