import pytest
import torch
from oracle import SheetNet, X

from xornet.network import Ensemble, XORNet

HIDDEN: list[list[int]] = [[4], [], [8, 8], [3, 2, 5]]


def test_the_default_network_is_the_sheets() -> None:
    torch.manual_seed(7)
    ours = XORNet()
    torch.manual_seed(7)
    sheet = SheetNet()
    assert ours.state_dict().keys() == sheet.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), sheet.parameters(), strict=True))
    assert torch.equal(ours(X), sheet(X))


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("bits", [2, 3])
def test_network_i_starts_as_a_single_network_with_seed_plus_i_would(hidden: list[int], bits: int) -> None:
    ensemble = Ensemble(bits, hidden, networks=5, seed=40)
    for i in range(5):
        torch.manual_seed(40 + i)
        alone = XORNet(bits, hidden)
        ours = ensemble.network(i)
        assert ours.state_dict().keys() == alone.state_dict().keys()
        assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), alone.parameters(), strict=True))


@pytest.mark.parametrize("initialisations", [1, 3, 7])
def test_networks_share_as_few_initialisations_as_wanted_in_turn(initialisations: int) -> None:
    ensemble, each = Ensemble(networks=7, seed=40, initialisations=initialisations), Ensemble(networks=7, seed=40)
    for i in range(7):
        assert ensemble.seed_of(i) == 40 + i % initialisations
        for ours, theirs in zip(ensemble.weights, each.weights, strict=True):
            assert torch.equal(ours[..., i], theirs[..., i % initialisations])


def test_drawing_and_extracting_networks_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    Ensemble(networks=3, seed=1).network(2)
    assert torch.equal(torch.rand(4), expected)


def test_what_ran_before_does_not_change_the_weights() -> None:
    first = Ensemble(networks=2, seed=5)
    torch.rand(1000)
    second = Ensemble(networks=2, seed=5)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
def test_an_ensemble_predicts_what_its_networks_predict_alone(hidden: list[int], activation: str) -> None:
    ensemble = Ensemble(2, hidden, activation, networks=3).double()
    x = torch.rand(6, 2, dtype=torch.float64)
    together = ensemble(x)
    assert together.shape == (6, 1, 3)
    for i in range(3):
        torch.testing.assert_close(together[..., i], ensemble.network(i)(x), rtol=0, atol=1e-14)


def test_init_draws_every_weight_and_bias_uniformly_within_r() -> None:
    weights = torch.cat([w.flatten() for w in Ensemble(networks=2000, init=0.3).parameters()]).detach()
    assert weights.abs().max() <= 0.3
    # uniform in ±r: standard deviation r / √3, to five standard errors of 34,000 draws
    torch.testing.assert_close(weights.std(), torch.tensor(0.3 / 3**0.5), rtol=0.015, atol=0)
    torch.testing.assert_close(weights.mean(), torch.tensor(0.0), rtol=0, atol=0.005)


def test_an_extracted_network_has_weights_of_its_own() -> None:
    ensemble = Ensemble(networks=2)
    network = ensemble.network(1)
    before = ensemble.weights[0].clone()
    torch.nn.init.zeros_(network.get_parameter("hidden.weight"))
    assert torch.equal(ensemble.weights[0], before)
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_a_number_of_inputs_that_no_table_has_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match=r"data\.bits must be an integer from 1 to 16, got 1000000000000000000000"):
        Ensemble(inputs=10**21)
