-- Filter columns compare and hash as their collation says, whether a value is kept
-- or too wide for that.

CREATE COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE names (id int, v vector(3), name text COLLATE no_case, plain text COLLATE "C", tags text[] COLLATE no_case);
INSERT INTO names SELECT i, array[i % 7, i % 11, i % 13]::vector,
	CASE i % 3 WHEN 0 THEN upper(w) ELSE w END, CASE i % 3 WHEN 0 THEN upper(w) ELSE w END,
	array[CASE i % 3 WHEN 0 THEN upper(w) ELSE w END, 'x']
FROM (SELECT i, repeat('name', i % 4 * 3 + 1) || i % 20 AS w FROM generate_series(1, 800) i) s;
CREATE INDEX names_v ON names USING vecx (v, name, plain, tags);
ANALYZE names;
SELECT vecx_check('names_v', true);

SET enable_seqscan = off;
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT * FROM names WHERE name = 'NAME4' ORDER BY v <-> '[1,2,3]' LIMIT 100;
-- case does not matter here
SELECT count(*), count(DISTINCT name COLLATE "C") FROM
	(SELECT * FROM names WHERE name = 'NAME4' ORDER BY v <-> '[1,2,3]' LIMIT 100) s;
SELECT count(*), count(DISTINCT name COLLATE "C") FROM
	(SELECT * FROM names WHERE name = repeat('naME', 10) || '7' ORDER BY v <-> '[1,2,3]' LIMIT 100) s;
SELECT count(*), count(DISTINCT name COLLATE "C") FROM
	(SELECT * FROM names WHERE name > 'namename' ORDER BY v <-> '[1,2,3]' LIMIT 1000) s;
SELECT count(*), count(DISTINCT name COLLATE "C") FROM
	(SELECT * FROM names WHERE tags @> array['NAMe4'] ORDER BY v <-> '[1,2,3]' LIMIT 100) s;
SELECT count(*), count(DISTINCT name COLLATE "C") FROM
	(SELECT * FROM names WHERE tags && array[repeat('naME', 10) || '7'] ORDER BY v <-> '[1,2,3]' LIMIT 100) s;
-- and does here
SELECT count(*), count(DISTINCT plain) FROM
	(SELECT * FROM names WHERE plain = 'NAME0' ORDER BY v <-> '[1,2,3]' LIMIT 100) s;
SELECT count(*), count(DISTINCT plain) FROM
	(SELECT * FROM names WHERE plain = repeat('name', 10) || '7' ORDER BY v <-> '[1,2,3]' LIMIT 100) s;
-- a condition under another collation is not the index's to test
EXPLAIN (COSTS OFF) SELECT * FROM names WHERE name = 'NAME4' COLLATE "C" ORDER BY v <-> '[1,2,3]' LIMIT 100;
-- the rows that there are
SELECT count(*) FILTER (WHERE lower(name) = 'name4'), count(*) FILTER (WHERE lower(name) = repeat('name', 10) || '7'),
	count(*) FILTER (WHERE name > 'namename'),
	count(*) FILTER (WHERE plain = 'NAME0'), count(*) FILTER (WHERE plain = repeat('name', 10) || '7') FROM names;

DROP TABLE names;
DROP COLLATION no_case;
