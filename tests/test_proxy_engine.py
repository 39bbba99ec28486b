"""The loop on a toy task: linear regression of an image's mean, a network of one convolution."""

import warnings

import pytest
import torch
from torch import nn

from proxy_tasks import checkpoint as checkpoints
from proxy_tasks.engine import Length, fit, plan_steps
from proxy_tasks.proxy import Proxy
from proxy_tasks.task import World

PROXY = Proxy("toy", resolution=32, epochs=3, batch=8, lr=6.4, warmup_steps=2, precision="fp32")


class Net(nn.Module):
    def __init__(self, seed: int = 0):
        super().__init__()
        torch.manual_seed(seed)
        self.conv, self.norm, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(self.norm(self.conv(x)).mean((2, 3)))


class Toy:
    outputs, train_size, fingerprint = 2, 40, "toy"

    def __init__(self, poison_after: int | None = None):
        self.images = torch.randn(40, 3, 8, 8, generator=torch.Generator().manual_seed(1))
        self.targets = self.images.mean((1, 2, 3))[:, None].repeat(1, 2)
        self.poison_after, self.seen = poison_after, 0

    def prepare(self, model):
        with torch.no_grad():
            model.fc.bias.copy_(self.targets.mean(0))

    def batches(self, steps, world):
        for step in steps:
            self.seen += 1
            mine = step.indices[world.part(len(step.indices))]
            noise = torch.randn(len(step.indices), generator=torch.Generator().manual_seed(step.seed))
            targets = self.targets[mine] + 0.01 * noise[world.part(len(step.indices)), None]
            if self.poison_after is not None and self.seen > self.poison_after:
                targets = targets * float("nan")
            yield self.images[mine], targets

    def loss(self, outputs, targets):
        return (outputs - targets).abs().mean()

    def evaluate(self, predict):
        return {"l_error_mm": float((predict(self.images) - self.targets).abs().mean() * 1000)}


def numbers(outcome):
    return [(e.number, e.epochs, e.metrics) for e in outcome.epochs]


def test_a_run_has_one_score_an_epoch_and_learns():
    outcome = fit(Net(), Toy(), PROXY.replace(epochs=8), seed=0)
    assert outcome.status == "complete"
    assert [e.epochs for e in outcome.epochs] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert outcome.final["l_error_mm"] < outcome.epochs[0].metrics["l_error_mm"]


def test_same_seed_gives_the_same_numbers_and_another_seed_does_not():
    first, second = fit(Net(), Toy(), PROXY, seed=3), fit(Net(), Toy(), PROXY, seed=3)
    assert numbers(first) == numbers(second)
    assert numbers(first) != numbers(fit(Net(), Toy(), PROXY, seed=4))


@pytest.mark.parametrize("evaluations", [0, 4])
def test_a_resumed_run_gives_the_numbers_of_one_never_stopped(tmp_path, evaluations):
    proxy = PROXY.replace(evaluations=evaluations)
    whole = fit(Net(), Toy(), proxy, seed=0)
    path = tmp_path / "c.pt"
    part = fit(Net(), Toy(), proxy, seed=0, checkpoint=path, on_epoch=lambda e: e.number < 2)
    assert part.status == "stopped" and len(part.epochs) == 2
    rest = fit(Net(seed=9), Toy(), proxy, seed=0, checkpoint=path)
    assert numbers(rest) == numbers(whole)


def test_evaluations_cut_a_run_into_fractions_of_an_epoch():
    outcome = fit(Net(), Toy(), PROXY.replace(epochs=1, evaluations=5), seed=0)
    assert [e.epochs for e in outcome.epochs] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


def test_a_loss_that_is_not_finite_ends_the_run_with_its_curve_so_far():
    outcome = fit(Net(), Toy(poison_after=7), PROXY, seed=0)
    assert outcome.status == "diverged" and "not finite in interval 2" in outcome.reason
    assert len(outcome.epochs) == 1


def test_the_caller_stopping_after_the_last_interval_is_a_complete_run():
    assert fit(Net(), Toy(), PROXY, seed=0, on_epoch=lambda e: e.number < 3).status == "complete"


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    path = tmp_path / "c.pt"
    fit(Net(), Toy(), PROXY, seed=0, checkpoint=path)
    with pytest.raises(ValueError, match="is of another run"):
        fit(Net(), Toy(), PROXY, seed=1, checkpoint=path)


def test_a_truncated_checkpoint_is_named_and_the_one_before_is_used(tmp_path):
    path = tmp_path / "c.pt"
    whole = fit(Net(), Toy(), PROXY, seed=0, checkpoint=path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.warns(UserWarning, match=r"c\.pt is damaged"):
        state = checkpoints.load(path)
    assert state is not None and len(state["history"]) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = fit(Net(), Toy(), PROXY, seed=0, checkpoint=path)
    assert numbers(again) == numbers(whole)


def test_a_damaged_checkpoint_never_takes_the_good_one_s_place(tmp_path):
    path = tmp_path / "c.pt"
    for epoch in (1, 2):
        checkpoints.save(path, {"epoch": epoch})
    path.write_bytes(path.read_bytes()[:50])
    with pytest.warns(UserWarning, match="is damaged"):
        assert checkpoints.load(path) == {"epoch": 1}
    assert checkpoints.load(path) == {"epoch": 1}
    checkpoints.save(path, {"epoch": 2})
    assert checkpoints.load(path) == {"epoch": 2} and checkpoints.load(checkpoints.previous(path)) == {
        "epoch": 1
    }


def test_every_sample_is_seen_once_an_epoch_in_an_order_that_the_seed_decides():
    length = Length.of(PROXY, 40)
    steps = list(plan_steps(PROXY, length, 40, 0, range(length.steps)))
    epochs = [torch.cat([s.indices for s in steps[i : i + 5]]).tolist() for i in (0, 5, 10)]
    assert all(sorted(e) == list(range(40)) for e in epochs)
    assert len({tuple(e) for e in epochs}) == 3
    assert len({s.seed for s in steps}) == 15


def test_a_small_data_set_is_repeated_until_a_run_has_its_least_steps():
    assert Length.of(PROXY.replace(least_steps=23), 40).steps == 25  # 5 an epoch, whole epochs
    assert Length.of(PROXY.replace(least_steps=23), 400).steps == 150
    assert Length.of(PROXY.replace(least_steps=23).longer(2), 40).steps == 50


def test_ranks_partition_the_global_batch():
    parts = [World(rank, 4).part(8) for rank in range(4)]
    assert [i for p in parts for i in range(8)[p]] == list(range(8))
    with pytest.raises(ValueError, match="does not split evenly"):
        World(0, 3).part(8)


def test_too_few_images_for_one_batch_is_said_plainly():
    with pytest.raises(ValueError, match="40 training images do not fill one batch of 64"):
        fit(Net(), Toy(), PROXY.replace(batch=64), seed=0)


def test_settings_survive_a_round_trip_and_each_change_has_its_own_id():
    assert Proxy.from_dict(PROXY.to_dict()) == PROXY
    assert len({PROXY.id, PROXY.replace(lr=0.2).id, PROXY.replace(batch=4).id}) == 3
    with pytest.raises(ValueError, match="precision is auto, fp32 or bf16"):
        PROXY.replace(precision="fp8")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lr": "fast"}, "lr of a proxy is a number, not 'fast'"),
        ({"resolution": 64.0}, "resolution of a proxy is a whole number"),
        ({"validation_images": -5}, "validation_images of a proxy is a whole number, 0 or more, not -5"),
        ({"evaluations": -2}, "evaluations of a proxy"),
        ({"momentum": float("nan")}, "momentum of a proxy is a number from 0 to below 1, not nan"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        PROXY.replace(**changes)
