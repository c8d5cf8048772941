"""A search finds what a look at every row finds: each row once, the best first, up to the limit."""

import random
import re
from collections.abc import AsyncIterator
from typing import NamedTuple
from uuid import UUID

import pytest
import pytest_asyncio
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg import sql

from db.core.connect import Connection
from db.core.ids import new_id
from db.core.listing import Conditions
from db.resources.search import add_words, search, words_of
from tests.db.rows import transaction
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest

MOST_WORDS, MOST_CHARACTERS = 12, 60  # of a text, of a term
WORDS = ("a", "ab", "abc", "b", "ba", "crane", "cranes", "cr", "12", "1")
REPEATED = ("crane crane crane crane crane crane crane crane crane crane crane", "ab-ab ab'ab")


class Row(NamedTuple):
    """A site."""

    id: UUID
    name: str
    external_id: str | None
    address: str | None

    @property
    def terms(self) -> list[tuple[int, str]]:
        """The terms of the index, with their places."""
        found = [(0, self.external_id.lower())] if self.external_id else []
        for text in filter(None, (self.name, self.address)):
            rest = text.lower()
            found.append((1, rest[:MOST_CHARACTERS]))
            for _ in range(MOST_WORDS - 1):
                behind = re.sub(r"^[a-z0-9]*[^a-z0-9]+", "", rest)
                if behind in ("", rest):
                    break
                found.append((2, behind[:MOST_CHARACTERS]))
                rest = behind
        return found

    def best(self, text: str) -> tuple[int, str] | None:
        """Return the place and the term by which a text finds the row."""
        longest, *others = words_of(text) or [text]
        found = [(place, term) for place, term in self.terms if term.startswith(text)]
        is_plain = longest == text or len(longest) < 2
        if not is_plain and all(
            any(term.startswith(other) for _, term in self.terms) for other in others
        ):
            found += [(place + 3, term) for place, term in self.terms if term.startswith(longest)]
        return min(found, default=None)


def _rows() -> list[Row]:
    """Return sites of few words, which some have many times."""
    dice = random.Random(7)

    def text() -> str:
        if dice.random() < 0.2:
            return dice.choice(REPEATED)
        words = dice.choices(WORDS, k=dice.randint(1, 14))
        words += ["zzz"] * (len(words) < MOST_WORDS and dice.random() < 0.2)
        return "".join(word + dice.choice(" -") for word in words).strip(" -")

    many = "b " + " ".join(["zz"] * MOST_WORDS)  # whose words come before all "zzz" in the index
    return [Row(new_id(), many, None, many.replace(" ", "-"))] + [
        Row(
            new_id(),
            text(),
            f"{dice.choice(WORDS)}{number}" if dice.random() < 0.3 else None,
            text() if dice.random() < 0.5 else None,
        )
        for number in range(60)
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sites(database: DatabaseUnderTest) -> AsyncIterator[tuple[Connection, list[Row]]]:
    """A connection of an organization, and its sites."""
    org_id, rows = (await Tenant.create(database)).org_id, _rows()
    async with transaction(database, "opsc_app", org_id) as conn:
        for row in rows:
            await conn.execute(
                "INSERT INTO sites (org_id, id, name, external_id, address)"
                " VALUES (current_org_id(), %s, %s, %s, %s)",
                row,
            )
        yield conn, rows


_TEXTS = st.lists(
    st.sampled_from([*WORDS, "c", "crane c", "ab a", "none", "zz"]), min_size=1, max_size=3
)


@given(words=_TEXTS, between=st.sampled_from([" ", "-"]), most=st.integers(1, 8))
@example(words=["zz"], between=" ", most=2)
async def test_a_search_finds_what_a_look_at_every_row_finds(
    sites: tuple[Connection, list[Row]], words: list[str], between: str, most: int
) -> None:
    conn, rows = sites
    text = between.join(words)
    ranked = sorted((best, row.id) for row in rows if (best := row.best(text)) is not None)
    found = await search(conn, text, ["site"], most)
    assert [each.id for each in found] == [row_id for _, row_id in ranked[:most]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("crane cab", ["crane", "cab"]),
        ("a ab abc abcd abcde", ["abcde"]),
        ("AB abc", ["abc"]),
        ("cable Cable", ["Cable"]),
        ("ab ba", ["ab", "ba"]),
        ("--", []),
    ],
)
def test_a_word_that_another_begins_with_asks_for_nothing_more(text: str, words: list[str]) -> None:
    assert words_of(text) == words


async def test_a_row_is_found_once_however_many_of_its_terms_begin_with_the_words(
    sites: tuple[Connection, list[Row]],
) -> None:
    """Else a title of twelve terms would be found a hundred times by five words."""
    conn, _ = sites
    site, name = new_id(), " ".join(f"{word}{number}" for number in range(2) for word in "vwxyz")
    await conn.execute(
        "INSERT INTO sites (org_id, id, name) VALUES (current_org_id(), %s, %s)", (site, name)
    )
    conditions = Conditions()
    add_words(conditions, "site", sql.Identifier("id"), "v w x y z")
    where = conditions.where().as_string()
    array = where[where.index("ARRAY(") : where.rindex(")")]
    statement = sql.SQL("SELECT {}").format(sql.SQL(array))
    cursor = await conn.execute(statement, conditions.values)
    assert await cursor.fetchall() == [([site],)]
