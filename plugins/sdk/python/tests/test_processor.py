"""Processors in `pelton.testing.Host`."""

import unittest
from dataclasses import dataclass
from typing import Any, Optional

from pelton import AppendInvalid, Processor, Source
from pelton.testing import Appended, Host


class Counter(Processor):
    name = "counter"
    consumes = ["count", "a/*/c"]

    def reduce(self, state: dict[str, Any], event: Any, context: Any) -> Any:
        match event.payload.get("how"):
            case "in place":
                state["n"] = state.get("n", 0) + 1
            case "anew":
                return {"n": state.get("n", 0) + 10}
            case "tuple":
                state["n"] = (1, 2)
            case "integer key":
                state[1] = "one"

    def after_append(self, event: Any, state: dict[str, Any], context: Any) -> None:
        if "append" in event.payload:
            context.append_to("./below", "counted", event.payload["append"], metadata=context.config)


@dataclass
class Last:
    type: str


class Optionally(Processor[Optional[Last]]):
    name = "optionally"

    def initial_state(self) -> None:
        return None

    def reduce(self, state: Optional[Last], event: Any, context: Any) -> Optional[Last]:
        return None if event.type == "forget" else Last(event.type)


class ProcessorTest(unittest.TestCase):
    def test_a_state_is_changed_in_place_or_returned(self) -> None:
        host = Host(Counter())
        host.append("count", {"how": "in place"})
        host.append("count")
        host.append("count", {"how": "anew"})
        self.assertEqual((host.state_json, host.state), ('{"n":11}', {"n": 11}))

    def test_none_is_a_state_where_the_type_has_it(self) -> None:
        host = Host(Optionally())
        self.assertEqual((host.manifest["initialState"], host.state), (None, None))
        host.append("remember")
        self.assertEqual(host.state, Last("remember"))
        host.append("forget")
        self.assertEqual(host.state_json, "null")

    def test_a_state_that_json_would_change_is_refused(self) -> None:
        for how in ("tuple", "integer key"):
            with self.assertRaisesRegex(TypeError, "the state is not the same after it was JSON"):
                Host(Counter()).append("count", {"how": how})

    def test_appends_are_returned(self) -> None:
        host = Host(Counter(), config={"a": 1})
        self.assertEqual(host.append("count", {"append": {"x": 1}}), [Appended("counted", {"x": 1}, {"a": 1}, "./below")])
        with self.assertRaises(AppendInvalid):
            host.append("count", {"append": [1]})

    def test_only_what_is_consumed_arrives(self) -> None:
        host = Host(Counter())
        host.append("a/b/c", source=Source("s", "sha256:00", "/x", 1, 1))
        for other in ("counts", "a/c", "b"):
            with self.assertRaisesRegex(ValueError, "does not consume"):
                host.append(other)
