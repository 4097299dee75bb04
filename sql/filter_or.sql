-- ORs over several filter columns: tested in the index, found by the value tree, and the
-- rows are those of a table scan.
SET client_min_messages = warning;
CREATE FUNCTION noise(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
	SELECT array_agg(hashint8(i::int8 * 65536 + d) / 2147483648.0)::vector FROM generate_series(1, 8) d
$$;
CREATE TABLE f (gone int, id int, tenant int, shared boolean, score float8, n numeric, name varchar(20) COLLATE "C", day date, tags text[], note text, v vector(8))
	WITH (autovacuum_enabled = off);
INSERT INTO f SELECT 0, i, nullif(i % 300, 0), i % 97 = 0, CASE WHEN i % 50 = 3 THEN float8 'NaN' ELSE i % 1000 END, i % 77, 'name ' || i % 210,
	CASE WHEN i % 13 > 0 THEN date '2024-01-01' + i % 500 END,
	CASE WHEN i % 11 > 0 THEN ARRAY['t' || i % 90, 'u' || i % 7] END, 'note ' || i % 3, noise(i) FROM generate_series(1, 6000) i;
ALTER TABLE f DROP gone;
INSERT INTO f SELECT 10000 + i, i, false, i, i, 'none', NULL, '{}', 'note 1', NULL FROM generate_series(1, 10) i;
CREATE INDEX f_graph ON f USING vecx (v vector_l2_ops, tenant, shared, score, n, name, day, tags, (upper(note)));
ANALYZE f;

-- a scan of the index against the table: whether the first rows are as many as match, or the
-- limit, once each, and match; recall of the ten nearest; and what the scan tested
CREATE FUNCTION or_test(condition text, OUT matches bigint, OUT right_rows boolean, OUT good boolean, OUT by_tree boolean, OUT tested boolean)
LANGUAGE plpgsql AS $$
DECLARE
	truth int[];
	ids int[];
	search text := format('SELECT id FROM f WHERE %s ORDER BY v <-> noise(-1)', condition);
	k int;
	line text;
BEGIN
	SET LOCAL enable_indexscan = off;
	SET LOCAL enable_seqscan = on;
	EXECUTE format('SELECT coalesce(array_agg(id ORDER BY v <-> noise(-1)), ''{}'') FROM f WHERE %s', condition) INTO truth;
	SET LOCAL enable_indexscan = on;
	SET LOCAL enable_seqscan = off;
	SET LOCAL enable_sort = off;
	SET LOCAL vecx.enable_bitmap_filter = off;
	matches := cardinality(truth);
	right_rows := true;
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || search || ' LIMIT 10' LOOP
		IF line ~ 'Seq Scan' THEN RAISE EXCEPTION 'not an ordered index scan: %', line; END IF;
	END LOOP;
	FOR k IN SELECT unnest(ARRAY[10000, 100, 10]) LOOP
		EXECUTE format('SELECT coalesce(array_agg(id), ''{}'') FROM (%s LIMIT %s) s', search, k) INTO ids;
		right_rows := right_rows AND cardinality(ids) = least(k, matches) AND ids <@ truth AND
			cardinality(ids) = (SELECT count(DISTINCT i) FROM unnest(ids) i);
	END LOOP;
	good := cardinality(ARRAY(SELECT unnest(ids) INTERSECT SELECT unnest(truth[1:10]))) >= least(matches, 10) - 3;
	SELECT s.by_tree, s.tested > 0 OR s.by_tree INTO by_tree, tested FROM vecx_last_scan() s;
END $$;
CREATE TABLE conditions AS SELECT c, o FROM unnest(ARRAY[
	'tenant = 7 OR shared', 'shared OR 7 = tenant', 'tenant = 7 OR NOT shared', 'tenant = 7 OR shared IS FALSE', 'tenant = 7 OR shared IS NULL',
	'tenant = 7 OR score = 500', 'tenant IN (7, 8, 9) OR score BETWEEN 10 AND 12', 'tenant IS NULL OR score < 3', 'tenant = 7 OR score = ''NaN''', 'tenant = 7 OR score > 998',
	'tenant = 7 OR name = ''name 3''', 'tenant = 7 OR name < ''name 1''', 'tenant = 7::bigint OR name IN (''name 3'', ''name 4'')', 'tenant = 7 OR n = 5', 'tenant = 7 OR n > 75.5',
	'tenant = 7 OR day = ''2024-03-01''', 'tenant = 7 OR day < ''2024-01-05''::timestamp', 'tenant = 7 OR day IS NULL',
	'tenant = 7 OR ''t3'' = ANY (tags)', 'tenant = 7 OR tags && ''{t3,t4}''', 'tenant = 7 OR tags @> ''{t3,u2}''', 'tenant = 7 OR tags = ''{}''', 'tenant = 7 OR tags @> ''{}''',
	'(tenant = 7 AND shared) OR score = 5', '(tenant < 50 AND score < 100 AND name = ''name 3'') OR (tenant = 7 AND id > 10)', '(score >= 10 AND score <= 12) OR (tenant >= 5 AND tenant < 7)',
	'(tenant = 7 OR shared) AND (score < 500 OR n = 3)', '(tenant = 7 OR shared) AND score < 500', '(tenant = 7 OR score = 3) AND note = ''note 1''',
	'tenant = 7 OR shared OR score = 3 OR n = 9 OR name = ''name 100''', 'tenant = 7 OR tenant < 3', 'tenant <> 7 OR score = 3', 'tenant NOT IN (7, 8) OR score = 3',
	'tenant = 7 OR score = NULL', 'tenant = ANY (''{}'') OR score = 3', 'tenant = ANY (''{}'') OR score = ANY (''{}'')', 'tenant = -1 OR score = -1',
	'tenant = 7 OR upper(note) = ''NOTE 1''', 'tenant = 7 OR day > (now() - interval ''1000 years'')::date AND score = 3', 'tenant = (SELECT 7) OR score = (SELECT 3)',
	-- not of the index: an arm that it cannot test, or that differs each time
	'tenant = 7 OR id = 9', 'tenant = 7 OR note = ''note 1''', 'tenant = 7 OR score = n', 'tenant = 7 OR random() < 0', 'tenant = 7 OR tenant = 8'
	]) WITH ORDINALITY x(c, o);
SELECT c, t.* FROM conditions, or_test(c) t ORDER BY o;

-- the same rows after changes, in lists, and without vecx's paths
INSERT INTO f SELECT i, nullif(i % 300, 0), i % 97 = 0, i % 1000, i % 77, 'name ' || i % 210, date '2024-01-01' + i % 500,
	ARRAY['t' || i % 90, 'u' || i % 7], 'note ' || i % 3, noise(i) FROM generate_series(6001, 7000) i;
UPDATE f SET tenant = 7 WHERE id % 100 = 5;
DELETE FROM f WHERE id % 9 = 1;
SELECT c, t.* FROM conditions, or_test(c) t WHERE NOT right_rows OR NOT good;
VACUUM f;
SELECT c, t.* FROM conditions, or_test(c) t WHERE NOT right_rows OR NOT good;
SELECT vecx_check('f_graph', true);
DROP INDEX f_graph;
CREATE INDEX f_lists ON f USING vecx (v vector_l2_ops, tenant, shared, score, n, name, day, tags, (upper(note))) WITH (structure = lists);
ANALYZE f;
SELECT c, t.* FROM conditions, or_test(c) t WHERE NOT right_rows OR NOT good OR NOT tested ORDER BY o;
DROP INDEX f_lists;
CREATE INDEX f_graph ON f USING vecx (v vector_l2_ops, tenant, shared, score, n, name, day, tags, (upper(note)));
SET vecx.enable_paths = off;
-- (of these a condition on one column is left)
SELECT c, t.* FROM conditions, or_test(c) t WHERE NOT right_rows OR tested;
RESET vecx.enable_paths;

-- parameters, once for a plan and for each row of a join, NULL among them
SET enable_seqscan = off;
SET enable_sort = off;
SET plan_cache_mode = force_generic_plan;
PREPARE s(int, int[], vector) AS SELECT count(*), min(tenant), max(tenant) FROM (SELECT tenant FROM f WHERE tenant = ANY ($2) OR score = $1 ORDER BY v <-> $3 LIMIT 20) s;
EXECUTE s(-1, '{7}', noise(-1));
SELECT records < 200 AS few FROM vecx_last_scan();
EXECUTE s(NULL, '{8,NULL}', noise(-1));
EXECUTE s(3, NULL, noise(-1));
EXECUTE s(NULL, NULL, noise(-1));
SELECT q.t, count(*), count(*) FILTER (WHERE s.tenant = q.t OR s.shared) FROM (VALUES (5), (NULL), (12), (-1)) q(t),
	LATERAL (SELECT tenant, shared FROM f WHERE tenant = q.t OR (shared AND score < 900) ORDER BY v <-> noise(coalesce(q.t, 0)) LIMIT 30) s GROUP BY 1 ORDER BY 1;

-- what an arm compares with is not computed before the arm's other conditions allow it
PREPARE g(text, text) AS SELECT count(*) FROM (SELECT id FROM f WHERE ($1 = 'tenant' AND tenant = $2::int) OR ($1 = 'name' AND name = $2)
	ORDER BY v <-> noise(-1) LIMIT 10) s;
EXECUTE g('tenant', '7');
EXECUTE g('name', 'name 3');
PREPARE d(int) AS SELECT count(*) FROM (SELECT id FROM f WHERE ($1 > 0 AND tenant = 700 / $1) OR (shared AND score < 100) ORDER BY v <-> noise(-1) LIMIT 10) s;
EXECUTE d(0);
EXECUTE d(100);

-- an arm that the value tree does not tell: as many rows are looked for as LIMIT wants, since all
-- that leave meet the OR
SELECT count(*) FROM (SELECT id FROM f WHERE tenant = 7 OR name < 'name 105' ORDER BY v <-> noise(-1) LIMIT 10) s;
SELECT rows_wanted, records < 1500 AS few FROM vecx_last_scan();

-- a cursor goes on to the last row that matches
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM f WHERE tenant = 9 OR shared ORDER BY v <-> noise(-1);
MOVE 30 IN c;
MOVE ALL IN c;
COMMIT;
SELECT count(*) - 30 AS rest FROM f WHERE tenant = 9 OR shared;

-- partitions whose columns lie otherwise
CREATE TABLE p (id int, tenant int, shared boolean, v vector(8)) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (1000);
CREATE TABLE p2 (shared boolean, x int, v vector(8), id int, tenant int);
ALTER TABLE p2 DROP x;
ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (1000) TO (2000);
INSERT INTO p SELECT i, i % 100, i % 80 = 3, noise(i) FROM generate_series(0, 1999) i;
CREATE INDEX p_v ON p USING vecx (v, tenant, shared);
ANALYZE p;
SELECT count(*), count(*) FILTER (WHERE tenant = 7), count(*) FILTER (WHERE shared) FROM
	(SELECT tenant, shared FROM p WHERE tenant = 7 OR shared ORDER BY v <-> noise(-1) LIMIT 1000) s;
SELECT count(*), count(*) FILTER (WHERE tenant = 7), count(*) FILTER (WHERE shared) FROM p WHERE tenant = 7 OR shared;

-- where rows may be hidden only conditions that give nothing away are tested early
ALTER TABLE f ENABLE ROW LEVEL SECURITY;
CREATE POLICY low ON f USING (id < 3000);
CREATE ROLE or_reader;
GRANT SELECT ON f TO or_reader;
SET ROLE or_reader;
SELECT count(*) FROM (SELECT id FROM f WHERE tenant = 7 OR shared ORDER BY v <-> noise(-1) LIMIT 1000) s;
SELECT tested > 0 OR by_tree AS tested FROM vecx_last_scan();
SELECT count(*) FROM (SELECT id FROM f WHERE tenant = 7 OR n = 5 ORDER BY v <-> noise(-1) LIMIT 1000) s;
SELECT tested > 0 OR by_tree AS tested FROM vecx_last_scan();
RESET ROLE;
ALTER TABLE f DISABLE ROW LEVEL SECURITY;
-- a view that rows are changed through
CREATE VIEW barred WITH (security_barrier) AS SELECT * FROM f WHERE id < 3000 AND v <-> '[0,0,0,0,0,0,0,0]' < 1.1;
GRANT SELECT, UPDATE ON barred TO or_reader;
SET ROLE or_reader;
SELECT count(*) FROM (SELECT id FROM barred WHERE n = 5 OR score = 3) s;
UPDATE barred SET id = id WHERE n = 5 OR score = 3;
SELECT tested > 0 OR by_tree AS tested FROM vecx_last_scan();
RESET ROLE;
DROP VIEW barred;
DROP TABLE f, p, conditions;
DROP ROLE or_reader;
DROP FUNCTION noise, or_test;
