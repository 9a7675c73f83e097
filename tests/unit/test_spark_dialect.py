"""The SQL that Spark gets: snapshots of every rule, and what is refused. No Java: nothing runs here."""

from __future__ import annotations

import re

import pytest
from analytics.spark.dialect import UntranslatableError, to_spark
from analytics.spark.regex import RegexError, to_java
from analytics.spark.session import catalog_configuration, parse


def translated(sql: str) -> str:
    text = re.sub(r"\s+", " ", to_spark(sql, lambda schema, name: f"cat.{schema}.{name}", model="m"))
    return text.replace("( ", "(").replace(" )", ")")


SNAPSHOTS = {
    "select [x.a for x in l if x.b] as c from t": "SELECT TRANSFORM(FILTER(l, x -> x.b), x -> x.a) AS c FROM t",
    "select len(l) as n, list_has_any(l, m) as h from t": "SELECT SIZE(l) AS n, ARRAYS_OVERLAP(l, m) AS h FROM t",
    "select l[1] as a, l[-1] as z from t": "SELECT TRY_ELEMENT_AT(l, 1) AS a, TRY_ELEMENT_AT(l, -1) AS z FROM t",
    "select l[3:] as s from t": "SELECT SLICE(l, (3), SIZE(l)) AS s FROM t",
    "select list_slice(l, 2, 3) as s from t": "SELECT SLICE(l, (2), (3) - (2) + 1) AS s FROM t",
    "select string_split(a, '.') as s from t": "SELECT SPLIT(a, CONCAT('\\\\Q', '.', '\\\\E')) AS s FROM t",
    "select epoch_ms(a) as m, to_timestamp(n) as s from t": (
        "SELECT UNIX_MILLIS(a) AS m, TIMESTAMP_SECONDS(n) AS s FROM t"
    ),
    "select timezone('Asia/Tokyo', a) as l from t": (
        "SELECT CONVERT_TIMEZONE('UTC', 'Asia/Tokyo', CAST(a AS TIMESTAMP_NTZ)) AS l FROM t"
    ),
    "select arg_min(a, row(b, -c)) as x from t": (
        "SELECT MIN_BY(a, CASE WHEN NOT (a) IS NULL THEN STRUCT(b IS NULL, b, -c IS NULL, -c) END) AS x FROM t"
    ),
    "select quantile_cont(a, 0.5) as x from t": "SELECT PERCENTILE(CAST(a AS DOUBLE), 0.5) AS x FROM t",
    "select count(*) filter (where a) over (partition by b) as x from t": (
        "SELECT COUNT(CASE WHEN a THEN 1 END) OVER (PARTITION BY b) AS x FROM t"
    ),
    "select unnest(l) as x, generate_subscripts(l, 1) as p from t": (
        "SELECT x, CAST(list_index + 1 AS BIGINT) AS p FROM t LATERAL VIEW POSEXPLODE(l) laid_out AS list_index, x"
    ),
    "select cast(unnest(range(1, 8)) as integer) as d": (
        "SELECT EXPLODE(TRANSFORM(CASE WHEN 1 <= (8) - 1 THEN SEQUENCE(1, (8) - 1) END, v -> CAST(v AS INT))) AS d"
    ),
    "select list(a order by b) as x from t": (
        "SELECT TRANSFORM(ARRAY_SORT(COLLECT_LIST(STRUCT(b AS k0, a AS v))), s -> s.v) AS x FROM t"
    ),
    "with r as (select * from s.r) select * from s.l as l asof join r on l.k = r.k and l.t >= r.t": (
        "WITH r AS (SELECT * FROM cat.s.r AS r) SELECT * FROM cat.s.l AS l JOIN (SELECT *, LEAD(t) OVER"
        " (PARTITION BY k ORDER BY t) AS next_begin FROM r) AS r ON (l.k = r.k AND l.t >= r.t)"
        " AND (l.t < r.next_begin OR r.next_begin IS NULL)"
    ),
    "select a from t where (a, b) in (select (c, d) from u)": ("SELECT a FROM t WHERE (a, b) IN (SELECT c, d FROM u)"),
    "select lag(a) over w as x from t window w as (order by b rows between 1 preceding and current row)": (
        "SELECT LAG(a) OVER (ORDER BY b NULLS LAST) AS x FROM t"
        " WINDOW w AS (ORDER BY b NULLS LAST rows BETWEEN 1 preceding AND CURRENT ROW)"
    ),
    "select isodow(d) as w, dayname(d) as n, strftime(a at time zone 'UTC', '%Y-%m-%d %H:%M:%S UTC') as t from t": (
        "SELECT (WEEKDAY(d) + 1) AS w, DATE_FORMAT(d, 'EEEE') AS n, "
        "DATE_FORMAT(a, 'yyyy-MM-dd HH:mm:ss \\'UTC\\'') AS t FROM t"
    ),
    "select * exclude (a) from t qualify row_number() over (partition by b order by c) = 1": (
        "SELECT * EXCEPT (is_qualified) FROM (SELECT * EXCEPT (a), (ROW_NUMBER() OVER (PARTITION BY b"
        " ORDER BY c NULLS LAST) = 1) AS is_qualified FROM t) AS qualified WHERE is_qualified"
    ),
    "select string_agg(a, ', ' order by b) as x from t": (
        "SELECT LISTAGG(a, ', ') WITHIN GROUP (ORDER BY b NULLS LAST) AS x FROM t"
    ),
    "select date_diff('day', min(a), max(a)) as d from t": (
        "SELECT CAST(DATEDIFF(CAST(MAX(a) AS DATE), CAST(MIN(a) AS DATE)) AS BIGINT) AS d FROM t"
    ),
    "select cast(round(cast(a as double)) / 1000 as decimal(18, 3)) as x from t": (
        "SELECT CAST(ROUND(CAST(a AS DOUBLE)) / 1000 AS DECIMAL(18, 3)) AS x FROM t"
    ),
    "select a from s.t where b and rowid in (select rowid from s.t where c in (select d from s.u))": (
        "SELECT a FROM cat.s.t AS t WHERE b AND (c IN (SELECT d FROM cat.s.u AS u))"
    ),
    "with r as materialized (select a from t) select a from r": "WITH r AS (SELECT a FROM t) SELECT a FROM r",
    "select hash('a', b) as h from t": "SELECT XXHASH64('a', b) AS h FROM t",
    "select sum(a = 'b') as s, sum(c) as t from t": "SELECT SUM(CAST(a = 'b' AS BIGINT)) AS s, SUM(c) AS t FROM t",
    "select cast(null as character varying(256)) as a, cast(null as struct(b bigint, c varchar)[]) as d": (
        "SELECT CAST(NULL AS STRING) AS a, CAST(NULL AS ARRAY<STRUCT<b: BIGINT, c: STRING>>) AS d"
    ),
    "select cast('[{b: 1, c: its}]' as struct(b bigint, c varchar)[]) as l": (
        'SELECT FROM_JSON(\'[{"b":1,"c":"its"}]\', \'ARRAY<STRUCT<b: BIGINT, c: STRING>>\') AS l'
    ),
    r"select regexp_replace(a, 'x\s', '', 'g') as x from t": (
        "SELECT REGEXP_REPLACE(a, 'x[\\\\t\\\\n\\\\f\\\\r ]', '') AS x FROM t"
    ),
    r"select regexp_replace(a, '^(b)c', '\1') as x from t": "SELECT REGEXP_REPLACE(a, '^(b)c', '$1') AS x FROM t",
}


@pytest.mark.parametrize("sql", SNAPSHOTS)
def test_a_rule_writes_what_spark_reads_the_same_way(sql: str) -> None:
    expected = SNAPSHOTS[sql]
    assert translated(sql) == expected


REFUSED = {
    "select\n  soundex(a) as x\nfrom t": ("soundex", 2),
    "select\n  a,\n  json_extract(a, '$.b') as x\nfrom t": ("a", 3),
    "select * replace (1 as a) from t": ("* replace", 1),
    "select a from t union all by name select b from u": ("union by name", 1),
    "select distinct on (a) a from t": ("distinct on", 1),
    "select rowid from t": ("rowid", 1),
    "select a from s.t where rowid in (select rowid from s.u where b)": ("rowid", 1),
    "select a from s.t where not rowid in (select rowid from s.t where b)": ("rowid", 1),
    "select cast(a as uuid) as x from t": ("type", 1),
    "select a from t\npositional join u": ("join", 2),
    "select a from t,\n  unnest(l)": ("unnest", 2),
    "select regexp_replace(a, 'b', 'c') as x\nfrom t": ("first match only", 1),
    "select regexp_matches(a, b) as x from t": ("not written out", 1),
    r"select regexp_matches(a, '\p{L}') as x from t": ("\\p", 1),
    "select list(a) as x from t": ("without an order", 1),
    "select unnest(a) as x, unnest(b) as y from t": ("second unnest", 1),
    "select strftime(a, '%d') as x from t": ("time format", 1),
    "select cast(a / 2 as decimal(18, 9)) as x from t": ("rounded()", 1),
    "select cast(quantile_cont(a, 0.5) filter (where b) as decimal(18, 3)) as x from t": ("rounded()", 1),
    "select date_diff('hour', a, b) as x from t": ("other units", 1),
    "select sum(a) from t pivot (sum(b) for c in ('d'))": ("", 1),
}


@pytest.mark.parametrize("sql", REFUSED)
def test_what_is_not_known_is_refused_with_model_construct_and_line(sql: str) -> None:
    construct, line = REFUSED[sql]
    with pytest.raises(UntranslatableError) as caught:
        to_spark(sql, lambda schema, name: name, model="dim_things")
    message = str(caught.value)
    assert message.startswith("model dim_things: ")
    assert construct in message.lower()
    assert f"line {line}" in message
    assert "\n" not in message


def test_what_cannot_be_read_is_refused_too() -> None:
    with pytest.raises(UntranslatableError, match="model m: cannot be read"):
        to_spark("select from where", lambda schema, name: name, model="m")


# A pattern of RE2's, a text, whether it is found. Python's `re` stands in for Java's: it reads these the same.
FOUND = [
    (r"a$", "a\n", False),
    (r"a$", "ba", True),
    (r"\bpr\b", "épr", True),
    (r"\bpr\b", "apr", False),
    (r"(?i)fix", "FI\u00d7", False),
    (r"(?i)task", "TAS\u212a", True),
    (r"(?i)s", "\u017f", True),
    (r"(?i)i", "\u0131", False),
    (r"a\sb", "a\u000bb", False),
    (r"a\sb", "a\u00a0b", False),
    (r"a\sb", "a\fb", True),
    (r"a.b", "a\u2028b", True),
    (r"a.b", "a\nb", False),
    (r"[;&&|]x", "&x", True),
    (r"[[]x", "[x", True),
    (r"(?i)[a-c]x", "BX", True),
    (r"(?:(?i)a)b", "AB", False),
    (r"^[^\n]*(?:timed? ?out)", "it timed out", True),
]


@pytest.mark.parametrize(("pattern", "text", "found"), FOUND)
def test_a_regular_expression_finds_what_duckdb_finds(pattern: str, text: str, found: bool) -> None:
    import duckdb

    # what the list says is what DuckDB does
    assert duckdb.execute("select regexp_matches(?, ?)", [text, pattern]).fetchone() == (found,)
    assert (re.search(to_java(pattern).replace(r"\z", r"\Z"), text, re.ASCII) is not None) == found


def test_any_character_is_one_class() -> None:
    """Not a choice of two, which Java would repeat by recursion."""
    assert to_java(r"<a>[\s\S]*?</a>") == r"<a>[\t\n\f\r [^\t\n\f\r ]]*?</a>"


@pytest.mark.parametrize(
    "pattern", [r"[^\Sa]", r"\p{L}", "(?P<a>b)", "(?s)a", "[[:alpha:]]", r"\Aa", "(?i)ä", "(?i)[A-z]", "[a"]
)
def test_a_regular_expression_that_is_not_known_is_refused(pattern: str) -> None:
    with pytest.raises(RegexError):
        to_java(pattern)


def test_spark_finds_the_catalog_that_pyiceberg_uses() -> None:
    sqlite = catalog_configuration(
        {"type": "sql", "uri": "sqlite:////data/catalog.db?timeout=2", "warehouse": "file:///data"}
    )
    assert sqlite["spark.sql.catalog.default.uri"] == "jdbc:sqlite:/data/catalog.db?busy_timeout=10000"
    postgres = catalog_configuration({"uri": "postgresql+psycopg2://me:a%40b@host:5/db", "type": "sql"})
    assert postgres["spark.sql.catalog.default.uri"] == "jdbc:postgresql://host:5/db"
    assert postgres["spark.sql.catalog.default.jdbc.password"] == "a@b"
    properties = {"uri": "sqlite:////c", "type": "sql", "warehouse": "s3://b/w", "s3.endpoint": "http://h:1"}
    store = catalog_configuration({**properties, "s3.region": "eu-central-1", "s3.access-key-id": "k"})
    assert store["spark.sql.catalog.default.io-impl"] == "org.apache.iceberg.aws.s3.S3FileIO"
    assert store["spark.sql.catalog.default.s3.path-style-access"] == "true"
    assert store["spark.sql.catalog.default.client.region"] == "eu-central-1"
    assert store["spark.sql.catalog.default.s3.access-key-id"] == "k"
    assert catalog_configuration({"uri": "https://host/api"})["spark.sql.catalog.default.type"] == "rest"


def test_settings_of_spark_are_read_from_one_variable() -> None:
    assert parse("spark.master = spark://a:1; spark.b=x=y;") == {"spark.master": "spark://a:1", "spark.b": "x=y"}
