"""Pieces of a batch on threads: order, one thread an operation, the process's own setting left alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from proxy_tasks.jmlr.pnp.pieces import LEAST, MOST, map_pieces


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("rows", [0, 1, LEAST, 7 * MOST + 5])
def test_pieces_cover_the_rows_in_order(threads, rows):
    numbers = torch.arange(rows)
    pieces = map_pieces(lambda a, b: torch.stack((a, b)), numbers, 2 * numbers)
    assert torch.cat(pieces, 1).equal(torch.stack((numbers, 2 * numbers)))
    assert max(piece.shape[1] for piece in pieces) <= MOST


def test_as_many_pieces_as_threads_run_at_once_with_one_thread_an_operation(threads):
    together = threading.Barrier(threads, timeout=20)

    def piece(rows: torch.Tensor) -> int:
        together.wait()
        return torch.get_num_threads()

    assert map_pieces(piece, torch.zeros(threads * LEAST)) == [1] * threads


def test_the_setting_of_the_caller_and_of_later_threads_is_left_alone(threads):
    map_pieces(len, torch.zeros(6 * LEAST))
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert torch.get_num_threads() == threads and later == [threads]


def test_an_error_in_a_piece_reaches_the_caller(threads):
    def fail(rows: torch.Tensor) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        map_pieces(fail, torch.zeros(5))
