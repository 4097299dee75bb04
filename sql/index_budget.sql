-- vecx.max_scan_tuples: a scan ends there and says so, once; one that needs no
-- more is left alone.

CREATE TABLE t (id int, tag int, v vector(3));
INSERT INTO t SELECT i, i % 400, ARRAY[i, i % 7, 0]::vector FROM generate_series(1, 2000) i;
INSERT INTO t VALUES (2001, 7, NULL), (2002, 7, NULL);
CREATE INDEX t_v ON t USING vecx (v vector_l2_ops);
CREATE TABLE copies (id int, v vector(3));
INSERT INTO copies SELECT i, '[1,2,3]' FROM generate_series(1, 500) i;
CREATE INDEX copies_v ON copies USING vecx (v vector_l2_ops);
SET enable_seqscan = off;
SET enable_sort = off;

-- no limit by default
SELECT count(*) FROM (SELECT id FROM t WHERE tag = 7 ORDER BY v <-> '[5,5,0]' LIMIT 20) s;
SELECT stopped FROM vecx_last_scan();

-- a filter that too few rows meet; records are also those above the base, of which
-- there are some 130
SET vecx.max_scan_tuples = 200;
SELECT count(*) < 7 AS fewer FROM (SELECT id FROM t WHERE tag = 7 ORDER BY v <-> '[5,5,0]' LIMIT 20) s;
SELECT stopped, records < 400 AS bounded FROM vecx_last_scan();
SELECT id FROM t ORDER BY v <-> '[5.2,5,0]' LIMIT 3;
SELECT stopped FROM vecx_last_scan();

-- each row of a join anew, but one NOTICE
SELECT sum(n) < 21 AS fewer FROM generate_series(1, 3) i,
	LATERAL (SELECT count(*) AS n FROM
		(SELECT id FROM t WHERE tag = 7 ORDER BY v <-> ARRAY[i, 5, 0]::vector LIMIT 20) s) n;

-- the first batch, one vertex with many rows, a query at no distance, a range
SET vecx.max_scan_tuples = 3;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[5,5,0]' LIMIT 1) s;
SET vecx.max_scan_tuples = 100;
SELECT count(*) FROM (SELECT id FROM copies ORDER BY v <-> '[0,0,0]' OFFSET 0) s;
SELECT count(*) BETWEEN 100 AND 150 AS some FROM (SELECT id FROM t ORDER BY v <-> (SELECT NULL::vector) OFFSET 0) s;
SELECT count(*) < 500 AS fewer FROM t WHERE v <-> '[1000,0,0]' < 300;

-- a limit that is never reached is never told of
SET vecx.max_scan_tuples = 2002;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[5,5,0]' OFFSET 0) s;
SELECT stopped FROM vecx_last_scan();
SET vecx.max_scan_tuples = 2001;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[5,5,0]' OFFSET 0) s;
SET vecx.max_scan_tuples = -1;

-- of posting lists rows are counted, not the centroids looked at to find lists
DROP INDEX t_v;
CREATE INDEX t_v ON t USING vecx (v vector_l2_ops) WITH (structure = lists, list_rows = 30);
SET vecx.probes = 64;
SET vecx.max_scan_tuples = 5;
SET statement_timeout = '20s';
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[5,5,0]' LIMIT 3) s;
RESET statement_timeout;
RESET vecx.probes;
RESET vecx.max_scan_tuples;

DROP TABLE t, copies;
