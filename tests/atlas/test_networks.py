import csv
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import NO_FIGURES, SRC, Command

from xornet.atlas.derived import escapes, exponent_table, place_table
from xornet.atlas.networks import Followed, follow, shares
from xornet.atlas.store import read
from xornet.engine.scores import wilson


@pytest.mark.further
def test_the_same_networks_are_followed_from_job_to_job(command: Command) -> None:
    overrides = ("networks=60", "model.compile=false", "logger=csv", "trainer.max_epochs=12000,1000,3000")
    sweep = command("experiment=plateaus", *overrides)
    assert sweep.status == 0, sweep.err
    followed = follow(sweep.folder)
    assert followed.epochs.tolist() == [1000, 3000, 12000]  # in order
    jobs = [
        sweep.folder / f"{number}_trainer.max_epochs={epochs}" for number, epochs in ((1, 1000), (2, 3000), (0, 12000))
    ]
    tables = [list(csv.DictReader((job / "networks.csv").read_text().splitlines())) for job in jobs]
    assert followed.losses.tolist() == [[float(row["loss"]) for row in table] for table in tables]
    assert followed.places.tolist() == [[row["plateau"] for row in table] for table in tables]
    before = [row["solved_epoch"] for row in tables[0]]
    assert 0 < before.count("") < 60
    assert [row["solved_epoch"] for row, epoch in zip(tables[1], before, strict=True) if epoch] == [
        *filter(None, before)
    ]

    excess = followed.excess("1/8")
    assert excess.shape[1] == sum(set(places) == {"1/8"} for places in followed.places.T) > 0
    assert (excess > 0).all()
    earlier, later = np.median(followed.exponents("1/8"), axis=1)
    assert earlier > later > 1  # ever more like 1/epochs

    rows = [row for row in exponent_table(followed).rows if row["place"] == "1/8"]
    assert [(row["from"], row["to"], row["stay"]) for row in rows] == [
        (start, end, str(excess.shape[1])) for start, end in (("1000", "3000"), ("3000", "12000"))
    ]
    assert [float(row["exponent"]) for row in rows] == pytest.approx([earlier, later], abs=1e-3)

    values, found = shares(sweep.folder, "trainer.max_epochs")
    assert values == ["12000", "1000", "3000"]
    assert next(iter(found)) == "solved"
    np.testing.assert_allclose(sum(found.values()), 1)
    np.testing.assert_allclose(found["1/8"], [(followed.places[i] == "1/8").mean() for i in (2, 0, 1)])


@pytest.mark.parametrize("exponent", [0.5, 1.0])
def test_the_exponent_is_that_of_a_loss_which_falls_like_a_power(exponent: float) -> None:
    epochs = np.array([10.0, 100.0, 1e5])
    losses = np.stack([1 / 6 + 2 * epochs**-exponent, 1 / 6 + 5 * epochs**-exponent, 0.1 + 0 * epochs], axis=1)
    followed = Followed(epochs, np.array([["1/6", "1/6", "1/8"]] * 2 + [["1/6", "1/6", ""]]), losses)
    np.testing.assert_allclose(followed.exponents("1/6"), np.full((2, 2), exponent), rtol=1e-6)
    assert followed.exponents("1/8").shape == (2, 0)  # it has left


@pytest.mark.further
def test_a_directory_that_is_no_such_sweep_is_refused(command: Command, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no finished job of many networks; use the directory of such a sweep"):
        follow(tmp_path)
    others = command("-m", "seed=1,2", "networks=3", "trainer.max_epochs=3", "logger=csv", *NO_FIGURES)
    with pytest.raises(ValueError, match=r"trained different networks; use a sweep over trainer.max_epochs alone"):
        follow(others.folder)
    for path in others.folder.glob("*/metrics.json"):  # as of single networks, and of runs before there were places
        path.write_text(path.read_text().replace('"plateaus"', '"others"'))
    with pytest.raises(ValueError, match="holds no finished job of many networks"):
        shares(others.folder, "seed")


def test_the_page_has_the_shares_that_are_stored() -> None:
    page = (SRC.parent / "docs" / "plateaus.md").read_text()
    stored = read("places", SRC.parent / "docs" / "atlas")
    shown = re.findall(r"^\| (default|[\d.]+) \| [\d.]+% \| [^|]+ \| (.*) \|$", page, re.M)
    assert len(shown) == 9
    for value, cells in shown:
        part = stored.where({"model.init": "null" if value == "default" else value})
        shares = {row["place"]: float(row["share"]) for row in part.rows}
        found = [f"{100 * shares[place]:.1f}%" for place in ("1/8", "1/6", "1/4", "saturated", "elsewhere")]
        assert cells.split(" | ") == found


@pytest.mark.further
def test_other_networks_stand_where_the_page_says(command: Command) -> None:
    page = (SRC.parent / "docs" / "plateaus.md").read_text()
    (row,) = re.findall(r"^\| 2 \| ([\d.]+)% \| [^|]+ \| ([\d.]+)% \| ([\d.]+)% \| ([\d.]+)% ", page, re.M)
    run = command("experiment=plateaus_by_init", "model.init=2", "networks=200", "seed=5000", "model.compile=false")
    values, found = shares(run.folder, "model.init")
    table = {row["place"]: float(row["share"]) for row in place_table(run.folder).rows}
    assert table == pytest.approx({place: share[0] for place, share in found.items() if place != "solved"}, abs=1e-4)
    assert values == ["2"]
    for place, said in zip(("solved", "1/8", "1/6", "1/4"), row, strict=True):
        low, high = wilson(round(200 * found.get(place, np.zeros(1))[0]), 200)
        assert low <= float(said) / 100 <= high, place


@pytest.mark.further
def test_a_larger_rate_frees_the_share_that_is_stored(command: Command) -> None:
    """The first networks of the range from which most are freed, within 3.3 standard deviations."""
    cells = {"optimizer.momentum": "0", "model.init": "0.3", "optimizer.lr": "4"}
    (stored,) = read("escapes", SRC.parent / "docs" / "atlas").where(cells).rows
    one = [f"{key}={value}" for key, value in cells.items() if key != "optimizer.lr"]
    run = command("experiment=local_minima", *one, "optimizer.lr=0.5,4", "networks=200")
    (row,) = escapes(run.folder).rows
    assert {key: row[key] for key in cells} == cells
    for trials, hits, expected in (
        (200, int(row["stuck"]), int(stored["stuck"]) / 1000),
        (int(row["stuck"]), int(row["freed"]), int(stored["freed"]) / int(stored["stuck"])),
    ):
        assert abs(hits / trials - expected) <= 3.3 * (expected * (1 - expected) / trials) ** 0.5


@pytest.mark.further
def test_the_loss_of_other_networks_falls_with_the_exponent_that_is_stored(command: Command) -> None:
    cells = {"place": "1/8", "from": "10000"}
    (stored,) = read("exponents", SRC.parent / "docs" / "atlas").where(cells).rows
    short = ("networks=60", "seed=7000", "model.compile=false", "logger=csv", "trainer.max_epochs=10000,100000")
    run = command("experiment=plateaus", *short)
    (row,) = exponent_table(follow(run.folder)).where(cells).rows
    assert int(row["stay"]) > 5
    assert float(stored["exponent_q05"]) < float(row["exponent"]) < float(stored["exponent_q95"])
