-- Posting lists that rows come into region by region: new lists take rows of lists
-- near by, and rows of lists that are split go to such; VACUUM clears away what they leave there.
CREATE FUNCTION reassign_vector(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
	SELECT array_agg(hashint8(i::bigint * 65536 + d) / 2147483648.0 + CASE d WHEN 1 THEN i % 1000 / 100.0 ELSE 0 END)::real[]::vector
	FROM generate_series(1, 8) d $$;
CREATE TABLE moving (id int, v vector(8)) WITH (autovacuum_enabled = off);
INSERT INTO moving SELECT i, reassign_vector(i) FROM generate_series(1, 600) i;
CREATE INDEX moving_v ON moving USING vecx (v) WITH (structure = lists, list_rows = 40, replicas = 1);
SELECT list_replication, closed_lists FROM vecx_info('moving_v');

-- in the order of the regions
INSERT INTO moving SELECT i, reassign_vector(i) FROM generate_series(601, 5000) i ORDER BY i % 1000, i;
SELECT list_replication > 1 AS some_moved, rows FROM vecx_info('moving_v');
SELECT vecx_check('moving_v', true);
SET enable_seqscan = off;
SET enable_sort = off;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM moving ORDER BY v <-> reassign_vector(1) OFFSET 0) s;
RESET enable_seqscan;
RESET enable_sort;

-- lists are of similar length: .55 to .88 in 190 runs, .71 on average
SELECT list_spread < 1 AS even FROM vecx_info('moving_v');

-- nobody needs what was left
VACUUM moving;
VACUUM moving;
DELETE FROM moving WHERE id % 100 = 0;
VACUUM moving;
DELETE FROM moving WHERE id % 100 = 1;
VACUUM moving;
SELECT list_replication < 1.05 AS cleared, closed_lists, rows FROM vecx_info('moving_v');
SELECT vecx_check('moving_v', true);

-- copies are given anew
DROP INDEX moving_v;
DELETE FROM moving WHERE id > 600;
CREATE INDEX moving_v ON moving USING vecx (v) WITH (structure = lists, list_rows = 40, replicas = 3);
INSERT INTO moving SELECT i, reassign_vector(i) FROM generate_series(601, 3000) i ORDER BY i % 1000, i;
SELECT vecx_check('moving_v', true);
-- rows that have left a list in which they should have a copy keep one there
CREATE TABLE told (replication float8);
INSERT INTO told SELECT list_replication FROM vecx_info('moving_v');
DELETE FROM moving WHERE id % 100 = 7;
VACUUM moving;
DELETE FROM moving WHERE id % 100 = 8;
VACUUM moving;
SELECT i.list_replication > 1 + (t.replication - 1) * 0.7 AS copies_kept FROM vecx_info('moving_v') i, told t;
SELECT vecx_check('moving_v', true);
DROP TABLE told;
DELETE FROM moving WHERE id % 10 < 9;
VACUUM moving;
SELECT rows FROM vecx_info('moving_v');
SELECT vecx_check('moving_v', true);

-- the same under the inner product
CREATE INDEX moving_ip ON moving USING vecx (v vector_ip_ops) WITH (structure = lists, list_rows = 32);
INSERT INTO moving SELECT i, reassign_vector(i) FROM generate_series(3001, 5000) i ORDER BY i % 1000, i;
SELECT list_replication > 1 AS several, rows FROM vecx_info('moving_ip');
SELECT vecx_check('moving_ip', true), vecx_check('moving_v', true);
DROP TABLE moving;
DROP FUNCTION reassign_vector;
