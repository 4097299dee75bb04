-- Values out of line are read without the index over them where they lie in the order
-- of their ids, and by it where they do not: the rows are those of a sequential scan.
SET client_min_messages = warning;
-- of four dimensions: where all rows are about as far from each other (numbers at random in all
-- dimensions), inserts may leave one that nothing links to
CREATE FUNCTION made(i int, dim int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
	SELECT array_agg((hashint4(i * 4) * cos(d) + hashint4(i * 4 + 1) * sin(d) + hashint4(i * 4 + 2) * cos(2 * d) +
		hashint4(i * 4 + 3) * sin(2 * d)) / 2147483648.0 ORDER BY d)::real[]::vector FROM generate_series(1, dim) d $$;
CREATE TABLE wide (id int, note text, v vector(600)) WITH (autovacuum_enabled = off);
INSERT INTO wide SELECT i, 'a', made(i, 600) FROM generate_series(1, 600) i;
CREATE INDEX wide_v ON wide USING vecx (v);
-- scans of the index over the values by a query for 100 rows
CREATE FUNCTION toast_scans(of regclass, q int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	toast_index regclass := (SELECT i.indexrelid FROM pg_class c JOIN pg_index i ON i.indrelid = c.reltoastrelid WHERE c.oid = of);
	before bigint := pg_stat_get_xact_numscans(toast_index);
BEGIN
	PERFORM set_config('enable_seqscan', 'off', true);
	PERFORM id FROM wide ORDER BY v <-> (SELECT made(q, 600)) LIMIT 100;
	RETURN pg_stat_get_xact_numscans(toast_index) - before;
END $$;
-- rows of the nearest 20 that differ from those of a sequential scan, over ten queries
CREATE FUNCTION differ(of text, dim int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	query text := format('SELECT array_agg(n.id) FROM (SELECT made(q * 7, %s) AS v FROM generate_series(1, 10) q OFFSET 0) q,
		LATERAL (SELECT id FROM %s ORDER BY v <-> q.v LIMIT 20) n', dim, of);
	here int[];
	there int[];
BEGIN
	PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'on', true);
	EXECUTE query INTO here;
	PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_indexscan', 'off', true);
	EXECUTE query INTO there;
	PERFORM set_config('enable_indexscan', 'on', true);
	RETURN (SELECT count(*) FROM unnest(here, there) d (a, b) WHERE a IS DISTINCT FROM b);
END $$;
SET vecx.ef_search = 4000;

SELECT toast_scans('wide', 5);
SELECT differ('wide', 600);

-- what was rolled back lies between the others
BEGIN;
INSERT INTO wide SELECT i, 'b', made(i, 600) FROM generate_series(601, 700) i;
ROLLBACK;
INSERT INTO wide SELECT i, 'c', made(i, 600) FROM generate_series(701, 900) i;
SELECT differ('wide', 600);
SELECT toast_scans('wide', 705);

-- room that is used again is out of order; rows whose values stay keep them
DELETE FROM wide WHERE id % 3 = 0;
VACUUM wide;
INSERT INTO wide SELECT i, 'd', made(i, 600) FROM generate_series(901, 1100) i;
UPDATE wide SET note = 'e' WHERE id % 2 = 0;
SELECT differ('wide', 600);
SELECT toast_scans('wide', 905) > 0 AS some;
UPDATE wide SET v = v + v WHERE id % 5 = 0;
VACUUM wide;
SELECT differ('wide', 600);
VACUUM FULL wide;
SELECT differ('wide', 600);
SELECT vecx_check('wide_v', true);

-- many chunks; values that are compressed out of line
CREATE TABLE long (id int, v vector(16000)) WITH (autovacuum_enabled = off);
INSERT INTO long SELECT i, made(i, 16000) FROM generate_series(1, 40) i;
CREATE INDEX long_v ON long USING vecx (v);
SELECT differ('long', 16000);
CREATE TABLE even (id int, v vector(5000)) WITH (autovacuum_enabled = off);
ALTER TABLE even ALTER v SET STORAGE EXTENDED;
INSERT INTO even SELECT i, (SELECT array_agg((d % 1500 + i) % 977 ORDER BY d) FROM generate_series(1, 5000) d)::real[]::vector
FROM generate_series(1, 60) i;
CREATE INDEX even_v ON even USING vecx (v);
SELECT count(*) > 0 AS compressed FROM even WHERE pg_column_compression(v) IS NOT NULL;
SELECT differ('even', 5000);

-- a cursor goes on when what came after it was rolled back
SET enable_seqscan = off;
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM wide ORDER BY v <-> (SELECT made(7, 600));
SAVEPOINT s;
MOVE 10 IN c;
ROLLBACK TO s;
MOVE 300 IN c;
COMMIT;

DROP TABLE wide, long, even;
DROP FUNCTION differ, toast_scans, made;
