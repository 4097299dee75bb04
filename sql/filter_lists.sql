-- Filter columns of posting lists: the rows that a table scan gives at every
-- selectivity, by the lists and by the value tree, through inserts, splits and VACUUM.
SET client_min_messages = warning;
CREATE TABLE lists_t (id int PRIMARY KEY, v vector(16), tenant int, share int, score float8, day date,
	name text COLLATE "C", tags int[], note text) WITH (autovacuum_enabled = off);
SELECT setseed(0.25);
INSERT INTO lists_t
	SELECT i, (SELECT array_agg(random() * 2 + c % 5 + 0 * g) FROM generate_series(1, 16) g)::vector,
		i % 300, i * 7919 % 1000, CASE WHEN i % 11 = 0 THEN 'NaN' ELSE (i % 500) / 10.0 END, '2020-01-01'::date + i % 900,
		CASE WHEN i % 13 > 0 THEN repeat('name ' || i % 400, 1 + i % 5) END,
		CASE WHEN i % 17 > 0 THEN ARRAY[i % 7, 1000 + i % 350, CASE WHEN i % 5 = 0 THEN i END] || array_fill(i % 3, ARRAY[i % 9]) END, 'a'
	FROM (SELECT i, i % 20 AS c FROM generate_series(1, 4000) i) s;
-- rows that share a vector, and rows without one
INSERT INTO lists_t SELECT 10000 + i, (SELECT v FROM lists_t WHERE id = 77), i % 50, 5000, i, NULL, 'shared', '{}', 'b'
	FROM generate_series(1, 300) i;
INSERT INTO lists_t SELECT 20000 + i, NULL, i, 6000, i, '2030-01-01', 'none', ARRAY[5000], 'c' FROM generate_series(1, 20) i;
CREATE INDEX lists_idx ON lists_t USING vecx (v, tenant, share, score, day, name, tags) WITH (structure = lists);
ANALYZE lists_t;
SELECT vecx_check('lists_idx', true);
SELECT structure, lists > 10 AS has_lists, bytes_tree > 500000 AS has_tree, rows FROM vecx_info('lists_idx');
CREATE TABLE queries_t AS SELECT v FROM lists_t WHERE id IN (77, 2222, 3999) OR id < 4000 AND id % 1000 = 3;

\getenv abs_srcdir PG_ABS_SRCDIR
\set filter :abs_srcdir '/sql/shared/filter.sql'
\i :filter
CREATE FUNCTION lists_test(condition text, OUT matches bigint, OUT same boolean, OUT recall text, OUT by_tree boolean)
LANGUAGE plpgsql AS $$
DECLARE
	query vector;
	t record;
	hits int := 0;
	possible int := 0;
BEGIN
	same := true;
	FOR query IN SELECT v FROM queries_t LOOP
		SELECT * INTO t FROM filter_test('lists_t', condition, query);
		matches := cardinality(t.truth);
		same := same AND t.same;
		-- a scan that costs the same either way may go either
		by_tree := CASE WHEN matches < 50 OR matches > 2000 THEN t.by_tree END;
		hits := hits + (SELECT count(*) FROM lists_t l WHERE id = ANY (t.best) AND coalesce(l.v <-> query, 'inf') <=
			(SELECT max(coalesce(u.v <-> query, 'inf')) FROM lists_t u WHERE id = ANY (t.truth[1:10])));
		possible := possible + least(10, matches);
	END LOOP;
	recall := CASE WHEN hits >= possible * 0.8 THEN 'good' ELSE hits || ' of ' || possible END;
END $$;

-- from all rows to none
SELECT c, t.* FROM unnest(ARRAY['share >= 0', 'share < 500', 'share < 100', 'share < 10', 'share < 1', 'share = 5', 'share < 0',
	'share IS NOT NULL', 'share IS NULL', 'share = ANY (''{1,2,3,NULL}'')', 'share BETWEEN 100 AND 399']) c, lists_test(c) t;

-- one value, a range, several, none
SELECT c, t.* FROM unnest(ARRAY[
	'tenant = 7', 'tenant BETWEEN 5 AND 9', 'tenant >= 298', 'tenant < 0',
	'score = 12.5', 'score = ''NaN''', 'score > 49.8 AND score < 60', 'score >= ''NaN''',
	'day = ''2020-02-03''', 'day IS NULL', 'day < ''2020-01-03''', 'day >= ''2030-01-01''::timestamp',
	'name = ''name 35''', 'name = repeat(''name 33'', 4)', 'name = ''shared''', 'name < ''name 2''', 'name IS NULL AND tenant = 3',
	'tags @> ARRAY[1033]', 'tags && ARRAY[1033, 1034, 99999]', 'tags && ARRAY[1, 2]', 'tags @> ARRAY[3, 1033]', 'tags @> ARRAY[NULL]::int[]',
	'tags IS NULL AND tenant = 51', 'tags = ''{}''', 'tags @> ARRAY[5000]', '2 = ANY (tags)',
	'tenant = 7 AND score < 3', 'tenant = 7 AND name = ''name 7name 7''', 'tenant < 30 AND day < ''2020-02-01'' AND note = ''a''',
	'share < 300 AND score > 20 AND note = ''a''', 'share < 100 OR tenant = 7']) c, lists_test(c) t;

-- a condition that few of the near rows meet
CREATE TABLE far_t AS SELECT id, v, (CASE WHEN id % 5 = 4 THEN 1 ELSE 0 END) AS far FROM lists_t WHERE id < 10000;
ALTER TABLE far_t ALTER v TYPE vector(16);
CREATE INDEX far_idx ON far_t USING vecx (v, far) WITH (structure = lists);
SELECT count(*), min(id % 5) FROM (SELECT id FROM far_t WHERE far = 1
	ORDER BY v <-> (SELECT v FROM far_t WHERE id = 20) LIMIT 10) s;
SELECT count(*) FROM (SELECT id FROM far_t WHERE far = 1 ORDER BY v <-> (SELECT v FROM far_t WHERE id = 20)) s;
SELECT count(*) FROM (SELECT id FROM far_t WHERE far = 2 ORDER BY v <-> (SELECT v FROM far_t WHERE id = 20)) s;

-- rows that pass in other places than the query's: those that were not read are not known of
CREATE FUNCTION normal(n int, size float8) RETURNS vector LANGUAGE sql VOLATILE AS
	'SELECT array_agg(size * (random() + random() + random() + random() - 2) + 0 * n)::vector FROM generate_series(1, 32)';
CREATE TABLE centers AS SELECT i AS place, normal(i, 5)::vector(32) AS v FROM generate_series(0, 39) i;
CREATE TABLE apart_t AS SELECT i AS id, i % 40 AS place, (c.v + normal(i, 3.5))::vector(32) AS v
	FROM generate_series(1, 12000) i JOIN centers c ON c.place = i % 40;
CREATE INDEX apart_idx ON apart_t USING vecx (v, place) WITH (structure = lists);
ANALYZE apart_t;
CREATE FUNCTION apart_test(condition text, OUT hits int) LANGUAGE plpgsql AS $$
DECLARE
	search text := format('SELECT ARRAY(SELECT id FROM apart_t WHERE %s ORDER BY v <-> $2 LIMIT 10)', condition);
	query apart_t;
	truth int[];
	ids int[];
BEGIN
	hits := 0;
	FOR query IN SELECT * FROM apart_t WHERE id % 199 = 0 LOOP
		SET LOCAL enable_indexscan = off;
		SET LOCAL enable_seqscan = on;
		SET LOCAL enable_sort = on;
		EXECUTE search INTO truth USING query.place, query.v;
		SET LOCAL enable_indexscan = on;
		SET LOCAL enable_seqscan = off;
		SET LOCAL enable_sort = off;
		EXECUTE search INTO ids USING query.place, query.v;
		hits := hits + cardinality(ARRAY(SELECT unnest(ids) INTERSECT SELECT unnest(truth)));
	END LOOP;
END $$;
SELECT c, CASE WHEN hits >= 460 THEN 'good' ELSE hits || ' of 600' END AS recall FROM unnest(ARRAY['place = $1', 'place <> $1', 'place <> $1 AND place >= 20', 'place <> $1 AND place BETWEEN 5 AND 9']) c, apart_test(c) t;
-- the same of conditions that the index does not know: it reads on as rows fail them
SELECT CASE WHEN sum(hits) >= 1130 THEN 'good' ELSE sum(hits) || ' of 1200' END AS recall
	FROM unnest(ARRAY['(id + $1) % 10 = 0', '(id + $1) % 10 = 5']) c, apart_test(c) t;
DROP TABLE centers, apart_t;
DROP FUNCTION normal, apart_test;

-- conditions alone, with a range, with other orders of rows
SET enable_sort = on;
SELECT (SELECT count(*) FROM lists_t WHERE v <-> (SELECT v FROM lists_t WHERE id = 77) < 3.5 AND share < 500) >= 0.95 *
	(SELECT count(*) FROM lists_t WHERE (v <-> (SELECT v FROM lists_t WHERE id = 77)) + 0 * random() < 3.5 AND share < 500) AS nearly_all;
SET enable_sort = off;
SET vecx.scan_order = strict;
SELECT bool_and(d >= before) AS in_order, count(*) FROM
	(SELECT d, lag(d, 1, 0) OVER () AS before FROM
		(SELECT v <-> (SELECT v FROM lists_t WHERE id = 5) AS d FROM lists_t WHERE share < 400
		ORDER BY v <-> (SELECT v FROM lists_t WHERE id = 5) LIMIT 200) s) t;
RESET vecx.scan_order;
SET vecx.probes = 1;
SELECT c, matches, same FROM unnest(ARRAY['share < 500', 'share < 10', 'tenant = 7']) c, lists_test(c) t;
RESET vecx.probes;
SET work_mem = '64kB';
SELECT c, matches, same FROM unnest(ARRAY['share >= 0', 'share < 100', 'tags && ARRAY[1, 2]']) c, lists_test(c) t;
RESET work_mem;

-- a cursor that goes on while rows come and lists are split
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM lists_t WHERE share < 300 ORDER BY v <-> (SELECT v FROM lists_t WHERE id = 5);
MOVE 300 IN c;
INSERT INTO lists_t SELECT 40000 + i, (SELECT v FROM lists_t WHERE id = i), 7, 1, 0, NULL, 'split', NULL, 'e' FROM generate_series(1, 3000) i;
MOVE ALL IN c;
CLOSE c;
SELECT vecx_check('lists_idx', true);
ROLLBACK;

-- inserts, updates and VACUUM keep values and the tree
INSERT INTO lists_t SELECT 30000 + i, (SELECT array_agg(random()) FROM generate_series(1, 16) WHERE i > 0)::vector,
	1000 + i % 3, i, -i, '2040-01-01', 'new', ARRAY[7777], 'd' FROM generate_series(1, 1500) i;
UPDATE lists_t SET tenant = 2000 WHERE tenant = 1000;
DELETE FROM lists_t WHERE id % 4 = 0;
SELECT vecx_check('lists_idx', true);
VACUUM lists_t;
SELECT vecx_check('lists_idx', true);
SELECT c, t.* FROM unnest(ARRAY['tenant = 1000', 'tenant = 1001', 'tenant = 2000', 'share < 500', 'share = 5', 'score < 0', 'tags @> ARRAY[7777]',
	'name = ''shared''', 'tenant = 1001 AND share > 1490']) c, lists_test(c) t;
DELETE FROM lists_t WHERE share < 990;
VACUUM lists_t;
SELECT vecx_check('lists_idx', true);
SELECT c, t.* FROM unnest(ARRAY['tenant = 7', 'share >= 0', 'share < 995']) c, lists_test(c) t;
REINDEX INDEX lists_idx;
SELECT vecx_check('lists_idx', true);
REINDEX INDEX CONCURRENTLY lists_idx;
SELECT vecx_check('lists_idx', true);
SELECT c, t.* FROM unnest(ARRAY['tenant = 7', 'share >= 0', 'share < 995']) c, lists_test(c) t;
DELETE FROM lists_t;
VACUUM lists_t;
SELECT vecx_check('lists_idx', true);
INSERT INTO lists_t (id, v, share) SELECT i, ARRAY[i, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]::vector, i % 2 FROM generate_series(1, 500) i;
SELECT vecx_check('lists_idx', true);
SELECT count(*), bool_and(share = 1) FROM (SELECT share FROM lists_t WHERE share = 1 ORDER BY v <-> (SELECT v FROM lists_t WHERE id = 1)) s;

-- rows that other indexes find
CREATE INDEX far_id ON far_t (id);
ANALYZE far_t;
SET enable_bitmapscan = on;
SET enable_sort = on;
CREATE FUNCTION bitmap_test(condition text, OUT node text, OUT matches bigint, OUT given bigint, OUT right_rows boolean)
LANGUAGE plpgsql AS $$
DECLARE
	sql text := format('SELECT id FROM far_t WHERE %s ORDER BY v <-> (SELECT v FROM far_t WHERE id = 20) LIMIT 10', condition);
	line text;
BEGIN
	EXECUTE format('SELECT count(*) FROM far_t WHERE %s', condition) INTO matches;
	SET LOCAL enable_sort = off;
	FOR line IN EXECUTE 'EXPLAIN (COSTS off) ' || sql LOOP
		node := coalesce(node, substring(line FROM 'Vecx Bitmap Filter|Index Scan using far_idx'));
	END LOOP;
	EXECUTE format('SELECT count(*), coalesce(bool_and((%s)), true) FROM (SELECT * FROM far_t WHERE id IN (%s)) s', condition, sql) INTO given, right_rows;
END $$;
SET vecx.enable_bitmap_filter = on;
SELECT c, t.* FROM unnest(ARRAY['id < 3', 'id < 300', 'id < 2000', 'id < 1000 AND far = 1', 'id < 0']) c, bitmap_test(c) t;

-- other operator classes, many columns, what does not fit
CREATE INDEX ON far_t USING vecx (v vector_ip_ops, far) WITH (structure = lists, list_rows = 50);
SELECT vecx_check('far_t_v_far_idx', true);
SELECT count(*), min(far) FROM (SELECT far FROM far_t WHERE far = 1 ORDER BY v <#> (SELECT v FROM far_t WHERE id = 20) LIMIT 50) s;
CREATE INDEX far_cosine ON far_t USING vecx (v vector_cosine_ops, far, id) WITH (structure = lists);
SELECT vecx_check('far_cosine', true);
SELECT count(*), min(far) FROM (SELECT far FROM far_t WHERE far = 1 AND id < 3000 ORDER BY v <=> (SELECT v FROM far_t WHERE id = 20) LIMIT 50) s;
CREATE TABLE wide_t (v vector(16), a int[], b int[], c int[], d int[], e int[], f int[], g int[], h int[], i int[]);
CREATE INDEX ON wide_t USING vecx (v, a, b, c, d, e, f, g, h, i) WITH (structure = lists);
CREATE INDEX wide_idx ON wide_t USING vecx (v, a, b, c, d) WITH (structure = lists);
INSERT INTO wide_t SELECT array_fill(x, ARRAY[16])::vector, ARRAY[x], ARRAY[x, x + 1], NULL, ARRAY[NULL::int] FROM generate_series(1, 300) x;
SELECT vecx_check('wide_idx', true);
SELECT count(*) FROM (SELECT 1 FROM wide_t WHERE b @> ARRAY[7] ORDER BY v <-> array_fill(5, ARRAY[16])::vector) s;

DROP TABLE lists_t, queries_t, far_t, wide_t;
DROP FUNCTION lists_test, bitmap_test, filter_test;
