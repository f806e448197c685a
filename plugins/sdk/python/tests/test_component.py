"""The component's exports, over fake bindings."""

import http.client
import io
import os
import sys
import types
import unittest
import urllib.error
import urllib.request
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

from . import bindings
from .bindings import HOST, Err, Level, WitEvent

bindings.install()

import pelton  # noqa: E402
import pelton.http  # noqa: E402
from pelton.component import component  # noqa: E402


@dataclass
class Sum:
    total: int = 0
    text: Any = None


class Adder(pelton.Processor[Sum]):
    """Adds.

    More than the manifest needs.
    """

    name = "adder"
    consumes = ["add"]

    def reduce(self, state, event, context):
        if event.payload.get("fetch"):
            urllib.request.urlopen("http://example.com")
        if "reject" in event.payload:
            raise pelton.Error(event.payload["reject"])
        state.total += event.payload["n"]
        context.info(f"{context.slug} at {event.offset}")

    def after_append(self, event, state, context):
        action = ACTIONS[event.payload["do"]]
        action(event, state, context)


ACTIONS: dict[str, Any] = {}


def unchanged(self: Any, state: Any, event: Any, context: Any) -> None:
    """A `reduce` that leaves the state as it is."""


def component_of(*classes: type, **names: Any) -> Any:
    module = types.ModuleType("author")
    module.__file__ = "/nowhere/author.py"
    vars(module).update({cls.__name__: cls for cls in classes}, **names)
    return component(module)()


def add(payload: str) -> WitEvent:
    return WitEvent("/games", 7, "add", payload)


class Case(unittest.TestCase):
    def setUp(self) -> None:
        HOST.reset()
        self.adder = component_of(Adder)

    def act(self, action: Any, state: str = '{"total":1,"text":null}') -> None:
        ACTIONS["it"] = action
        self.adder.after_append(add('{"do":"it"}'), state)

    def failure(self, call: Any, *arguments: Any) -> str:
        with self.assertRaises(Err) as caught:
            call(*arguments)
        return caught.exception.value


class ComponentTest(Case):
    def test_the_manifest_is_what_the_class_says(self) -> None:
        described = '{"name":"adder","description":"Adds.","consumes":["add"],"stateVersion":1,"initialState":{"total":0,"text":null}}'
        self.assertEqual(self.adder.describe(), described)

    def test_reduce_folds_and_logs(self) -> None:
        self.assertEqual(self.adder.reduce('{"total":1,"text":"é"}', [add('{"n":2}'), add('{"n":3}')]), '{"total":6,"text":"é"}')
        self.assertEqual(HOST.lines, [(Level.INFO, "a-slug at 7")] * 2)

    def test_integers_are_exact_whatever_their_size(self) -> None:
        state = self.adder.reduce('{"total":9007199254740993,"text":null}', [add('{"n":100000000000000000000}')])
        self.assertEqual(state, '{"total":100009007199254740993,"text":null}')

    def test_an_error_is_told_as_it_is_and_an_exception_with_its_place(self) -> None:
        self.assertEqual(self.failure(self.adder.reduce, '{"total":0}', [add('{"reject":"no é \\ud800"}')]), "no é \\ud800")
        said = self.failure(self.adder.reduce, '{"total":0}', [add("{}")])
        self.assertTrue(said.startswith("KeyError: 'n'\n"), said)
        self.assertIn("test_component.py", said)
        self.assertIn('state.total += event.payload["n"]', said)
        self.assertNotIn("glue.py", said)

    def test_what_ends_the_program_elsewhere_is_an_error_here(self) -> None:
        self.assertTrue(self.failure(self.act, lambda *_: sys.exit(3)).startswith("SystemExit: 3\n"))

    def test_a_state_of_another_shape_names_the_field(self) -> None:
        said = self.failure(self.adder.reduce, '{"total":"1"}', [])
        self.assertTrue(said.startswith("pelton.errors.ShapeError: state.total: expected an integer, got a string"), said)

    def test_appends_reach_the_outbox_and_the_appender(self) -> None:
        def action(event, state, context):
            context.append("a", state, metadata={"m": 1.5}, idempotency_key="k", expected_offset=3)
            context.append_to("../beside", "b")
            recorded = context.append_now("c", pelton.Raw('{"n":1.10}'), to="/other")
            context.append("d", {"at": str(recorded), "key": recorded.idempotency_key, "n": recorded.payload["n"]})

        self.act(action)
        told = [(to, event.event_type, event.payload, event.metadata, event.idempotency_key, event.expected_offset) for to, event in HOST.appended]
        self.assertEqual(
            told,
            [
                (None, "a", '{"total":1,"text":null}', '{"m":1.5}', "k", 3),
                ("../beside", "b", "{}", None, None, None),
                ("/other", "c", '{"n":1.10}', None, None, None),
                (None, "d", '{"at":"`c` at offset 9 of /other","key":"derived","n":1.1}', None, None, None),
            ],
        )

    def test_each_refusal_is_an_exception_of_its_own(self) -> None:
        for case in ("Paused", "Conflict", "Denied", "Invalid", "Unavailable"):
            HOST.refusal = getattr(bindings, f"AppendError_{case}")("because")

            def action(event, state, context):
                with self.assertRaises(getattr(pelton, f"Append{case}")) as caught:
                    context.append("x")
                self.assertEqual((caught.exception.case, caught.exception.reason), (case.lower(), "because"))
                context.append_now("x")

            self.assertIn(f"append refused as {case.lower()}: because", self.failure(self.act, action))

    def test_nan_never_leaves(self) -> None:
        self.assertIn("ValueError", self.failure(self.act, lambda event, state, context: context.append("x", {"n": float("nan")})))

    def test_the_environment_is_the_calls_own(self) -> None:
        seen = []
        before = dict(os.environ)
        try:
            for variables in ([("A", "1")], [("A", "2"), ("B", "3")], []):
                HOST.environment = variables
                self.act(lambda *_: seen.append(dict(os.environ)))
        finally:
            os.environ.update(before)
        self.assertEqual(seen, [{"A": "1"}, {"A": "2", "B": "3"}, {}])

    def test_what_is_printed_is_out_when_the_call_ends(self) -> None:
        printed = io.TextIOWrapper(io.BytesIO())
        with redirect_stdout(printed):
            self.act(lambda *_: print("hello"))
        self.assertEqual(printed.buffer.getvalue(), b"hello\n")

    def test_logging_goes_to_the_hosts_log(self) -> None:
        import logging

        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        self.addCleanup(lambda: (root.handlers.__init__(handlers), root.setLevel(level)))  # type: ignore[misc]
        root.handlers.clear()
        component_of(Adder)
        self.act(lambda *_: logging.getLogger("shop").warning("low on %s", "tea"))
        self.assertEqual(HOST.lines, [(Level.WARN, "shop: low on tea")])


class FindingTest(unittest.TestCase):
    def test_a_module_without_a_processor_says_what_to_write(self) -> None:
        with self.assertRaisesRegex(TypeError, "author defines no processor; write `class"):
            component_of()

    def test_several_processors_are_told_apart_by_a_name(self) -> None:
        other = type("Other", (pelton.Processor,), {"name": "other", "reduce": unchanged})
        with self.assertRaisesRegex(TypeError, r"several processors \(Adder, Other\); say which with `processor = Adder`"):
            component_of(Adder, other)
        self.assertIn('"name":"other"', component_of(Adder, other, processor=other).describe())

    def test_a_class_that_others_derive_from_is_not_meant(self) -> None:
        derived = type("Derived", (Adder,), {"name": "derived"})
        self.assertIn('"name":"derived"', component_of(Adder, derived).describe())

    def test_a_manifest_that_is_wrong_says_which_attribute(self) -> None:
        for attributes, message in [
            ({}, "Bad.name is missing"),
            ({"name": "x", "consumes": "ping"}, "Bad.consumes is not a list of strings"),
            ({"name": "x", "emits": 3}, "Bad.emits is not a list of strings: 3"),
            ({"name": "x", "state_version": 0}, "Bad.state_version is not an integer from 1"),
        ]:
            with self.assertRaisesRegex(TypeError, message):
                component_of(type("Bad", (pelton.Processor,), {"reduce": unchanged, **attributes}))

    def test_a_name_that_is_misspelled_is_not_passed_over(self) -> None:
        for attributes, message in [
            ({"reduse": unchanged}, r"Bad.reduse \(line \d+\) is not part of a processor; did you mean reduce\?"),
            ({"reduce": unchanged, "afterAppend": unchanged}, r"did you mean after_append\?"),
            ({"reduce": unchanged, "init_state": unchanged}, r"did you mean initial_state\?"),
            ({"reduce": unchanged, "consume": ["ping"]}, r"Bad.consume is not part of a processor; did you mean consumes\?"),
            ({"reduce": unchanged, "initial_state": {}}, r"Bad.initial_state is not a method: {}"),
            ({"react": unchanged}, "Bad has neither reduce nor after_append"),
        ]:
            with self.assertRaisesRegex(TypeError, message):
                component_of(type("Bad", (pelton.Processor,), {"name": "bad", **attributes}))
        # What the class has besides is its own.
        own = {"reducer": unchanged, "names": [], "_after_append": unchanged, "emit": unchanged}
        component_of(type("Good", (Adder,), {"name": "good", **own}))


class HttpTest(Case):
    def fetch(self, *arguments: Any, **options: Any) -> Any:
        """What `urlopen` gives, read in after_append."""
        found = []

        def action(event, state, context):
            with urllib.request.urlopen(*arguments, **options) as response:
                found.append((response.status, response.headers, response.read()))

        self.act(action)
        return found[0]

    def test_urlopen_goes_over_wasi_http(self) -> None:
        HOST.answer = (200, [("Content-Type", "text/plain"), ("Set-Cookie", "a"), ("Set-Cookie", "b")], [b"hel", b"lo" * 50_000])
        request = urllib.request.Request("https://example.com:8443/a?b=1#c", data=b"x" * 10_000, headers={"Authorization": pelton.secret("key")})
        status, headers, body = self.fetch(request, timeout=2)
        self.assertEqual((status, headers.get_all("set-cookie"), len(body)), (200, ["a", "b"], 100_003))
        (sent,) = HOST.requests
        self.assertEqual((sent["method"], sent["scheme"], sent["authority"], sent["path"]), ("POST", "https", "example.com:8443", "/a?b=1"))
        self.assertEqual((sent["body"], sent["timeout"]), (b"x" * 10_000, 2_000_000_000))
        self.assertEqual((sent["headers"]["Authorization"], sent["headers"]["Content-length"]), ("{{secret:key}}", "10000"))
        self.assertNotIn("Host", sent["headers"])
        self.assertEqual(HOST.alive, 0)

    def test_a_denied_request_says_so(self) -> None:
        HOST.answer = bindings.ErrorCode_HttpRequestDenied()

        def action(event, state, context):
            with self.assertRaises(urllib.error.URLError) as caught:
                urllib.request.urlopen("http://example.com")
            self.assertEqual(caught.exception.reason.code, "HTTP-request-denied")

        self.act(action)
        said = self.failure(self.act, lambda *_: urllib.request.urlopen("http://example.com"))
        self.assertIn("<urlopen error HTTP-request-denied>", said)

    def test_no_answer_is_an_error_with_its_code(self) -> None:
        for answer, code, kind in [
            (bindings.ErrorCode_DnsError(bindings.DnsErrorPayload("no such name", None)), "DNS-error", pelton.http.HttpError),
            (bindings.ErrorCode_ConnectionReadTimeout(), "connection-read-timeout", TimeoutError),
        ]:
            HOST.answer = answer

            def action(event, state, context):
                with self.assertRaises(kind) as caught:
                    pelton.http.send("GET", "http://example.com")
                self.assertEqual(caught.exception.code, code)

            self.act(action)
        self.assertEqual(HOST.alive, 0)

    def test_a_status_of_failure_is_an_http_error_with_its_body(self) -> None:
        HOST.answer = (404, [], [b"nope"])

        def action(event, state, context):
            with self.assertRaises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen("http://example.com")
            self.assertEqual((caught.exception.code, caught.exception.read()), (404, b"nope"))

        self.act(action)

    def test_a_body_that_breaks_off_is_an_error(self) -> None:
        HOST.answer = (200, [], [b"half", bindings.IoError()])

        def action(event, state, context):
            answer = pelton.http.send("GET", "http://example.com")
            self.assertEqual(answer.body.read1(), b"half")
            with self.assertRaisesRegex(pelton.http.HttpError, "HTTP-response-incomplete: the connection broke"):
                answer.body.read()
            answer.body.close()

        self.act(action)
        self.assertEqual(HOST.alive, 0)

    def test_a_header_with_a_line_break_is_refused(self) -> None:
        def action(event, state, context):
            with self.assertRaisesRegex(ValueError, "headers that HTTP does not allow .invalid-syntax.: X"):
                pelton.http.send("GET", "http://example.com", [("X", "a\nb")])

        self.act(action)

    def test_what_opens_sockets_says_what_to_use(self) -> None:
        connect = http.client.HTTPConnection("example.com").connect
        self.assertIn("OSError: a processor has no sockets; use urllib.request", self.failure(self.act, lambda *_: connect()))

    def test_reduce_has_no_http(self) -> None:
        self.assertIn("HTTP is for after_append", self.failure(self.adder.reduce, '{"total":0}', [add('{"fetch":true}')]))
        self.assertEqual(HOST.requests, [])
