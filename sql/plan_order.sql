-- Orders that the index answers though PostgreSQL's planner does not know it:
-- falling forms of a distance, and a distance with further sort keys; and what
-- must not rely on a relaxed order.

CREATE TABLE t (id int, tag int, v vector(3), w vector(3) NOT NULL);
INSERT INTO t SELECT i, i % 4, v, v FROM generate_series(1, 2000) i,
	LATERAL (SELECT ARRAY[cos(i / 700.0), sin(i / 700.0), 0]::vector AS v) s;
-- no distance under cosine; beyond what can be scored, which is at a distance; ties
INSERT INTO t SELECT i, 0, '[0,0,0]', '[0,0,0]' FROM generate_series(3001, 3003) i;
INSERT INTO t SELECT i, 0, '[3e38,0,0]', '[0,3e38,0]' FROM generate_series(3011, 3012) i;
INSERT INTO t SELECT i, i % 4, '[1,0.001,0]', '[1,0.001,0]' FROM generate_series(3021, 3060) i;
INSERT INTO t SELECT i, 0, NULL, '[1,1,1]' FROM generate_series(3101, 3102) i;
CREATE INDEX t_v ON t USING vecx (v vector_cosine_ops);
CREATE INDEX t_w ON t USING vecx (w vector_cosine_ops);
CREATE INDEX t_ip ON t USING vecx (w vector_ip_ops);
ANALYZE t;
-- one width, so that no plan and no row is left to chance
SET vecx.ef_search = 40;

-- the rows of a query with the index and, sorted, without
CREATE FUNCTION compare(query text) RETURNS TABLE (plan text, rows bigint, same bool) LANGUAGE plpgsql AS $$
DECLARE
	line text;
	by_index text[];
	by_sort text[];
BEGIN
	SET LOCAL enable_seqscan = off;
	SET LOCAL vecx.ef_search = 3000;	-- orders are asked for here, not recall
	plan := 'no index';
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line ~ 'Index Scan' THEN plan := 'index'; END IF;
	END LOOP;
	EXECUTE 'SELECT array_agg(s::text) FROM (' || query || ') s' INTO by_index;
	SET LOCAL enable_seqscan = on;
	SET LOCAL enable_indexscan = off;
	EXECUTE 'SELECT array_agg(s::text) FROM (' || query || ') s' INTO by_sort;
	SET LOCAL enable_indexscan = on;
	rows := cardinality(by_sort);
	same := by_index = by_sort;
	RETURN NEXT;
END
$$;

-- forms that fall as the distance grows
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t ORDER BY 1 - (w <=> '[1,0,0]') DESC LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id, 1 - (w <=> '[1,0,0]') AS similarity FROM t ORDER BY similarity DESC LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY (w <#> '[1,0,0]') * -1 DESC LIMIT 3;
SELECT * FROM (SELECT id, 1 - (w <=> '[1,0.1,0]') AS similarity FROM t ORDER BY similarity DESC LIMIT 6) s ORDER BY similarity DESC, id;
SELECT * FROM compare('SELECT 1 - (w <=> ''[1,0.3,0]'') AS s FROM t ORDER BY s DESC LIMIT 30');
SELECT * FROM compare('SELECT id FROM t ORDER BY 1 - (w <=> ''[1,0.3,0]'') DESC OFFSET 3 LIMIT 30');
SELECT * FROM compare('SELECT id FROM t WHERE tag = 3 ORDER BY 1 - (''[1,0.3,0]'' <=> w) DESC LIMIT 30');
SELECT * FROM compare('SELECT id FROM t WHERE id <= 2000 ORDER BY -(w <=> ''[1,0.3,0]'') DESC LIMIT 30');
SELECT * FROM compare('SELECT id FROM t WHERE id <= 2000 ORDER BY (w <#> ''[1,0.3,0]'') * -1 DESC LIMIT 30');
SELECT * FROM compare('SELECT id FROM t WHERE id <= 2000 ORDER BY -0.5 * (w <#> ''[1,0.3,0]'') + 2 DESC LIMIT 30');
SELECT * FROM compare('SELECT id FROM t WHERE id <= 2000 ORDER BY (w <#> ''[1,0.3,0]'') / 3 - 1 LIMIT 30');
SELECT * FROM compare('SELECT id FROM t WHERE id <= 2000 ORDER BY 1 - (1 - (w <=> ''[1,0.3,0]'')) LIMIT 30');
CREATE TABLE h AS SELECT id, w::halfvec(3) AS w FROM t WHERE id NOT BETWEEN 3011 AND 3020;
ALTER TABLE h ALTER w SET NOT NULL;
CREATE INDEX ON h USING vecx (w halfvec_cosine_ops);
SELECT * FROM compare('SELECT 1 - (w <=> ''[1,0.3,0]'') AS s FROM h ORDER BY s DESC LIMIT 30');
DROP TABLE h;
-- not these
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY 1 - (w <=> '[1,0,0]') LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY (w <=> '[1,0,0]') - 1 DESC LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY (w <=> '[1,0,0]') * 0 LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY (w <=> '[1,0,0]') * 'NaN' LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY 1 / (w <=> '[1,0,0]') DESC LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY 1 - (w <=> '[1,0,0]') - tag DESC LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY 1 - (w <-> '[1,0,0]') DESC LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY (1 - (w <=> '[1,0,0]'))::numeric DESC LIMIT 3;
RESET enable_seqscan;

-- NULLs first: only if there are none
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY 1 - (v <=> '[1,0,0]') DESC LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY 1 - (v <=> '[1,0,0]') DESC NULLS LAST LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v IS NOT NULL ORDER BY 1 - (v <=> '[1,0,0]') DESC LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE vector_norm(v) > 0.5 ORDER BY 1 - (v <=> '[1,0,0]') DESC LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY w <=> '[1,0,0]' NULLS FIRST LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <=> '[1,0,0]' NULLS FIRST LIMIT 3;
SELECT * FROM compare('SELECT 1 - (v <=> ''[1,0.3,0]'') AS s FROM t ORDER BY s DESC LIMIT 30');
SELECT * FROM compare('SELECT 1 - (v <=> ''[1,0.3,0]'') AS s FROM t ORDER BY s DESC NULLS LAST LIMIT 30');
SELECT * FROM compare('SELECT 1 - (v <=> ''[1,0.3,0]'') AS s FROM t WHERE vector_norm(v) > 0.5 ORDER BY s DESC LIMIT 30');
CREATE INDEX t_partial ON t USING vecx (v vector_l2_ops) WHERE v IS NOT NULL AND tag = 1;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE tag = 1 AND v IS NOT NULL ORDER BY -(v <-> '[1,0,0]') DESC LIMIT 3;
DROP INDEX t_partial;
-- to the end: NaN, the distances, what cannot be scored, NULL
SET vecx.ef_search = 3000;
SELECT * FROM compare('SELECT 1 - (v <=> ''[1,0.3,0]'') AS s FROM t WHERE id NOT BETWEEN 3011 AND 3020 ORDER BY s DESC NULLS LAST LIMIT 3000');
SET enable_seqscan = off;
SELECT count(*), (array_agg(id ORDER BY n))[1:3] AS first, (array_agg(id ORDER BY n))[2044:] AS last
FROM (SELECT id, row_number() OVER () AS n FROM (SELECT id FROM t
	ORDER BY 1 - (v <=> '[1,0.3,0]') DESC NULLS LAST LIMIT 3000) s) s;
RESET enable_seqscan;
-- a query that is at no distance of anything
SELECT * FROM compare('SELECT 1 - (v <=> ''[0,0,0]'') AS s FROM t ORDER BY s DESC NULLS LAST LIMIT 3000');
SELECT * FROM compare('SELECT 1 - (w <=> NULL) AS s FROM t ORDER BY s DESC LIMIT 3000');
SET vecx.ef_search = 40;
SELECT NULL::vector <=>^ '[1,2]' AS null, '[0,0]' <=>^ '[1,2]'::vector AS zero, '[1,0]' <=>^ '[0,1]'::vector AS other;

-- further sort keys
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY w <=> '[1,0,0]', id DESC LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY 1 - (w <=> '[1,0,0]') DESC, tag, id LIMIT 5;
SELECT id FROM t ORDER BY w <=> '[1,0.001,0]', id DESC LIMIT 5;
SELECT * FROM compare('SELECT id FROM t ORDER BY w <=> ''[1,0.001,0]'', id DESC LIMIT 5');
SELECT * FROM compare('SELECT id, tag FROM t ORDER BY w <=> ''[1,0.001,0]'', tag DESC, id LIMIT 38');
SELECT * FROM compare('SELECT id FROM t ORDER BY 1 - (w <=> ''[1,0.001,0]'') DESC, id DESC OFFSET 5 LIMIT 10');
SELECT * FROM compare('SELECT id FROM t WHERE tag = 2 ORDER BY w <=> ''[1,0.001,0]'', id DESC LIMIT 20');
-- not without a LIMIT, nor where ties with the last row count
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY w <=> '[1,0,0]', id;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY w <=> '[1,0,0]', id LIMIT ALL;
RESET enable_seqscan;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY w <=> '[1,0,0]', id FETCH FIRST 5 ROWS WITH TIES;
DECLARE c CURSOR WITH HOLD FOR SELECT id FROM t ORDER BY w <=> '[1,0,0]', id;
FETCH 2 FROM c;
CLOSE c;
SELECT id FROM t ORDER BY w <=> '[1,0.001,0]', id DESC LIMIT 2 FOR UPDATE;

-- A narrow search finds rows late.  With further sort keys the result is in order all the same.
CREATE TABLE noise (id int, v vector(16));
INSERT INTO noise SELECT i, (SELECT array_agg(hashint8(i * 65536 + d) / 2147483648.0) FROM generate_series(1, 16) d)::vector
FROM generate_series(1, 1000) i;
CREATE INDEX ON noise USING vecx (v vector_l2_ops);
ANALYZE noise;
SET vecx.ef_search = 1;
SET enable_seqscan = off;
CREATE VIEW one_key AS SELECT v <-> array_fill(0.1, ARRAY[16])::vector AS d FROM noise ORDER BY d LIMIT 100;
CREATE VIEW two_keys AS SELECT v <-> array_fill(0.1, ARRAY[16])::vector AS d FROM noise ORDER BY d, id LIMIT 100;
EXPLAIN (COSTS OFF) TABLE one_key;
EXPLAIN (COSTS OFF) TABLE two_keys;
SELECT count(*), count(*) FILTER (WHERE d < before) > 0 AS out_of_order FROM (SELECT d, lag(d) OVER () AS before FROM one_key) s;
SELECT count(*), count(*) FILTER (WHERE d < before) > 0 AS out_of_order FROM (SELECT d, lag(d) OVER () AS before FROM two_keys) s;

-- Grouping above a subquery sees each distance once.
SET enable_hashagg = off;
EXPLAIN (COSTS OFF) SELECT d, count(*) FROM one_key GROUP BY d;
EXPLAIN (COSTS OFF) SELECT DISTINCT d FROM one_key;
EXPLAIN (COSTS OFF) SELECT DISTINCT d FROM (SELECT d FROM one_key OFFSET 0) s;
EXPLAIN (COSTS OFF) SELECT d, rank() OVER (ORDER BY d) FROM one_key;
EXPLAIN (COSTS OFF) SELECT d FROM (TABLE one_key UNION ALL TABLE one_key) s GROUP BY d;
SELECT count(*), count(DISTINCT d) FROM (SELECT d FROM one_key GROUP BY d) s;
SELECT count(*), sum(n), max(n) FROM (SELECT d, count(*) AS n FROM (TABLE one_key UNION ALL TABLE one_key) s GROUP BY d) s;
SELECT max(rank), count(*) FILTER (WHERE rank <> n) AS wrong
FROM (SELECT rank() OVER (ORDER BY d) AS rank, row_number() OVER () AS n FROM one_key) s;
-- so does a merge join
SET enable_hashjoin = off;
SET enable_nestloop = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM one_key JOIN (SELECT v <-> array_fill(0.1, ARRAY[16])::vector AS d FROM noise OFFSET 0) n USING (d);
SELECT count(*) FROM one_key JOIN (SELECT v <-> array_fill(0.1, ARRAY[16])::vector AS d FROM noise OFFSET 0) n USING (d);
RESET enable_seqscan;
EXPLAIN (COSTS OFF) SELECT n.id FROM noise n JOIN t ON n.v <-> array_fill(0.1, ARRAY[16])::vector = t.id
	ORDER BY n.v <-> array_fill(0.1, ARRAY[16])::vector LIMIT 5;
RESET enable_hashjoin;
RESET enable_nestloop;
RESET enable_hashagg;
SET enable_seqscan = off;
-- ORDER BY alone takes the order as it is; so does everything under strict
EXPLAIN (COSTS OFF) SELECT d FROM one_key ORDER BY d LIMIT 5;
SET vecx.scan_order = strict;
EXPLAIN (COSTS OFF) SELECT DISTINCT d FROM one_key;
EXPLAIN (COSTS OFF) TABLE two_keys;
EXPLAIN (COSTS OFF) SELECT id FROM noise ORDER BY v <-> array_fill(0.1, ARRAY[16])::vector, id;
RESET vecx.scan_order;
SET vecx.ef_search = 40;
RESET enable_seqscan;

-- without the module's paths
SET vecx.enable_paths = off;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY 1 - (w <=> '[1,0,0]') DESC LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY w <=> '[1,0,0]' LIMIT 3;
RESET vecx.enable_paths;

DROP VIEW one_key, two_keys;
-- a plan made for one order does not serve the other
SET enable_seqscan = off;
SET plan_cache_mode = force_generic_plan;
SET vecx.scan_order = strict;
PREPARE windowed AS SELECT count(*) FROM
	(SELECT rank() OVER (ORDER BY w <=> '[1,0.5,0]') AS r FROM t) s WHERE r > 1;
EXPLAIN (COSTS OFF) EXECUTE windowed;
SET vecx.scan_order = relaxed;
EXPLAIN (COSTS OFF) EXECUTE windowed;
RESET vecx.scan_order;
RESET plan_cache_mode;
RESET enable_seqscan;

-- two distances: PostgreSQL takes an index that knows the order of one for one of both
CREATE TABLE two (id int, v vector(2));
INSERT INTO two SELECT i, (ARRAY['[1,0]', '[0,1]', '[-1,0]', '[0,-1]'])[i % 4 + 1]::vector FROM generate_series(1, 400) i;
CREATE INDEX ON two USING vecx (v);
SET enable_seqscan = off;
SELECT v, count(*) FROM (SELECT v FROM two ORDER BY v <-> '[0,0]', v <-> '[1,0]' LIMIT 100) s GROUP BY v;
RESET enable_seqscan;
DROP TABLE two;

-- the order is that of the setting when the cursor was opened
CREATE FUNCTION inversions() RETURNS int LANGUAGE plpgsql
	SET enable_seqscan = off SET enable_sort = off SET vecx.ef_search = 1 SET vecx.scan_order = strict AS $$
DECLARE
	c CURSOR FOR SELECT v <-> array_fill(0.1, ARRAY[16])::vector AS d FROM noise ORDER BY d;
	before float8 := -1;
	d float8;
	n int := 0;
BEGIN
	OPEN c;
	PERFORM set_config('vecx.scan_order', 'relaxed', true);
	LOOP
		FETCH c INTO d;
		EXIT WHEN NOT FOUND;
		n := n + (d < before)::int;
		before := d;
	END LOOP;
	RETURN n;
END $$;
SELECT inversions();
DROP FUNCTION inversions;

DROP TABLE t, noise;
DROP FUNCTION compare;
