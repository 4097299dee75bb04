-- What an index may hold: nothing, one row, equal rows, rows without a vector,
-- very long and very short vectors; and what UPDATE, DELETE and VACUUM do to it.

SET enable_seqscan = off;
SET enable_sort = off;

CREATE TABLE t (id int, v vector(3));
CREATE INDEX t_v ON t USING vecx (v vector_l2_ops);
CREATE INDEX t_c ON t USING vecx (v vector_cosine_ops);

-- empty
SELECT id FROM t ORDER BY v <-> '[1,2,3]' LIMIT 3;
VACUUM t;
SELECT id FROM t ORDER BY v <-> '[1,2,3]';
REINDEX TABLE t;
SELECT id FROM t ORDER BY v <-> '[1,2,3]';
SELECT id FROM t ORDER BY v <-> (SELECT NULL::vector);

-- one row, then none again, then others
INSERT INTO t VALUES (1, '[1,2,3]');
SELECT id FROM t ORDER BY v <-> '[3,2,1]';
SELECT id FROM t ORDER BY v <-> (SELECT NULL::vector);
DELETE FROM t;
SELECT id FROM t ORDER BY v <-> '[3,2,1]';
VACUUM t;
SELECT id FROM t ORDER BY v <-> '[3,2,1]';
INSERT INTO t VALUES (2, '[1,2,3]'), (3, NULL), (4, '[0,0,0]'), (5, '[3,2,1]');
SELECT id FROM t ORDER BY v <-> '[3,2,1]';
SELECT id FROM t ORDER BY v <=> '[3,2,1]';
REINDEX TABLE t;
SELECT id FROM t ORDER BY v <-> '[3,2,1]';
SELECT id FROM t ORDER BY v <=> '[3,2,1]';

-- only rows without a distance
TRUNCATE t;
INSERT INTO t VALUES (1, NULL), (2, '[0,0,0]');
SELECT id FROM t ORDER BY v <=> '[1,0,0]';
INSERT INTO t SELECT i, NULL FROM generate_series(3, 3000) i;
INSERT INTO t SELECT i, '[0,0,0]' FROM generate_series(3001, 6000) i;
SELECT count(*), count(DISTINCT id), (array_agg(id))[1:3] AS zeros, (array_agg(id))[3002:3004] AS nulls
FROM (SELECT id FROM t ORDER BY v <=> '[1,0,0]' OFFSET 0) s;
DELETE FROM t WHERE id % 3 <> 0;
VACUUM t;
SELECT count(*), count(DISTINCT id), sum(id) FROM (SELECT id FROM t ORDER BY v <=> '[1,0,0]' OFFSET 0) s;
SELECT count(*), sum(id) FROM t;
-- their room is used again
SELECT pg_relation_size('t_c') AS size \gset
INSERT INTO t SELECT i, NULL FROM generate_series(1, 6000) i WHERE i % 3 <> 0;
SELECT pg_relation_size('t_c') - :size AS growth;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <=> '[1,0,0]' OFFSET 0) s;
REINDEX TABLE t;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <=> '[1,0,0]' OFFSET 0) s;

-- ten thousand equal rows are one vertex, whether built or inserted
TRUNCATE t;
INSERT INTO t SELECT i, '[1,2,3]' FROM generate_series(1, 5000) i;
INSERT INTO t VALUES (0, '[1,2,3.5]');
SELECT pg_relation_size('t_v') < 10 * 8192 + 5000 * 16 AS small;
REINDEX TABLE t;
SELECT pg_relation_size('t_v') < 10 * 8192 + 5000 * 16 AS small;
INSERT INTO t SELECT i, '[1,2,3]' FROM generate_series(5001, 10000) i;
SELECT pg_relation_size('t_v') < 10 * 8192 + 10000 * 16 AS small;
SELECT count(*), count(DISTINCT id), (array_agg(id))[10001] AS last
FROM (SELECT id FROM t ORDER BY v <-> '[1,2,2.9]' OFFSET 0) s;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <=> '[1,2,2.9]' OFFSET 0) s;
SELECT id FROM t ORDER BY v <-> '[1,2,4]' LIMIT 1;
DELETE FROM t WHERE id % 100 <> 7;
VACUUM t;
SELECT count(*), count(DISTINCT id), sum(id % 100) / 7 AS right_ones FROM (SELECT id FROM t ORDER BY v <-> '[1,2,2.9]' OFFSET 0) s;
UPDATE t SET v = '[7,7,7]' WHERE id < 5000;
SELECT count(*), count(DISTINCT id), max(id) FILTER (WHERE n <= 50)
FROM (SELECT id, row_number() OVER () AS n FROM (SELECT id FROM t ORDER BY v <-> '[7,7,7]' OFFSET 0) s) s;
VACUUM t;
SELECT count(*), count(DISTINCT id), max(id) FILTER (WHERE n <= 50)
FROM (SELECT id, row_number() OVER () AS n FROM (SELECT id FROM t ORDER BY v <-> '[7,7,7]' OFFSET 0) s) s;
DROP TABLE t;

-- equal rows in a column that was filled by an UPDATE of older rows
CREATE TABLE t (id int);
INSERT INTO t SELECT generate_series(1, 1000);
ALTER TABLE t ADD v vector(3);
UPDATE t SET v = '[1,2,3]';
CREATE INDEX t_v ON t USING vecx (v vector_l2_ops);
SELECT pg_relation_size('t_v') < 10 * 8192 + 1000 * 16 AS small;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> '[1,2,2.9]' OFFSET 0) s;
DROP TABLE t;
-- and such as few places that the versions stay in one page's update chain
CREATE TABLE t (id int, tag int, v vector(3)) WITH (fillfactor = 20);
INSERT INTO t SELECT i FROM generate_series(1, 1000) i;
UPDATE t SET v = '[1,2,3]';
CREATE INDEX t_v ON t USING vecx (v vector_l2_ops);
SELECT pg_relation_size('t_v') < 10 * 8192 + 1000 * 16 AS small;
-- a vector that only changes its row's other columns stays where it is
UPDATE t SET tag = 1;
SELECT pg_relation_size('t_v') < 10 * 8192 + 2000 * 16 AS small;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> '[1,2,2.9]' OFFSET 0) s;
DROP TABLE t;

-- 0 and -0 are equal values, but not to the bit
CREATE TABLE t (id int, v vector(2));
CREATE INDEX t_v ON t USING vecx (v vector_l2_ops);
INSERT INTO t VALUES (1, '[0,1]'), (2, '[-0,1]'), (3, '[0,1]'), (4, '[0,2]');
SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM t ORDER BY v <-> '[0,1]' LIMIT 3) s;
DROP TABLE t;

-- very long and very short vectors
CREATE TABLE t (id int, v vector(3));
INSERT INTO t SELECT i, ARRAY[i, 1, 0]::vector FROM generate_series(1, 300) i;
INSERT INTO t VALUES (1001, '[1e30,1e30,0]'), (1002, '[-1e30,1e30,0]'), (1003, '[3e38,-3e38,3e38]'),
	(1004, '[1e-30,0,0]'), (1005, '[1e-42,0,0]'), (1006, '[1e18,0,0]'), (1007, '[1e15,1,0]');
CREATE INDEX t_l2 ON t USING vecx (v vector_l2_ops);
CREATE INDEX t_ip ON t USING vecx (v vector_ip_ops);
CREATE INDEX t_cosine ON t USING vecx (v vector_cosine_ops);
CREATE INDEX t_l1 ON t USING vecx (v vector_l1_ops);
CREATE FUNCTION all_rows(op text, query text) RETURNS TABLE (n bigint, rows bigint, first int[]) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format('SELECT count(*), count(DISTINCT id), (array_agg(id))[1:2] FROM '
		'(SELECT id FROM t ORDER BY v %s %L OFFSET 0) s', op, query);
END $$;
SET vecx.ef_search = 1000;
SELECT op, q, n, rows, CASE WHEN op = '<->' AND q !~ 'e' THEN first END AS first
FROM unnest(ARRAY['<->', '<#>', '<=>', '<+>']) op, unnest(ARRAY['[100.2,1.1,0]', '[1e30,1e30,1]', '[1e-30,1e-30,0]']) q,
	all_rows(op, q)
ORDER BY op, q;
RESET vecx.ef_search;
INSERT INTO t SELECT id + 2000, v FROM t WHERE id > 1000;
DELETE FROM t WHERE id < 2000 AND id > 1000;
VACUUM t;
SELECT op, q, n, rows
FROM unnest(ARRAY['<->', '<#>', '<=>', '<+>']) op, unnest(ARRAY['[100.2,1.1,0]', '[1e30,1e30,1]', '[1e-30,1e-30,0]']) q,
	all_rows(op, q)
ORDER BY op, q;
DROP TABLE t;
DROP FUNCTION all_rows;

-- Cosine distances so small that the operator rounds them to few values: the
-- order is the operator's all the same.
CREATE TABLE t (id int, v vector(3));
INSERT INTO t SELECT i, ARRAY[1000, i % 50 * 0.01, i * 0.001]::vector FROM generate_series(1, 500) i;
CREATE INDEX t_v ON t USING vecx (v vector_cosine_ops);
SET vecx.ef_search = 1000;
SELECT count(*), count(DISTINCT d) < 250 AS few, count(*) FILTER (WHERE d < before) AS out_of_order
FROM (SELECT d, lag(d) OVER () AS before
	FROM (SELECT v <=> '[1000,0.2,0.1]' AS d FROM t ORDER BY v <=> '[1000,0.2,0.1]' OFFSET 0) s) s;
RESET vecx.ef_search;
DROP TABLE t;

-- constant elements, and vectors of one dimension
CREATE TABLE t (id int, v vector(1), w vector(8));
INSERT INTO t SELECT i, ARRAY[i]::vector, array_fill(i % 10, ARRAY[8])::vector FROM generate_series(1, 1000) i;
CREATE INDEX t_v ON t USING vecx (v vector_l2_ops);
CREATE INDEX t_w ON t USING vecx (w vector_l2_ops);
SELECT id FROM t ORDER BY v <-> '[500.4]' LIMIT 3;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> '[500.4]' OFFSET 0) s;
SELECT array_agg(DISTINCT id % 10) FROM (SELECT id FROM t ORDER BY w <-> array_fill(3.1, ARRAY[8])::vector LIMIT 100) s;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY w <-> array_fill(3, ARRAY[8])::vector OFFSET 0) s;

-- every row of an index that was emptied and filled again
UPDATE t SET v = ARRAY[id + 5000]::vector;
SELECT id FROM t ORDER BY v <-> '[5500.4]' LIMIT 3;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> '[500.4]' OFFSET 0) s;
VACUUM t;
SELECT id FROM t ORDER BY v <-> '[5500.4]' LIMIT 3;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> '[500.4]' OFFSET 0) s;
DELETE FROM t;
VACUUM t;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[500.4]' OFFSET 0) s;
INSERT INTO t SELECT i, ARRAY[i]::vector FROM generate_series(1, 1000) i;
SELECT id FROM t ORDER BY v <-> '[500.4]' LIMIT 3;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM t ORDER BY v <-> '[500.4]' OFFSET 0) s;
BEGIN;
INSERT INTO t SELECT i, ARRAY[i]::vector FROM generate_series(1001, 1010) i;
SAVEPOINT s;
INSERT INTO t SELECT i, ARRAY[i]::vector FROM generate_series(1011, 1020) i;
SELECT id FROM t ORDER BY v <-> '[1015.4]' LIMIT 3;
ROLLBACK TO s;
SELECT id FROM t ORDER BY v <-> '[1015.4]' LIMIT 3;
ROLLBACK;
SELECT id FROM t ORDER BY v <-> '[1015.4]' LIMIT 3;
DROP TABLE t;
RESET enable_seqscan;
RESET enable_sort;
