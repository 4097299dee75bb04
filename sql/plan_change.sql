-- A condition whose share nobody knows: the index is tried, and the table read for the rest
-- if few of the rows that it returns meet the condition.

CREATE FUNCTION spread(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
	SELECT array_agg(hashint8(i * 64 + d) / 2147483648.0)::vector FROM generate_series(1, 8) d
$$;
CREATE TABLE changing (id int, word int, kind int, note text, v vector(8)) WITH (fillfactor = 70);
INSERT INTO changing SELECT i, i, i % 4, '', spread(i) FROM generate_series(1, 20000) i;
INSERT INTO changing SELECT 20000 + i, i * 997, 0, '', NULL FROM generate_series(1, 20) i;
CREATE INDEX changing_v ON changing USING vecx (v, kind);
VACUUM ANALYZE changing;
-- heads and tails of HOT chains, and rows that are gone
UPDATE changing SET note = 'new' WHERE word % 997 = 0 AND word % 2 = 0;
DELETE FROM changing WHERE word % 997 = 0 AND word % 3 = 0;

-- Compares the rows of a query with those of the same by a sort, in their order, and says how
-- the index found them.
CREATE FUNCTION compare(query text, OUT ids int, OUT same bool, OUT by_table bool) LANGUAGE plpgsql AS $$
DECLARE
	a int[];
	b int[];
BEGIN
	SET LOCAL enable_seqscan = off;
	SET LOCAL enable_sort = off;
	EXECUTE format('SELECT array_agg(id) FROM (%s) s', query) INTO a;
	SELECT l.by_table INTO by_table FROM vecx_last_scan() l;
	SET LOCAL enable_seqscan = on;
	SET LOCAL enable_sort = on;
	SET LOCAL enable_indexscan = off;
	EXECUTE format('SELECT array_agg(id) FROM (%s) s', query) INTO b;
	SET LOCAL enable_indexscan = on;
	ids := cardinality(a);
	same := a = b;
END
$$;

-- few meet it, fewer than LIMIT, one, none; many
SELECT * FROM compare('SELECT id FROM changing WHERE word % 997 = 0 ORDER BY v <-> spread(1) LIMIT 5');
SELECT * FROM compare('SELECT id FROM changing WHERE word % 997 = 0 ORDER BY v <-> spread(1), id LIMIT 100');
SELECT ids, by_table FROM compare('SELECT id FROM changing WHERE word % 997 = 0 ORDER BY v <-> spread(1) LIMIT 100');
SELECT * FROM compare('SELECT id FROM changing WHERE word + 0 = 1777 ORDER BY v <-> spread(1) LIMIT 3');
SELECT * FROM compare('SELECT id FROM changing WHERE word + 0 = -1 ORDER BY v <-> spread(1) LIMIT 3');
SELECT * FROM compare('SELECT id FROM changing WHERE word % 3 = 1 ORDER BY v <-> spread(1) LIMIT 5');
-- beside conditions on the vector and on a filter column
SELECT * FROM compare('SELECT id FROM changing WHERE word % 997 = 0 AND v IS NOT NULL ORDER BY v <-> spread(1) LIMIT 100');
SELECT * FROM compare('SELECT id FROM changing WHERE word % 997 = 0 AND v <-> spread(1) < 1.6 ORDER BY v <-> spread(1) LIMIT 100');
SELECT * FROM compare('SELECT id FROM changing WHERE word % 997 = 0 AND v IS NOT NULL AND kind = 2 ORDER BY v <-> spread(1) LIMIT 100');
-- OFFSET, subqueries, parameters and rescans, row locks
SELECT * FROM compare('SELECT id FROM changing WHERE word % 997 = 0 AND v IS NOT NULL ORDER BY v <-> spread(1) LIMIT 4 OFFSET 3');
SELECT * FROM compare('SELECT id FROM changing WHERE word % 997 = 0 AND v IS NOT NULL AND word NOT IN (SELECT 997 + relnatts * 0 FROM pg_class)
	ORDER BY v <-> spread(1) LIMIT 100');
SELECT * FROM compare('SELECT n.id FROM generate_series(1, 5) i, LATERAL (SELECT id FROM changing WHERE word % 997 = i ORDER BY v <-> spread(i) LIMIT 15) n');
SELECT * FROM compare('SELECT n.id FROM (VALUES (3), (997), (2), (991)) i (i), LATERAL (SELECT id FROM changing WHERE word % i = 0 AND v IS NOT NULL
	ORDER BY v <-> spread(i) LIMIT 15) n');
BEGIN;
SET LOCAL enable_seqscan = off;
SELECT count(*) FROM (SELECT id FROM changing WHERE word % 997 = 0 ORDER BY v <-> spread(1) LIMIT 5 FOR UPDATE) s;
SELECT by_table FROM vecx_last_scan();
DECLARE c CURSOR FOR SELECT id FROM changing WHERE word % 997 = 0 ORDER BY v <-> spread(1) LIMIT 3;
FETCH ALL FROM c;
SELECT by_table FROM vecx_last_scan();
ROLLBACK;
-- in strict order
SET vecx.scan_order = strict;
SELECT by_table FROM compare('SELECT id FROM changing WHERE word % 997 = 0 ORDER BY v <-> spread(1) LIMIT 100');
SET enable_seqscan = off;
SET enable_sort = off;
SELECT count(*) >= 10 AS many, bool_and(d >= before) AS ascending FROM (SELECT d, lag(d) OVER () AS before
	FROM (SELECT v <-> spread(1) AS d FROM changing WHERE word % 997 = 0 AND v IS NOT NULL ORDER BY d LIMIT 100) s) s;
SELECT by_table FROM vecx_last_scan();
-- nearer rows that the search had missed are not given later
SET vecx.ef_search = 5;
SELECT count(*) FILTER (WHERE NOT ascending) AS out_of_order
FROM generate_series(1, 60) i, LATERAL (SELECT bool_and(d >= before) AS ascending
	FROM (SELECT d, lag(d) OVER () AS before
		FROM (SELECT v <-> spread(-i) AS d FROM changing WHERE word % 20 = 0 AND v IS NOT NULL ORDER BY d LIMIT 100) s) s) s;
RESET vecx.ef_search;
-- where each distance is computed, that of rows that fail is not; EXPLAIN counts them
SELECT count(*) FROM (SELECT id FROM changing WHERE word % 10 = 3 ORDER BY v <-> spread(1) LIMIT 5) s;
SELECT by_table, heap_fetches < 15 AS few FROM vecx_last_scan();
CREATE FUNCTION removed(query text) RETURNS SETOF bool LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) ' || query LOOP
		IF line LIKE '%Rows Removed by Filter%' THEN
			RETURN NEXT substring(line FROM '[0-9]+')::int >= 20;
		END IF;
	END LOOP;
END
$$;
SELECT removed('SELECT id FROM changing WHERE word % 10 = 3 ORDER BY v <-> spread(1) LIMIT 5');
-- but where most rows pass a condition that costs much, it is tested once
CREATE SEQUENCE tests;
CREATE FUNCTION costly(word int) RETURNS bool LANGUAGE plpgsql IMMUTABLE COST 100000 AS $$
BEGIN
	PERFORM nextval('tests');
	RETURN word > 0;
END
$$;
SELECT count(*) FROM (SELECT id FROM changing WHERE costly(word) ORDER BY v <-> spread(1) LIMIT 5) s;
SELECT last_value FROM tests;
RESET vecx.scan_order;
-- the second batch is for the rows still wanted
CREATE FUNCTION reads(i int, OUT batches bigint, OUT records bigint) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('SELECT count(*) FROM (SELECT id FROM changing WHERE word %% 13 = 5 ORDER BY v <-> spread(%s) LIMIT 10) s', i);
	SELECT l.batches, l.records INTO batches, records FROM vecx_last_scan() l;
END
$$;
SELECT max(batches) >= 2 AS more, avg(records) < 315 AS few FROM generate_series(3, 12) i, LATERAL reads(i);
DROP FUNCTION reads;
RESET enable_seqscan;
RESET enable_sort;
-- not if it is a budget that counts, or if a row may meet the condition now and not then
SET vecx.max_scan_tuples = 1000000;
SELECT by_table FROM compare('SELECT id FROM changing WHERE word % 997 = 0 ORDER BY v <-> spread(1) LIMIT 5');
RESET vecx.max_scan_tuples;
SELECT by_table FROM compare('SELECT id FROM changing WHERE word % 997 = 0 AND random() >= 0 ORDER BY v <-> spread(1) LIMIT 5');
SET enable_seqscan = off;
SET enable_sort = off;
SELECT count(*) FROM (SELECT id FROM changing WHERE (SELECT random() + changing.id * 0) < 0.005 ORDER BY v <-> spread(1) LIMIT 10) s;
SELECT by_table FROM vecx_last_scan();
RESET enable_seqscan;
RESET enable_sort;

-- a partial index has not all rows that meet the rest of the conditions
DROP INDEX changing_v;
CREATE INDEX changing_part ON changing USING vecx (v) WHERE word > 9000;
SELECT * FROM compare('SELECT id FROM changing WHERE word % 997 = 0 AND word > 9000 AND v IS NOT NULL ORDER BY v <-> spread(1) LIMIT 100');
DROP INDEX changing_part;
-- nor may its rows meet conditions that the predicate keeps them from
CREATE INDEX changing_part ON changing USING vecx (v) WHERE kind <> 0;
SELECT * FROM compare('SELECT id FROM changing WHERE kind <> 0 AND 4 / kind + id = 3005 ORDER BY v <-> spread(1) LIMIT 5');
DROP INDEX changing_part;

-- what row security hides stays hidden
CREATE INDEX changing_v ON changing USING vecx (v, kind);
CREATE ROLE vecx_regress_changing;
GRANT SELECT ON changing TO vecx_regress_changing;
ALTER TABLE changing ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON changing USING (word < 5000);
SET ROLE vecx_regress_changing;
SELECT * FROM compare('SELECT id FROM changing WHERE word % 997 = 0 AND v IS NOT NULL ORDER BY v <-> spread(1) LIMIT 100');
RESET ROLE;
ALTER TABLE changing DISABLE ROW LEVEL SECURITY;
REVOKE ALL ON changing FROM vecx_regress_changing;
DROP ROLE vecx_regress_changing;

-- the planner tries the index where it cannot know better; with statistics it can
EXPLAIN (COSTS OFF) SELECT id FROM changing WHERE word % 10 = 3 ORDER BY v <-> spread(1) LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM changing WHERE word % 997 = 0 ORDER BY v <-> spread(1) LIMIT 10;
CREATE STATISTICS changing_remainder ON (word % 997) FROM changing;
ANALYZE changing;
EXPLAIN (COSTS OFF) SELECT id FROM changing WHERE word % 997 = 0 ORDER BY v <-> spread(1) LIMIT 10;

DROP TABLE changing;
DROP FUNCTION spread, compare;
