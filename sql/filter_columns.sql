-- Filter columns: every type and operator gives the rows that a sequential scan
-- gives, min(LIMIT, matches) of them, and the index tests the condition.

CREATE FUNCTION noise(a int, b int) RETURNS real IMMUTABLE LANGUAGE sql AS
	'SELECT (hashint8(a::bigint * 65536 + b) / 2147483648.0)::real';
CREATE TYPE mood AS ENUM ('low', 'even', 'high');
CREATE DOMAIN label AS text;

CREATE TABLE f (id int PRIMARY KEY, v vector(6), i2 int2, i4 int4, i8 int8, f4 float4, f8 float8,
	n numeric, t text, vc varchar(60), u uuid, b bool, d date, ts timestamp, tz timestamptz, e mood, l label,
	a2 int2[], a4 int4[], a8 int8[], at text[], au uuid[], gap interval);
INSERT INTO f SELECT i,
	CASE WHEN i % 83 = 0 THEN NULL WHEN i % 89 = 0 THEN '[0,0,0,0,0,0]'
		ELSE array[noise(i / 2, 1), noise(i / 2, 2), noise(i / 2, 3), noise(i / 2, 4), noise(i / 2, 5), noise(i / 2, 6)]::vector END,
	CASE WHEN i % 10 <> 3 THEN i % 7 - 3 END,
	CASE WHEN i % 11 <> 3 THEN i % 100 - 50 END,
	CASE WHEN i % 12 <> 3 THEN (i % 200 - 100) * 10000000000 END,
	CASE i % 50 WHEN 7 THEN 'NaN' WHEN 8 THEN '-Infinity' WHEN 9 THEN '-0' WHEN 10 THEN NULL ELSE i % 30 / 4.0 END,
	CASE i % 50 WHEN 7 THEN 'NaN' WHEN 8 THEN 'Infinity' WHEN 9 THEN '-0' WHEN 10 THEN NULL ELSE i % 30 / 4.0 - 3 END,
	CASE i % 40 WHEN 7 THEN 'NaN' WHEN 8 THEN repeat('7', 60)::numeric + i % 3 WHEN 9 THEN -repeat('7', 60)::numeric
		WHEN 10 THEN NULL ELSE (i % 60) / 7.0 END,
	CASE WHEN i % 13 <> 3 THEN repeat('word ', i % 9) || i % 5 END,
	CASE WHEN i % 14 <> 3 THEN repeat('x', i % 40) || i % 3 END,
	md5((i % 30)::text)::uuid,
	CASE i % 3 WHEN 0 THEN true WHEN 1 THEN false END,
	CASE i % 60 WHEN 5 THEN 'infinity' WHEN 6 THEN '-infinity' WHEN 7 THEN NULL ELSE date '2020-01-01' + i % 40 END,
	CASE i % 60 WHEN 5 THEN 'infinity' WHEN 6 THEN '-infinity' WHEN 7 THEN NULL ELSE timestamp '2020-01-01' + i % 400 * interval '3 hours' END,
	CASE i % 60 WHEN 5 THEN 'infinity' WHEN 6 THEN '-infinity' WHEN 7 THEN NULL ELSE timestamptz '2020-01-01 UTC' + i % 400 * interval '3 hours' END,
	(array['low', 'even', 'high', NULL])[i % 4 + 1]::mood,
	repeat('l', i % 30),
	array[i % 4, i % 9], array_fill(i % 6, array[i % 12]) || i % 5, array[i % 7, NULL, (i % 3) * 10000000000],
	CASE i % 5 WHEN 0 THEN '{}' WHEN 1 THEN NULL ELSE array['tag' || i % 6, 'a long label that fills the slot by itself' || i % 3, 'z'] END,
	array[md5((i % 30)::text)::uuid, md5((i % 4)::text)::uuid],
	i % 6 * interval '1 hour'
FROM generate_series(1, 1500) i;
ANALYZE f;

-- sixteen columns at most
CREATE INDEX f_1 ON f USING vecx (v vector_cosine_ops, i2, i4, i8, f4, f8, n, t, vc, u, b, d, ts, tz, e, l);
SELECT vecx_check('f_1', true);

/*
 * Rows that an ordered scan by the index returns under a condition, against those
 * there are: for some limits, whether their number is right and all match.
 */
CREATE FUNCTION check_filter(cond text) RETURNS TABLE (condition text, matches bigint, tested bool, right_rows bool)
LANGUAGE plpgsql AS $$
DECLARE
	line text;
	ids int[];
	truth int[];
	k int;
	search text := format('SELECT id FROM f WHERE %s ORDER BY v <=> ''[1,0.5,0,-0.2,0.3,1]''', cond);
BEGIN
	condition := cond;
	SET LOCAL enable_seqscan = on;
	SET LOCAL enable_indexscan = off;
	EXECUTE format('SELECT coalesce(array_agg(id), ''{}'') FROM f WHERE %s', cond) INTO truth;
	matches := cardinality(truth);
	SET LOCAL enable_seqscan = off;
	SET LOCAL enable_sort = off;
	SET LOCAL enable_indexscan = on;
	tested := false;
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || search || ' LIMIT 10' LOOP
		tested := tested OR line ~ 'Index Cond';
		IF line ~ 'Sort|Seq Scan' THEN
			RAISE EXCEPTION 'not an ordered index scan: %', line;
		END IF;
	END LOOP;
	right_rows := true;
	FOR k IN SELECT unnest(array[1, 10, 100, 1000, 10000]) LOOP
		EXECUTE format('SELECT coalesce(array_agg(id), ''{}'') FROM (%s LIMIT %s) s', search, k) INTO ids;
		right_rows := right_rows AND cardinality(ids) = least(k, matches) AND ids <@ truth AND
			cardinality(ids) = (SELECT count(DISTINCT i) FROM unnest(ids) i);
	END LOOP;
	RETURN NEXT;
END $$;

SET TimeZone = 'America/New_York';
SELECT c.* FROM unnest(array[
	-- integers, across types
	'i4 = 7', 'i4 < -40', 'i4 <= -40', 'i4 >= 45', 'i4 > 45', 'i4 BETWEEN 3 AND 5', 'i4 > 5 AND i4 < 3',
	'i2 = 2::int2', 'i2 = 2', 'i2 > 1::int8', 'i4 = 2::int2', 'i4 < 10000000000', 'i8 = 30000000000', 'i8 < 2', 'i8 >= 2::int2',
	'i2 = 3 AND i4 = 3 AND i8 > 0', 'i4 IS NULL', 'i4 IS NOT NULL', 'i4 IS NULL AND i2 = 1', 'i4 = 1000',
	-- floats
	'f4 = 1.5::float4', 'f4 = 0.0', 'f4 = ''NaN''', 'f4 > 7', 'f8 < -2', 'f8 = 0::float4', 'f8 >= ''Infinity''', 'f8 <= ''NaN'' AND f8 > 4',
	-- numeric, some of them wide
	'n = 1', 'n > 8', 'n = repeat(''7'', 60)::numeric', 'n >= repeat(''7'', 60)::numeric + 1', 'n < 0', 'n = ''NaN''', 'n IS NULL',
	-- text
	't = ''word word 2''', 't = repeat(''word '', 8) || ''3''', 't > ''word word word word''', 't <= ''word''', 't IS NULL',
	'vc = ''xx2''', 'vc = repeat(''x'', 39) || ''0''', 'vc < ''xxxx''', 'l = ''lll''', 'l = repeat(''l'', 29)', 'l > ''llllllllllllllllllllllllll''',
	-- uuid, bool, enum
	'u = md5(''3'')::uuid', 'u < ''80000000-0000-0000-0000-000000000000''', 'b IS NULL', 'b >= true', 'e = ''high''', 'e < ''high''', 'e IS NULL',
	-- dates and timestamps, across types
	'd = ''2020-01-05''', 'd > ''2020-02-05''', 'd = ''infinity''', 'd < ''2020-01-02''::timestamp', 'd <= ''2020-01-02''::timestamptz',
	'ts = ''2020-01-05''::date', 'ts < ''2020-01-02''', 'ts >= ''2020-02-18''::timestamptz', 'tz = ''2020-01-05''::timestamp', 'tz > ''2020-02-18''::date',
	-- several arguments, few and many, with NULLs and wide ones among them
	'i4 IN (3, 5, 7)', 'i4 = ANY (''{1,2,NULL,1000}'')', 'i4 IN (1, 2, 100000)', 'i4 = ANY (array(SELECT generate_series(-5, 30)))',
	't IN (''word 1'', ''word 2'', repeat(''word '', 8) || ''4'', ''a'', ''b'', ''c'', ''d'', ''e'')', 'n IN (1, 2, repeat(''7'', 60)::numeric)',
	'e IN (''low'') AND i4 IN (1, 2)', 'i4 = ANY (''{}'')', 'f8 = ANY (''{1,NaN,Infinity}'')',
	-- other than
	'i4 <> 7', 'i4 <> 7::int8 AND i2 <> 1 AND i8 <> 0', 'NOT (i4 = 7 OR i4 = 8 OR 9 = i4)', 'i4 NOT IN (1, 2, 3)', 'i4 NOT IN (1, NULL)', 'i4 <> ANY (''{1,2}'')',
	'i4 <> 7 AND i4 > 5 AND i4 < 9', 'f4 <> ''NaN'' AND f4 > 7', 'f8 <> 0::float4 AND f8 < 1', 'n <> repeat(''7'', 60)::numeric AND n > 8', 't <> ''word 1'' AND t < ''word 3''',
	't <> repeat(''word '', 8) || ''3''', 'l NOT IN (''l'', ''ll'', repeat(''l'', 29))', 'u <> md5(''3'')::uuid', 'e <> ''high''', 'b <> true', 'd <> ''2020-01-05''::timestamp AND d < ''2020-01-08''',
	'i4 NOT IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18)',
	'tz = ''-infinity''', 'tz BETWEEN ''2020-01-10'' AND ''2020-01-12''', 'd IS NOT NULL AND ts IS NULL'
	]) WITH ORDINALITY x(q, o), LATERAL check_filter(q) c ORDER BY o;
RESET TimeZone;

DROP INDEX f_1;
CREATE INDEX f_2 ON f USING vecx (v vector_cosine_ops, a2, a4, a8, at, au, i4);
SELECT vecx_check('f_2', true);
SELECT c.* FROM unnest(array[
	'a2 && ''{3}''', 'a2 @> ''{3,7}''', 'a4 && ''{0,4}''', 'a4 @> ''{2}''', 'a4 @> ''{}''', 'a4 && ''{}''', 'a4 @> array[2, NULL]', 'a4 && array[2, NULL]',
	'a8 && ''{10000000000}''', 'a8 @> ''{5,20000000000}''', 'at && ''{tag3}''', 'at @> ''{tag3,z}''', 'at && array[''a long label that fills the slot by itself2'']',
	'at IS NULL', 'at IS NOT NULL AND i4 > 40', 'at @> ''{}''', 'au @> array[md5(''2'')::uuid]', 'au && array[md5(''29'')::uuid, md5(''28'')::uuid]',
	'a4 @> ''{{2,2},{2,2}}''', 'a2 && ''{1}'' AND at && ''{tag1,tag2}'' AND i4 < 0'
	]) WITH ORDINALITY x(q, o), LATERAL check_filter(q) c ORDER BY o;

-- conditions on the vector itself, with others
SELECT c.* FROM unnest(array['v IS NULL', 'v IS NOT NULL', 'v IS NULL AND i4 > 0', 'v IS NOT NULL AND i4 IS NULL',
	'v <=> ''[1,0.5,0,-0.2,0.3,1]'' < 0.4 AND i4 < 0', 'i4 = 3 AND id % 2 = 0'])
	WITH ORDINALITY x(q, o), LATERAL check_filter(q) c ORDER BY o;

-- values from parameters and joins
SET enable_seqscan = off;
SET plan_cache_mode = force_generic_plan;
PREPARE by_tenant(int, int[]) AS
	SELECT count(*) FROM (SELECT id FROM f WHERE i4 = $1 AND a4 && $2 ORDER BY v <=> '[1,0,0,0,0,0]' LIMIT 20) s;
EXECUTE by_tenant(7, '{1,2,3,4,5,0}');
EXECUTE by_tenant(NULL, '{1}');
EXECUTE by_tenant(7, NULL);
SELECT w, count(id), bool_and(i4 = w) FROM generate_series(-2, 2) w LEFT JOIN LATERAL
	(SELECT id, i4 FROM f WHERE i4 = w ORDER BY v <=> '[1,0,0,0,0,0]' LIMIT 5) s ON true GROUP BY w ORDER BY w;
RESET plan_cache_mode;

-- what the relation remembers may be forgotten in the middle of a scan
SET enable_sort = off;
DO $$
DECLARE
	n int := 0;
	row record;
BEGIN
	FOR row IN SELECT id FROM f WHERE i4 > 5 AND a4 && '{1,2,3}' ORDER BY v <=> '[1,0,0,0,0,0]' LOOP
		n := n + 1;
		IF n = 1 THEN
			ANALYZE f;
		END IF;
	END LOOP;
	RAISE NOTICE '% rows', n;
END
$$;
RESET enable_sort;
SELECT count(*) FROM f WHERE i4 > 5 AND a4 && '{1,2,3}';

-- rows of one vector with different values, in a long chain
CREATE TABLE same (id int, v vector(3), tenant int);
INSERT INTO same SELECT i, '[1,2,3]', i % 1000 FROM generate_series(1, 5000) i;
INSERT INTO same SELECT i, array[1, i % 17, i % 13]::vector, i % 1000 FROM generate_series(5001, 6000) i;
CREATE INDEX same_v ON same USING vecx (v, tenant);
SELECT vecx_check('same_v', true);
SELECT count(*), bool_and(tenant = 777) FROM
	(SELECT * FROM same WHERE tenant = 777 ORDER BY v <-> '[1,2,3]' LIMIT 100) s;
SELECT count(*) FROM (SELECT * FROM same WHERE tenant < 10 ORDER BY v <-> '[1,2,3]' LIMIT 40) s;

-- updates of the filter column, deletes, VACUUM
UPDATE same SET tenant = 2000 + id % 3 WHERE id % 5 = 0;
DELETE FROM same WHERE id % 7 = 0;
SELECT vecx_check('same_v', true);
SELECT (SELECT count(*) FROM (SELECT * FROM same WHERE tenant = 2001 ORDER BY v <-> '[1,2,3]' LIMIT 10000) s),
	(SELECT count(*) FROM same WHERE tenant + 0 = 2001);
VACUUM same;
SELECT vecx_check('same_v', true);
SELECT (SELECT count(*) FROM (SELECT * FROM same WHERE tenant = 2001 ORDER BY v <-> '[1,2,3]' LIMIT 10000) s),
	(SELECT count(*) FROM same WHERE tenant + 0 = 2001);
INSERT INTO same SELECT i, '[1,2,3]', 3000 FROM generate_series(1, 50) i;
SELECT vecx_check('same_v', true);
SELECT count(*) FROM (SELECT * FROM same WHERE tenant = 3000 ORDER BY v <-> '[9,9,9]' LIMIT 1000) s;

-- what a scan counts: of what it tested, few match
SELECT index, tested > 0 AS tested, matching BETWEEN 1 AND 100 AS matching FROM vecx_last_scan();

-- an index on an expression, a partial one, and one filled row by row
CREATE TABLE people (id int, v vector(3), name text, age int);
CREATE INDEX people_v ON people USING vecx (v, lower(name), age) WHERE age > 10;
INSERT INTO people SELECT i, array[i % 20, i % 30, i % 7]::vector, CASE WHEN i % 2 = 0 THEN 'Ann' ELSE 'BOB' END || i % 10, i % 90
	FROM generate_series(1, 2000) i;
SELECT vecx_check('people_v', true);
SELECT count(*), min(name), max(name) FROM (SELECT * FROM people WHERE lower(name) = 'bob3' AND age > 10 AND age < 60
	ORDER BY v <-> '[1,2,3]' LIMIT 30) s;
EXPLAIN (COSTS OFF) SELECT * FROM people WHERE lower(name) = 'bob3' AND age > 10 AND age < 60
	ORDER BY v <-> '[1,2,3]' LIMIT 30;

-- what is refused
CREATE INDEX ON people USING vecx (age);
CREATE INDEX ON people USING vecx (age, v);
CREATE INDEX ON people USING vecx (v, v vector_cosine_ops);
CREATE INDEX ON people USING vecx (v) INCLUDE (age);
CREATE INDEX ON people USING vecx (v, point(age, age));
ALTER TABLE people ADD EXCLUDE USING vecx (age WITH =);
CREATE TABLE many (v vector(2), c1 int, c2 int, c3 int, c4 int, c5 int, c6 int, c7 int, c8 int, c9 int, c10 int,
	c11 int, c12 int, c13 int, c14 int, c15 int, c16 int, c17 int);
CREATE INDEX ON many USING vecx (v, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, c12, c13, c14, c15, c16, c17);
CREATE OPERATOR CLASS odd_ops FOR TYPE point USING vecx AS OPERATOR 13 ~= (point, point), OPERATOR 14 << (point, point);
CREATE INDEX ON people USING vecx (v, point(age, age) odd_ops);
SET enable_sort = off;
SELECT count(*) FROM (SELECT * FROM people WHERE point(age, age) ~= point(30, 30) ORDER BY v <-> '[1,2,3]' LIMIT 100) s;
SELECT amvalidate(oid) FROM pg_opclass WHERE opcname = 'odd_ops';
CREATE OPERATOR CLASS no_condition FOR TYPE point USING vecx AS OPERATOR 14 << (point, point);
SELECT amvalidate(oid) FROM pg_opclass WHERE opcname = 'no_condition';
DROP OPERATOR FAMILY no_condition USING vecx;

DROP TABLE f, same, people, many;
DROP OPERATOR FAMILY odd_ops USING vecx CASCADE;
DROP TYPE mood;
DROP DOMAIN label;
DROP FUNCTION check_filter(text), noise(int, int);

-- a class whose order is not that of its type
CREATE OPERATOR CLASS int4_down_ops FOR TYPE int4 USING vecx AS
	OPERATOR 11 >, OPERATOR 12 >=, OPERATOR 13 =, OPERATOR 14 <=, OPERATOR 15 <;
CREATE TABLE down AS SELECT i AS n, array[i % 97, i % 89, i % 83]::vector(3) AS v FROM generate_series(1, 3000) i;
CREATE INDEX down_v ON down USING vecx (v, n int4_down_ops);
SET enable_seqscan = off;
SET enable_sort = off;
SELECT count(*) FROM (SELECT FROM down WHERE n > 2990 ORDER BY v <-> '[1,1,1]' LIMIT 100) s;
SELECT count(*) FROM (SELECT FROM down WHERE n <= 5 ORDER BY v <-> '[1,1,1]' LIMIT 100) s;
SELECT count(*) FROM (SELECT FROM down WHERE n = 5 ORDER BY v <-> '[1,1,1]' LIMIT 100) s;
SELECT vecx_check('down_v', true);
RESET enable_seqscan;
RESET enable_sort;
DROP TABLE down;
DROP OPERATOR FAMILY int4_down_ops USING vecx;

-- the widest vectors: a leaf of the value tree has room for few of them
CREATE TABLE wide AS SELECT i AS id, i % 5 AS t, array['a' || i % 3] AS tags,
	(SELECT array_agg(hashint8(i::bigint * 65536 + d) / 2147483648.0 ORDER BY d) FROM generate_series(1, 16000) d)::vector(16000) AS v
FROM generate_series(1, 120) i;
CREATE INDEX wide_v ON wide USING vecx (v vector_cosine_ops, t, tags);
INSERT INTO wide SELECT 1000 + id, t, NULL, (SELECT v FROM wide WHERE id = 1) - v FROM wide WHERE id BETWEEN 2 AND 21;
SET enable_seqscan = off;
SET enable_sort = off;
SELECT array_agg(id) FROM (SELECT id FROM wide WHERE t = 3 ORDER BY v <=> (SELECT v FROM wide WHERE id = 8) LIMIT 1) s;
SELECT count(*) FROM (SELECT FROM wide WHERE t = 3 ORDER BY v <=> (SELECT v FROM wide WHERE id = 8)) s;
SELECT count(*) FROM (SELECT FROM wide WHERE tags IS NULL ORDER BY v <=> (SELECT v FROM wide WHERE id = 8)) s;
DELETE FROM wide WHERE id % 2 = 0;
VACUUM wide;
SELECT count(*) FROM (SELECT FROM wide WHERE t = 3 ORDER BY v <=> (SELECT v FROM wide WHERE id = 9)) s;
SELECT vecx_check('wide_v', true);
RESET enable_seqscan;
RESET enable_sort;
CREATE INDEX wide_lists ON wide USING vecx (v vector_l2_ops) WITH (structure = lists);
DROP TABLE wide;

-- elements longer than any value by itself
CREATE TABLE round (id int, v vector(3), c circle[]);
CREATE INDEX round_v ON round USING vecx (v vector_l2_ops, c);
INSERT INTO round SELECT i, ARRAY[i, i, i]::vector, ARRAY['<(1,2),3>'::circle] FROM generate_series(1, 100) i;
DELETE FROM round WHERE id <= 10;
VACUUM round;
SELECT vecx_check('round_v', true);
DROP TABLE round;

-- NaN, zeros of both signs and infinity are equal to themselves and ordered as everywhere
CREATE TABLE odd (v vector(3), f float8, n numeric);
INSERT INTO odd VALUES ('[1,2,3]', 'NaN', 'NaN'), ('[1,2,3]', '-0', 'Infinity'), (NULL, 'Infinity', 1e300::numeric),
	('[0,0,0]', NULL, NULL), ('[1,2,4]', 0, '-Infinity');
CREATE INDEX odd_v ON odd USING vecx (v vector_cosine_ops, f, n);
SET enable_seqscan = off;
SET enable_sort = off;
SELECT (SELECT count(*) FROM (SELECT FROM odd WHERE f = 0 ORDER BY v <=> '[1,1,1]') s) AS zero,
	(SELECT count(*) FROM (SELECT FROM odd WHERE f = 'NaN' ORDER BY v <=> '[1,1,1]') s) AS nan,
	(SELECT count(*) FROM (SELECT FROM odd WHERE f >= 'Infinity' ORDER BY v <=> '[1,1,1]') s) AS from_infinity,
	(SELECT count(*) FROM (SELECT FROM odd WHERE n > 5 ORDER BY v <=> '[1,1,1]') s) AS great,
	(SELECT count(*) FROM (SELECT FROM odd WHERE n < 0 ORDER BY v <=> '[1,1,1]') s) AS least,
	(SELECT count(*) FROM (SELECT FROM odd WHERE f IS NULL ORDER BY v <=> '[1,1,1]') s) AS "null";
SELECT vecx_check('odd_v', true);
RESET enable_seqscan;
RESET enable_sort;
DROP TABLE odd;
