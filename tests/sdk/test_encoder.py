from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fluoro import wire
from fluoro.encoder import encode_batch
from fluoro.model import WIRE_VERSION, Batch, Kind, Resource, Segment

RESOURCE = Resource("orders", "1", "test", "host", {"process.pid": 7})


def segment(**fields: object) -> Segment:
    return Segment(b"\x01" * 16, 2, 3, "name", 4, 5, Kind.CLIENT, **fields)


def test_the_bytes_are_those_of_the_plain_encoder_at_every_chunk_size():
    for count in (0, 1, 15, 16, 255, 256, 257, 1024):
        segments = [segment() for _ in range(count)]
        pauses: list[int] = []
        body, lost = encode_batch(RESOURCE, segments, lambda seen=pauses: seen.append(1))
        assert lost == 0
        assert wire.decode_batch(body) == Batch(WIRE_VERSION, RESOURCE, segments)
        assert len(pauses) == max(0, (count - 1) // 256)


odd = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(st.characters(), max_size=5)
    | st.just("\ud800")
    | st.builds(object)
    | st.sets(st.integers(0, 3))
    | st.complex_numbers(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(odd, max_size=4))
def test_whatever_is_in_metadata_the_batch_can_be_read(values):
    segments = [segment(metadata={"default": {"v": value}}) for value in values]
    body, lost = encode_batch(RESOURCE, segments)
    assert lost == 0
    decoded = wire.decode_batch(body).segments
    assert [one.id for one in decoded] == [one.id for one in segments]


def test_a_structure_that_contains_itself_is_cut():
    loop: dict[str, object] = {}
    loop["loop"] = loop
    body, lost = encode_batch(RESOURCE, [segment(metadata={"default": loop}), segment()])
    assert lost == 0
    assert len(wire.decode_batch(body).segments) == 2


def test_a_hostile_repr_costs_its_own_value():
    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError

    body, lost = encode_batch(RESOURCE, [segment(metadata={"default": {"bad": Hostile(), "good": 1}})])
    assert lost == 0
    (decoded,) = wire.decode_batch(body).segments
    assert decoded.metadata == {"default": {"bad": "(Hostile that cannot be read)", "good": 1}}


def test_what_cannot_be_saved_is_left_out_and_counted():
    broken = segment(annotations="no mapping")
    broken.annotations = Unreadable({"\ud800": 1})
    nothing_to_save = segment()
    nothing_to_save.id = 1 << 70
    body, lost = encode_batch(RESOURCE, [segment(), broken, nothing_to_save, segment(annotations={"\ud800": 1})])
    assert lost == 1
    assert [one.annotations for one in wire.decode_batch(body).segments] == [None, {"?": 1}, {"?": 1}]


def test_annotations_are_brought_to_their_types_and_limits():
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError

    annotations = {
        "flag": True,
        "kind": Kind.SERVER,
        "long": "x" * 5_000,
        "k" * 900: 1.5,
        "hostile": Hostile(),
        "none": None,
        7: "a key that is no string",
    }
    body, lost = encode_batch(RESOURCE, [segment(annotations=annotations)])
    assert lost == 0
    (decoded,) = wire.decode_batch(body).segments
    assert decoded.annotations == {
        "flag": True,
        "kind": 1,
        "long": "x" * 1_000,
        "k" * 500: 1.5,
        "hostile": "(Hostile that cannot be read)",
        "none": "None",
        "7": "a key that is no string",
    }
    assert decoded.annotations["flag"] is True


class Unreadable(dict):
    def items(self):
        raise RuntimeError

    def __len__(self) -> int:
        raise RuntimeError

    def __repr__(self) -> str:
        raise RuntimeError
