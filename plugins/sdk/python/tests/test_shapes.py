"""JSON and what it becomes."""

import enum
import unittest
from dataclasses import dataclass, field
from typing import Any, Literal, Optional

from pelton import Event, Raw, ShapeError
from pelton.shapes import decoder, dumps, loads


class Kind(enum.Enum):
    TEA = "tea"


@dataclass
class Item:
    price: float
    kind: Kind = Kind.TEA
    next_page: Optional[int] = field(default=None, metadata={"json": "nextPage"})


@dataclass
class Order:
    items: list[Item]
    notes: dict[int, str] = field(default_factory=dict)
    parent: Optional["Order"] = None


class ShapesTest(unittest.TestCase):
    def test_dataclasses_come_back_as_they_went(self) -> None:
        order = Order([Item(1.5, next_page=2)], {3: "é"}, Order([]))
        text = '{"items":[{"price":1.5,"kind":"tea","nextPage":2}],"notes":{"3":"é"},"parent":{"items":[],"notes":{},"parent":null}}'
        self.assertEqual(dumps(order), text)
        self.assertEqual(decoder(Order)(loads(text)), order)

    def test_absent_fields_have_their_defaults_and_unknown_ones_are_left(self) -> None:
        self.assertEqual(decoder(Item)({"price": 1, "more": True}), Item(1))

    def test_what_does_not_fit_names_the_place(self) -> None:
        for value, message in [
            ({"items": [{"price": "x"}]}, "items[0].price: expected a number, got a string"),
            ({"items": [{}]}, "items[0]: expected a field `price`, got nothing"),
            ({"items": [], "parent": {"items": 3}}, "parent.items: expected an array, got the number 3"),
            ({"items": [{"price": True}]}, "items[0].price: expected a number, got a boolean"),
            ({"items": [{"price": 1, "kind": "gin"}]}, "items[0].kind: expected 'tea', got a string"),
            (None, "JSON: expected an object, got null"),
        ]:
            with self.assertRaises(ShapeError) as caught:
                decoder(Order)(value)
            self.assertEqual(str(caught.exception), message)

    def test_integers_may_be_written_as_whole_numbers(self) -> None:
        self.assertEqual(decoder(int)(3.0), 3)
        for wrong in (3.5, True, "3"):
            with self.assertRaises(ShapeError):
                decoder(int)(wrong)

    def test_tuples_unions_and_literals_are_shapes(self) -> None:
        self.assertEqual(decoder(tuple[int, str])([1, "a"]), (1, "a"))
        self.assertEqual(decoder(tuple[int, ...])([1, 2]), (1, 2))
        self.assertEqual(decoder(int | str)("a"), "a")
        self.assertEqual(decoder(Literal["a", "b"])("b"), "b")
        self.assertEqual(decoder(Any)({"x": 1}), {"x": 1})

    def test_a_type_that_json_has_no_word_for_is_refused_when_it_is_asked_for(self) -> None:
        for shape in (set, bytes, dict[float, int], list[complex]):
            with self.assertRaises(TypeError):
                decoder(shape)
            with self.assertRaises(TypeError):
                decoder(shape)

    def test_texts_are_minified_and_sound(self) -> None:
        self.assertEqual(dumps({"a": [1, 1.5, 10**30, None, True, "é🦀\n"]}), '{"a":[1,1.5,1000000000000000000000000000000,null,true,"é🦀\\n"]}')
        self.assertEqual(dumps(Raw('{"n":1.10}')), '{"n":1.10}')
        for wrong in (float("nan"), float("inf"), "\ud800"):
            with self.assertRaises(ValueError):
                dumps(wrong)
        for wrong in ({1, 2}, b"x", object()):
            with self.assertRaises(TypeError):
                dumps(wrong)

    def test_white_space_around_a_text_is_nothing(self) -> None:
        self.assertEqual(loads(' {"a": 1}\n'), {"a": 1})
        for wrong in ("", "{", "1 2"):
            with self.assertRaises(ValueError):
                loads(wrong)


class EventTest(unittest.TestCase):
    def event(self, payload: str = "{}", metadata: str | None = None) -> Event:
        return Event("ping", payload, 7, "/games", 1_700_000_000_123, metadata)

    def test_a_payload_is_read_as_written_as_a_dict_or_as_a_shape(self) -> None:
        event = self.event('{"price":1.10,"kind":"tea"}')
        self.assertEqual((event.payload_json, event.payload["price"]), ('{"price":1.10,"kind":"tea"}', 1.1))
        self.assertEqual(event.payload_as(Item), Item(1.1))

    def test_an_odd_payload_names_the_event_and_the_field(self) -> None:
        with self.assertRaisesRegex(ShapeError, r"^payload of `ping` at offset 7 of /games: payload.price: expected a number, got a string$"):
            self.event('{"price":"x"}').payload_as(Item)

    def test_absent_metadata_is_none(self) -> None:
        self.assertIsNone(self.event().metadata)
        self.assertIsNone(self.event().metadata_as(Item))
        self.assertEqual(self.event(metadata='{"a":1}').metadata, {"a": 1})

    def test_times_are_utc_and_exact(self) -> None:
        self.assertEqual(self.event().created_at.isoformat(), "2023-11-14T22:13:20.123000+00:00")
