-- Conditions on filter columns that PostgreSQL's planner does not give to an ordered
-- scan: IN, boolean columns, OR of one column, = ANY of an array column.

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE FUNCTION noise(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
	SELECT array_agg(hashint8(i::int8 * 65536 + d) / 2147483648.0)::vector FROM generate_series(1, 8) d
$$;
CREATE TABLE t (id int, tenant int, name text COLLATE "C", mood mood, active boolean, tags text[], nums int[], v vector(8));
INSERT INTO t SELECT i, nullif(i % 20, 0), 'n' || i % 10, (enum_range(NULL::mood))[1 + i % 3],
	nullif(i % 7, 0) < 4, ARRAY['t' || i % 7, 't' || i % 11], CASE WHEN i % 50 > 0 THEN ARRAY[i % 5, NULL] END, noise(i)
FROM generate_series(1, 2000) i;
CREATE INDEX t_v ON t USING vecx (v vector_l2_ops, tenant, name, mood, active, tags, nums);
CREATE INDEX t_not ON t USING vecx (v vector_cosine_ops, (NOT active), (tenant % 3));
ANALYZE t;
-- rows that are looked at for nothing cost much: where estimates are close, too, the
-- index is to test what it can
SET cpu_tuple_cost = 10;
SET jit = off;
SET enable_seqscan = off;
SET enable_sort = off;

-- the plan's conditions, and whether its rows are those of a sort
CREATE FUNCTION plan(condition text, op text DEFAULT '<->') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	result text := '';
	sql text := format('SELECT array_agg(id) FROM (SELECT id FROM t WHERE %s ORDER BY v %s noise(-1) LIMIT 10) s', condition, op);
	found int[];
	truth int[];
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || sql LOOP
		IF line ~ 'Cond:|Filter:' THEN result := result || regexp_replace(line, '^ *', '') || '; '; END IF;
	END LOOP;
	SET LOCAL vecx.ef_search = 500;
	EXECUTE sql INTO found;
	RESET vecx.ef_search;
	EXECUTE format('SELECT array_agg(id) FROM (SELECT id FROM t WHERE %s ORDER BY (v %s noise(-1)) + 0 * random() LIMIT 10) s', condition, op) INTO truth;
	RETURN result || CASE WHEN found @> truth AND truth @> found OR truth IS NULL AND found IS NULL THEN 'same' ELSE format('%s, not %s', found, truth) END;
END
$$;
SELECT condition, plan(condition) FROM unnest(ARRAY[
	'tenant = 3', '3 = tenant', 'tenant IN (3, 4)', 'tenant = ANY (ARRAY[3, NULL, 5])', 'tenant IN (3, 4) AND active',
	'tenant NOT IN (3, 4)', 'tenant = ALL (ARRAY[3])', 'tenant = ANY (NULL::int[])', 'tenant < ANY (ARRAY[2, 3])', 'tenant IN (3::bigint, 4)',
	'tenant = 3 OR tenant = 4', 'tenant = 3 OR 4 = tenant OR tenant IN (7, 8)', 'tenant = 3 OR tenant < 2',
	'tenant = 3 OR name = ''n4''', 'tenant = 3 OR tenant IS NULL', '(tenant = 3 OR tenant = 4) AND (name = ''n3'' OR name = ''n4'')',
	'tenant = 3 OR (tenant = 4 AND active)', 'tenant IS NULL', 'tenant IS NOT NULL AND tenant < 2',
	'name IN (''n1'', ''n2'')', 'name COLLATE "en-x-icu" IN (''n1'', ''n2'')', 'name LIKE ''n1%''',
	'mood IN (''sad'', ''ok'')', 'mood = ''sad'' OR mood = ''happy''',
	'active', 'NOT active', 'active IS TRUE', 'active IS FALSE', 'active IS NOT TRUE', 'active = false', 'active <> true', 'active IS NULL', 'active IS UNKNOWN',
	'''t3'' = ANY (tags)', 'tags @> ''{t3}''', 'tags && ''{t3,t4}''', '''t3'' = ANY (tags) OR ''t4'' = ANY (tags)', '''t3'' <> ANY (tags)', '''t3'' = ALL (tags)',
	'3 = ANY (nums)', '3 = ANY (nums) AND 4 = tenant', 'NULL::int = ANY (nums)', '3::bigint = ANY (nums)', '(SELECT 3) = ANY (nums)', 'nums IS NULL',
	'tenant = (SELECT 3)', 'tenant = (SELECT 3) OR tenant = 4', 'tenant = id', 'tenant = random() * 0', 'id < 100 AND tenant IN (3, 4)',
	'tenant IN (3, 4) AND v <-> noise(-1) < 2']) condition;
SELECT condition, plan(condition, '<=>') FROM unnest(ARRAY['NOT active', 'active', 'tenant % 3 IN (0, 1)']) condition;

-- a generic plan, and a loop
PREPARE s(int[], boolean) AS SELECT count(*) FROM (SELECT id FROM t WHERE tenant = ANY ($1) AND active = $2 ORDER BY v <-> noise(-1) LIMIT 1000) s;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE s('{3,4}', true);
EXECUTE s('{3,4}', true);
EXECUTE s('{}', true);
EXECUTE s(NULL, true);
RESET plan_cache_mode;
SELECT count(*) FROM t WHERE tenant IN (3, 4) AND active;
EXPLAIN (COSTS OFF) SELECT l, n.id FROM generate_series(1, 3) l, LATERAL (SELECT id FROM t WHERE tenant IN (l, l + 1) AND 't3' = ANY (tags) ORDER BY v <-> noise(l) LIMIT 2) n;
SELECT l, n.id, n.tenant FROM generate_series(1, 3) l, LATERAL (SELECT id, tenant FROM t WHERE tenant IN (l, l + 1) AND 't3' = ANY (tags) ORDER BY v <-> noise(l) LIMIT 2) n;

-- PostgreSQL's planner alone
SET vecx.enable_paths = off;
SELECT condition, plan(condition) FROM unnest(ARRAY['tenant = 3', 'tenant IN (3, 4)', 'active', '''t3'' = ANY (tags)']) condition;
RESET vecx.enable_paths;

DROP TABLE t;
DROP FUNCTION plan, noise;
DROP TYPE mood;
