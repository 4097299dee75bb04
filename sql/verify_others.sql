-- What others' functions, casts and operators may do to those that read tables: no
-- crash, no wrong type, no cast or operator called that the caller did not name.

SET client_min_messages = warning;
CREATE TABLE others_items (id int, v vector(2), w bigint);
INSERT INTO others_items SELECT i, ARRAY[i, i % 7]::vector, 4711 FROM generate_series(1, 200) i;
CREATE INDEX others_v ON others_items USING vecx (v);

-- tables that do not exist
SELECT * FROM vecx_compress_report(4294967295::oid, 'v');
SELECT * FROM vecx_compress_report('-'::regclass, 'v');
SELECT count(*) FROM vecx_compress_report('others_items', 'v', queries => 4294967295::oid::regclass);
SELECT vecx_estimate(4294967295::oid, 'v');

-- a view of queries whose function renames columns, or drops the table
CREATE FUNCTION others_does() RETURNS vector LANGUAGE plpgsql AS $$
BEGIN
	ALTER TABLE others_items RENAME v TO x;
	ALTER TABLE others_items RENAME w TO v;
	RETURN '[1,2]';
END $$;
CREATE VIEW others_view AS SELECT others_does() AS v;
SELECT count(*) FROM vecx_compress_report('others_items', 'v', queries => 'others_view');
CREATE OR REPLACE FUNCTION others_does() RETURNS vector LANGUAGE plpgsql AS $$
BEGIN
	DROP TABLE others_items;
	RETURN '[1,2]';
END $$;
SELECT count(*) FROM vecx_compress_report('others_items', 'v', queries => 'others_view');

-- a column that is NULL when it is read again
CREATE FUNCTION others_now_and_then(i int) RETURNS vector STABLE LANGUAGE plpgsql AS $$
BEGIN
	RETURN CASE WHEN random() < 0.5 THEN ARRAY[i, i % 7]::vector END;
END $$;
CREATE VIEW others_nulls AS SELECT others_now_and_then(i)::vector(2) AS v FROM generate_series(1, 2000) i;
SELECT count(*) > 0 AS tried FROM vecx_compress_report('others_nulls', 'v', queries => 'others_nulls');
SELECT vecx_recall('others_v', queries => 'others_nulls') BETWEEN 0 AND 1 AS found;
SELECT vecx_calibrate('others_v', 'others_nulls');

-- a cast and an operator of another user's
CREATE TYPE others_kind AS ENUM ('a');
CREATE FUNCTION others_cast(others_kind) RETURNS vector IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	RAISE WARNING 'called as %', current_user;
	RETURN NULL;
END $$;
CREATE CAST (others_kind AS vector) WITH FUNCTION others_cast(others_kind) AS IMPLICIT;
CREATE FUNCTION others_equal(bigint, others_kind) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	RAISE WARNING 'called as %', current_user;
	RETURN true;
END $$;
CREATE OPERATOR = (FUNCTION = others_equal, LEFTARG = bigint, RIGHTARG = others_kind);
CREATE TABLE others_queries (v others_kind, q vector(2));
INSERT INTO others_queries VALUES ('a', '[1,2]');
SELECT vecx_recall('others_v', queries => 'others_queries');
SELECT vecx_calibrate('others_v', 'others_queries');
CREATE INDEX others_lists ON others_items USING vecx (v) WITH (structure = lists);
SELECT vecx_tune('others_lists', 'others_queries', 'v');
SELECT vecx_tune('others_lists', 'others_queries', 'q', 'v', 'w');

-- many rows equal to the query, of lists
INSERT INTO others_items SELECT 1000 + i, '[3,3]' FROM generate_series(1, 3000) i;
SELECT vecx_recall('others_lists') > 0.9 AS good;

-- an index that was not built to its end
CREATE FUNCTION others_fails(vector) RETURNS vector IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'no such value';
END $$;
CREATE INDEX CONCURRENTLY others_invalid ON others_items USING vecx ((others_fails(v)::vector(2)) vector_l2_ops);
SELECT vecx_check('others_invalid');
SELECT * FROM vecx_info('others_invalid');
SELECT vecx_calibrate('others_invalid');

-- what an index on a column would refuse
CREATE TABLE others_kinds (b bit(100000), w bit varying(64), v vector(64));
SELECT vecx_estimate('others_kinds', 'b');
SELECT vecx_estimate('others_kinds', 'w');
-- and all there is to report
INSERT INTO others_kinds (v) SELECT ARRAY(SELECT hashint8(i::int8 * 64 + d) / 2147483648.0 FROM generate_series(1, 64) d)::real[]::vector
	FROM generate_series(1, 400) i;
SELECT count(*) > 45 AS all_of_them FROM vecx_compress_report('others_kinds', 'v', pq_bits => '{4,8}',
	pq_training => '{kmeans,balanced,anisotropic,distill,query_aware,plain}');

DROP VIEW others_view, others_nulls;
DROP TABLE others_items, others_queries, others_kinds;
DROP OPERATOR = (bigint, others_kind);
DROP TYPE others_kind CASCADE;
DROP FUNCTION others_does, others_now_and_then, others_fails;
