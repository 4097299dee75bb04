-- The papers nearest to each query, then with conditions on other columns.
-- Written for psql -At: one line of text a row.

CREATE FUNCTION pg_temp.line(distance float8, year int, venue text, title text) RETURNS text
LANGUAGE sql AS $$
	SELECT format('  %s  %s  %s  %s', to_char(distance, 'FM0.000'), year, rpad(venue, 8),
		CASE WHEN length(title) > 74 THEN left(title, 73) || '…' ELSE title END)
$$;

\qecho
\qecho 'Twenty papers that are not in the table, and what is nearest to each:'
\qecho
\qecho '  SELECT embedding <=> $1, year, venue, title FROM papers ORDER BY embedding <=> $1 LIMIT 3;'

SELECT CASE WHEN lag(q.n) OVER nearest IS DISTINCT FROM q.n THEN E'\n' || q.title || E'\n' ELSE '' END
	|| pg_temp.line(p.distance, p.year, p.venue, p.title)
FROM queries q,
	LATERAL (
		SELECT title, year, venue, embedding <=> q.embedding AS distance
		FROM papers
		ORDER BY embedding <=> q.embedding
		LIMIT 3) p
WINDOW nearest AS (ORDER BY q.n, p.distance)
ORDER BY q.n, p.distance;

CREATE TEMP TABLE filtered AS
SELECT 'year >= 2024' AS condition, p.*
FROM queries q,
	LATERAL (
		SELECT title, year, venue, embedding <=> q.embedding AS distance
		FROM papers
		WHERE year >= 2024
		ORDER BY embedding <=> q.embedding
		LIMIT 3) p
WHERE q.n = 1
UNION ALL
SELECT 'venue = ''tacl''', p.*
FROM queries q,
	LATERAL (
		SELECT title, year, venue, embedding <=> q.embedding AS distance
		FROM papers
		WHERE venue = 'tacl'
		ORDER BY embedding <=> q.embedding
		LIMIT 3) p
WHERE q.n = 1
UNION ALL
SELECT 'venue = ''semeval'' AND year BETWEEN 2019 AND 2021', p.*
FROM queries q,
	LATERAL (
		SELECT title, year, venue, embedding <=> q.embedding AS distance
		FROM papers
		WHERE venue = 'semeval' AND year BETWEEN 2019 AND 2021
		ORDER BY embedding <=> q.embedding
		LIMIT 3) p
WHERE q.n = 1;

\qecho
\qecho 'The first of them again, with conditions; each search gives all the rows it asks for:'

SELECT CASE WHEN lag(condition) OVER nearest IS DISTINCT FROM condition
		THEN E'\nWHERE ' || condition || E'\n' ELSE '' END
	|| pg_temp.line(distance, year, venue, title)
FROM filtered
WINDOW nearest AS (ORDER BY condition DESC, distance)
ORDER BY condition DESC, distance;

SELECT count(*) = 9 AS complete FROM filtered \gset
\if :complete
\else
	DO $$ BEGIN RAISE EXCEPTION 'a search with a condition gave too few rows'; END $$;
\endif
