-- Distances that only ORDER BY mentions are left out of the plan when the index
-- gives the order: the results stay the same, and the rows' vectors are not
-- fetched for them.  In a plan, NULL::double precision stands for one.

-- vectors of 3 kB each, beside the table
CREATE TABLE t (id int, tag int, v vector(800));
ALTER TABLE t ALTER v SET STORAGE EXTERNAL;
CREATE FUNCTION vec(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
	SELECT array_agg(hashint8(i * 65536 + d) / 2147483648.0)::vector FROM generate_series(1, 800) d
$$;
INSERT INTO t SELECT i, i % 4, vec(i) FROM generate_series(1, 400) i;
INSERT INTO t VALUES (0, 0, NULL);
CREATE INDEX ON t USING vecx (v vector_l2_ops);
CREATE TABLE q AS SELECT 1 AS n, vec(-1) AS v UNION ALL SELECT 2, vec(-2);
ANALYZE t;
SET enable_seqscan = off;
SET enable_sort = off;
SET plan_cache_mode = force_generic_plan;
-- above a fine order, whatever the width
SET vecx.ef_search = 500;

CREATE FUNCTION blocks(query text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT json) ' || query INTO plan;
	RETURN (plan->0->'Plan'->>'Shared Hit Blocks')::int + (plan->0->'Plan'->>'Shared Read Blocks')::int;
END
$$;

-- Fewer blocks, the same rows.  Each of the ten values is read through the TOAST
-- table's index.
PREPARE ten(vector) AS SELECT id FROM t ORDER BY v <-> $1 LIMIT 10;
PREPARE ten_commuted(vector) AS SELECT id FROM t ORDER BY $1 <-> v LIMIT 10;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE ten(NULL);
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE ten_commuted(NULL);
EXECUTE ten(vec(-1));
EXECUTE ten_commuted(vec(-1));
SELECT blocks('EXECUTE ten(vec(-1))') AS warm \gset
SELECT blocks('EXECUTE ten(vec(-1))') AS without, blocks('EXECUTE ten_commuted(vec(-1))') AS commuted \gset
DEALLOCATE ten;
SET vecx.enable_distance_skip = off;
PREPARE ten(vector) AS SELECT id FROM t ORDER BY v <-> $1 LIMIT 10;
EXPLAIN (VERBOSE, COSTS OFF) EXECUTE ten(NULL);
EXECUTE ten(vec(-1));
SELECT blocks('EXECUTE ten(vec(-1))') AS with \gset
SELECT :with - :without >= 30 AS fewer, :commuted = :without AS same;
RESET vecx.enable_distance_skip;

-- FOR UPDATE, no LIMIT, OFFSET, a subplan, a CTE, a rescan
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t ORDER BY v <-> (SELECT v FROM q WHERE n = 1) LIMIT 2 FOR UPDATE;
SELECT id FROM t ORDER BY v <-> (SELECT v FROM q WHERE n = 1) LIMIT 2 FOR UPDATE;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t ORDER BY v <-> (SELECT v FROM q WHERE n = 1);
EXPLAIN (VERBOSE, COSTS OFF) SELECT n, ARRAY(SELECT id FROM t ORDER BY t.v <-> q.v LIMIT 2 OFFSET 1) FROM q;
SELECT n, ARRAY(SELECT id FROM t ORDER BY t.v <-> q.v LIMIT 2 OFFSET 1) FROM q;
EXPLAIN (VERBOSE, COSTS OFF)
	WITH near AS MATERIALIZED (SELECT id FROM t ORDER BY v <-> (SELECT v FROM q WHERE n = 1) LIMIT 2) SELECT * FROM near;
WITH near AS MATERIALIZED (SELECT id FROM t ORDER BY v <-> (SELECT v FROM q WHERE n = 1) LIMIT 2) SELECT * FROM near;
EXPLAIN (VERBOSE, COSTS OFF) SELECT n, near.id FROM q, LATERAL (SELECT id FROM t ORDER BY t.v <-> q.v LIMIT 2) near;
SELECT n, near.id FROM q, LATERAL (SELECT id FROM t ORDER BY t.v <-> q.v LIMIT 2) near;
EXPLAIN (VERBOSE, COSTS OFF) SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> (SELECT v FROM q WHERE n = 1) OFFSET 0) s;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> (SELECT v FROM q WHERE n = 1) OFFSET 0) s;

-- into a table, and out of a cursor
CREATE TABLE copy AS SELECT id FROM t ORDER BY v <-> vec(-1) LIMIT 3;
INSERT INTO copy SELECT id FROM t ORDER BY v <-> vec(-2) LIMIT 3;
SELECT * FROM copy;
BEGIN;
DECLARE c SCROLL CURSOR WITH HOLD FOR SELECT id FROM t ORDER BY v <-> vec(-1);
FETCH 3 FROM c;
FETCH BACKWARD 1 FROM c;
COMMIT;
FETCH 1 FROM c;
CLOSE c;

-- kept where it is read: by the query itself, by WITH TIES, by a filter
-- above, by a merge of partitions, by another sort
SET vecx.ef_search = 40;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id, v <-> (SELECT v FROM q WHERE n = 1) AS d FROM t ORDER BY d LIMIT 2;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM t ORDER BY v <-> (SELECT v FROM q WHERE n = 1) FETCH FIRST 2 ROWS WITH TIES;
SELECT id FROM t ORDER BY v <-> (SELECT v FROM q WHERE n = 1) FETCH FIRST 2 ROWS WITH TIES;
SELECT id FROM (SELECT id, v <-> (SELECT v FROM q WHERE n = 1) AS d FROM t ORDER BY d LIMIT 20) s WHERE d > 0 LIMIT 2;
CREATE TABLE p (id int, v vector(2)) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (100) TO (200);
CREATE INDEX ON p USING vecx (v vector_l2_ops);
INSERT INTO p SELECT i, ARRAY[i * 37 % 200, 0]::vector FROM generate_series(0, 199) i;
ANALYZE p;
EXPLAIN (VERBOSE, COSTS OFF) SELECT id FROM p ORDER BY v <-> '[5,0]' LIMIT 4;
SELECT id FROM p ORDER BY v <-> '[5.1,0]' LIMIT 4;
EXPLAIN (VERBOSE, COSTS OFF)
	SELECT id FROM ((SELECT id, v <-> '[5.1,0]' AS d FROM p1 ORDER BY d LIMIT 3)
		UNION ALL (SELECT id, v <-> '[5.1,0]' FROM p2 ORDER BY 2 LIMIT 3)) s ORDER BY d LIMIT 4;
SELECT id FROM ((SELECT id, v <-> '[5.1,0]' AS d FROM p1 ORDER BY d LIMIT 3)
	UNION ALL (SELECT id, v <-> '[5.1,0]' FROM p2 ORDER BY 2 LIMIT 3)) s ORDER BY d LIMIT 4;

-- errors are the same
SELECT id FROM t ORDER BY v <-> '[1,2]' LIMIT 1;
SET vecx.enable_distance_skip = off;
SELECT id FROM t ORDER BY v <-> '[1,2]' LIMIT 1;
RESET vecx.enable_distance_skip;

DROP TABLE t, q, copy, p;
DROP FUNCTION vec, blocks;

-- an order that the scan does not give, as its condition equates it to another column
SET enable_seqscan = on;
SET enable_sort = on;
CREATE TABLE equated (id int, y float8, v vector(3));
INSERT INTO equated SELECT i, i, ARRAY[i, 0, 0]::vector FROM generate_series(1, 2000) i;
CREATE INDEX ON equated USING vecx (v);
ANALYZE equated;
EXPLAIN (COSTS OFF) SELECT id FROM equated WHERE v <-> '[1,2,3]' = y ORDER BY v <-> '[1,2,3]' LIMIT 5;
DROP TABLE equated;
