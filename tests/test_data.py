import pytest
import torch

from xornet.data import XORDataModule, truth_table


def test_two_bits_are_the_table_of_the_sheet() -> None:
    x, y = truth_table(2)
    assert x.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert y.tolist() == [[0], [1], [1], [0]]
    assert x.dtype == y.dtype == torch.float32


@pytest.mark.parametrize("bits", [1, 3, 5])
def test_rows_count_in_binary_and_the_target_is_their_parity(bits: int) -> None:
    x, y = truth_table(bits)
    for row, (point, target) in enumerate(zip(x.int().tolist(), y.int().tolist(), strict=True)):
        assert point == [int(digit) for digit in f"{row:0{bits}b}"]
        assert target == [row.bit_count() % 2]


def test_the_data_module_serves_the_whole_table_as_one_batch() -> None:
    ((x, y),) = XORDataModule(3).train_dataloader()
    assert torch.equal(x, truth_table(3)[0])
    assert torch.equal(y, truth_table(3)[1])
