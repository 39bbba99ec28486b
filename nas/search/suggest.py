"""Which architecture next: Optuna's samplers over the unit cube of a feasible set.

A proposal is a point of [0, 1]^8 and FeasibleSet.from_unit makes it an
architecture, so no strategy can leave the budget and none needs a penalty.
Under caps tpe, gp and evolution have the window's cube, in which a point that
breaks a cap is pulled inside (space/pull.py), after a start that is uniform;
the others have the set's own, which is exactly uniform throughout.

    random     uniform points: exactly uniform architectures (RegNet's and SCRFD's protocol)
    qmc        a scrambled Sobol sequence: the same population with less variance
    tpe        tree-structured Parzen estimators, joint over the eight coordinates, with the
               constant liar for runs that are still going
    gp         a Gaussian process with expected improvement, noise included
    evolution  NSGA-II's genetic algorithm
    predictor  a Gaussian process over the logarithms of depths and widths, which screens 100,000
               draws (nas/search/predictor.py)

With a cost beside L_error the same samplers seek a front: TPE by the hypervolume that trials add, the
Gaussian process by its expected improvement, NSGA-II by rank and crowding (nas/search/two_objectives.py).

Samplers here keep no state: one is made for every proposal, seeded by (seed,
round, number), and reads the history from the study. So proposal n of random
and qmc is a function of (seed, round, n) alone, and the others continue after
a kill from what the store holds.

random and qmc may draw an architecture twice; it is then trained with another
seed, which keeps the population exactly what it claims to be. The others are
moved to the nearest new architecture that a random step finds (`_Distinct`):
TPE alone repeats a quarter of its points in a small space.
tests/test_search_suggest.py; what each costs to find a good architecture in
tests/bench/bench_search_cost.py.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from nas.record.objectives import Cost
from nas.record.store import Store
from nas.search.config import STRATEGIES
from nas.search.predictor import expected_ends, most_promising
from nas.search.two_objectives import TwoObjectives
from space import ArchSpec, FeasibleSet
from space.arrays import Ints
from space.pull import Pulled

COORDINATES = tuple(f"u{i}" for i in range(1, 9))
PULLED = ("tpe", "gp", "evolution")  # learn in the coordinates of the cube: under caps the window's
STARTUP = 10  # uniform proposals before tpe and gp begin to model
STEPS = 40  # random steps that look for a new architecture, the last ones across the whole cube
_SPACE: dict[str, BaseDistribution] = {name: FloatDistribution(0.0, 1.0) for name in COORDINATES}


def uniform_point(seed: int, round_: int, number: int) -> np.ndarray:
    """Proposal `number` of `random`: (8,) uniform in [0, 1)."""
    return _rng(seed, round_, number).random(len(COORDINATES))


def sobol_point(seed: int, round_: int, number: int) -> np.ndarray:
    """Proposal `number` of `qmc`: (8,), one point of an Owen-scrambled Sobol sequence (Owen 1998)."""
    from scipy.stats import qmc

    scramble = int(np.random.SeedSequence([seed, round_]).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the count need not be a power of two
        engine = qmc.Sobol(len(COORDINATES), scramble=True, seed=scramble)
        if number:
            engine.fast_forward(number)
        return engine.random(1)[0]


def _rng(*parts: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(parts))


class _Points(BaseSampler):
    """A sampler whose point is a function of the trial's number alone."""

    def __init__(self, point: Callable[[int], np.ndarray]) -> None:
        self._point = point

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All eight coordinates are drawn together."""
        return _SPACE

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The point of the trial's number."""
        return dict(zip(COORDINATES, map(float, self._point(trial.number)), strict=True))

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        """Never asked: every coordinate is drawn by sample_relative."""
        raise AssertionError(f"{param_name} is not a coordinate of the unit cube")


class _Distinct(_Points):
    """Another sampler's points, moved to an architecture that `is_new`; uniform where it has no opinion."""

    def __init__(
        self,
        base: BaseSampler,
        rng: np.random.Generator,
        is_new: Callable[[np.ndarray], bool],
        start: Callable[[np.ndarray], Sequence[float]],
    ) -> None:
        """start: from a uniform point to that of a uniform architecture."""
        self._base, self._rng, self._is_new, self._start = base, rng, is_new, start
        self.had_no_opinion = False

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Let the sampler beneath prepare."""
        self._base.before_trial(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The other sampler's point, or a new one near it where its architecture is known already."""
        proposed = self._base.sample_relative(study, trial, _SPACE)
        self.had_no_opinion = not proposed
        point = np.array([proposed.get(name, self._rng.random()) for name in COORDINATES])
        if self.had_no_opinion:
            point = np.array(self._start(point))
        for step in range(STEPS):
            if self._is_new(point):
                break
            if step < STEPS // 2:  # wider and wider around the proposal
                moved = point + self._rng.normal(0.0, 0.01 * 1.2**step, point.size)
                point = np.clip(moved, 0.0, 1.0)
            else:
                point = self._rng.random(point.size)
        return dict(zip(COORDINATES, map(float, point), strict=True))


class _Screened(_Points):
    """nas/search/predictor.py's choice among uniform draws, once there is something to learn from."""

    def __init__(self, feasible: FeasibleSet, rng: np.random.Generator) -> None:
        self._feasible, self._rng = feasible, rng

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The centre of the chosen architecture's cell; nothing before STARTUP results."""
        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
        trials = study.get_trials(deepcopy=False, states=states)
        placed = [t for t in trials if len(t.params) == len(COORDINATES) and t.number != trial.number]
        complete = [t for t in placed if t.state == TrialState.COMPLETE]
        if len(complete) < STARTUP:
            return {}
        stopped = [t for t in placed if t.state == TrialState.PRUNED]
        ends = expected_ends(
            [(t.values[0], t.intermediate_values) for t in complete], [t.intermediate_values for t in stopped]
        )
        known = np.isfinite(ends)
        done = [t for t, one in zip(complete + stopped, known, strict=True) if one]
        going = [t for t in placed if t.state == TrialState.RUNNING]
        row = most_promising(self._feasible, self._rows(done), ends[known], self._rows(going), self._rng)
        unit = self._feasible.to_unit_array(row[None])[0]
        return dict(zip(COORDINATES, map(float, unit), strict=True))

    def _rows(self, trials: Sequence[FrozenTrial]) -> Ints:
        points = np.array([[t.params[name] for name in COORDINATES] for t in trials])
        return self._feasible.from_unit_array(points.reshape(-1, len(COORDINATES)))


@dataclass(frozen=True, slots=True)
class Proposal:
    """Optuna's trial and number, the point, the architecture at it, and who proposed it."""

    trial_id: int
    number: int
    unit: tuple[float, ...]
    arch: ArchSpec
    by: str


class Suggester:
    """Proposes architectures of one round, each as a running trial of its study."""

    def __init__(
        self,
        store: Store,
        study: str,
        feasible: FeasibleSet,
        strategy: str,
        *,
        seed: int,
        round_: int = 1,
        trials: int = 100,
        cost: Cost | None = None,
    ) -> None:
        """cost: what is minimised beside L_error; a front is then sought, not one architecture."""
        if strategy not in STRATEGIES:
            raise ValueError(f"a strategy is one of {', '.join(STRATEGIES)}, not {strategy!r}")
        self._store, self._feasible, self._strategy = store, feasible, strategy
        pulled = strategy in PULLED and bool(feasible.caps)
        self.cube: FeasibleSet | Pulled = Pulled(feasible) if pulled else feasible
        self._seed, self._round, self._trials = seed, round_, trials
        self._study_id = store.ensure_study(study)
        self._name = store.study_name(study)
        self._shown: Any = store.storage  # to samplers
        if cost is not None:
            self._shown = TwoObjectives(store.storage, self.cube, cost, COORDINATES)
        self._proposed: set[str] | None = None
        self._carried: set[tuple[str, int]] | None = None

    def enqueue(self, arch: ArchSpec) -> None:
        """Propose `arch` before anything else; a second call for it changes nothing."""
        unit = [float(u) for u in self.cube.to_unit(arch)]
        fixed = dict(zip(COORDINATES, unit, strict=True))
        for trial in self._store.storage.get_all_trials(self._study_id, deepcopy=False):
            if trial.system_attrs.get("fixed_params") == fixed:
                return
        study = self._optuna_study(_Points(lambda n: uniform_point(self._seed, self._round, n)))
        study.enqueue_trial(fixed)

    def carry(self, arch: ArchSpec, seed: int, l_error_mm: float) -> None:
        """Let a strategy that learns know a run that it did not propose, once; no trial of the record."""
        if self._carried is None:
            trials = self._store.storage.get_all_trials(self._study_id, deepcopy=False)
            told = [t.user_attrs for t in trials if "carried" in t.user_attrs]
            self._carried = {(each["carried"], each.get("seed", seed)) for each in told}
        if (arch.id, seed) in self._carried:
            return
        self._carried.add((arch.id, seed))
        self._seen().add(arch.id)
        unit = [float(u) for u in self.cube.to_unit(arch)]
        trial = optuna.trial.create_trial(
            params=dict(zip(COORDINATES, unit, strict=True)),
            distributions=_SPACE,
            value=l_error_mm,
            user_attrs={"carried": arch.id, "seed": seed},
        )
        self._store.storage.create_new_trial(self._study_id, trial)

    def claim(self) -> int:
        """A running trial for the next proposal: an enqueued one first, else a new number."""
        storage = self._store.storage
        waiting = storage.get_all_trials(self._study_id, deepcopy=False, states=(TrialState.WAITING,))
        if waiting:
            trial_id = min(waiting, key=lambda t: t.number)._trial_id
            storage.set_trial_state_values(trial_id, TrialState.RUNNING)
            return trial_id
        return storage.create_new_trial(self._study_id)

    def propose(self, trial_id: int) -> Proposal:
        """The point of a claimed trial; called again after a kill, it completes what was begun."""
        number = self._store.storage.get_trial_number_from_id(trial_id)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sampler = self._sampler(number)
            trial = optuna.trial.Trial(self._optuna_study(sampler), trial_id)
            unit = tuple(trial.suggest_float(name, 0.0, 1.0) for name in COORDINATES)
        arch = self.cube.from_unit(np.array(unit))
        self._seen().add(arch.id)
        return Proposal(trial_id, number, unit, arch, self._proposer(trial_id, sampler))

    def _proposer(self, trial_id: int, sampler: BaseSampler) -> str:
        if "fixed_params" in self._store.storage.get_trial(trial_id).system_attrs:
            return "--seed-arch"
        uniform = isinstance(sampler, _Distinct) and sampler.had_no_opinion
        return "uniform start" if uniform else self._strategy

    def _optuna_study(self, sampler: BaseSampler) -> optuna.Study:
        """A study object with an empty cache: Optuna caches trials between ask and tell."""
        return optuna.Study(self._name, self._shown, sampler=sampler)

    def _sampler(self, number: int) -> BaseSampler:
        if self._strategy == "random":
            return _Points(lambda n: uniform_point(self._seed, self._round, n))
        if self._strategy == "qmc":
            return _Points(lambda n: sobol_point(self._seed, self._round, n))
        rng = _rng(self._seed, self._round, number, 1)
        start = self.cube.start if isinstance(self.cube, Pulled) else tuple
        return _Distinct(self._model(int(rng.integers(2**31))), rng, self._is_new, start)

    def _model(self, seed: int) -> BaseSampler:
        if self._strategy == "tpe":
            return optuna.samplers.TPESampler(
                n_startup_trials=STARTUP, multivariate=True, constant_liar=True, seed=seed
            )
        if self._strategy == "gp":
            return optuna.samplers.GPSampler(
                n_startup_trials=STARTUP, warn_independent_sampling=False, seed=seed
            )
        if self._strategy == "predictor":
            return _Screened(self._feasible, np.random.default_rng(seed))
        population = max(4, min(50, self._trials // 8))
        return optuna.samplers.NSGAIISampler(population_size=population, seed=seed)

    def _is_new(self, point: np.ndarray) -> bool:
        return self.cube.from_unit(point).id not in self._seen()

    def _seen(self) -> set[str]:
        """Ids of the architectures that this study holds."""
        if self._proposed is None:
            trials = self._store.storage.get_all_trials(self._study_id, deepcopy=False)
            jobs = [t.user_attrs["job"] for t in trials if "job" in t.user_attrs]
            carried = {t.user_attrs["carried"] for t in trials if "carried" in t.user_attrs}
            self._proposed = {ArchSpec.from_dict(job["arch"]).id for job in jobs} | carried
        return self._proposed
