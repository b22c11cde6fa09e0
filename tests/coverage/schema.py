"""Walks the types of an SDK: every place where a person or a model can write a string, with a minimal instance."""

from __future__ import annotations

import collections.abc
import datetime
import os
import types
import typing
from dataclasses import dataclass
from typing import Any, Iterator

import pydantic
import typing_extensions as te

MARKER = "MARKER"
FILLER = "x"

# The members that tell the variants of a union apart, in the order in which a path names them.
TAGS = ("type", "role")

# What is no JSON: files that the SDK itself reads.
FOREIGN = (bytes, typing.IO, os.PathLike)

# Texts of a fixed form, as numbers are: no marker fits there.
DATES = (datetime.date, datetime.datetime)


@dataclass(frozen=True)
class Field:
    name: str
    type: Any
    required: bool


@dataclass(frozen=True)
class Variant:
    """One class of a union, with the members that tell it apart."""

    of: type
    fixed: tuple[tuple[str, str], ...]


class Schema:
    """The walk itself. It counts the fields that only take values of a fixed set: no marker fits there."""

    def __init__(self, embedded: tuple[type, ...] = ()) -> None:
        # Types that are not walked inside others; `walk` gives the place with None.
        self.embedded = embedded
        self.enums: set[str] = set()

    def walk(self, kind: Any, path: str = "", inside: tuple[type, ...] = ()) -> Iterator[tuple[str, Any]]:
        """Each string below a type: its path, and a minimal instance in which only that string is the marker."""
        if isinstance(kind, Variant):
            yield from self._members(kind, path, inside)
            return
        for tag, variant in variants(kind):
            at = f"{path}[{tag}]" if tag else path
            yield from self._walk_variant(variant, at, inside)

    def _walk_variant(self, kind: Any, path: str, inside: tuple[type, ...]) -> Iterator[tuple[str, Any]]:
        origin = typing.get_origin(kind)
        if kind is str:
            yield path, MARKER
        elif isinstance(kind, Variant):
            if kind.of in self.embedded and inside:
                yield path, None
            elif kind.of not in inside:
                # A type inside itself is cut: what it holds was seen one level up.
                yield from self._members(kind, path, (*inside, kind.of))
        elif origin is typing.Literal:
            self.enums.add(path)
        elif is_list(origin):
            item = typing.get_args(kind)[0]
            for tag, variant in variants(item):
                for at, value in self._walk_variant(variant, f"{path}[{tag}]", inside):
                    yield at, [value]
        elif is_map(origin):
            yield f"{path}{{key}}", {MARKER: minimal(typing.get_args(kind)[1])}
            for at, value in self.walk(typing.get_args(kind)[1], f"{path}{{}}", inside):
                yield at, {FILLER: value}
        elif kind is object or kind is Any:
            # Free JSON: a text, and one further down, in a list.
            yield path, MARKER
            yield f"{path}.*[]", {FILLER: [MARKER]}
            if not path.endswith("{}"):
                yield f"{path}{{key}}", {MARKER: FILLER}

    def _members(self, variant: Variant, path: str, inside: tuple[type, ...]) -> Iterator[tuple[str, Any]]:
        base = minimal(variant)
        for field in fields(variant.of):
            if field.name in dict(variant.fixed):
                continue
            for at, value in self.walk(field.type, f"{path}.{field.name}".lstrip("."), inside):
                yield at, value if value is None else {**base, field.name: value}


def is_list(origin: Any) -> bool:
    # `SequenceNotStr` is each SDK's own protocol.
    known = (list, collections.abc.Iterable, collections.abc.Sequence)
    return origin in known or getattr(origin, "__name__", "") == "SequenceNotStr"


def is_map(origin: Any) -> bool:
    return origin in (dict, collections.abc.Mapping)


def is_object(kind: Any) -> bool:
    return te.is_typeddict(kind) or isinstance(kind, type) and issubclass(kind, pydantic.BaseModel)


def unwrap(kind: Any) -> Any:
    """The type without `Annotated`, `Required` and aliases."""
    while True:
        origin = typing.get_origin(kind)
        if origin in (typing.Annotated, te.Required, te.NotRequired):
            kind = typing.get_args(kind)[0]
        elif isinstance(kind, te.TypeAliasType):
            kind = kind.__value__
        else:
            return kind


def parts(kind: Any) -> list[Any]:
    """The members of a union, flat, in their order, each once; a type that is none stands alone."""
    kind = unwrap(kind)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        flat = [part for member in typing.get_args(kind) for part in parts(member)]
        return list(dict.fromkeys(flat))
    return [kind]


def fields(of: type) -> list[Field]:
    """The members of a class as they stand on the wire."""
    if te.is_typeddict(of):
        hints = te.get_type_hints(of, include_extras=True)
        required = [name for name, hint in hints.items() if is_required(of, name, hint)]
        return [Field(alias(hint) or name, unwrap(hint), name in required) for name, hint in hints.items()]
    # The SDKs put off resolving their models' types.
    of.model_rebuild()
    known = of.model_fields.items()
    return [Field(info.alias or name, unwrap(info.annotation), info.is_required()) for name, info in known]


def is_required(of: type, name: str, hint: Any) -> bool:
    while typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    return typing.get_origin(hint) is te.Required or name in of.__required_keys__ and of.__total__


def alias(hint: Any) -> str | None:
    """The name on the wire, where the SDK's own differs."""
    while typing.get_origin(hint) in (te.Required, te.NotRequired):
        hint = typing.get_args(hint)[0]
    notes = typing.get_args(hint)[1:] if typing.get_origin(hint) is typing.Annotated else ()
    return next((note.alias for note in notes if getattr(note, "alias", None)), None)


def literals(field: Field) -> list[str]:
    """The texts that a field of fixed texts takes; empty when it takes others as well."""
    members = [part for part in parts(field.type) if part is not type(None)]
    if not all(typing.get_origin(part) is typing.Literal for part in members):
        return []
    return [value for part in members for value in typing.get_args(part) if isinstance(value, str)]


def variants(kind: Any) -> list[tuple[str, Any]]:
    """What may stand where a type is asked for, each with the tag that a path names it by."""
    if isinstance(kind, Variant):
        return [("", kind)]
    members = [part for part in parts(kind) if part is not type(None) and (typing.get_origin(part) or part) not in FOREIGN]
    # A request may also hold an answer's own models; on the wire these are what its parameters say.
    if any(te.is_typeddict(part) for part in members):
        members = [part for part in members if not (is_object(part) and not te.is_typeddict(part))]
    objects = [part for part in members if is_object(part)]
    tagged = [(part, fixed) for part in objects for fixed in tags(part, len(objects) > 1)]
    names = [",".join(f"{name}={value}" for name, value in fixed) for _, fixed in tagged]
    out: list[tuple[str, Any]] = [("", part) for part in members if not is_object(part)]
    for (part, fixed), name in zip(tagged, names):
        if len(tagged) == 1:
            name = ""
        elif names.count(name) > 1:
            name = ",".join(filter(None, (name, f"as={part.__name__}")))
        out.append((name, Variant(part, fixed)))
    return out


def tags(of: type, in_union: bool) -> list[tuple[tuple[str, str], ...]]:
    """The members that tell a class apart: once for each value, and once without where a variant may do without."""
    out: list[tuple[tuple[str, str], ...]] = [()]
    known = {field.name: field for field in fields(of)}
    for name in TAGS:
        values = literals(known[name]) if name in known else []
        if not values or not (known[name].required or in_union):
            continue
        if name == "role" and "content" not in known:
            continue  # Nobody speaks here.
        choices = [((name, value),) for value in values]
        if not known[name].required:
            choices.append(())
        out = [(*before, *more) for before in out for more in choices]
    return out


def minimal(kind: Any, inside: tuple[type, ...] = ()) -> Any:
    """The smallest instance of a type."""
    if isinstance(kind, Variant):
        return _minimal_object(kind, inside)
    if any(part is type(None) for part in parts(kind)):
        return None
    _, kind = variants(kind)[0]
    origin = typing.get_origin(kind)
    if isinstance(kind, Variant):
        return _minimal_object(kind, inside)
    if origin is typing.Literal:
        return typing.get_args(kind)[0]
    if is_list(origin):
        return []
    if is_map(origin):
        return {}
    if kind in DATES:
        return "2030-01-01T00:00:00Z"
    return {str: FILLER, int: 0, float: 0.5, bool: True, object: {}}[kind]


def _minimal_object(variant: Variant, inside: tuple[type, ...]) -> Any:
    assert variant.of not in inside, f"{variant.of} needs itself"
    fixed = dict(variant.fixed)
    out = {}
    for field in fields(variant.of):
        if field.name in fixed:
            out[field.name] = fixed[field.name]
        elif field.required:
            out[field.name] = minimal(field.type, (*inside, variant.of))
    return out
