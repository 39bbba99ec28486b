"""A table of runs by architecture, and models of it that are judged on what they were not fitted to."""

import numpy as np
import pytest
from bench_rows import feasible, row, shifted, simulated_rows, write_rows

from nas.trials.standin import expected_mm
from proxy_tasks.bench.surrogate import (
    FEATURES,
    Standing,
    Surrogate,
    better_kind,
    expected_with_sd,
    features,
    gaussian_process,
    out_of_sample,
    part,
)
from proxy_tasks.bench.table import RunTable
from space import ArchSpec


@pytest.fixture(scope="module")
def table():
    return RunTable.of(simulated_rows(60, repeated=12, noise_mm=0.3))


def test_runs_are_gathered_by_architecture(table):
    assert len(table.archs) == 61 and table.roles[0] == "control" and table.means.shape == (61, 6)
    assert table.counts.tolist() == [4] + [3] * 12 + [1] * 48
    assert table.epochs[-1] == 3 and (table.seconds > 0).all()


def test_the_seed_noise_is_pooled_and_deviations_have_its_scale(table):
    sd, freedom = table.seed_sd()
    assert freedom == 3 + 24 and sd == pytest.approx(0.3, rel=0.3)
    assert table.deviations()[:, -1].std() == pytest.approx(sd, rel=0.1)


def test_what_a_seed_does_to_all_is_taken_out_of_means_and_noise():
    by = {0: 2.0, 1: -1.0, 2: -3.0}
    rows = [r for r in simulated_rows(60, repeated=12, noise_mm=0.3) if r["seed"] < 3]
    plain = RunTable.of(rows)
    moved = RunTable.of(shifted(rows, by))
    gaps = moved.means[:, -1] - plain.means[:, -1]
    assert np.ptp(gaps) < 1e-9, "single runs, of seed 0 all, and repeated ones alike"
    assert moved.run_sd()[0] == pytest.approx(plain.run_sd()[0])
    assert moved.run_sd()[1] == 26 - 2, "a degree of freedom for each seed but the first"
    assert moved.seed_sd()[0] > 1.2 > 0.4 > moved.run_sd()[0]
    assert moved.own_sd() == pytest.approx(plain.own_sd())
    assert moved.effect(0)[-1] - moved.effect(2)[-1] == pytest.approx(5.0, abs=0.6)
    assert (moved.effect(77) == 0).all()
    assert moved.deviations()[:, -1].std() == pytest.approx(moved.run_sd()[0], rel=0.05)
    own = moved.seed_sd()[0] ** 2 - moved.run_sd()[0] ** 2
    assert moved.seed_effects()[:, -1].std() ** 2 == pytest.approx(own)


@pytest.mark.parametrize(("chosen", "later"), [("uniform", "candidate"), ("proposal", "repeat")])
def test_the_lucky_run_of_a_candidate_tells_neither_of_its_seed_nor_of_the_noise(chosen, later):
    rows = [r for r in simulated_rows(60, repeated=12, noise_mm=0.3) if r["seed"] < 3]
    plain = RunTable.of(rows)
    arch = plain.archs[40]  # of a single run
    (first,) = (r for r in rows if ArchSpec.from_dict(r["arch"]) == arch)
    shifted([first], {0: -5.0})
    first["role"] = chosen
    again = [row(arch, seed, later, noise_mm=0.3) for seed in (0, 1, 2, 1000)][1:]
    named = RunTable.of([*rows, *again])
    assert named.roles[40] == chosen and named.chosen_by == {(arch.id, 0)}
    assert named.effect(0)[-1] == pytest.approx(plain.effect(0)[-1], abs=0.1)
    assert named.run_sd()[0] == pytest.approx(plain.run_sd()[0], rel=0.1)
    assert named.seed_sd()[0] == pytest.approx(plain.seed_sd()[0], rel=0.1)
    assert named.counts[40] == 4 and named.means[40, -1] < plain.means[40, -1], "it counts in the mean"


def test_without_common_seeds_means_are_plain_and_the_noise_is_that_of_seeds():
    rows = [r for r in simulated_rows(12, repeated=3) if r["role"] == "control" or r["seed"] == 0]
    table = RunTable.of(rows)
    assert table.blocks is None and table.run_sd() == table.seed_sd() and table.run_sd()[1] == 3
    assert (table.effect(0) == 0).all() and len(table.seed_effects()) == 0


def test_what_disturbs_a_run_does_not_make_it_dearer():
    rows = simulated_rows(2, repeated=1)
    quiet = RunTable.of(rows).seconds
    for each in rows:
        each["seconds"] *= 3  # paused
        each["curve"][2]["seconds"] *= 13
    assert RunTable.of(rows).seconds == pytest.approx(quiet)
    for point in rows[-1]["curve"]:
        point["seconds"] *= 2  # beside other work, all the time; its architecture has quieter runs
    assert RunTable.of(rows).seconds == pytest.approx(quiet)


def test_shrunken_errors_lie_nearer_to_the_truth_and_a_repeated_one_moves_less(table):
    noisy = RunTable.of(simulated_rows(60, repeated=12, noise_mm=1.5))
    raw, shrunk = noisy.means[:, -1], noisy.shrunken()
    truth = np.array([expected_mm(arch) for arch in noisy.archs])
    single = noisy.counts == 1
    assert np.square(shrunk - truth)[single].mean() < 0.8 * np.square(raw - truth)[single].mean()
    moved = np.abs(shrunk - raw) / np.abs(raw - raw[np.array(noisy.roles) == "uniform"].mean())
    assert moved[~single].max() < moved[single].min()


def test_what_draws_differ_by_is_told_from_what_seeds_add():
    for noise in (0.3, 0.8):
        noisy = RunTable.of(simulated_rows(200, repeated=40, noise_mm=noise))
        drawn = [a for a, role in zip(noisy.archs, noisy.roles, strict=True) if role == "uniform"]
        truth = np.std([expected_mm(arch) for arch in drawn], ddof=1)
        assert noisy.own_sd() == pytest.approx(truth, rel=0.35)


def test_shrinking_needs_a_population_and_its_noise():
    with pytest.raises(ValueError, match="two uniform draws and a repeated run"):
        RunTable.of(simulated_rows(1, repeated=1)).shrunken()


def test_what_is_broken_or_mixed_is_left_out_or_refused():
    rows = simulated_rows(3, repeated=0)
    rows[0] |= {"status": "diverged", "l_error_mm": None}
    assert sum(RunTable.of(rows).counts) == len(rows) - 1
    with pytest.raises(ValueError, match="no complete run of 4 times"):
        RunTable.of(rows, 4.0)
    with pytest.raises(ValueError, match="different data"):
        RunTable.of([*rows, rows[1] | {"data": "other", "key": "x"}])


def test_a_run_that_lost_a_validation_is_left_out():
    rows = simulated_rows(3, repeated=0)
    rows[1] = rows[1] | {"curve": rows[1]["curve"][:4] + rows[1]["curve"][5:]}
    table = RunTable.of(rows)
    assert sum(table.counts) == len(rows) - 1 and table.means.shape == (4, 6)


def test_the_control_stays_the_control_where_a_search_proposed_it_too():
    rows = simulated_rows(2, repeated=0)
    control = next(r for r in rows if r["role"] == "control")
    table = RunTable.of([{**control, "role": "proposal", "seed": 9, "key": "again"}, *rows])
    assert table.roles[0] == "control"


def test_the_first_run_that_counts_is_one_by_which_nobody_was_chosen():
    rows = simulated_rows(2, repeated=0)
    drawn = next(r for r in rows if r["role"] == "uniform")
    key = ArchSpec.from_dict(drawn["arch"]).id
    assert RunTable.of(rows).first_seed(key) == 0
    again = [{**drawn, "role": "candidate", "seed": seed, "key": str(seed)} for seed in (1001, 1000)]
    assert RunTable.of([*rows, *again]).first_seed(key) == 1000


def test_features_are_those_of_their_names():
    arch = ArchSpec((3, 4, 6, 3), (64, 128, 256, 512))
    found = dict(zip(FEATURES, features(np.array([[*arch.depths, *arch.widths]]))[0], strict=True))
    assert found["log_d3"] == np.log(6) and found["log_w4"] == np.log(512)
    assert found["log_params"] == pytest.approx(np.log(arch.params()))
    assert found["log_activations"] == pytest.approx(np.log(arch.activations()))
    stages = arch.stage_macs()
    assert found["share2"] == pytest.approx(list(stages.values())[2] / sum(stages.values()))


@pytest.mark.parametrize("kind", ["gp", "forest"])
def test_a_surrogate_beats_the_mean_of_all_out_of_sample(table, kind):
    found = out_of_sample(table, kind, folds=5)
    assert found.n == 61 and found.rmse_mm < 0.8 * found.constant_mm and found.tau > 0.4
    assert found.seconds_error < 0.05


def test_a_surrogate_predicts_whole_curves_and_how_unsure_it_is(table):
    model = Surrogate.fit(table, "gp")
    rows = feasible().draw_array(200, np.random.default_rng(5))
    curves = model.curves(rows)
    assert curves.shape == (200, 6) and (np.diff(curves.mean(axis=0)) < 0).all()
    truth = [expected_mm(ArchSpec(tuple(r[:4]), tuple(r[4:]))) for r in rows.tolist()]
    assert np.corrcoef(curves[:, -1], truth)[0, 1] > 0.8
    mean, sd = model.spread(rows)
    assert mean == pytest.approx(curves[:, -1]) and (sd > 0).all()
    forest_mean, forest_sd = Surrogate.fit(table, "forest").spread(rows)
    assert np.corrcoef(forest_mean, truth)[0, 1] > 0.7 and (forest_sd > 0).any()


def test_too_few_architectures_and_unknown_kinds_are_refused(table):
    with pytest.raises(ValueError, match="12 architectures or more, not 5"):
        Surrogate.fit(part(table, np.arange(5)))
    with pytest.raises(ValueError, match="12 architectures or more"):
        out_of_sample(part(table, np.arange(11)), "gp")
    with pytest.raises(ValueError, match="gp, forest"):
        Surrogate.fit(table, "net")
    assert better_kind(part(table, np.arange(30))).kind in ("gp", "forest")


def test_a_row_has_the_shape_of_a_trained_one():
    assert {"key", "arch", "role", "seed", "length", "proxy", "data", "status", "curve", "seconds"} <= set(
        row(ArchSpec((3, 4, 6, 3), (24, 48, 104, 200)), 0)
    )


def test_early_validations_of_its_own_run_make_a_prediction_better(table):
    blind = out_of_sample(table, "gp", folds=4)
    late = out_of_sample(table, "gp", folds=4, validations=5)
    assert late.rmse_mm < 0.8 * blind.rmse_mm and late.tau > blind.tau


def test_a_surrogate_tells_where_the_control_stands(table):
    surrogate = Surrogate.fit(table, "gp")
    draws = feasible().draw_array(2000, np.random.default_rng(0))
    by_error = draws[np.argsort(surrogate.curves(draws)[:, -1])]
    for place, share in ((0, 0.0), (500, 0.25), (1999, 0.9995)):
        arch = ArchSpec(tuple(map(int, by_error[place][:4])), tuple(map(int, by_error[place][4:])))
        found = Standing.of(surrogate, feasible(), arch, draws=2000)
        assert found.below == pytest.approx(share, abs=1e-3) and found.best_mm[0] <= found.control_mm[0]
        assert min(found.best_mm[1], found.control_mm[1]) > 0
    assert found.best_mm[0] == pytest.approx(surrogate.curves(by_error[:1])[0, -1])


def test_the_command_prints_what_each_model_errs_by(tmp_path, capsys):
    from proxy_tasks.bench.__main__ import main

    file = write_rows(tmp_path / "rows.jsonl", simulated_rows(14, repeated=3))
    assert main(["surrogate", "--rows", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("15 architectures, 24 runs")
    assert sum("RMSE" in line and "tau" in line for line in lines) == 8
    assert "5 of 6 validations known" in lines[-4] and "the noise of a single run is" in lines[-3]
    assert all(
        " mm of the control, less of " in line and "20,000 uniform draws" in line for line in lines[-2:]
    )
    assert main(["surrogate", "--table", "gpu-5.1G", "--rows", str(file)]) == 0
    assert "uniform draws" not in capsys.readouterr().out, "they are of another budget"
    longer = [r | {"key": r["key"] + "x4", "length": 4.0} for r in simulated_rows(13, repeated=3)]
    write_rows(file, [*simulated_rows(14, repeated=3), *longer])
    assert main(["surrogate", "--length", "4", "--rows", str(file)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("14 architectures, 23 runs of") and ", 4 times as long\n" in said


def test_an_architecture_stays_a_draw_whatever_it_was_run_for_later():
    rows = simulated_rows(3, repeated=1)
    drawn = next(r for r in rows if r["role"] == "uniform")
    for first, again in (("uniform", "candidate"), ("proposal", "repeat")):
        named = [{**row, "role": first} if row["arch"] == drawn["arch"] else row for row in rows]
        later = {**drawn, "role": again, "seed": 1000, "key": "later"}
        for order in ([*named, later], [later, *named]):
            found = RunTable.of(order)
            role = dict(zip((a.id for a in found.archs), found.roles, strict=True))
            assert role[ArchSpec.from_dict(drawn["arch"]).id] == first


def test_rows_of_ensembles_are_no_runs_of_their_first_member_and_blocks_are_not_mixed():
    rows = simulated_rows(3, repeated=1)
    assert RunTable.of([{**rows[0], "key": "ensemble", "seed": 0, "curve": []}, *rows]).counts[0] == 4
    other = {**rows[0], "key": "other", "arch": {**rows[0]["arch"], "block": "bottleneck"}}
    with pytest.raises(ValueError, match="mixes blocks: basic, bottleneck"):
        RunTable.of([*rows, other])


def test_where_shrinking_leaves_no_difference_what_was_seen_orders():
    rows = [row(a, 0, noise_mm=0.0) for a in feasible().draw(4, np.random.default_rng(0))]
    for end, each in zip((51.0, 50.0, 53.0, 52.0), rows, strict=True):
        each["l_error_mm"] = each["curve"][-1]["l_error_mm"] = end
    again = {
        **rows[0],
        "seed": 1,
        "key": "again",
        "curve": [{**p, "l_error_mm": 59.0} for p in rows[0]["curve"]],
    }
    table = RunTable.of([*rows, again])
    assert table.own_sd() == 0 and len(set(table.shrunken().round(9))) == 1
    assert [round(table.means[i, -1]) for i in table.ranking()] == [50, 52, 53, 55]


def test_no_skill_has_no_tau():
    """A fold's mean is high where what it holds out is low."""
    rows = [row(a, 0, noise_mm=0.0) for a in feasible().draw(40, np.random.default_rng(2))]
    rng, found = np.random.default_rng(0), []
    for _ in range(5):
        for each in rows:
            each["l_error_mm"] = each["curve"][-1]["l_error_mm"] = 50 + rng.normal()
        found.append(out_of_sample(RunTable.of(rows), "forest").tau)
    assert abs(np.mean(found)) < 0.2


def test_a_process_is_unsure_of_what_it_expects_not_of_the_next_seed():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (200, 1))
    model = gaussian_process(x, np.sin(3 * x) + rng.normal(0, 0.5, (200, 1)), np.zeros(200))
    _, sd = expected_with_sd(model, np.array([[0.0], [4.0]]))
    noisy = model.predict(np.array([[0.0]]), return_std=True)[1]
    assert sd[0, 0] < 0.25 < 0.4 < float(np.ravel(noisy)[0]) and sd[1, 0] > 2 * sd[0, 0]
