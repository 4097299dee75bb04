-- Rows that other indexes find, in order of distance: the plans, the same rows as
-- without any vecx index, and nothing that security hides.  Statistics are those of ANALYZE.

CREATE FUNCTION noise(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
	SELECT array_agg(hashint8(i::int8 * 65536 + d) / 2147483648.0)::vector FROM generate_series(1, 16) d
$$;
CREATE TABLE t (id int PRIMARY KEY, cat int, year int, tags int[], n numeric, v vector(16)) WITH (autovacuum_enabled = off);
INSERT INTO t SELECT i, i % 50, 2000 + i % 20, ARRAY[i % 7, i % 11], i % 50, noise(i)
FROM generate_series(1, 3000) i;
-- copies of one vector, and what has no distance
INSERT INTO t SELECT 3000 + i, i % 50, 2000, '{1}', 0, noise(77) FROM generate_series(1, 500) i;
INSERT INTO t SELECT 3500 + i, i % 50, 2000, '{1}', 0, NULL FROM generate_series(1, 100) i;
INSERT INTO t SELECT 3600 + i, i % 50, 2000, '{1}', 0, array_fill(0, ARRAY[16])::vector FROM generate_series(1, 100) i;
CREATE INDEX t_v ON t USING vecx (v vector_l2_ops);
CREATE INDEX t_cosine ON t USING vecx (v vector_cosine_ops);
CREATE INDEX t_cat ON t (cat);
CREATE INDEX t_year ON t (year);
CREATE INDEX t_n ON t (n);
CREATE INDEX t_tags ON t USING gin (tags);
CREATE INDEX t_old ON t (id) WHERE year < 2002;
ANALYZE t;
CREATE TABLE q WITH (autovacuum_enabled = off) AS SELECT i, noise(-i) AS v FROM generate_series(1, 5) i;
-- a row that is looked at for nothing costs much, so that the node is chosen
SET cpu_tuple_cost = 1000;
SET jit = off;
SET enable_seqscan = off;
SET enable_sort = off;

-- the plans
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE cat = 7 ORDER BY v <-> (SELECT v FROM q WHERE i = 1) LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE tags @> '{3}' ORDER BY v <-> (SELECT v FROM q WHERE i = 1) LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE cat IN (7, 9) OR year = 2003 ORDER BY v <-> (SELECT v FROM q WHERE i = 1) LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE id > 1000 AND year < 2002 AND id % 2 = 0 ORDER BY v <-> (SELECT v FROM q WHERE i = 1) LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE cat = 7 ORDER BY 1 - (v <=> (SELECT v FROM q WHERE i = 1)) DESC NULLS LAST, id LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE cat = 7 AND v <-> (SELECT v FROM q WHERE i = 1) < 2 ORDER BY v <-> (SELECT v FROM q WHERE i = 1) LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE cat = 7 AND current_setting('vecx.scan_order') = 'relaxed' ORDER BY v <-> (SELECT v FROM q WHERE i = 1) LIMIT 5;
EXPLAIN (COSTS OFF) SELECT q.i, n.id FROM q, LATERAL (SELECT id FROM t WHERE cat = q.i ORDER BY t.v <-> q.v LIMIT 3) n;
-- a distance that only ORDER BY mentions is not computed
EXPLAIN (COSTS OFF, VERBOSE) SELECT id FROM t WHERE cat = 7 ORDER BY v <-> (SELECT v FROM q WHERE i = 1) LIMIT 5 FOR UPDATE;
EXPLAIN (COSTS OFF, TIMING OFF, SUMMARY OFF, ANALYZE) SELECT id FROM t WHERE cat = 7 ORDER BY v <-> (SELECT v FROM q WHERE i = 1) LIMIT 5;
SET vecx.enable_bitmap_filter = off;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE cat = 7 ORDER BY v <-> (SELECT v FROM q WHERE i = 1) LIMIT 5;
RESET vecx.enable_bitmap_filter;

-- The same rows as a sort gives: few that are looked up, and, when work_mem does not
-- allow that, many that are searched for.
CREATE FUNCTION same(condition text, k int, op text DEFAULT '<->') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found float8[];
	truth float8[];
	plan text := '';
	line text;
	sql text;
	misses int := 0;
BEGIN
	FOR i IN 1..5 LOOP
		sql := format('SELECT array_agg(d) FROM (SELECT v %1$s (SELECT v FROM q WHERE i = %2$s) AS d FROM t WHERE %3$s ORDER BY d LIMIT %4$s) s',
			op, i, condition, k);
		FOR line IN EXECUTE 'EXPLAIN ' || sql LOOP plan := plan || line; END LOOP;
		EXECUTE sql INTO found;
		PERFORM set_config('enable_indexscan', 'off', true), set_config('enable_sort', 'on', true);
		EXECUTE sql INTO truth;
		PERFORM set_config('enable_indexscan', 'on', true), set_config('enable_sort', 'off', true);
		IF cardinality(found) IS DISTINCT FROM cardinality(truth) THEN
			RETURN format('%s rows instead of %s', cardinality(found), cardinality(truth));
		END IF;
		misses := misses + (SELECT count(*) FROM
			(SELECT unnest(found) EXCEPT ALL SELECT unnest(truth)) s);
	END LOOP;
	RETURN CASE WHEN plan !~ 'Vecx Bitmap Filter' THEN 'another plan'
		WHEN misses > 2 + k / 2 THEN format('%s misses', misses) ELSE 'same' END;
END
$$;
SELECT k, same('cat = 7', k), same('cat = 7', k, '<=>') AS cosine, same('tags @> ''{3}''', k) AS tags,
	same('id < 600', k) AS id, same('cat = 7 OR cat = 77', k) AS two, same('cat = 77', k) AS none
FROM unnest(ARRAY[1, 10, 100, 1000]) k;
SET work_mem = '64kB';
SELECT k, same('tags @> ''{3}''', k) AS tags, same('tags @> ''{3}''', k, '<=>') AS cosine, same('cat < 12', k) AS cat
FROM unnest(ARRAY[1, 10, 100, 1000]) k;
SELECT id FROM t WHERE tags @> '{3}' ORDER BY v <-> noise(1) LIMIT 3;
SELECT width > 0 AS searched, heap_fetches < 100 AS few FROM vecx_last_scan();
RESET work_mem;
SELECT id FROM t WHERE cat = 7 ORDER BY v <-> noise(1) LIMIT 3;
SELECT width > 0 AS searched, heap_fetches FROM vecx_last_scan();

-- no limit, a late reader, and what has no distance last
SELECT count(*), count(DISTINCT id), (array_agg(id))[69:74] AS last
FROM (SELECT id FROM t WHERE cat = 7 ORDER BY v <=> (SELECT v FROM q WHERE i = 1) LIMIT 1000) s;
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM t WHERE cat = 7 ORDER BY v <-> noise(57);
FETCH 1 FROM c;
UPDATE t SET year = 1999 WHERE CURRENT OF c RETURNING id, cat;
FETCH 1 FROM c;
MOVE 500 IN c;
CLOSE c;
ROLLBACK;

-- a bitmap that knows pages only
CREATE TABLE wide (id int, cat int, filler text, v vector(16)) WITH (autovacuum_enabled = off);
ALTER TABLE wide ALTER filler SET STORAGE PLAIN;
INSERT INTO wide SELECT i, i % 2, repeat('x', 3500), noise(i) FROM generate_series(1, 3000) i;
CREATE INDEX wide_v ON wide USING vecx (v vector_l2_ops);
CREATE INDEX wide_cat ON wide (cat);
ANALYZE wide;
CREATE FUNCTION explain(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
		-- how many a graph search meets that lossy pages let pass differs from build to build
		CONTINUE WHEN line ~ 'Rows Removed by Filter';
		RETURN NEXT regexp_replace(regexp_replace(line, '\d\d+', 'N', 'g'), '''.*''', '...');
	END LOOP;
END
$$;
SET work_mem = '64kB';
SELECT explain('SELECT id FROM wide WHERE cat = 1 ORDER BY v <-> (SELECT noise(-1)) LIMIT 5');
SELECT array_agg(id ORDER BY id) = (SELECT array_agg(id ORDER BY id) FROM
	(SELECT id FROM wide WHERE cat = 1 ORDER BY (v <-> noise(-1)) + 0 * random() LIMIT 5) s) AS same
FROM (SELECT id FROM wide WHERE cat = 1 ORDER BY v <-> noise(-1) LIMIT 5) s;
RESET work_mem;

-- in a loop: the bitmap is made anew only if its own parameters change
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF)
SELECT q.i, n.id FROM q, LATERAL (SELECT id FROM t WHERE cat = 7 ORDER BY t.v <-> q.v LIMIT 3) n;
SET vecx.ef_search = 500;
SELECT q.i, array_agg(n.d = o.d) FROM q,
	LATERAL (SELECT row_number() OVER () AS r, d FROM (SELECT t.v <-> q.v AS d FROM t WHERE cat = q.i ORDER BY t.v <-> q.v LIMIT 3) s) n
	JOIN LATERAL (SELECT row_number() OVER () AS r, d FROM (SELECT t.v <-> q.v AS d FROM t WHERE cat = q.i ORDER BY (t.v <-> q.v) + 0 * random() LIMIT 3) s) o
	USING (r)
GROUP BY q.i ORDER BY q.i;

RESET vecx.ef_search;
-- a subplan among the columns hears of the loop's parameters
EXPLAIN (COSTS OFF) SELECT q.i, n.* FROM q, LATERAL (SELECT t.id IN (SELECT o.id FROM t o WHERE o.year = 2002 + q.i OFFSET 0) AS hit
	FROM t WHERE cat = 7 ORDER BY t.v <-> q.v LIMIT 30) n;
SELECT q.i, bool_and(n.hit = (n.year = 2002 + q.i)) AS same, bool_or(n.hit) AS any FROM q,
	LATERAL (SELECT year, t.id IN (SELECT o.id FROM t o WHERE o.year = 2002 + q.i OFFSET 0) AS hit
		FROM t WHERE cat = 7 ORDER BY t.v <-> q.v LIMIT 30) n
GROUP BY q.i ORDER BY q.i;

-- a generic plan
PREPARE nearest(int, vector) AS SELECT id FROM t WHERE cat = $1 ORDER BY v <-> $2 LIMIT 2;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE nearest(7, noise(57));
EXECUTE nearest(7, noise(57));
EXECUTE nearest(8, noise(58));
EXECUTE nearest(NULL, noise(58));
RESET plan_cache_mode;

-- a partial index: rows that it lacks are not returned because a bitmap has them
CREATE TABLE half (id int, cat int, active bool, v vector(16)) WITH (autovacuum_enabled = off);
INSERT INTO half SELECT i, i % 50, i % 3 = 0, noise(i) FROM generate_series(1, 3000) i;
CREATE INDEX half_v ON half USING vecx (v vector_l2_ops) WHERE active;
CREATE INDEX half_cat ON half (cat);
ANALYZE half;
EXPLAIN (COSTS OFF) SELECT id FROM half WHERE active AND cat = 7 ORDER BY v <-> (SELECT v FROM q WHERE i = 1) LIMIT 5;
SELECT bool_and(active) AS active, array_agg(id) = (SELECT array_agg(id) FROM
	(SELECT id FROM half WHERE active AND cat = 7 ORDER BY (v <-> noise(-1))::numeric LIMIT 5) s) AS same
FROM (SELECT id, active FROM half WHERE active AND cat = 7 ORDER BY v <-> noise(-1) LIMIT 5) s;
DROP TABLE half;

-- partitions, and a join
CREATE TABLE p (id int, cat int, v vector(16)) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (1500) WITH (autovacuum_enabled = off);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (1500) TO (9999) WITH (autovacuum_enabled = off);
INSERT INTO p SELECT id, cat, v FROM t WHERE v IS NOT NULL;
CREATE INDEX p_v ON p USING vecx (v vector_l2_ops);
CREATE INDEX p_cat ON p (cat);
ANALYZE p;
EXPLAIN (COSTS OFF) SELECT id FROM p WHERE cat = 7 ORDER BY v <-> (SELECT v FROM q WHERE i = 1) LIMIT 3;
SELECT array_agg(id) = (SELECT array_agg(id) FROM
	(SELECT id FROM p WHERE cat = 7 ORDER BY (v <-> noise(-1)) + 0 * random() LIMIT 3) s) AS same
FROM (SELECT id FROM p WHERE cat = 7 ORDER BY v <-> noise(-1) LIMIT 3) s;
SELECT t.id, o.id FROM t JOIN q ON q.i = t.cat, LATERAL (SELECT p.id FROM p WHERE p.cat = t.cat ORDER BY p.v <-> t.v LIMIT 1) o
WHERE t.id < 4;

-- strict order, and a budget
SET vecx.scan_order = strict;
SELECT same('cat = 7', 10);
RESET vecx.scan_order;
SET work_mem = '64kB';
SET vecx.max_scan_tuples = 100;
SELECT count(*) < 600 AS fewer FROM (SELECT id FROM t WHERE tags @> '{3}' ORDER BY v <-> noise(1) LIMIT 600) s;
RESET vecx.max_scan_tuples;
RESET work_mem;

-- Columns that go together: PostgreSQL expects two rows of a hundred, and the bitmap has all of them. Conditions that
-- the value tree knows, too, are answered by that. Where the bitmap is empty, no scan begins.
CREATE TABLE pair (id int, cat int, kind int, v vector(1024));
INSERT INTO pair SELECT i, i % 40, i % 40 / 2, (SELECT array_agg(hashint8(i * 2048::int8 + d) / 2147483648.0)::vector FROM generate_series(1, 1024) d)
FROM generate_series(1, 4000) i;
CREATE INDEX pair_v ON pair USING vecx (v vector_l2_ops, cat, kind);
CREATE INDEX pair_cat ON pair (cat);
CREATE INDEX pair_kind ON pair (kind);
ANALYZE pair;
EXPLAIN (COSTS OFF) SELECT id FROM pair WHERE cat = 7 AND kind = 3 ORDER BY v <-> (SELECT v FROM pair WHERE id = 1) LIMIT 5;
SELECT array_agg(id) = (SELECT array_agg(id) FROM (SELECT id FROM pair WHERE cat = 7 AND kind = 3
	ORDER BY (v <-> (SELECT v FROM pair WHERE id = 1))::numeric LIMIT 5) s) AS same
FROM (SELECT id FROM pair WHERE cat = 7 AND kind = 3 ORDER BY v <-> (SELECT v FROM pair WHERE id = 1) LIMIT 5) s;
SELECT by_tree, heap_fetches < 50 AS few FROM vecx_last_scan();
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT id FROM pair WHERE cat = -1 AND kind = 3 ORDER BY v <-> (SELECT v FROM pair WHERE id = 1) LIMIT 5;
-- of one condition that the value tree knows other indexes tell no more
EXPLAIN (COSTS OFF) SELECT id FROM pair WHERE cat = -1 ORDER BY v <-> (SELECT v FROM pair WHERE id = 1) LIMIT 5;
DROP TABLE pair;

-- Times with and without a time zone do not compare in the value tree, and of an array it has to be known that there are
-- elements: then other indexes tell more, and without them the graph is searched, at its cost. Of an array that is longer
-- than what the index keeps they tell more in any case.
CREATE TABLE event (id int, at timestamptz, ts timestamp, day date, tags int[], v vector(1024)) WITH (autovacuum_enabled = off);
INSERT INTO event SELECT id, at, at::timestamp, at::date, ARRAY(SELECT id % 1000 + 1000 * n FROM generate_series(0, 12) n),
	(SELECT array_agg(hashint8(id * 2048::int8 + d) / 2147483648.0)::vector FROM generate_series(1, 1024) d)
FROM (SELECT id, timestamptz '2020-01-01' + id * interval '1 hour' AS at FROM generate_series(1, 4000) id) s;
CREATE INDEX event_v ON event USING vecx (v vector_l2_ops, at, ts, day, tags);
CREATE INDEX event_at ON event (at);
CREATE INDEX event_ts ON event (ts);
CREATE INDEX event_day ON event (day);
CREATE INDEX event_tags ON event USING gin (tags);
ANALYZE event;
EXPLAIN (COSTS OFF) SELECT id FROM event WHERE at >= '2020-06-15'::date ORDER BY v <-> (SELECT v FROM event WHERE id = 1) LIMIT 5;
CREATE FUNCTION rare(condition text, OUT bitmap bool, OUT same bool, OUT startup float8) LANGUAGE plpgsql AS $$
DECLARE
	query text := format('SELECT id FROM event WHERE %s ORDER BY (v <-> %L) LIMIT 5', condition, (SELECT v FROM event WHERE id = 1));
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	bitmap := plan::text ~ 'Vecx Bitmap Filter';
	EXECUTE format('SELECT array_agg(id) = (SELECT array_agg(id) FROM (%s) t) FROM (%s) s', replace(query, 'LIMIT', '+ 0 LIMIT'), query) INTO same;
	PERFORM set_config('vecx.enable_bitmap_filter', 'off', true);
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	PERFORM set_config('vecx.enable_bitmap_filter', 'on', true);
	startup := plan -> 0 -> 'Plan' -> 'Startup Cost';
END
$$;
-- few rows cost less to look up, by far, than a search costs to begin
SET cpu_operator_cost = 0.25;
SELECT condition, bitmap, same, startup < (max(startup) OVER ()) / 2 AS by_tree FROM unnest(ARRAY[
	'at >= timestamptz ''2020-06-15''', 'at >= date ''2020-06-15''', 'at >= timestamp ''2020-06-15''',
	'ts >= timestamp ''2020-06-15''', 'ts >= date ''2020-06-15''', 'ts >= timestamptz ''2020-06-15''',
	'day >= date ''2020-06-15''', 'day >= timestamp ''2020-06-15''', 'day >= timestamptz ''2020-06-15''',
	'at IN (''2020-06-13'', ''2020-06-14'')', 'tags && ''{7}''', 'tags @> ''{7}''', '7 = ANY (tags)', 'tags @> (SELECT ''{7}''::int[])']) condition,
	LATERAL rare(condition);
RESET cpu_operator_cost;
DROP TABLE event;
DROP FUNCTION rare;

-- Where all near rows are in the bitmap, the conditions that made it do not count again: LIMIT is what is wanted.
CREATE TABLE groups (id int, cat int, v vector(16));
INSERT INTO groups SELECT i, i % 10, (noise(-100 - i % 10) + noise(-100 - i % 10) + noise(i))::vector FROM generate_series(1, 8000) i;
CREATE INDEX groups_v ON groups USING vecx (v vector_l2_ops);
CREATE INDEX groups_cat ON groups (cat);
ANALYZE groups;
EXPLAIN (COSTS OFF) SELECT id FROM groups WHERE cat = 3 ORDER BY v <-> (SELECT v FROM groups WHERE id = 13) LIMIT 10;
CREATE FUNCTION searched(cat int, OUT rows_wanted bigint, OUT records bigint) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SELECT id FROM groups WHERE cat = %s ORDER BY v <-> (SELECT v FROM groups WHERE id = %s) LIMIT 10', cat, 10 + cat);
	SELECT l.rows_wanted, l.records INTO searched.rows_wanted, searched.records FROM vecx_last_scan() l;
END
$$;
SELECT bool_and(rows_wanted BETWEEN 9 AND 12) AS as_limit, percentile_disc(0.5) WITHIN GROUP (ORDER BY records) < 150 AS few
FROM generate_series(0, 9) cat, searched(cat);
DROP FUNCTION searched;
-- and what a filter column tests does not count twice beside them
DROP INDEX groups_v;
ALTER TABLE groups ADD tenant int;
UPDATE groups SET tenant = id / 10 % 5;
CREATE INDEX groups_v ON groups USING vecx (v vector_l2_ops, tenant);
VACUUM ANALYZE groups;
EXPLAIN (COSTS OFF) SELECT id FROM groups WHERE cat = 3 AND tenant = 2 ORDER BY v <-> (SELECT v FROM groups WHERE id = 13) LIMIT 10;
SELECT count(*) FROM (SELECT id FROM groups WHERE cat = 3 AND tenant = 2 ORDER BY v <-> (SELECT v FROM groups WHERE id = 13) LIMIT 10) s;
SELECT rows_wanted BETWEEN 9 AND 13 AS as_limit FROM vecx_last_scan();
DROP TABLE groups;

DROP TABLE t, q, wide, p;
DROP FUNCTION same, explain, noise;
