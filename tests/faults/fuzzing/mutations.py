"""Changes of a request, chosen by chance: what clients with defects send, what proxies break, what attackers try."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote_plus

from azureml_wrapper.signatures import shared_key_text, sign
from tests.faults.fuzzing.values import HEADERS, METHODS, NUMBERS, QUERIES, TEXTS, WRONG


@dataclass
class Draft:
    """A request that is not sent yet. A body is JSON if it is neither text, nor bytes, nor None."""

    method: str
    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: Any = None
    authorization: str = ""
    # Signs with the account's key, when the rest is settled.
    account: str = ""
    key: str = ""
    # How many bytes more or fewer than there are the request announces.
    excess: int = 0

    def content(self) -> bytes:
        if self.body is None:
            return b""
        if isinstance(self.body, bytes):
            return self.body
        if isinstance(self.body, str):
            return self.body.encode("utf-8", "surrogatepass")
        return json.dumps(self.body).encode()

    def target(self) -> str:
        query = "&".join(f"{quote(name, safe='$', errors='replace')}={value}" for name, value in self.query)
        return f"{self.path}?{query}" if query else self.path

    def signed(self, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """The headers with an authorization."""
        if not self.account:
            return [*headers, ("Authorization", self.authorization)] if self.authorization else headers
        given = {name.lower(): value for name, value in headers}
        text = shared_key_text(self.method, self.account, self.path, _decoded(self.query), given)
        return [*headers, ("Authorization", f"SharedKey {self.account}:{sign(self.key, _valid(text))}")]


def _decoded(query: list[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): unquote_plus(value) for name, value in query}


def _valid(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the values of a body are: tuples of keys and numbers."""
    found = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in found:
        yield (*at, key)
        yield from places(item, (*at, key))


def replaced(body: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    copy: Any = dict(body) if isinstance(body, dict) else list(body)
    copy[place[0]] = replaced(copy[place[0]], place[1:], value)
    return copy


def dropped(body: Any, place: tuple[Any, ...]) -> Any:
    copy: Any = dict(body) if isinstance(body, dict) else list(body)
    if len(place) == 1:
        del copy[place[0]]
    else:
        copy[place[0]] = dropped(copy[place[0]], place[1:])
    return copy


def found_at(body: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        body = body[key]
    return body


Mutation = Callable[[Draft, random.Random], None]


def _is_json(draft: Draft) -> bool:
    return isinstance(draft.body, (dict, list)) and bool(draft.body)


def _replace_value(draft: Draft, chance: random.Random) -> None:
    if _is_json(draft):
        draft.body = replaced(draft.body, chance.choice([*places(draft.body)]), chance.choice(WRONG))
    else:
        draft.body = [chance.choice(WRONG)] if chance.random() < 0.3 else chance.choice(({}, [], 5, True))


def _drop_key(draft: Draft, chance: random.Random) -> None:
    if _is_json(draft):
        draft.body = dropped(draft.body, chance.choice([*places(draft.body)]))


def _swap_values(draft: Draft, chance: random.Random) -> None:
    if _is_json(draft):
        every = [*places(draft.body)]
        draft.body = replaced(draft.body, chance.choice(every), found_at(draft.body, chance.choice(every)))


def _rename_key(draft: Draft, chance: random.Random) -> None:
    if isinstance(draft.body, dict) and draft.body:
        key = chance.choice([*draft.body])
        other = chance.choice((key.lower(), key.upper(), key + "s", "", "x\0", "__proto__", "$ref"))
        draft.body = {(other if name == key else name): value for name, value in draft.body.items()}


def _double_key(draft: Draft, chance: random.Random) -> None:
    if isinstance(draft.body, dict) and draft.body:
        key, value = chance.choice([*draft.body]), json.dumps(chance.choice(WRONG))
        draft.body = json.dumps(draft.body)[:-1] + f", {json.dumps(key)}: {value}}}"


def _nest(draft: Draft, chance: random.Random) -> None:
    depth = chance.choice((10, 100, 249, 251, 1100, 20000))
    before, after = chance.choice((("[", "]"), ('{"a":', "}")))
    nested = before * depth + "1" + after * depth * chance.choice((1, 1, 0))
    if _is_json(draft):
        mark = "@nested@"
        text = json.dumps(replaced(draft.body, chance.choice([*places(draft.body)]), mark))
        draft.body = text.replace(f'"{mark}"', nested)
    else:
        draft.body = nested


def _whole_body(draft: Draft, chance: random.Random) -> None:
    value = chance.choice(WRONG)
    draft.body = json.dumps(value) if chance.random() < 0.5 else value if isinstance(value, str) else b"\x00\xff" * 20


def _long_value(draft: Draft, chance: random.Random) -> None:
    long: Any = chance.choice(("x" * 100_000, ["x"] * 5000, {str(each): each for each in range(2000)}))
    if _is_json(draft):
        draft.body = replaced(draft.body, chance.choice([*places(draft.body)]), long)
    else:
        draft.body = "y" * chance.choice((1, 300_000))


def _damage_bytes(draft: Draft, chance: random.Random) -> None:
    data = bytearray(draft.content()) or bytearray(b"{}")
    for _ in range(chance.choice((1, 1, 3, 20))):
        data[chance.randrange(len(data))] = chance.choice((0, 9, 34, 44, 58, 91, 123, 128, 237, 255))
    draft.body = bytes(data)


def _truncate(draft: Draft, chance: random.Random) -> None:
    data = draft.content()
    draft.body = data[: chance.randrange(len(data) + 1)]


def _repeat_slice(draft: Draft, chance: random.Random) -> None:
    data = draft.content()
    if data:
        begin, end = sorted((chance.randrange(len(data)), chance.randrange(len(data))))
        draft.body = data[:end] + data[begin:]


def _other_encoding(draft: Draft, chance: random.Random) -> None:
    text = draft.content().decode("utf-8", "replace")
    draft.body = text.encode(chance.choice(("utf-16", "utf-32", "utf-8-sig", "cp037")), "replace")


def _inside_text(draft: Draft, chance: random.Random) -> None:
    """Change JSON that stands in a string of the body, such as a run configuration in a graph."""
    if not _is_json(draft):
        return
    found = [place for place in places(draft.body) if _is_json_text(found_at(draft.body, place))]
    if found:
        place = chance.choice(found)
        inner = Draft("", "", body=json.loads(found_at(draft.body, place)))
        chance.choice(_IN_TEXTS)(inner, chance)
        draft.body = replaced(draft.body, place, inner.content().decode("utf-8", "replace"))


def _is_json_text(value: Any) -> bool:
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return False
    try:
        json.loads(value)
    except (ValueError, RecursionError):
        # Another change may have nested it too deep already.
        return False
    return True


def _non_number(draft: Draft, chance: random.Random) -> None:
    if _is_json(draft):
        number = chance.choice((float("nan"), float("inf"), -float("inf")))
        draft.body = replaced(draft.body, chance.choice([*places(draft.body)]), number)


def _odd_text(chance: random.Random) -> str:
    return str(chance.choice((*TEXTS, *NUMBERS)))


def _encoded(text: str, chance: random.Random) -> str:
    return quote(text, safe=chance.choice(("", "/", "/.%")), errors="replace")


def _odd_query(draft: Draft, chance: random.Random) -> None:
    if draft.query and chance.random() < 0.5:
        number = chance.randrange(len(draft.query))
        draft.query[number] = (draft.query[number][0], _encoded(_odd_text(chance), chance))
    else:
        draft.query.append((chance.choice(QUERIES), _encoded(_odd_text(chance), chance)))


def _drop_query(draft: Draft, chance: random.Random) -> None:
    if draft.query:
        del draft.query[chance.randrange(len(draft.query))]


def _double_query(draft: Draft, chance: random.Random) -> None:
    if draft.query:
        name, _ = chance.choice(draft.query)
        draft.query.append((name.upper(), _encoded(_odd_text(chance), chance)))


def _odd_segment(draft: Draft, chance: random.Random) -> None:
    parts = draft.path.split("/")
    parts[chance.randrange(1, len(parts))] = _encoded(_odd_text(chance), chance) or "%20"
    draft.path = "/".join(parts)


def _last_segment(draft: Draft, chance: random.Random) -> None:
    parts = draft.path.split("/")
    parts[-1] = _encoded(_odd_text(chance), chance)
    draft.path = "/".join(parts)


def _shape_of_path(draft: Draft, chance: random.Random) -> None:
    parts = draft.path.split("/")
    number = chance.randrange(1, len(parts))
    changed = {
        "drop": parts[:number] + parts[number + 1 :],
        "double": parts[:number] + parts[number:][:1] + parts[number:],
        "empty": [*parts[:number], "", *parts[number:]],
        "end": [*parts, ""],
        "upper": [*parts[:number], parts[number].upper(), *parts[number + 1 :]],
        "dots": [*parts[:number], "..", *parts[number:]],
        "encoded": [*parts[:number], "%2F".join(parts[number:])],
        "long": [*parts, "x" * 5000],
        "raw": [*parts[:number], "\xff ü%zz%", *parts[number + 1 :]],
    }
    draft.path = "/".join(changed[chance.choice(sorted(changed))]) or "/"


def _other_method(draft: Draft, chance: random.Random) -> None:
    draft.method = chance.choice(METHODS)


def _odd_header(draft: Draft, chance: random.Random) -> None:
    name = chance.choice(sorted(HEADERS))
    draft.headers = [item for item in draft.headers if item[0].lower() != name.lower()]
    draft.headers.append((name, chance.choice(HEADERS[name])))


def _drop_header(draft: Draft, chance: random.Random) -> None:
    if draft.headers:
        del draft.headers[chance.randrange(len(draft.headers))]


def _odd_authorization(draft: Draft, chance: random.Random) -> None:
    token = draft.authorization.rpartition(" ")[2]
    draft.account = ""
    draft.authorization = chance.choice(
        (
            "",
            "Bearer",
            "Bearer x",
            f"bearer  {token}",
            f"Bearer {token[:-3]}",
            f"Bearer {token}.x",
            "Bearer a.b.c",
            "Bearer \xff.\xff.\xff",
            "Basic eDp5",
            "SharedKey",
            "SharedKey a",
            "SharedKey :",
            "SharedKey azureml:====",
            "SharedKeyLite a:b",
            "x" * 4000,
        )
    )


def _other_length(draft: Draft, chance: random.Random) -> None:
    draft.excess = chance.choice((-1, -5, 1, 100, 10**6))


_IN_TEXTS = (_replace_value, _drop_key, _swap_values, _rename_key, _nest, _truncate, _non_number)
# How often each is chosen, of those that a request gets.
MUTATIONS: dict[Mutation, int] = {
    _replace_value: 30,
    _drop_key: 8,
    _swap_values: 6,
    _rename_key: 4,
    _double_key: 3,
    _nest: 2,
    _whole_body: 3,
    _long_value: 1,
    _damage_bytes: 5,
    _truncate: 3,
    _repeat_slice: 2,
    _other_encoding: 2,
    _non_number: 2,
    _inside_text: 8,
    _odd_query: 10,
    _drop_query: 2,
    _double_query: 2,
    _odd_segment: 6,
    _last_segment: 8,
    _shape_of_path: 4,
    _other_method: 3,
    _odd_header: 12,
    _drop_header: 2,
    _odd_authorization: 2,
    _other_length: 1,
}
_CHOICES, _WEIGHTS = list(MUTATIONS), list(MUTATIONS.values())


def mutate(draft: Draft, chance: random.Random) -> None:
    """Change a draft a few times; one in eight stays as it is."""
    count = chance.choice((0, 1, 1, 1, 1, 2, 2, 3))
    for mutation in chance.choices(_CHOICES, _WEIGHTS, k=count):
        mutation(draft, chance)
