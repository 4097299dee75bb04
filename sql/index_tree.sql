-- The value tree: searches of rare matches by the values of filter columns.
CREATE TABLE tree_t (id int PRIMARY KEY, v vector(16), tenant int, score float8, day date,
	name text COLLATE "C", tags int[], note text);
SELECT setseed(0.25);
INSERT INTO tree_t
	SELECT i, (SELECT array_agg(random() + c + 0 * g) FROM generate_series(1, 16) g)::vector,
		i % 300, CASE WHEN i % 11 = 0 THEN 'NaN' ELSE (i % 500) / 10.0 END, '2020-01-01'::date + i % 900,
		CASE WHEN i % 13 > 0 THEN 'name ' || i % 400 END,
		CASE WHEN i % 17 > 0 THEN ARRAY[i % 7, 1000 + i % 350, CASE WHEN i % 5 = 0 THEN i END] END, 'a'
	FROM (SELECT i, i % 20 AS c FROM generate_series(1, 4000) i) s;
-- rows that share a vector, and rows without one
INSERT INTO tree_t SELECT 10000 + i, (SELECT v FROM tree_t WHERE id = 77), i % 50, i, NULL, 'shared', '{}', 'b'
	FROM generate_series(1, 300) i;
INSERT INTO tree_t SELECT 20000 + i, NULL, i, i, '2030-01-01', 'none', ARRAY[5000], 'c' FROM generate_series(1, 20) i;
CREATE INDEX tree_idx ON tree_t USING vecx (v, tenant, score, day, name, tags);
ANALYZE tree_t;
SELECT vecx_check('tree_idx', true);
SELECT bytes_tree > 1000000 AS has_tree FROM vecx_info('tree_idx');

\getenv abs_srcdir PG_ABS_SRCDIR
\set filter :abs_srcdir '/sql/shared/filter.sql'
\i :filter
CREATE FUNCTION tree_test(condition text, OUT matches bigint, OUT same boolean, OUT recall numeric, OUT by_tree boolean)
LANGUAGE sql AS $$
	SELECT cardinality(truth), same, round((SELECT count(*) FROM unnest(best) x WHERE x = ANY (truth[1:10])) / greatest(least(10, cardinality(truth)), 1)::numeric, 1), by_tree
	FROM filter_test('tree_t', condition, (SELECT v FROM tree_t WHERE id = 1234))
$$;

-- one value, a range, several, none
SELECT c, t.* FROM unnest(ARRAY[
	'tenant = 7', 'tenant BETWEEN 5 AND 9', 'tenant >= 298', 'tenant < 0', 'tenant IS NULL',
	'score = 12.5', 'score = ''NaN''', 'score > 49.8 AND score < 60', 'score >= ''NaN''',
	'day = ''2020-02-03''', 'day IS NULL', 'day < ''2020-01-03''', 'day >= ''2030-01-01''::timestamp',
	'name = ''name 33''', 'name = ''shared''', 'name IS NULL AND tenant = 3', 'name = ''nothing''',
	'tags @> ARRAY[1033]', 'tags && ARRAY[1033, 1034, 99999]', 'tags @> ARRAY[3, 1033]', 'tags @> ARRAY[NULL]::int[]',
	'tags IS NULL AND tenant = 51', 'tags = ''{}''', 'tags @> ARRAY[5000]',
	'tenant = 7 AND score < 3', 'tenant = 7 AND name = ''name 7''', 'tenant = 7 AND name = ''name 8''',
	'tenant < 30 AND day < ''2020-02-01'' AND note = ''a''']) c, tree_test(c) t;

-- where most rows match, the graph is searched
SELECT c, matches, same, by_tree FROM unnest(ARRAY['tenant >= 0', 'score >= 10', 'tags && ARRAY[1, 2, 3, 4, 5, 6]']) c, tree_test(c) t;

-- a condition that few of the near rows meet: the graph is given up
CREATE TABLE far_t AS SELECT id, v, (CASE WHEN id % 20 >= 10 THEN 1 ELSE 0 END) AS far FROM tree_t WHERE id < 10000;
ALTER TABLE far_t ALTER v TYPE vector(16);
CREATE INDEX far_idx ON far_t USING vecx (v, far);
SELECT count(*), min(id % 20) FROM (SELECT id FROM far_t WHERE far = 1
	ORDER BY v <-> (SELECT v FROM far_t WHERE id = 20) LIMIT 10) s;
SELECT by_tree FROM vecx_last_scan();

-- a bound that does not pass itself is not read, where numbers tell values apart
CREATE TABLE bound_t AS SELECT id, v, x::int AS i, CASE WHEN x = 6 AND id % 2 = 1 THEN 9223372036854775807 - id % 4 / 2 ELSE x END AS b,
		CASE WHEN x = 6 AND id % 4 = 1 THEN 'NaN' ELSE x::float8 END AS f, x::numeric AS n, '2020-01-01'::date + x AS d,
		'2020-01-01 UTC'::timestamptz + x * '1 s'::interval AS at
	FROM (SELECT id, v, CASE id % 100 WHEN 0 THEN 4 WHEN 1 THEN 6 WHEN 3 THEN 6 ELSE 5 END AS x FROM tree_t WHERE id <= 4000) s;
CREATE INDEX bound_idx ON bound_t USING vecx (v, i, b, f, n, d, at);
ANALYZE bound_t;
CREATE FUNCTION bound_test(condition text, OUT matches bigint, OUT same boolean, OUT few boolean) LANGUAGE plpgsql AS $$
DECLARE
	query vector := (SELECT v FROM bound_t WHERE id = 1234);
BEGIN
	SELECT cardinality(t.truth), t.same INTO matches, same FROM filter_test('bound_t', condition, query) t;
	EXECUTE 'SELECT id FROM bound_t WHERE ' || condition || ' ORDER BY v <-> $1 LIMIT 10' USING query;
	few := condition LIKE 'n %' OR (SELECT tested <= 80 FROM vecx_last_scan());
END $$;
SELECT c, t.* FROM unnest(ARRAY[
	'i < 5', 'i > 5', 'i > 4 AND i < 5', 'b < 5', 'b > 5', 'b > 9223372036854775806', 'b > 9223372036854775807', 'b < -9223372036854775808',
	'f < 5', 'f > 5', 'f > ''Infinity''', 'f > 5 AND f < ''NaN''', 'n < 5', 'd < ''2020-01-06''', 'd > ''2020-01-06 00:00:00''::timestamp',
	'd > ''2020-01-05 23:59:59''::timestamp AND d > ''2020-01-06''', 'at < ''2020-01-01 00:00:05 UTC''', 'at > ''2020-01-01 00:00:05 UTC''']) c, bound_test(c) t;

-- inserts, updates and VACUUM keep the tree
INSERT INTO tree_t SELECT 30000 + i, (SELECT array_agg(random()) FROM generate_series(1, 16) WHERE i > 0)::vector,
	1000 + i % 3, -i, '2040-01-01', 'new', ARRAY[7777], 'd' FROM generate_series(1, 300) i;
UPDATE tree_t SET tenant = 2000 WHERE tenant = 1000;
DELETE FROM tree_t WHERE id % 4 = 0;
SELECT vecx_check('tree_idx', true);
VACUUM tree_t;
SELECT vecx_check('tree_idx', true);
SELECT c, t.* FROM unnest(ARRAY['tenant = 1000', 'tenant = 1001', 'tenant = 2000', 'score < 0', 'tags @> ARRAY[7777]', 'name = ''shared''']) c, tree_test(c) t;
-- values that only removed rows had go, those that others have stay
CREATE TABLE moved_t AS SELECT i AS id, ARRAY[i, i % 7, 1]::vector AS v, 1 AS place, now() AS at FROM generate_series(1, 400) i;
ALTER TABLE moved_t ALTER v TYPE vector(3);
INSERT INTO moved_t SELECT 1000 + id, v, 3, now() FROM moved_t;
CREATE INDEX moved_idx ON moved_t USING vecx (v, place, at);
CREATE FUNCTION tree_entries() RETURNS bigint LANGUAGE sql AS $$ SELECT bytes_tree / 29 FROM vecx_info('moved_idx') $$;
SELECT tree_entries() AS before \gset
DO $$ BEGIN
	FOR i IN 1..5
	LOOP
		UPDATE moved_t SET place = i + 1, at = at + '1 s' WHERE id < 1000;
	END LOOP;
END $$;
SELECT tree_entries() - :before > 2000 AS grown;
VACUUM moved_t;
SELECT tree_entries() - :before < 500 AS shrunk;
SELECT vecx_check('moved_idx', true);
SELECT place, count(*) FROM (SELECT place FROM moved_t WHERE place IN (1, 2, 3, 6) ORDER BY v <-> '[9,9,9]' OFFSET 0) s GROUP BY 1 ORDER BY 1;
DROP TABLE moved_t;
REINDEX INDEX CONCURRENTLY tree_idx;
SELECT vecx_check('tree_idx', true);
SELECT c, t.* FROM unnest(ARRAY['tenant = 2000', 'tags @> ARRAY[7777]']) c, tree_test(c) t;
DELETE FROM tree_t;
VACUUM tree_t;
SELECT vecx_check('tree_idx', true);
SELECT c, t.* FROM unnest(ARRAY['tenant = 2000', 'tenant IS NULL']) c, tree_test(c) t;

-- memory for fewer vertices than match
CREATE TABLE many_t AS SELECT i AS id, ARRAY[random(), random(), random()]::vector AS v, i % 10 AS ten FROM generate_series(1, 12000) i;
ALTER TABLE many_t ALTER v TYPE vector(3);
CREATE INDEX many_idx ON many_t USING vecx (v, ten);
SET work_mem = '64kB';
SELECT count(*), count(DISTINCT id), sum(id) FROM (SELECT id FROM many_t WHERE ten IN (3) ORDER BY v <-> '[0,0,0]' OFFSET 0) s;
RESET work_mem;
SELECT sum(id) FROM many_t WHERE ten = 3;

-- bit strings, whose sketches are some of their bits, and inner products
CREATE TABLE bit_t AS SELECT i AS id, (SELECT string_agg((random() < 0.5)::int::text, '') FROM generate_series(1, 1024) WHERE i > 0)::bit(1024) AS b,
	i % 100 AS part FROM generate_series(1, 2000) i;
CREATE INDEX bit_idx ON bit_t USING vecx (b bit_hamming_ops, part);
SELECT vecx_check('bit_idx', true);
SELECT count(*), min(id % 100), max(id % 100) FROM (SELECT id FROM bit_t WHERE part = 42 ORDER BY b <~> (SELECT b FROM bit_t WHERE id = 42)) s;
SELECT id FROM bit_t WHERE part = 42 ORDER BY b <~> (SELECT b FROM bit_t WHERE id = 442) LIMIT 1;
CREATE INDEX ip_idx ON tree_t USING vecx (v vector_ip_ops, tenant);
CREATE INDEX cosine_idx ON tree_t USING vecx (v vector_cosine_ops, tenant);
CREATE INDEX l1_idx ON tree_t USING vecx (v vector_l1_ops, tenant);
INSERT INTO tree_t SELECT i, (SELECT array_agg(random() - 0.5) FROM generate_series(1, 16) WHERE i > 0)::vector, i % 100 FROM generate_series(1, 3000) i;
SELECT vecx_check('ip_idx', true), vecx_check('cosine_idx', true), vecx_check('l1_idx', true);
DO $$
DECLARE
	op text;
	q vector := (SELECT v FROM tree_t WHERE id = 55);
	found int[];
	truth int[];
BEGIN
	FOREACH op IN ARRAY ARRAY['<#>', '<=>', '<+>']
	LOOP
		EXECUTE format('SELECT array_agg(id) FROM (SELECT id FROM tree_t WHERE tenant = 55 ORDER BY v %s $1 LIMIT 10) s', op) INTO found USING q;
		EXECUTE format('SELECT array_agg(id) FROM (SELECT id FROM tree_t WHERE tenant = 55 ORDER BY v %s $1, id OFFSET 0) s', op) INTO truth USING q;
		RAISE NOTICE '% finds % of 10 by the tree: %', op,
			(SELECT count(*) FROM unnest(found) x WHERE x = ANY (truth[1:10])), (SELECT by_tree FROM vecx_last_scan());
	END LOOP;
END $$;
DROP TABLE tree_t, far_t, bound_t, many_t, bit_t;
DROP FUNCTION tree_test, bound_test, tree_entries, filter_test;
