"""The protocol of the cache, in every order that two writers, two readers and a loss can make."""

import pytest

from tests.revocation_model import OURS, UNSAFE, search

pytestmark = pytest.mark.pure


def test_no_order_of_steps_lets_a_revoked_card_in():
    states, way = search(OURS)

    assert way == ()
    assert states > 100_000  # it did look


@pytest.mark.parametrize("name", UNSAFE)
def test_the_search_finds_what_is_wrong_with_other_designs(name):
    _, way = search(UNSAFE[name])

    assert way[-1].endswith(("stale", "at rest the entry is not the database"))
