"""Card UIDs: many ways of writing, one canonical form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.uid import canonical, fragment, is_random, is_uid

pytestmark = pytest.mark.pure

UIDS = st.binary(min_size=4, max_size=10)


@pytest.mark.parametrize(
    ("text", "uid"),
    [
        ("04:A3:2B:F2:1C:80", "04:A3:2B:F2:1C:80"),
        ("04-a3-2b-f2-1c-80", "04:A3:2B:F2:1C:80"),
        ("04 a3 2B f2 1c 80", "04:A3:2B:F2:1C:80"),
        ("  04a32bf21c80\n", "04:A3:2B:F2:1C:80"),
        ("deadbeef", "DE:AD:BE:EF"),
        ("00112233445566778899", "00:11:22:33:44:55:66:77:88:99"),
    ],
)
def test_every_way_of_writing_has_one_canonical_form(text, uid):
    assert canonical(text) == uid


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "04:A3:2B",  # three bytes
        "00:11:22:33:44:55:66:77:88:99:AA",  # eleven
        "04A32BF21",  # half a byte
        "04:A3-2B:F2",  # two separators
        "04::A3:2B:F2",
        ":04:A3:2B:F2",
        "04:A3:2B:F2:",
        "04:A3:2B:FG",
        "04.A3.2B.F2",
        "0x04A32BF2",
        "04:A3:2B:F2\0",
        "٠٤:٠٣:٠٢:٠١",  # digits, but not these
        "04:A3:2B:\uff26\uff12",  # full width
    ],
)
def test_what_is_no_uid_is_refused_in_words(text):
    assert not is_uid(text)
    with pytest.raises(ValueError, match="4 to 10 bytes of hex"):
        canonical(text)


@given(UIDS, st.sampled_from(["", ":", "-", " "]), st.booleans())
def test_any_bytes_survive_any_way_of_writing(raw, separator, lower):
    text = raw.hex(separator) if separator else raw.hex()

    found = canonical(text if lower else text.upper())

    assert found == raw.hex(":").upper()
    assert canonical(found) == found


@given(st.text(max_size=40))
def test_any_text_is_a_uid_or_a_value_error(text):
    if is_uid(text):
        assert is_uid(canonical(text))
    else:
        with pytest.raises(ValueError, match="UID"):
            canonical(text)


@given(st.text(max_size=40))
def test_a_fragment_holds_hex_and_colons_only(text):
    assert set(fragment(text)) <= set("0123456789ABCDEF:")


@pytest.mark.parametrize(
    ("term", "part"),
    [
        ("a3 2b", "A3:2B"),
        ("04a32", "04:A3:2"),
        ("04", "04"),
        ("04:A3:", "04:A3"),
        ("deadbeef", "DE:AD:BE:EF"),
        ("04a32bf21c80", "04:A3:2B:F2:1C:80"),
        ("Ada", ""),  # a name, although all hex
        ("Anna", ""),
        ("4", ""),
        ("", ""),
    ],
)
def test_part_of_a_uid_is_found_in_the_canonical_form(term, part):
    assert fragment(term) == part


@pytest.mark.parametrize(
    ("uid", "random"),
    [
        ("08:A3:2B:F2", True),
        ("04:A3:2B:F2", False),
        ("08:A3:2B:F2:1C:80:11", False),  # seven bytes are the maker's
    ],
)
def test_four_bytes_that_begin_with_08_are_random(uid, random):
    assert is_random(uid) is random
