-- Scans of an index: which plans use it, which rows they return and in what
-- order, and queries that are at no distance of anything.

CREATE TABLE t (id int, tag int, v vector(3));
INSERT INTO t SELECT i, i % 4, ARRAY[i, i % 7, 0]::vector FROM generate_series(1, 2000) i;
INSERT INTO t VALUES (2001, 1, '[0,0,0]'), (2002, 2, NULL), (2003, 3, '[0,0,0]'), (2004, 0, NULL);
CREATE INDEX t_l2 ON t USING vecx (v vector_l2_ops);
CREATE INDEX t_cosine ON t USING vecx (v vector_cosine_ops);
ANALYZE t;
-- wide enough that no row is left to chance
SET vecx.ef_search = 40;

-- a search with a LIMIT uses it without being asked to
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> '[5.2,5,0]' LIMIT 3;
SELECT id FROM t ORDER BY v <-> '[5.2,5,0]' LIMIT 3;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE tag = 2 ORDER BY v <-> '[5,5,0]' LIMIT 3;
SELECT id FROM t WHERE tag = 2 ORDER BY v <-> '[5,5,0]' LIMIT 3;
RESET enable_seqscan;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> '[5,5,0]', id LIMIT 3;
SELECT id FROM t ORDER BY v <-> '[5,5,0]', id LIMIT 3;

-- nothing else does, though all other ways are discouraged
SET enable_seqscan = off;
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT id FROM t;
EXPLAIN (COSTS OFF) SELECT count(*) FROM t;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v IS NULL;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v = '[5,5,0]';
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> '[5,5,0]' DESC LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <#> '[5,5,0]' LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY -(v <-> '[5,5,0]') LIMIT 3;
CREATE INDEX t_partial ON t USING vecx (v vector_l2_ops) WHERE tag = 1;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE tag = 1;
SELECT count(*) FROM t WHERE tag = 1;
DROP INDEX t_partial;
RESET enable_seqscan;
RESET enable_sort;

-- All rows in the end, NULLs and what has no distance last; the first batch
-- in exact order, and the rest too as long as the width reaches all rows.
SET enable_seqscan = off;
SET enable_sort = off;
SELECT count(*), count(DISTINCT id), (array_agg(id))[1:5] AS first, (array_agg(id))[2003:2004] AS last
FROM (SELECT id FROM t ORDER BY v <-> '[1500.4,0,0]' OFFSET 0) s;
SELECT count(*), count(DISTINCT id), (array_agg(id))[2001:2004] AS last
FROM (SELECT id FROM t ORDER BY v <=> '[1,0,0]' OFFSET 0) s;
SET vecx.ef_search = 3000;
SELECT count(*) FILTER (WHERE d < before) AS out_of_order, count(*)
FROM (SELECT d, lag(d) OVER () AS before
	FROM (SELECT v <-> '[700,3,0]' AS d FROM t ORDER BY v <-> '[700,3,0]' OFFSET 0) s) s;
SET vecx.ef_search = 40;

-- A narrow search finds rows late: returned as soon as they are found, or
-- dropped for the sake of the order.
CREATE TABLE noise (v vector(16));
INSERT INTO noise
SELECT (SELECT array_agg(hashint8(i * 65536 + d) / 2147483648.0) FROM generate_series(1, 16) d)::vector
FROM generate_series(1, 1000) i;
CREATE INDEX ON noise USING vecx (v vector_l2_ops);
CREATE VIEW scan AS SELECT count(*) AS rows, count(*) FILTER (WHERE d < before) AS out_of_order
FROM (SELECT d, lag(d) OVER () AS before
	FROM (SELECT v <-> array_fill(0.1, ARRAY[16])::vector AS d FROM noise
		ORDER BY v <-> array_fill(0.1, ARRAY[16])::vector OFFSET 0) s) s;
SET vecx.ef_search = 1;
SELECT rows, out_of_order > 0 AS out_of_order FROM scan;
SET vecx.scan_order = strict;
SELECT rows > 10 AS many, rows < 1000 AS not_all, out_of_order FROM scan;
SET vecx.ef_search = 2000;
SELECT * FROM scan;
RESET vecx.scan_order;
SELECT * FROM scan;
SET vecx.ef_search = 40;
DROP TABLE noise CASCADE;

-- queries at no distance of anything: every row, in any order
PREPARE nearest(vector) AS SELECT id FROM t ORDER BY v <-> $1;
PREPARE cosine(vector) AS SELECT id FROM t ORDER BY v <=> $1 LIMIT 2;
PREPARE in_all(vector) AS SELECT count(*), count(DISTINCT id)
	FROM (SELECT id FROM t ORDER BY v <=> $1 OFFSET 0) s;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE in_all(NULL);
EXECUTE in_all(NULL);
EXECUTE in_all('[0,0,0]');
EXECUTE in_all('[1,1,1]');
EXECUTE in_all('[1e-30,0,0]');
EXECUTE in_all('[3e38,3e38,3e38]');
EXPLAIN (COSTS OFF) EXECUTE nearest(NULL);
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> (SELECT NULL::vector) OFFSET 0) s;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <=> (SELECT '[0,0,0]'::vector) OFFSET 0) s;
EXECUTE nearest('[1,2]');
EXECUTE cosine('[1,2,3,4]');
EXECUTE cosine('[3,1.1,0]');
EXECUTE cosine('[2,0.9,0]');
RESET plan_cache_mode;
SELECT id FROM t ORDER BY v <-> '[1,2]' LIMIT 1;
DEALLOCATE ALL;

-- cursors, beyond the first batch and to the end
BEGIN;
DECLARE c NO SCROLL CURSOR FOR SELECT id FROM t ORDER BY v <-> '[0,0,0]';
FETCH 3 FROM c;
MOVE 497 IN c;
MOVE 1502 IN c;
FETCH 10 FROM c;
FETCH 1 FROM c;
DECLARE s SCROLL CURSOR FOR SELECT id FROM t ORDER BY v <-> '[0,0,0]';
FETCH 4 FROM s;
FETCH BACKWARD 2 FROM s;
FETCH ABSOLUTE 1 FROM s;
DECLARE h CURSOR WITH HOLD FOR SELECT id FROM t ORDER BY v <-> '[0,0,0]' LIMIT 3;
COMMIT;
FETCH ALL FROM h;
CLOSE h;

-- rescans with other queries, and of a scan that has not ended
EXPLAIN (COSTS OFF) SELECT q.id, n.id FROM (VALUES (1), (2)) q(id),
	LATERAL (SELECT t.id FROM t ORDER BY v <-> ARRAY[q.id * 100.1, 0, 0]::vector LIMIT 3) n;
SELECT q.id, array_agg(n.id) FROM generate_series(1, 5) q(id),
	LATERAL (SELECT t.id FROM t ORDER BY v <-> ARRAY[q.id * 100.1, 0, 0]::vector LIMIT 3) n
GROUP BY q.id ORDER BY q.id;
SELECT q.id, count(*), count(DISTINCT n.id) FROM generate_series(1, 3) q(id),
	LATERAL (SELECT t.id FROM t ORDER BY v <-> CASE WHEN q.id <> 2 THEN ARRAY[q.id, 0, 0]::vector END OFFSET 0) n
GROUP BY q.id ORDER BY q.id;
CREATE VIEW second AS SELECT count(*), sum((SELECT n.v <-> t.v FROM t n ORDER BY n.v <-> t.v LIMIT 1 OFFSET 1))
FROM t WHERE id % 40 = 1;
SELECT * FROM second;
SET enable_indexscan = off;
SET enable_sort = on;
SELECT * FROM second;
SET enable_indexscan = on;
SET enable_sort = off;
DROP VIEW second;

-- several scans at once, of one index and of two
SELECT a.id, b.id FROM
	(SELECT id, row_number() OVER () AS n FROM (SELECT id FROM t ORDER BY v <-> '[10.3,0,0]' LIMIT 3) s) a
	JOIN (SELECT id, row_number() OVER () AS n FROM (SELECT id FROM t ORDER BY v <-> '[20.3,0,0]' LIMIT 3) s) b USING (n)
ORDER BY n;

-- a row's own distance is computed from the heap's value
SELECT id, v <-> '[5.5,5,0]' AS distance FROM t ORDER BY v <-> '[5.5,5,0]' LIMIT 3;
SELECT id FROM t ORDER BY '[5.5,5,0]' <-> v LIMIT 1;

-- rows are locked and changed in the order of the scan
BEGIN;
SELECT id FROM t ORDER BY v <-> '[42,0,0]' LIMIT 2 FOR UPDATE;
UPDATE t SET tag = -1 WHERE id IN (SELECT id FROM t ORDER BY v <-> '[42,0,0]' LIMIT 2) RETURNING id;
SELECT id, tag FROM t ORDER BY v <-> '[42,0,0]' LIMIT 3;
ROLLBACK;

-- work_mem bounds the frontier and the batches, not what is found
SET work_mem = '64kB';
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> '[700,3,0]' OFFSET 0) s;
RESET work_mem;

DROP TABLE t;
