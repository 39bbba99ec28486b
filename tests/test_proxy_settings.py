"""A proxy's settings: what cannot be meant is refused by name, whatever a JSON file holds."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy_tasks.proxy import PROXIES, Proxy, find_proxy

MINI = PROXIES["mini"]


def from_file(tmp_path, text, name="mine.json"):
    path = tmp_path / name
    path.write_text(text if isinstance(text, str) else json.dumps(text))
    return find_proxy(str(path))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"flip": "no"}, "flip of a proxy is true or false, not 'no'"),
        ({"epochs": 2.5}, r"epochs of a proxy is a whole number, not 2\.5"),
        ({"epochs": True}, "epochs of a proxy is a whole number, not True"),
        ({"epochs": -1}, "0 or more, not -1"),
        ({"epochs": 0}, "epochs and batch are at least 1"),
        ({"lr": "high"}, "lr of a proxy is a number, not 'high'"),
        ({"lr": float("nan")}, "a learning rate is positive and finite, got nan"),
        ({"lr": 0}, "a learning rate is positive"),
        ({"momentum": 1.5}, "momentum of a proxy is a number from 0 to below 1, not 1.5"),
        ({"power": float("inf")}, "power of a proxy is a number from 0, not inf"),
        ({"scale": 2}, "scale of a proxy is a number from 0 to below 1"),
        ({"degrees": 720}, "degrees of a proxy is a number from 0 to 180"),
        ({"resolution": 63}, "an even resolution"),
        ({"resolution": 10_000}, "to 1024"),
        ({"precision": "fp8"}, "precision is auto, fp32 or bf16"),
        ({"optimizer": "adam"}, "optimizer is sgd or adamw"),
        ({"epoch": 3}, "a proxy has no setting 'epoch': is 'epochs' meant?"),
        ({"qqq": 3}, "a proxy has no setting 'qqq'$"),
        ({"synthetic": {"faces": 3}}, "synthetic has no setting 'faces'"),
        ({"synthetic": {"size": "large"}}, "size of synthetic faces is a whole number"),
        ({"synthetic": 3}, "synthetic is an object"),
        ({"base": "tiny"}, "base is one of mini, short, full, not 'tiny'"),
        ({"name": "x/../../evil"}, "name of a proxy is part of file names"),
        ({"name": ""}, "name of a proxy is part of file names"),
        ({"name": ".."}, "name of a proxy is part of file names"),
        ({"name": "x" * 300}, "name of a proxy is part of file names"),
        ({"name": 3}, "name of a proxy is text"),
        ("{", "is no JSON file of settings"),
        ("[1]", "is no JSON file of settings .no JSON object"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_by_name(tmp_path, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_file(tmp_path, settings)


def test_a_file_changes_what_it_names_and_takes_the_rest_from_its_base(tmp_path):
    found = from_file(tmp_path, {"base": "short", "lr": 1, "synthetic": {"size": 96}}, "my settings.json")
    assert found.name == "my_settings" and found.lr == 1 and found.synthetic.size == 96
    same = {"name": "short", "lr": PROXIES["short"].lr, "synthetic": PROXIES["short"].synthetic}
    assert found.replace(**same) == PROXIES["short"]


@pytest.mark.parametrize("name", ["tiny", "no/such.json", ".", "x" * 300])
def test_what_is_neither_a_name_nor_a_file_says_the_names(name):
    with pytest.raises(ValueError, match="is neither one of mini, short, full, nor a JSON file of settings"):
        find_proxy(name)


@pytest.mark.parametrize("proxy", PROXIES.values(), ids=list(PROXIES))
def test_the_presets_are_what_they_write(proxy):
    assert Proxy.from_dict(json.loads(json.dumps(proxy.to_dict()))) == proxy
    assert proxy.longer(1.5).name == f"{proxy.name}x1.5" and proxy.longer(1e6).epochs == proxy.epochs * 10**6


@pytest.mark.parametrize("factor", [2, 4, 1.5])
def test_a_longer_proxy_knows_what_it_is_longer_than(factor):
    short = PROXIES["mini"].replace(epochs=4, least_steps=10)
    longer = short.longer(factor)
    assert longer.is_longer(short.id, factor) and short.is_longer(short.id, 1)
    assert not longer.is_longer(short.id, factor + 1) and not longer.is_longer(short.id, 1)
    assert not longer.replace(lr=1.0).is_longer(short.id, factor), "all settings count"
    assert not longer.replace(name="mini").is_longer(short.id, factor)


VALUES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers())
)


@given(st.dictionaries(st.sampled_from([*MINI.to_dict(), "base", "lrr"]), VALUES, max_size=4))
def test_any_json_is_a_proxy_or_a_value_error(tmp_path_factory, settings):
    try:
        found = from_file(tmp_path_factory.getbasetemp(), settings)
    except ValueError as error:
        assert str(error).startswith("--proxy ")
    else:
        assert Proxy.from_dict(found.to_dict()) == found and "/" not in found.id
