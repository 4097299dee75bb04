-- The type vector: what its text input takes and refuses and with which words,
-- that text and binary forms read back the same, type modifiers, casts,
-- functions, operators and aggregates.  Numbers are such that every order of
-- summation gives the same answer.

-- text input and output
SELECT '[1,2,3]'::vector, ' [ 1.,	-2 ,
 +3.50e0 ] '::vector, '[.5,1e-3,-0,0.1,16777217,1e23]'::vector;
SELECT '[3.4028235e38,-3.4028235e+38,1.17549435e-38,1e-45,1e-46,7e-46]'::vector;
SELECT '[0x10,1e5]'::vector;
-- as many digits as make good an exponent of any size
SELECT ('[0.' || repeat('0', 1234566) || '1e1234568]')::vector, ('[1' || repeat('0', 1234567) || 'e-12345670]')::vector;
-- the nearest float, from digits and exponents of any length; the second
-- number of each pair is what float4's own input makes of the same text
SELECT v, f, vector_send(v) = vector_send(ARRAY[f]::vector) AS same
FROM (SELECT ('[' || t || ']')::vector AS v, t::real AS f
	FROM unnest(ARRAY[
		'0.10000000149011611938', '0.1000000052154064178466796875',
		'0.10000000521540641784667968750000000000000000000000000000001',
		'0.10000000521540641784667968749999999999999999999999999999999',
		'16777217', '16777217.0000000000000000000000001', '16777219', '9007199254740993',
		'340282346638528859811704183484516925440', '340282356779733661637539395458142568447',
		'1.1754943508222875e-38', '1.1754942807573643e-38', '5.877471754111438e-39',
		'0.00000000000000000000000000000000000000000000000000000000000000001e60',
		'123456789012345678901234567890e-20', '00000000000000000000000000000000001.5',
		'1e0000000000000000000000000000000000005', '0e99999999999'
	]) t) s;
SELECT count(*) AS numbers, sum((vector_send(('[' || t || ']')::vector)
	<> vector_send(ARRAY[t::real]::vector))::int) AS wrong
FROM (SELECT CASE i % 4
		WHEN 0 THEN (hashint8(i) / 2147483648.0::float8 * 10.0 ^ (i % 35))::text
		WHEN 1 THEN (hashint8(i) / 2147483648.0::float8)::real::text
		WHEN 2 THEN (hashint8(i) / 2147483648.0::numeric)::text
		ELSE hashint8(i) || '.' || abs(hashint8(-i)) || 'e' || i % 60 - 42
	END AS t FROM generate_series(1, 20000) i) s
WHERE abs(t::numeric) < 3.4e38 AND (abs(t::numeric) > 1e-37 OR t::numeric = 0);

-- what text input refuses
SELECT ''::vector;
SELECT '1,2,3'::vector;
SELECT '{1,2,3}'::vector;
SELECT '['::vector;
SELECT '[]'::vector;
SELECT '[ ]'::vector;
SELECT '[] 1'::vector;
SELECT '[,]'::vector;
SELECT '[1,]'::vector;
SELECT '[1,,3]'::vector;
SELECT '[1, ,3]'::vector;
SELECT '[1 2]'::vector;
SELECT '[1,2,3'::vector;
SELECT '[1,2,3,'::vector;
SELECT '[1,2,3]9'::vector;
SELECT '[1a]'::vector;
SELECT '[1e]'::vector;
SELECT '[.]'::vector;
SELECT '[-]'::vector;
SELECT '[hello,1]'::vector;
SELECT '[1,NaN]'::vector;
SELECT '[Infinity,1]'::vector;
SELECT '[1,-inf]'::vector;
SELECT '[4e38,1]'::vector;
SELECT '[1,-1e400]'::vector;
SELECT ('[' || repeat('1,', 16000) || '1]')::vector;
SELECT ('[' || repeat('é', 300) || ']')::vector;
\set VERBOSITY sqlstate
SELECT '[1'::vector;
SELECT '[]'::vector;
SELECT '[NaN]'::vector;
SELECT '[4e38]'::vector;
SELECT '[1,2]'::vector(3);
SELECT ('[' || repeat('1,', 16000) || '1]')::vector;
\set VERBOSITY default
SELECT vector_dims(('[' || repeat('1,', 15999) || '1]')::vector);

-- type modifiers
SELECT '[1,2,3]'::vector(3), ARRAY[1,2,3]::vector(3), format_type('vector'::regtype, 3);
SELECT '[1,2,3]'::vector(2);
SELECT ARRAY[1,2,3]::vector(2);
SELECT '[1,2,3]'::vector::vector(2);
SELECT '[1,2,3]'::vector(0);
SELECT '[1,2,3]'::vector(16001);
SELECT '[1,2,3]'::vector(3, 2);
SELECT '[1,2,3]'::vector('a');
SELECT '{"[1,2,3]","[4,5,6]"}'::vector(3)[];
CREATE TEMP TABLE three (v vector(3));
INSERT INTO three VALUES ('[1,2]');
INSERT INTO three VALUES (ARRAY[1,2,3]), (ARRAY[1.5,2,3]), (ARRAY[1,2,3]::real[]), (ARRAY[1,2,3]::float8[]);
SELECT v FROM three;

-- binary form: dimensions, zero, elements
SELECT vector_send('[1,-2,0.5]');

-- casts
SELECT '[1,2.5,-0.1]'::vector::real[], '[1,2.5,-0.1]'::vector::float8[],
	'[1,2.5,-0.1,3.5]'::vector::int[], '[1,2.5,-0.1]'::vector::numeric[];
SELECT '[1,3e9]'::vector::int[];
SELECT '{}'::real[]::vector;
SELECT '{{1,2},{3,4}}'::real[]::vector;
SELECT '{1,NULL}'::real[]::vector;
SELECT '{1,NaN}'::real[]::vector;
SELECT '{-Infinity}'::float8[]::vector;
SELECT '{1e39}'::float8[]::vector;
SELECT '{1e39}'::numeric[]::vector;
SELECT '{NaN}'::numeric[]::vector;
SELECT '[2:4]={1,2,3}'::int[]::vector;
SELECT array_fill(0, ARRAY[16001])::vector;
SELECT vector_dims(array_fill(0.5::real, ARRAY[16000])::vector);

-- distances
SELECT l2_distance('[0,0]'::vector, '[3,4]'), '[0,0]'::vector <-> '[3,4]', vector_l2_squared_distance('[0,0]', '[3,4]');
SELECT inner_product('[1,2]'::vector, '[3,4]'), '[1,2]'::vector <#> '[3,4]', vector_negative_inner_product('[1,2]', '[3,4]');
SELECT cosine_distance('[1,2]'::vector, '[2,4]'), '[1,1]'::vector <=> '[-1,-1]', '[1,0]'::vector <=> '[0,2]', '[1,0]'::vector <=> '[0,0]';
SELECT l1_distance('[0,0]'::vector, '[3,-4]'), '[0,0]'::vector <+> '[3,-4]';
SELECT l2_distance('[3e38]'::vector, '[-3e38]'), inner_product('[3e38]'::vector, '[3e38]'), l1_distance('[3e38]'::vector, '[-3e38]');
SELECT '[1,2]'::vector <-> '[3]';
SELECT '[1,2]'::vector <#> '[3]';
SELECT '[1,2]'::vector <=> '[3]';
SELECT '[1,2]'::vector <+> '[3]';
SELECT n, a <-> b AS l2, a <#> b AS ip, round((a <=> b)::numeric, 6) AS cosine, a <+> b AS l1
FROM (SELECT n, array_agg(d % 3)::vector AS a, array_agg(d % 2 + 1)::vector AS b
	FROM unnest(ARRAY[1, 7, 8, 15, 16, 17, 31, 33, 63, 65, 1000]) n, generate_series(1, n) d GROUP BY n) s ORDER BY n;

-- a known type decides about a literal beside it, in a function's arguments too
SELECT l2_distance('[0,0]', '[3,4]'::vector);
SELECT l2_distance('[0,0]', '[3,4]');

-- functions
SELECT vector_dims('[1,2,3]'::vector), vector_norm('[3,4]'), vector_norm('[0,0]'), vector_norm('[3e38,4e37]') > 3e38,
	vector_norm('[1,1,1,1,1,1,1,1,1]'), l2_norm('[3,4]'::vector);
SELECT l2_normalize('[3,4]'::vector), l2_normalize('[3e38]'::vector), l2_normalize('[0,0]'::vector), l2_normalize('[2e-45]'::vector);
SELECT subvector('[1,2,3,4,5]'::vector, 1, 3), subvector('[1,2,3,4,5]'::vector, 3, 9), subvector('[1,2,3,4,5]'::vector, -1, 3),
	subvector('[1,2,3,4,5]'::vector, 5, 2147483647);
SELECT subvector('[1,2,3,4,5]'::vector, 1, 0);
SELECT subvector('[1,2,3,4,5]'::vector, 6, 1);
SELECT subvector('[1,2,3,4,5]'::vector, 3, -1);
SELECT subvector('[1,2,3,4,5]'::vector, -2147483648, 2147483647);
SELECT binary_quantize('[1,0,-1]'::vector), binary_quantize('[0,0.1,-0.2,-0.3,0.4,0.5,0.6,-0.7,0.8,-0.9,1]'::vector);

-- arithmetic
SELECT '[1,2]'::vector + '[3,4]', '[1,2]'::vector - '[3,4]', '[1,2]'::vector * '[3,4]', '[1,2]'::vector || '[3]';
SELECT '[3e38]'::vector + '[3e38]';
SELECT '[-3e38]'::vector - '[3e38]';
SELECT '[1e37]'::vector * '[1e37]';
SELECT '[1e-37]'::vector * '[1e-37]';
SELECT '[1,2]'::vector + '[3]';
SELECT '[1,2]'::vector - '[3]';
SELECT '[1,2]'::vector * '[3]';
SELECT array_fill(0, ARRAY[16000])::vector || '[1]';

-- order, equality, hash
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt,
	vector_cmp(a, b) AS cmp, vector_hash(a) = vector_hash(b) AS hash,
	vector_hash_extended(a, 7) = vector_hash_extended(b, 7) AS hash7
FROM (VALUES ('[1,2,3]'::vector, '[1,2,3]'::vector), ('[1,2,3]', '[1,2]'), ('[1,2]', '[1,3]'), ('[2]', '[1,9]'), ('[0,-0]', '[-0,0]')) t (a, b);
SELECT bool_and(vector_hash(v) = vector_hash_extended(v, 0)::bit(32)::int) AS low_half
FROM (SELECT ARRAY[i, i + 1]::vector FROM generate_series(1, 100) i) s (v);
CREATE TEMP TABLE dup AS
	SELECT CASE WHEN i % 2 = 0 THEN ARRAY[i % 5, 0]::vector ELSE ('[' || i % 5 || ',-0]')::vector END AS v FROM generate_series(1, 100) i;
SET enable_hashagg = on; SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT DISTINCT v FROM dup;
SELECT count(*) FROM (SELECT DISTINCT v FROM dup) s;
RESET enable_sort; SET enable_hashagg = off;
SELECT count(*) FROM (SELECT DISTINCT v FROM dup) s;
RESET enable_hashagg;
SET enable_mergejoin = off; SET enable_nestloop = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM dup a JOIN dup b ON a.v = b.v;
SELECT count(*) FROM dup a JOIN dup b ON a.v = b.v;
SET enable_mergejoin = on; SET enable_hashjoin = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM dup a JOIN dup b ON a.v = b.v;
SELECT count(*) FROM dup a JOIN dup b ON a.v = b.v;
RESET enable_nestloop; RESET enable_mergejoin; RESET enable_hashjoin;
CREATE INDEX dup_v ON dup (v);
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM dup WHERE v = '[3,0]';
SELECT count(*) FROM dup WHERE v = '[3,0]';
SELECT count(*) FROM dup WHERE v > '[3,0]';
RESET enable_seqscan;
CREATE TEMP TABLE hashed (v vector(2)) PARTITION BY HASH (v);
CREATE TEMP TABLE hashed0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TEMP TABLE hashed1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO hashed SELECT ARRAY[i, -i]::vector FROM generate_series(1, 100) i;
SELECT count(*) FROM hashed WHERE v = '[7,-7]';

-- aggregates
SELECT avg(v), sum(v) FROM unnest(ARRAY['[1,2,3]'::vector, NULL, '[3,5,7]']) v;
SELECT avg(v), sum(v) FROM unnest(ARRAY[NULL::vector]) v;
SELECT avg(v), sum(v) FROM unnest(ARRAY[]::vector[]) v;
SELECT avg(v) FROM unnest(ARRAY['[3e38]'::vector, '[3e38]']) v;
SELECT sum(v) FROM unnest(ARRAY['[3e38]'::vector, '[3e38]']) v;
SELECT avg(v) FROM unnest(ARRAY['[1,2]'::vector, '[3]']) v;
SELECT sum(v) FROM unnest(ARRAY['[1,2]'::vector, '[3]']) v;
-- single precision would lose the ones
SELECT sum(v) FROM (SELECT '[16777216]'::vector UNION ALL SELECT '[1]' FROM generate_series(1, 1000)) s (v);
SELECT v, avg(v) OVER w, sum(v) OVER w FROM unnest(ARRAY['[1,2]'::vector, '[3,4]', '[8,9]']) v WINDOW w AS (ORDER BY v);
CREATE TABLE many AS SELECT ARRAY[i, i % 7, NULLIF(i % 10, 0)]::vector AS v
	FROM generate_series(1, 9999) i WHERE i % 10 > 0;
INSERT INTO many VALUES (NULL);
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
ALTER TABLE many SET (parallel_workers = 2);
EXPLAIN (COSTS OFF) SELECT avg(v), sum(v) FROM many;
SELECT avg(v), sum(v), count(v) FROM many;
SELECT avg(v), sum(v) FROM many WHERE v = '[3,3,3]';
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size;
DROP TABLE many;

-- large values survive the out-of-line storage, small ones the short header
CREATE TEMP TABLE stored (n int, v vector);
INSERT INTO stored SELECT n, (SELECT array_agg(d % 100 - 50) FROM generate_series(1, n) d)::vector
	FROM unnest(ARRAY[1, 3, 29, 30, 31, 500, 2000, 2100, 16000]) n;
UPDATE stored SET n = n;
SELECT n, vector_dims(v), v = (SELECT array_agg(d % 100 - 50) FROM generate_series(1, n) d)::vector AS same FROM stored ORDER BY n;

-- the setting vecx.simd
SHOW vecx.simd;
SET vecx.simd = scalar;
SELECT '[0,0]'::vector <-> '[3,4]';
SET vecx.simd = 'sse9';
RESET vecx.simd;
SET vecx.no_such_setting = 1;
CREATE ROLE vecx_regress_user;
SET ROLE vecx_regress_user;
SET vecx.simd = scalar;
RESET ROLE;
DROP ROLE vecx_regress_user;
