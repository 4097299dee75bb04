-- A search with a filter that comes to a wrong place finds what passes scattered there, and not near
-- to each other: what fails tells it, too, that it went astray.
SET client_min_messages = warning;
SELECT setseed(0.5);
CREATE FUNCTION noise(n int, size float8) RETURNS vector LANGUAGE sql VOLATILE AS
	'SELECT array_agg(size * (random() + random() + random() - 1.5) + 0 * n)::vector FROM generate_series(1, 64)';
CREATE TABLE places AS SELECT i AS place, noise(i, 1.2)::vector(64) AS v FROM generate_series(0, 7) i;
CREATE TABLE t WITH (autovacuum_enabled = off) AS SELECT i AS id, CASE WHEN random() < 0.9 THEN i % 8 ELSE i / 8 % 8 END AS kind,
	((SELECT v FROM places WHERE place = i % 8) + noise(i, 0.8))::vector(64) AS v FROM generate_series(1, 13000) i;
CREATE TABLE queries AS SELECT i % 8 AS place, (SELECT v FROM places WHERE place = i % 8) + noise(i, 0.8) AS v FROM generate_series(1, 400) i;
CREATE INDEX t_v ON t USING vecx (v vector_l2_ops, kind);
-- some change their kind, then a seventh moves, each place by the same
UPDATE t SET kind = kind + 1 WHERE id % 5 = 0;
UPDATE t SET v = v + (SELECT v FROM queries WHERE place = 5 LIMIT 1) WHERE id % 7 = 1;
UPDATE queries SET v = v + (SELECT v FROM queries WHERE place = 5 LIMIT 1);
VACUUM ANALYZE t;

-- queries where the places went, of whose ten nearest rows of other kinds none is found
CREATE FUNCTION astray(OUT astray bigint, OUT found_more_than numeric) LANGUAGE plpgsql AS $$
DECLARE
	search text := 'SELECT ARRAY(SELECT id FROM t WHERE kind <> $1 ORDER BY v <-> $2 LIMIT 10)';
	query queries;
	truth int[];
	ids int[];
	found int;
	sum int := 0;
BEGIN
	astray := 0;
	FOR query IN SELECT * FROM queries LOOP
		SET LOCAL enable_indexscan = off;
		SET LOCAL enable_seqscan = on;
		EXECUTE search INTO truth USING query.place, query.v;
		SET LOCAL enable_indexscan = on;
		SET LOCAL enable_seqscan = off;
		EXECUTE search INTO ids USING query.place, query.v;
		found := cardinality(ARRAY(SELECT unnest(ids) INTERSECT SELECT unnest(truth)));
		astray := astray + (found = 0)::int;
		sum := sum + found;
	END LOOP;
	found_more_than := CASE WHEN sum > 3800 THEN 0.95 ELSE sum / 4000.0 END;
END $$;
SELECT astray <= 2 AS few, found_more_than FROM astray();
SELECT vecx_check('t_v', true);
DROP TABLE t, queries, places;
DROP FUNCTION noise, astray;
