-- Entries of one value lie by cells of near vectors: a search reads those that may have
-- something near, finds what it should, and in the end everything.

-- vectors around some places
CREATE FUNCTION around(place int, n int, spread float8) RETURNS vector IMMUTABLE LANGUAGE sql AS
	'SELECT array_agg(3.0 * hashint8(place::bigint * 65536 + d) / 2147483648.0 +
		spread * hashint8((n + 1000003)::bigint * 65536 + d) / 2147483648.0 ORDER BY d)::vector
	FROM generate_series(1, 32) d';
CREATE TABLE t (id int PRIMARY KEY, tag int, tags int[], v vector(32)) WITH (autovacuum_enabled = off);
-- half of them have the tag 1
INSERT INTO t SELECT i, CASE i % 4 WHEN 0 THEN 0 WHEN 2 THEN 2 ELSE 1 END, ARRAY[i % 3, 10 + i % 2], around(i % 25, i, 0.4)
FROM generate_series(1, 18000) i;
CREATE INDEX t_v ON t USING vecx (v vector_l2_ops, tag, tags);
VACUUM ANALYZE t;
SELECT vecx_check('t_v', true);
SET enable_seqscan = off;
SET enable_sort = off;
SET vecx.enable_bitmap_filter = off;

-- the share of the ten nearest that is found, in per cent, of queries near and far from all
CREATE FUNCTION found(condition text, operator text DEFAULT '<->', name text DEFAULT 't',
	query text DEFAULT 'around($1 % 30, -$1, CASE WHEN $1 % 4 = 0 THEN 4 ELSE 0.4 END)') RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
	search text := format('SELECT ARRAY(SELECT id FROM %s WHERE %s ORDER BY v %s (%s) LIMIT 10)', name, condition, operator, query);
	sum numeric := 0;
	truth int[];
	ids int[];
BEGIN
	FOR q IN 1 .. 40 LOOP
		SET LOCAL enable_indexscan = off;
		SET LOCAL enable_seqscan = on;
		SET LOCAL enable_sort = on;
		EXECUTE search INTO truth USING q;
		SET LOCAL enable_indexscan = on;
		SET LOCAL enable_seqscan = off;
		SET LOCAL enable_sort = off;
		EXECUTE search INTO ids USING q;
		sum := sum + cardinality(ARRAY(SELECT unnest(ids) INTERSECT SELECT unnest(truth)));
	END LOOP;
	RETURN sum / 4;
END $$;

-- entries of the value tree that a query reads
CREATE FUNCTION entries_read(q int) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM id FROM shells WHERE shell = 12 ORDER BY v <-> around(1 + q % 12, -q, 0.8) LIMIT 10;
	RETURN (SELECT entries FROM vecx_last_scan());
END $$;

SELECT found('tag = 1') >= 90 AS value, found('tag IN (0, 2)') >= 90 AS values,
	found('tag >= 1') >= 90 AS range, found('tags && ''{10}''') >= 90 AS elements,
	found('tag = 1 AND tags @> ''{11}''') >= 90 AS both, found('tag = 1 OR tags && ''{2}''') >= 90 AS either;
-- a condition that goes with a direction, from every place's own: towards the middle of all
CREATE TABLE shells (id int, v vector(32), shell int);
INSERT INTO shells SELECT i, v, ntile(12) OVER (ORDER BY v <-> m) FROM
	(SELECT i, around(1 + (12 * (i / 18000.0) ^ 2)::int, i, 0.8) AS v,
		(SELECT avg(around(1 + (12 * (j / 1000.0) ^ 2)::int, j, 0.8)) FROM generate_series(0, 999) j) AS m
	FROM generate_series(1, 17999) i) s;
CREATE INDEX shells_v ON shells USING vecx (v vector_l2_ops, shell);
ANALYZE shells;
SELECT found('shell = 1', '<->', 'shells', 'around(1 + $1 % 12, -$1, 0.8)') >= 90 AS innermost,
	found('shell = 12', '<->', 'shells', 'around(1 + $1 % 12, -$1, 0.8)') >= 90 AS outermost;
-- of 1,500 entries of a shell, but for a query that goes by the graph
SELECT min(nullif(few.entries, 0)) BETWEEN 100 AND 1000 AS a_part, max(few.entries) <= 1500 AS all_at_most FROM generate_series(1, 12) q, LATERAL entries_read(q) few(entries);
DROP TABLE shells;
SELECT by_tree FROM vecx_last_scan();
-- everything, once, without a LIMIT and with a great one
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t WHERE tag = 1 ORDER BY v <-> around(5, -1, 0.4)) s;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t WHERE tag = 1 ORDER BY v <-> around(5, -1, 0.4) LIMIT 2000) s;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t WHERE tag IN (0, 1) ORDER BY v <-> around(5, -1, 0.4)) s;

-- what comes later may lie where nothing was, about as far from several cells
INSERT INTO t SELECT 20000 + i, i % 2 * 2, ARRAY[i % 2], around(100, i, 3) FROM generate_series(1, 600) i;
SELECT found('tag = 2') >= 90 AS value, found('tag = 2', '<->', 't', 'around(100, -$1, 1)') >= 90 AS there;
SELECT by_tree FROM vecx_last_scan();
-- rows of one vertex, in one cell, with values of their own; rows that go, and change their values
INSERT INTO t SELECT 30000 + i, 1 + i % 2, '{}', around(7, 7 + 60, 1) FROM generate_series(1, 20) i;
UPDATE t SET tag = 2 - tag WHERE id % 5 = 0;
DELETE FROM t WHERE id % 7 = 0;
SELECT vecx_check('t_v', true);
VACUUM t;
SELECT vecx_check('t_v', true);
SELECT found('tag = 1') >= 90 AS value, found('tag >= 1') >= 90 AS range;
SELECT count(*) = (SELECT count(*) FROM t WHERE tag + 0 = 2) AS all_of_them
FROM (SELECT id FROM t WHERE tag = 2 ORDER BY v <-> around(5, -1, 0.4)) s;

-- the other metrics; L1 has no cells
DROP INDEX t_v;
CREATE INDEX t_v ON t USING vecx (v vector_ip_ops, tag);
SELECT found('tag = 1', '<#>') >= 90 AS product;
DROP INDEX t_v;
CREATE INDEX t_v ON t USING vecx (v vector_cosine_ops, tag);
SELECT found('tag = 1', '<=>') >= 90 AS cosine;
DROP INDEX t_v;
CREATE INDEX t_v ON t USING vecx (v vector_l1_ops, tag);
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t WHERE tag = 1 ORDER BY v <+> around(5, -1, 0.4)) s;
SELECT vecx_check('t_v', true);

-- where nearly all that is near a query matches the graph finds it, elsewhere the tree
CREATE TABLE kinds AS SELECT i AS id, i % 12 AS kind, around(i % 12, i, 0.4)::vector(32) AS v FROM generate_series(1, 18000) i;
CREATE INDEX kinds_v ON kinds USING vecx (v vector_l2_ops, kind);
ANALYZE kinds;
CREATE FUNCTION by_tree(kind int, place int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM id FROM kinds k WHERE k.kind = by_tree.kind ORDER BY v <-> around(place, -1, 0.4) LIMIT 10;
	RETURN (SELECT l.by_tree FROM vecx_last_scan() l);
END $$;
SELECT count(*) FILTER (WHERE by_tree(p, p)) <= 4 AS own, count(*) FILTER (WHERE by_tree((p + 5) % 12, p)) >= 8 AS other
FROM generate_series(0, 11) p;
SELECT found('kind = $1 % 12', '<->', 'kinds', 'around($1 % 12, -$1, 0.4)') >= 90 AS own,
	found('kind = ($1 + 5) % 12', '<->', 'kinds', 'around($1 % 12, -$1, 0.4)') >= 85 AS other;
-- searches go by L2 where the operator is L1: the farther the rows, the less it tells
DROP INDEX kinds_v;
CREATE INDEX kinds_l1 ON kinds USING vecx (v vector_l1_ops, kind);
ANALYZE kinds;
SELECT found('kind = ($1 + 5) % 12', '<+>', 'kinds', 'around($1 % 12, -$1, 0.4)') >= 90 AS other,
	found('kind BETWEEN 3 AND 7', '<+>', 'kinds', 'around(8 + $1 % 4, -$1, 0.4)') >= 90 AS range;
DROP TABLE kinds;

-- equal rows have nothing to tell apart
CREATE TABLE same AS SELECT i AS id, i % 2 AS tag, around(1, 1, 1)::vector(32) AS v FROM generate_series(1, 6000) i;
CREATE INDEX same_v ON same USING vecx (v vector_l2_ops, tag);
SELECT count(*) FROM (SELECT id FROM same WHERE tag = 1 ORDER BY v <-> around(1, 2, 1)) s;
SELECT vecx_check('same_v', true);
DROP TABLE t, same;
DROP FUNCTION around, found, entries_read, by_tree;
