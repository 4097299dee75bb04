-- Kinds of index and of table: expressions, conditions, unlogged and temporary
-- tables, partitions; builds in parts, REINDEX, and what DDL does to an index.

CREATE TABLE t (id int PRIMARY KEY, tag int, v vector);
INSERT INTO t SELECT i, i % 5, ARRAY[i, i % 3, 0]::vector FROM generate_series(1, 500) i;
INSERT INTO t SELECT i, 9, ARRAY[i, 1]::vector FROM generate_series(501, 520) i;

SET enable_seqscan = off;

-- expressions: dimensions by a cast, in a table that holds vectors of others
CREATE INDEX t_3 ON t USING vecx ((v::vector(3))) WHERE tag < 9;
CREATE INDEX t_2 ON t USING vecx ((v::vector(2)) vector_l1_ops) WHERE tag = 9;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE tag < 9 ORDER BY v::vector(3) <-> '[100.4,1,0]' LIMIT 3;
SELECT id FROM t WHERE tag < 9 ORDER BY v::vector(3) <-> '[100.4,1,0]' LIMIT 3;
SELECT id FROM t WHERE tag = 9 ORDER BY v::vector(2) <+> '[505.4,1]' LIMIT 3;
-- the condition has to be implied
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE tag < 10 ORDER BY v::vector(3) <-> '[100.4,1,0]' LIMIT 3;
INSERT INTO t VALUES (1001, 1, '[100.4,1,0]'), (1002, 9, '[505.4,1]');
UPDATE t SET v = '[100.41,1,0]' WHERE id = 5;
SELECT id FROM t WHERE tag < 9 ORDER BY v::vector(3) <-> '[100.4,1,0]' LIMIT 3;
SELECT id FROM t WHERE tag = 9 ORDER BY v::vector(2) <+> '[505.4,1]' LIMIT 3;
-- into and out of a partial index
UPDATE t SET tag = 9, v = '[505.5,1]' WHERE id = 5;
SELECT id FROM t WHERE tag < 9 ORDER BY v::vector(3) <-> '[100.4,1,0]' LIMIT 3;
SELECT id FROM t WHERE tag = 9 ORDER BY v::vector(2) <+> '[505.4,1]' LIMIT 3;
INSERT INTO t VALUES (1003, 1, '[1,2]');
DROP INDEX t_2, t_3;

-- signs of the elements, ranked again by the whole vectors
DELETE FROM t WHERE tag = 9;
CREATE INDEX t_bits ON t USING vecx ((binary_quantize(v::vector(3))::bit(3)) bit_hamming_ops);
EXPLAIN (COSTS OFF) SELECT id FROM
	(SELECT * FROM t ORDER BY binary_quantize(v::vector(3))::bit(3) <~> binary_quantize('[300,1,-1]'::vector)::bit(3) LIMIT 400) s
ORDER BY v <-> '[300.4,1,0]' LIMIT 3;
SELECT id FROM
	(SELECT * FROM t ORDER BY binary_quantize(v::vector(3))::bit(3) <~> binary_quantize('[300,1,-1]'::vector)::bit(3) LIMIT 600) s
ORDER BY v <-> '[300.4,1,0]' LIMIT 3;
DROP INDEX t_bits;
CREATE INDEX t_part ON t USING vecx ((subvector(v, 1, 2)::vector(2)));
SELECT id FROM t ORDER BY subvector(v, 1, 2)::vector(2) <-> '[300.4,1]' LIMIT 3;
DROP TABLE t;

-- CREATE INDEX CONCURRENTLY and REINDEX in all its forms
CREATE TABLE t (id int PRIMARY KEY, v vector(3));
INSERT INTO t SELECT i, ARRAY[i, i % 3, 0]::vector FROM generate_series(1, 500) i;
INSERT INTO t VALUES (501, NULL), (502, NULL);
CREATE VIEW scan AS SELECT count(*) AS rows, count(DISTINCT id) AS different, (array_agg(id))[1:3] AS first
FROM (SELECT id FROM t ORDER BY v <-> '[100.4,1,0]' OFFSET 0) s;
CREATE INDEX CONCURRENTLY t_v ON t USING vecx (v) WITH (m = 8);
SET enable_sort = off;
SELECT * FROM scan;
DELETE FROM t WHERE id = 100;
REINDEX INDEX CONCURRENTLY t_v;
SELECT * FROM scan;
REINDEX TABLE CONCURRENTLY t;
SELECT * FROM scan;
REINDEX INDEX t_v;
SELECT * FROM scan;
CLUSTER t USING t_v;
CLUSTER t USING t_pkey;
SELECT * FROM scan;
VACUUM FULL t;
SELECT * FROM scan;
ALTER TABLE t ADD COLUMN note text DEFAULT clock_timestamp()::text;
SELECT * FROM scan;
DROP VIEW scan;
ALTER TABLE t ALTER v TYPE vector(3) USING v * array_fill(2, ARRAY[3])::vector;
SELECT id FROM t ORDER BY v <-> '[200.8,2,0]' LIMIT 3;
ALTER TABLE t ALTER v TYPE vector(2) USING subvector(v, 1, 2)::vector(2);
SELECT id FROM t ORDER BY v <-> '[200.8,2]' LIMIT 3;
-- the index goes on without the dimensions that it was made with, but no other can be
ALTER TABLE t ALTER v TYPE vector;
INSERT INTO t VALUES (1001, '[1,2,3]');
INSERT INTO t VALUES (1001, '[200.8,2]');
SELECT id FROM t ORDER BY v <-> '[200.8,2]' LIMIT 3;
REINDEX INDEX t_v;
SELECT id FROM t ORDER BY v <-> '[200.8,2]' LIMIT 3;
ALTER INDEX t_v RENAME TO t_renamed;
SELECT indexdef FROM pg_indexes WHERE tablename = 't' AND indexname <> 't_pkey';
DROP INDEX t_renamed;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> '[200.8,2]' LIMIT 3;
DROP TABLE t;

-- a build that outgrows its memory: complete
CREATE TABLE t (id int, v vector(64));
INSERT INTO t
SELECT i, (SELECT array_agg(hashint8(i / 2 * 65536 + d) / 2147483648.0) FROM generate_series(1, 64) d)::vector
FROM generate_series(1, 3000) i;
INSERT INTO t VALUES (3001, NULL), (3002, NULL);
SET maintenance_work_mem = '1MB';
CREATE INDEX t_v ON t USING vecx (v vector_l2_ops);
RESET maintenance_work_mem;
SET vecx.ef_search = 200;
SELECT count(*), count(DISTINCT id), (array_agg(id ORDER BY n))[1:1] AS first
FROM (SELECT id, row_number() OVER () AS n
	FROM (SELECT id FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 3000) OFFSET 0) s) s;
-- built in one go, with one vertex for each of 1,501 vectors as before
SELECT pg_relation_size('t_v') AS size \gset
REINDEX INDEX t_v;
SELECT pg_relation_size('t_v') / :size::float8 BETWEEN 0.7 AND 1.3 AS same_size;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> (SELECT v FROM t WHERE id = 3000) OFFSET 0) s;
RESET vecx.ef_search;
DROP TABLE t;

-- unlogged
CREATE UNLOGGED TABLE t (id int, v vector(3));
CREATE INDEX t_v ON t USING vecx (v);
INSERT INTO t SELECT i, ARRAY[i, i % 3, 0]::vector FROM generate_series(1, 300) i;
SELECT id FROM t ORDER BY v <-> '[100.4,1,0]' LIMIT 3;
ALTER TABLE t SET LOGGED;
SELECT id FROM t ORDER BY v <-> '[100.4,1,0]' LIMIT 3;
ALTER TABLE t SET UNLOGGED;
SELECT id FROM t ORDER BY v <-> '[100.4,1,0]' LIMIT 3;
DELETE FROM t WHERE id % 2 = 0;
VACUUM t;
SELECT id FROM t ORDER BY v <-> '[100.4,1,0]' LIMIT 3;
DROP TABLE t;

-- temporary
CREATE TEMPORARY TABLE t (id int, v vector(3));
INSERT INTO t SELECT i, ARRAY[i, i % 3, 0]::vector FROM generate_series(1, 100) i;
CREATE INDEX t_v ON t USING vecx (v);
INSERT INTO t SELECT i, ARRAY[i, i % 3, 0]::vector FROM generate_series(101, 300) i;
SELECT id FROM t ORDER BY v <-> '[100.4,1,0]' LIMIT 3;
DELETE FROM t WHERE id % 2 = 0;
VACUUM t;
SELECT id FROM t ORDER BY v <-> '[100.4,1,0]' LIMIT 3;
DROP TABLE t;
BEGIN;
CREATE TEMPORARY TABLE t (id int, v vector(3)) ON COMMIT DELETE ROWS;
CREATE INDEX t_v ON t USING vecx (v);
INSERT INTO t VALUES (1, '[1,2,3]');
SELECT id FROM t ORDER BY v <-> '[100.4,1,0]' LIMIT 3;
COMMIT;
SELECT id FROM t ORDER BY v <-> '[100.4,1,0]' LIMIT 3;
INSERT INTO t VALUES (1, '[1,2,3]');
DROP TABLE t;

-- partitions
CREATE TABLE t (id int, tag int, v vector(3)) PARTITION BY LIST (tag);
CREATE TABLE t0 PARTITION OF t FOR VALUES IN (0);
CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1);
INSERT INTO t SELECT i, i % 2, ARRAY[i, i % 3, 0]::vector FROM generate_series(1, 400) i;
CREATE INDEX t_v ON t USING vecx (v);
CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2);
INSERT INTO t SELECT i, 2, ARRAY[i - 0.5, 1, 0]::vector FROM generate_series(401, 600) i;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> '[400.3,1,0]' LIMIT 5;
SELECT id, tag FROM t ORDER BY v <-> '[400.3,1,0]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE tag = 1 ORDER BY v <-> '[400.3,1,0]' LIMIT 2;
SELECT id, tag FROM t WHERE tag = 1 ORDER BY v <-> '[400.3,1,0]' LIMIT 2;
UPDATE t SET tag = 2 WHERE id = 399;
SELECT id, tag FROM t ORDER BY v <-> '[400.3,1,0]' LIMIT 5;
ALTER TABLE t DETACH PARTITION t2;
SELECT id FROM t2 ORDER BY v <-> '[400.3,1,0]' LIMIT 2;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> '[400.3,1,0]' OFFSET 0) s;
DROP INDEX t_v;
EXPLAIN (COSTS OFF) SELECT id FROM t0 ORDER BY v <-> '[400.3,1,0]' LIMIT 5;
DROP TABLE t, t2;

-- a subtransaction that fails while it changes the index
CREATE TABLE t (id int PRIMARY KEY, v vector(3));
CREATE INDEX t_v ON t USING vecx (v);
DO $$
BEGIN
	FOR i IN 1..300 LOOP
		BEGIN
			INSERT INTO t VALUES (i, ARRAY[i, 0, 0]::vector);
			IF i % 3 = 0 THEN
				RAISE division_by_zero;
			END IF;
		EXCEPTION WHEN division_by_zero THEN
		END;
	END LOOP;
END $$;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> '[100.4,1,0]' OFFSET 0) s;
SELECT id FROM t ORDER BY v <-> '[99.1,0,0]' LIMIT 2;
BEGIN;
DROP INDEX t_v;
ROLLBACK;
SELECT id FROM t ORDER BY v <-> '[99.1,0,0]' LIMIT 2;
BEGIN;
TRUNCATE t;
INSERT INTO t VALUES (1, '[1,2,3]');
SELECT id FROM t ORDER BY v <-> '[99.1,0,0]' LIMIT 2;
ROLLBACK;
SELECT id FROM t ORDER BY v <-> '[99.1,0,0]' LIMIT 2;
DROP TABLE t;
RESET enable_seqscan;
RESET enable_sort;
