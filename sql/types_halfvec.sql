-- The type halfvec: where it differs from vector, whose functions it shares
-- (types_vector has those at length): what half precision can hold, rounding,
-- the text and binary forms, casts, and which operator is taken where vectors
-- and halfvecs meet.

-- text input and output: the nearest half, ties to even, written as the float it is
SELECT '[1,2,3]'::halfvec, ' [ 1.,	-2 , +3.50e0 ] '::halfvec, '[0.1,-0,65504,65519.99,2049,2051]'::halfvec;
SELECT '[6.1035156e-05,6.1e-05,5.9604645e-08,6e-08,3e-08,2.9802322e-08,1e-08,1e-46]'::halfvec;
SELECT count(*) AS halfs, count(*) FILTER (WHERE halfvec_send(v::text::halfvec) <> halfvec_send(v)) AS differ
FROM (SELECT ARRAY[(1 + f / 1024.0::float8) * 2.0::float8 ^ e]::halfvec AS v
	FROM generate_series(-14, 15) e, generate_series(0, 1023) f) s;

-- what text input refuses
SELECT ''::halfvec;
SELECT '1,2,3'::halfvec;
SELECT '[]'::halfvec;
SELECT '[1,]'::halfvec;
SELECT '[1 2]'::halfvec;
SELECT '[1,2,3]9'::halfvec;
SELECT '[1,NaN]'::halfvec;
SELECT '[-inf]'::halfvec;
SELECT '[1,65520]'::halfvec;
SELECT '[-7e4]'::halfvec;
SELECT '[1e400]'::halfvec;
SELECT ('[' || repeat('1,', 16000) || '1]')::halfvec;
SELECT vector_dims(('[' || repeat('1,', 15999) || '1]')::halfvec);

-- type modifiers
SELECT '[1,2,3]'::halfvec(3), ARRAY[1,2,3]::halfvec(3), format_type('halfvec'::regtype, 3);
SELECT '[1,2,3]'::halfvec(2);
SELECT '[1,2,3]'::vector::halfvec(2);
SELECT '[1,2,3]'::halfvec(0);
SELECT '[1,2,3]'::halfvec(16001);
SELECT '[1,2,3]'::halfvec(3, 2);

-- binary form: dimensions, zero, elements
SELECT halfvec_send('[1,-2,0.5,65504,6e-08]');

-- casts
SELECT '[1,2.5,-0.1]'::halfvec::real[], '[1,2.5,-0.1]'::halfvec::float8[], '[1,2.5,3.5]'::halfvec::int[],
	'[1,2.5,-0.1]'::halfvec::numeric[], '[1,2.5,-0.1]'::halfvec::vector, '[1,2.5,-0.1]'::vector::halfvec;
SELECT '[1,70000]'::vector::halfvec;
SELECT '{1,70000}'::float8[]::halfvec;
SELECT '{1e39}'::float8[]::halfvec;
SELECT '{1,NaN}'::real[]::halfvec;
SELECT '{}'::real[]::halfvec;
SELECT '{{1,2},{3,4}}'::real[]::halfvec;
SELECT '{1,NULL}'::real[]::halfvec;
CREATE TEMP TABLE three (v halfvec(3), f vector(3));
INSERT INTO three VALUES ('[1,2,3]', '[1,2,4]'), (ARRAY[1.5,2,3], ARRAY[1,2,3]::real[]), ('[1,2,0.1]'::vector, '[1,2,0.1]'::halfvec);
INSERT INTO three VALUES ('[1,2]');
SELECT * FROM three;

-- a vector beside a halfvec becomes one, a literal what it stands beside
SELECT v <-> f AS l2, pg_typeof(v + f), v + '[1,1,1]' AS plus, v <-> '[1,2,3]' AS to_literal FROM three;
SELECT f <-> '[1,2,3]' AS l2, pg_typeof(f + '[1,2,3]') FROM three WHERE '[1,2,4]' = f;
SELECT l2_distance(f, '[1,2,3]'), inner_product(v, '[1,2,3]') FROM three LIMIT 1;
PREPARE near AS SELECT v <-> $1 FROM three LIMIT 1;
EXECUTE near ('[1,2,4]');
DEALLOCATE near;
SELECT pg_typeof(v) FROM (SELECT v FROM three UNION ALL SELECT f FROM three) s LIMIT 1;

-- distances
SELECT l2_distance('[0,0]'::halfvec, '[3,4]'), '[0,0]'::halfvec <-> '[3,4]', halfvec_l2_squared_distance('[0,0]', '[3,4]');
SELECT inner_product('[1,2]'::halfvec, '[3,4]'), '[1,2]'::halfvec <#> '[3,4]', halfvec_negative_inner_product('[1,2]', '[3,4]');
SELECT cosine_distance('[1,2]'::halfvec, '[2,4]'), '[1,1]'::halfvec <=> '[-1,-1]', '[1,0]'::halfvec <=> '[0,2]', '[1,0]'::halfvec <=> '[0,0]';
SELECT l1_distance('[0,0]'::halfvec, '[3,-4]'), '[0,0]'::halfvec <+> '[3,-4]';
SELECT '[65504,65504]'::halfvec <-> '[-65504,-65504]', '[65504]'::halfvec <#> '[65504]', '[65504]'::halfvec <+> '[-65504]';
SELECT '[1,2]'::halfvec <-> '[3]';
SELECT '[1,2]'::halfvec <#> '[3]';
SELECT '[1,2]'::halfvec <=> '[3]';
SELECT '[1,2]'::halfvec <+> '[3]';
-- as those of vectors with the same elements, for all tails
SELECT count(*) FROM (SELECT n, array_agg(d % 3)::vector AS a, array_agg(d % 2 + 1)::vector AS b
	FROM generate_series(1, 130) n, generate_series(1, n) d GROUP BY n) s
WHERE a <-> b = a::halfvec <-> b::halfvec AND a <#> b = a::halfvec <#> b::halfvec
	AND a <=> b = a::halfvec <=> b::halfvec AND a <+> b = a::halfvec <+> b::halfvec;

-- functions
SELECT vector_dims('[1,2,3]'::halfvec), l2_norm('[3,4]'::halfvec), l2_norm('[65504,65504]'::halfvec);
SELECT l2_normalize('[3,4]'::halfvec), l2_normalize('[65504]'::halfvec), l2_normalize('[0,0]'::halfvec), l2_normalize('[6e-8]'::halfvec);
SELECT subvector('[1,2,3,4,5]'::halfvec, 2, 3), subvector('[1,2,3,4,5]'::halfvec, -1, 3), binary_quantize('[0,0.1,-0.2,-0,6e-8]'::halfvec);
SELECT subvector('[1,2,3,4,5]'::halfvec, 6, 1);

-- arithmetic, rounded to half precision
SELECT '[1,2048]'::halfvec + '[3,1]', '[1,2]'::halfvec - '[3,4]', '[1,2]'::halfvec * '[3,0.1]', '[1,2]'::halfvec || '[3]';
SELECT '[65504]'::halfvec + '[15]', '[65504]'::halfvec + '[16]';
SELECT '[-65504]'::halfvec - '[65504]';
SELECT '[1e3]'::halfvec * '[1e3]';
SELECT '[1e-4]'::halfvec * '[1e-4]';
SELECT '[2.44e-4]'::halfvec * '[2.45e-4]';
SELECT '[1,2]'::halfvec + '[3]';
SELECT array_fill(0, ARRAY[16000])::halfvec || '[1]';

-- order, equality, hash
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt,
	halfvec_cmp(a, b) AS cmp, halfvec_hash(a) = halfvec_hash(b) AS hash,
	halfvec_hash_extended(a, 7) = halfvec_hash_extended(b, 7) AS hash7
FROM (VALUES ('[1,2,3]'::halfvec, '[1,2,3]'::halfvec), ('[1,2,3]', '[1,2]'), ('[1,2]', '[1,3]'), ('[2]', '[1,9]'),
	('[-2]', '[-1]'), ('[-1]', '[6e-8]'), ('[0,-0]', '[-0,0]')) t (a, b);
-- every two of 200 in the order of the vectors that they equal
SELECT count(*) FROM (SELECT ARRAY[(hashint4(i) % 2000) / 16.0]::halfvec AS v FROM generate_series(1, 200) i) a,
	(SELECT ARRAY[(hashint4(i) % 2000) / 16.0]::halfvec AS v FROM generate_series(1, 200) i) b
WHERE halfvec_cmp(a.v, b.v) = vector_cmp(a.v::vector, b.v::vector);
CREATE TEMP TABLE dup AS
	SELECT CASE WHEN i % 2 = 0 THEN ARRAY[i % 5, 0]::halfvec ELSE ('[' || i % 5 || ',-0]')::halfvec END AS v FROM generate_series(1, 100) i;
SELECT count(*) FROM (SELECT DISTINCT v FROM dup) s;
SET enable_hashagg = off;
SELECT count(*) FROM (SELECT DISTINCT v FROM dup) s;
RESET enable_hashagg;
CREATE INDEX dup_v ON dup (v);
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM dup WHERE v = '[3,0]';
SELECT count(*) FROM dup WHERE v = '[3,0]';
RESET enable_seqscan;

-- aggregates: summed in double, rounded once
SELECT avg(v), sum(v) FROM unnest(ARRAY['[1,2,3]'::halfvec, NULL, '[3,5,7]']) v;
SELECT avg(v), sum(v) FROM unnest(ARRAY[NULL::halfvec]) v;
SELECT avg(v) FROM unnest(ARRAY['[65504]'::halfvec, '[65504]']) v;
SELECT sum(v) FROM unnest(ARRAY['[65504]'::halfvec, '[65504]']) v;
SELECT sum(v) FROM unnest(ARRAY['[1,2]'::halfvec, '[3]']) v;
SELECT sum(v) FROM (SELECT '[2048]'::halfvec UNION ALL SELECT '[1]' FROM generate_series(1, 1000)) s (v);
CREATE TABLE many AS SELECT ARRAY[i % 100, i % 7]::halfvec AS v FROM generate_series(1, 9999) i;
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
ALTER TABLE many SET (parallel_workers = 2);
EXPLAIN (COSTS OFF) SELECT avg(v) FROM many;
SELECT avg(v), count(v) FROM many;
SELECT sum(v) FROM many;
RESET parallel_setup_cost; RESET parallel_tuple_cost; RESET min_parallel_table_scan_size;
DROP TABLE many;

-- large values survive the out-of-line storage, small ones the short header
CREATE TEMP TABLE stored (n int, v halfvec);
INSERT INTO stored SELECT n, (SELECT array_agg(d % 100 - 50) FROM generate_series(1, n) d)::halfvec
	FROM unnest(ARRAY[1, 3, 59, 60, 61, 500, 4000, 16000]) n;
UPDATE stored SET n = n;
SELECT n, vector_dims(v), v = (SELECT array_agg(d % 100 - 50) FROM generate_series(1, n) d)::halfvec AS same FROM stored ORDER BY n;
SET vecx.simd = scalar;
SELECT '[0,0]'::halfvec <-> '[3,4]';
RESET vecx.simd;
