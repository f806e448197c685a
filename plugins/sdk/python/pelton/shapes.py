"""Between Python values and JSON texts.

A *shape* is a type: `Any`, `None`, `bool`, `int`, `float`, `str`, `list[T]`, `dict[str, T]`, `dict[int, T]`, `tuple[...]`, unions, `Literal`,
enums and dataclasses of those. A field of a dataclass is called in JSON what it is called in Python, unless its declaration says
`field(metadata={"json": "nextPage"})`.

Numbers: an integer has any size and stays exact. A number with a fraction or an exponent is a `float`. A `float` field keeps an integer as
it is written. To pass a number on as it was written use the JSON text, `Event.payload_json` and `Raw`.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import json
import json.encoder
import sys
import types
import typing
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from .errors import ABSENT, ShapeError

T = TypeVar("T")

_Decode = Callable[[Any], Any]


class Raw(NamedTuple):
    """A JSON text to be used as a payload or as metadata as it stands."""

    json: str


def dumps(value: object) -> str:
    """The JSON text of a value: minified, dataclasses as objects, keys in their order.

    Fails with `TypeError` for what JSON has no word for and with `ValueError` for NaN, infinities and halves of surrogate pairs.
    """
    if isinstance(value, Raw):
        return value.json
    text = _encode(value)
    if not text.isascii():
        text.encode()
    return text


def loads(text: str) -> Any:
    """The value of a JSON text; integers are exact. Fails with `ValueError`."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        return json.loads(text)
    return value if end == len(text) else json.loads(text)


def decoder(shape: type[T]) -> Callable[[Any], T]:
    """A function that takes what `loads` gave and returns a value of this shape, or raises `ShapeError`.

    Fails with `TypeError` when the type is not a shape.
    """
    if shape not in _DECODERS:
        # A type that contains itself finds this entry while its own decoder is being made.
        _DECODERS[shape] = lambda value: _DECODERS[shape](value)
        try:
            _DECODERS[shape] = _make(shape)
        except BaseException:
            del _DECODERS[shape]
            raise
    return _DECODERS[shape]


def admits_none(shape: Any) -> bool:
    """Whether `None` is a value of this shape."""
    return shape in (None, type(None), Any) or (_is_union(shape) and type(None) in typing.get_args(shape))


def _plain(value: object) -> object:
    names = _json_names(type(value))
    if names is not None:
        return {name: getattr(value, field) for field, name in names}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, collections.abc.Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} {value!r:.100} is not JSON")


def _encoder() -> Callable[[object], str]:
    """`json.dumps` with these options, without building its encoder anew each time, which costs more than a small state."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain).encode
    encode = make(None, _plain, json.encoder.encode_basestring, None, ":", ",", False, False, False)
    return lambda value: "".join(encode(value, 0))


_encode = _encoder()
# Without the regular expressions for white space that `json.loads` begins and ends with; the host's texts are minified.
_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]
_DECODERS: dict[Any, _Decode] = {}
_NAMES: dict[type, list[tuple[str, str]] | None] = {}


def _json_names(cls: type) -> list[tuple[str, str]] | None:
    """Names of a dataclass's fields in Python and in JSON; `None` for another class."""
    if cls not in _NAMES:
        declared = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else None
        _NAMES[cls] = declared if declared is None else [(field.name, field.metadata.get("json", field.name)) for field in declared]
    return _NAMES[cls]


def _make(shape: Any) -> _Decode:
    origin, arguments = typing.get_origin(shape), typing.get_args(shape)
    if shape is Any or shape is object:
        return lambda value: value
    if shape is None or shape is type(None):
        return _only(lambda value: value is None, "null")
    if shape is bool:
        return _only(lambda value: isinstance(value, bool), "a boolean")
    if shape is int:
        return _integer
    if shape is float:
        return _only(lambda value: isinstance(value, (int, float)) and not isinstance(value, bool), "a number")
    if shape is str:
        return _only(lambda value: isinstance(value, str), "a string")
    if _is_union(shape):
        return _union(arguments)
    if origin is typing.Literal:
        return _only(lambda value: value in arguments, " or ".join(map(repr, arguments)))
    if shape is list or origin in (list, collections.abc.Sequence):
        return _list(arguments[0] if arguments else Any, list)
    if shape is tuple or origin is tuple:
        return _tuple(arguments)
    if shape is dict or origin in (dict, collections.abc.Mapping):
        return _dict(*(arguments or (str, Any)))
    if dataclasses.is_dataclass(shape):
        return _dataclass(typing.cast(type, shape))
    if isinstance(shape, type) and issubclass(shape, enum.Enum):
        return _enum(shape)
    raise TypeError(f"{shape} is not a shape that JSON can have; see pelton.shapes")


def _is_union(shape: Any) -> bool:
    return typing.get_origin(shape) in (typing.Union, types.UnionType)


def _only(accept: Callable[[Any], bool], expected: str) -> _Decode:
    def decode(value: Any) -> Any:
        if accept(value):
            return value
        raise ShapeError(expected, value)

    return decode


def _integer(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise ShapeError("an integer", value)


def _union(members: tuple[Any, ...]) -> _Decode:
    decoders = [decoder(member) for member in members]

    def decode(value: Any) -> Any:
        refusals = []
        for member in decoders:
            try:
                return member(value)
            except ShapeError as error:
                refusals.append(error)
        # The member that got furthest is the one that was meant.
        raise max(refusals, key=lambda refusal: len(refusal.path))

    return decode


def _list(item: Any, build: Callable[[list[Any]], Any]) -> _Decode:
    decode_item = decoder(item)

    def decode(value: Any) -> Any:
        if not isinstance(value, list):
            raise ShapeError("an array", value)
        items = []
        for index, element in enumerate(value):
            try:
                items.append(decode_item(element))
            except ShapeError as error:
                raise error.inside(f"[{index}]")
        return build(items)

    return decode


def _tuple(members: tuple[Any, ...]) -> _Decode:
    if not members or members[-1] is Ellipsis:
        return _list(members[0] if members else Any, tuple)
    decoders = [decoder(member) for member in members]

    def decode(value: Any) -> Any:
        if not isinstance(value, list) or len(value) != len(decoders):
            raise ShapeError(f"an array of {len(decoders)}", value)
        return tuple(member(element) for member, element in zip(decoders, value))

    return decode


def _dict(key: Any, item: Any) -> _Decode:
    if key not in (str, int, Any):
        raise TypeError(f"keys of a JSON object are strings, or integers as strings, not {key}")
    decode_item = decoder(item)

    def decode(value: Any) -> Any:
        if not isinstance(value, dict):
            raise ShapeError("an object", value)
        items = {}
        for name, element in value.items():
            try:
                items[int(name) if key is int else name] = decode_item(element)
            except ShapeError as error:
                raise error.inside(f".{name}")
        return items

    return decode


def _dataclass(cls: type) -> _Decode:
    hints = typing.get_type_hints(cls, vars(sys.modules[cls.__module__]))
    required: list[tuple[str, str, _Decode]] = []
    optional: list[tuple[str, str, _Decode]] = []
    for field in dataclasses.fields(cls):
        if not field.init:
            raise TypeError(f"{cls.__name__}.{field.name} has init=False, so it can't be read back from JSON")
        entry = (field.name, field.metadata.get("json", field.name), decoder(hints[field.name]))
        has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        (optional if has_default else required).append(entry)

    def decode(value: Any) -> Any:
        if not isinstance(value, dict):
            raise ShapeError("an object", value)
        found = {}
        try:
            for field, name, decode_field in required:
                found[field] = decode_field(value[name])
            for field, name, decode_field in optional:
                if name in value:
                    found[field] = decode_field(value[name])
        except KeyError:
            raise ShapeError(f"a field `{name}`", ABSENT) from None
        except ShapeError as error:
            raise error.inside(f".{name}")
        return cls(**found)

    return decode


def _enum(cls: type[enum.Enum]) -> _Decode:
    def decode(value: Any) -> Any:
        try:
            return cls(value)
        except ValueError:
            raise ShapeError(" or ".join(repr(member.value) for member in cls), value) from None

    return decode
