"""Search over names, numbers and ids of the organization's own, by the first letters of words.

`search_terms` is kept by triggers (`db/make_resource.sql`), and has what is not soft-deleted.
The cost of a search is bounded: of each kind and place in the index a bounded number of terms is
read, however many rows there are.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import LiteralString, NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.listing import Conditions

MIN_CHARACTERS = 2
MAX_CHARACTERS = 60  # of a query; a term has no more
MAX_WORDS = 5
# Terms with the longest of several words, of which those whose rows have the others are kept.
_LOOKED_AT: LiteralString = "500"
# What stands before the number of a work order or a quote where it is shown.
_LABEL = re.compile(r"^(#|Q-)(?=\d)", re.IGNORECASE)


class SearchedKind(NamedTuple):
    """A kind of things that is searched. title, subtitle: SQL expressions; a NULL has no title."""

    source: LiteralString
    title: LiteralString = "one.name"
    subtitle: LiteralString = "one.external_id"


class SearchResult(NamedTuple):
    """A thing that was found. subtitle: what distinguishes it from others of the same name."""

    kind: str
    id: UUID
    title: str | None
    subtitle: str | None


_NUMBERED: LiteralString = "concat_ws(' ', '#' || one.number, one.state)"
SEARCHED: Mapping[str, SearchedKind] = {
    "asset": SearchedKind("assets AS one", subtitle="coalesce(one.external_id, one.serial)"),
    "tracker": SearchedKind("trackers AS one"),
    "employee": SearchedKind("employees AS one", subtitle="coalesce(one.external_id, one.email)"),
    "client": SearchedKind("clients AS one", subtitle="coalesce(one.external_id, one.email)"),
    "site": SearchedKind("sites AS one", subtitle="coalesce(one.external_id, one.address)"),
    "zone": SearchedKind(
        "zones JOIN zone_versions AS newest ON newest.org_id = zones.org_id"
        " AND newest.zone_id = zones.id AND newest.version = zones.version"
        " CROSS JOIN LATERAL (SELECT zones.id, newest.name, zones.external_id) AS one"
    ),
    "work_order": SearchedKind("work_orders AS one", "one.title", _NUMBERED),
    "quote": SearchedKind(
        "quotes AS one",
        "one.title",
        "concat_ws(' ', 'Q-' || one.number, 'revision ' || nullif(one.revision, 1), one.state)",
    ),
    "part": SearchedKind("parts AS one", subtitle="one.number"),
    "warehouse": SearchedKind(
        "warehouses AS one", subtitle="coalesce(one.external_id, one.address)"
    ),
    "inspection_template": SearchedKind("inspection_templates AS one", subtitle="NULL"),
    "gateway": SearchedKind("gateways AS one", subtitle="one.kind"),
    "user": SearchedKind("users AS one", "coalesce(one.name, one.email)", "one.email"),
}
"""The kinds in the order in which equally good results are shown."""


def words_of(text: str) -> list[str]:
    """Return the words of a query, the longest first, at most MAX_WORDS. What another word begins
    with asks for nothing more.
    """
    words = {word.lower(): word for word in re.split(r"[\W_]+", text) if word}
    wanted = [
        word
        for lower, word in words.items()
        if not any(other != lower and other.startswith(lower) for other in words)
    ]
    return sorted(wanted, key=lambda word: (-len(word), word))[:MAX_WORDS]


async def search(
    conn: Connection, text: str, kinds: Collection[str], most: int
) -> list[SearchResult]:
    """Return what has terms that begin with the text, or has all of its words, the best first; at
    most `most` of each kind. The text has at most MAX_CHARACTERS and single spaces.
    """
    text = _LABEL.sub("", text)
    longest, *others = words_of(text) or [text]
    values = {
        "kinds": [kind for kind in SEARCHED if kind in kinds],
        "text": text,
        "longest": longest,
        "others": others,
        "most": most,
    }
    is_plain = longest == text or len(longest) < MIN_CHARACTERS
    statement = _BY_TEXT if is_plain else _BY_WORDS
    async with conn.cursor(row_factory=args_row(SearchResult)) as cursor:
        await cursor.execute(statement, values)
        return await cursor.fetchall()


# A row is as good as its best term: a code before a name before a further word, the text as it was
# typed before its words apart, and the whole term before one that goes on.
_SEARCH: LiteralString = """
WITH found AS MATERIALIZED (
    SELECT kinds.kind, kinds.number, best.*
      FROM unnest(%(kinds)s::text[]) WITH ORDINALITY AS kinds (kind, number)
     CROSS JOIN LATERAL (
        SELECT * FROM (
            SELECT DISTINCT ON (row_id) row_id, place, term FROM ({places}) AS terms
             ORDER BY row_id, place, term) AS each
         ORDER BY place, term, row_id LIMIT %(most)s) AS best)
SELECT kind, row_id, title, subtitle FROM ({shown}) AS shown ORDER BY place, term, number, row_id
"""


def _begins(term: LiteralString, text: LiteralString) -> sql.Composed:
    """Return the condition that a term begins with a text, whatever its case."""
    return sql.SQL(
        """{term} >= (lower({text} COLLATE pg_c_utf8) COLLATE "C")
        AND {term} < ((lower({text} COLLATE pg_c_utf8) || U&'\\+10FFFF') COLLATE "C")"""
    ).format(term=sql.SQL(term), text=sql.SQL(text))


def _terms(place: int, text: LiteralString, most: LiteralString) -> sql.Composed:
    """Return the statement of the first terms of a kind at a place that begin with a text."""
    return sql.SQL(
        """(SELECT row_id, place, term FROM search_terms
         WHERE kind = kinds.kind AND place = {place} AND {begins}
         ORDER BY term, row_id LIMIT {most})"""
    ).format(place=sql.Literal(place), begins=_begins("term", text), most=sql.SQL(most))


def _of_words(place: int) -> sql.Composed:
    """Return the statement of the terms with the longest word whose rows have the others too."""
    return sql.SQL(
        """(SELECT row_id, place + 3, term FROM {with_longest} AS base
         WHERE NOT EXISTS (
            SELECT FROM unnest(%(others)s::text[]) AS other (word)
             WHERE NOT EXISTS (
                SELECT FROM search_terms AS same
                 WHERE same.row_id = base.row_id AND {has_other})))"""
    ).format(
        with_longest=_terms(place, "%(longest)s::text", _LOOKED_AT),
        has_other=_begins("same.term", "other.word"),
    )


_WORDS: Sequence[LiteralString] = ("word_0", "word_1", "word_2", "word_3", "word_4")
_OF_WORD = [
    sql.SQL(
        """SELECT row_id FROM search_terms
            WHERE kind = %(searched_kind)s AND place IN (0, 1, 2) AND {begins}"""
    ).format(begins=_begins("term", f"%({name})s::text"))
    for name in _WORDS[:MAX_WORDS]
]


def add_words(conditions: Conditions, kind: str, row_id: sql.Identifier, text: str) -> None:
    """Add things of a kind that have all words of a text, none that is soft-deleted. row_id: the
    column of their ids.

    They are found first, each once however many of its terms begin with a word, and sorted then.
    PostgreSQL begins with the word that it takes to be rare.
    """
    words = words_of(text) or [text]
    first, *others = _OF_WORD[: len(words)]
    also = [sql.SQL(" AND row_id IN ({})").format(each) for each in others]
    condition = sql.SQL("{} = ANY (ARRAY(SELECT DISTINCT row_id FROM ({}{}) AS found))").format(
        row_id, first, sql.Composed(also)
    )
    values = dict(zip(_WORDS, words, strict=False))
    conditions.add(condition, searched_kind=kind, **values)


def _shown(kind: str, searched: SearchedKind) -> sql.Composed:
    return sql.SQL(
        "SELECT found.*, {title} AS title, {subtitle} AS subtitle FROM found"
        " JOIN {source} ON one.id = found.row_id WHERE found.kind = {kind}"
    ).format(
        title=sql.SQL(searched.title),
        subtitle=sql.SQL(searched.subtitle),
        source=sql.SQL(searched.source),
        kind=sql.Literal(kind),
    )


def _statement(places: Sequence[sql.Composed]) -> sql.Composed:
    """Return the statement that searches at these places of the index."""
    union = sql.SQL(" UNION ALL ")
    shown = union.join(_shown(*each) for each in SEARCHED.items())
    return sql.SQL(_SEARCH).format(places=union.join(places), shown=shown)


# By place, as many terms as the rows to be shown may have there: two codes, two names, and eleven
# further words of each name (`write_search_terms`).
_MOST_TERMS: Sequence[LiteralString] = ("%(most)s * 2", "%(most)s * 2", "%(most)s * 22")
_OF_TEXT = [_terms(place, "%(text)s::text", most) for place, most in enumerate(_MOST_TERMS)]
_BY_TEXT = _statement(_OF_TEXT)
_BY_WORDS = _statement(_OF_TEXT + [_of_words(place) for place in range(3)])
