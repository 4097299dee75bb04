-- The type sparsevec: what its text input takes and refuses and with which
-- words, that text and binary forms read back the same, type modifiers, casts,
-- distances, order and hash, all as those of the vectors that the values stand
-- for.

-- text input and output: zeros are left out, order is made
SELECT '{1:1.5,3:2}/5'::sparsevec, ' {	3 : 2 , 1 : +1.50e0 } / 5 '::sparsevec, '{1:0,2:3,4:-0,5:1e-46}/5'::sparsevec, '{}/5'::sparsevec;
SELECT '{1000000000:1,1:-3.4028235e38}/1000000000'::sparsevec, '{1:0.1}/1'::sparsevec, '{+2:1e-45}/2'::sparsevec;

-- what text input refuses
SELECT ''::sparsevec;
SELECT '[1,2]'::sparsevec;
SELECT '{'::sparsevec;
SELECT '{1:1'::sparsevec;
SELECT '{1:1}'::sparsevec;
SELECT '{1:1}/'::sparsevec;
SELECT '{1:1}/x'::sparsevec;
SELECT '{1:1}/5x'::sparsevec;
SELECT '{1}/5'::sparsevec;
SELECT '{1:}/5'::sparsevec;
SELECT '{:1}/5'::sparsevec;
SELECT '{1:1,}/5'::sparsevec;
SELECT '{1:1 2:1}/5'::sparsevec;
SELECT '{1.5:1}/5'::sparsevec;
SELECT '{1:NaN}/5'::sparsevec;
SELECT '{1:1,2:-inf}/5'::sparsevec;
SELECT '{1:4e38}/5'::sparsevec;
SELECT '{0:1}/5'::sparsevec;
SELECT '{-1:1}/5'::sparsevec;
SELECT '{6:1}/5'::sparsevec;
SELECT '{99999999999999999999:1}/5'::sparsevec;
SELECT '{2:1,1:1,2:1}/5'::sparsevec;
SELECT '{}/0'::sparsevec;
SELECT '{}/-1'::sparsevec;
SELECT '{}/1000000001'::sparsevec;
SELECT '{}/99999999999999999999'::sparsevec;
SELECT ('{' || string_agg(i || ':1', ',') || '}/20000')::sparsevec FROM generate_series(1, 16001) i;
SELECT l2_norm(('{' || string_agg(i || ':1', ',') || '}/20000')::sparsevec) FROM generate_series(1, 16000) i;
\set VERBOSITY sqlstate
SELECT '{1:1'::sparsevec;
SELECT '{}/0'::sparsevec;
SELECT '{6:1}/5'::sparsevec;
SELECT '{}/1000000001'::sparsevec;
\set VERBOSITY default

-- type modifiers
SELECT '{1:1}/3'::sparsevec(3), ARRAY[1,0,3]::sparsevec(3), format_type('sparsevec'::regtype, 3);
SELECT '{1:1}/3'::sparsevec(2);
SELECT '{1:1}/3'::sparsevec::sparsevec(2);
SELECT '[1,2,3]'::vector::sparsevec(2);
SELECT '{1:1}/3'::sparsevec(0);
SELECT '{1:1}/3'::sparsevec(1000000001);
SELECT '{1:1}/3'::sparsevec(3, 2);

-- binary form: dimensions, elements, zero, indices from 0, values
SELECT sparsevec_send('{1:1.5,3:-2}/5');

-- casts
SELECT '[1,0,-2.5]'::vector::sparsevec, '[1,0,-2.5]'::halfvec::sparsevec, '{1:1,3:-2.5}/3'::sparsevec::vector,
	'{1:1,3:0.1}/3'::sparsevec::halfvec, '{1,0,2}'::int[]::sparsevec, '{1,0,2}'::real[]::sparsevec,
	'{1,0,2.5}'::float8[]::sparsevec, '{0,0.5}'::numeric[]::sparsevec;
SELECT '{1:1}/16001'::sparsevec::vector;
SELECT '{2:70000}/5'::sparsevec::halfvec;
SELECT '{1:1}/3'::sparsevec::vector(2);
SELECT '{}'::real[]::sparsevec;
SELECT '{{1,2},{3,4}}'::real[]::sparsevec;
SELECT '{1,NaN}'::real[]::sparsevec;
SELECT '{1e39}'::float8[]::sparsevec;
SELECT array_fill(0, ARRAY[20000])::sparsevec;
SELECT array_fill(1, ARRAY[16001])::sparsevec;
CREATE TEMP TABLE three (s sparsevec(3), h halfvec(3), v vector(3));
INSERT INTO three VALUES ('{1:1}/3', '{1:1,3:2}/3'::sparsevec, '{3:1}/3'::sparsevec), ('[1,2,3]'::vector, '[1,2,3]', ARRAY[1,2,3]);
INSERT INTO three VALUES ('{1:1}/4');
SELECT * FROM three;

-- a vector or halfvec beside a sparsevec becomes one, a literal what it stands beside
SELECT s <-> h AS half, s <-> v AS single, s <-> '{1:2}/3' AS literal, h <-> v AS halves FROM three;
SELECT l2_distance(s, '{2:1}/3'), inner_product('{2:1}/3', s) FROM three LIMIT 1;
SELECT v <-> '[1,2,3]' FROM three LIMIT 1;
SELECT l2_norm(v), l2_norm(h), l2_norm(s) FROM three;

-- distances
SELECT l2_distance('{1:3,3:1}/3'::sparsevec, '{2:4,3:1}/3'), '{1:3,3:1}/3'::sparsevec <-> '{2:4,3:1}/3', sparsevec_l2_squared_distance('{1:3,3:1}/3', '{2:4,3:1}/3');
SELECT inner_product('{1:3,3:2}/3'::sparsevec, '{2:4,3:1}/3'), '{1:3,3:2}/3'::sparsevec <#> '{2:4,3:1}/3', sparsevec_negative_inner_product('{1:1}/3', '{2:4}/3');
SELECT cosine_distance('{1:1}/3'::sparsevec, '{1:2}/3'), '{1:1}/3'::sparsevec <=> '{1:-1}/3', '{1:1}/3'::sparsevec <=> '{2:1}/3', '{1:1}/3'::sparsevec <=> '{}/3';
SELECT l1_distance('{1:3,3:1}/3'::sparsevec, '{2:4,3:2}/3'), '{}/3'::sparsevec <+> '{2:-4,3:1}/3';
SELECT '{1:3e38}/3'::sparsevec <-> '{1:-3e38}/3';
SELECT '{1:1}/3'::sparsevec <-> '{1:1}/4';
SELECT '{1:1}/3'::sparsevec <#> '{1:1}/4';
SELECT '{1:1}/3'::sparsevec <=> '{1:1}/4';
SELECT '{1:1}/3'::sparsevec <+> '{1:1}/4';
-- as those of vectors, whatever the two have in common
CREATE TEMP TABLE pairs AS
	SELECT n, array_agg(CASE WHEN hashint4(d * 31 + n) % 3 = 0 THEN hashint4(d * 7 + n) % 10 ELSE 0 END ORDER BY d)::vector AS a,
		array_agg(CASE WHEN hashint4(d * 37 + n) % (n % 5 + 1) = 0 THEN hashint4(d * 11 + n) % 10 ELSE 0 END ORDER BY d)::vector AS b
	FROM generate_series(1, 100) n, generate_series(1, n) d GROUP BY n;
SELECT count(*) FROM pairs
WHERE a <-> b = a::sparsevec <-> b::sparsevec AND a <#> b = a::sparsevec <#> b::sparsevec
	AND coalesce(nullif(a <=> b, 'NaN'), -1) = coalesce(nullif(a::sparsevec <=> b::sparsevec, 'NaN'), -1)
	AND a <+> b = a::sparsevec <+> b::sparsevec AND vector_cmp(a, b) = sparsevec_cmp(a, b) AND l2_norm(a) = l2_norm(a::sparsevec);
SELECT count(*) FROM pairs p, pairs q WHERE vector_cmp(p.a, q.b) = sparsevec_cmp(p.a, q.b);

-- functions
SELECT l2_norm('{1:3,2:4}/3'::sparsevec), l2_normalize('{1:3,2:4}/3'::sparsevec), l2_normalize('{}/3'::sparsevec), l2_normalize('{1:1e-45,2:3e38}/3'::sparsevec);
SELECT count(*) FROM pairs WHERE l2_normalize(a)::sparsevec = l2_normalize(a::sparsevec);

-- order, equality, hash
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt,
	sparsevec_cmp(a, b) AS cmp, sparsevec_hash(a) = sparsevec_hash(b) AS hash,
	sparsevec_hash_extended(a, 7) = sparsevec_hash_extended(b, 7) AS hash7
FROM (VALUES ('{1:1,2:2}/3'::sparsevec, '{2:2,1:1}/3'::sparsevec), ('{1:1}/3', '{1:1}/4'), ('{2:1}/3', '{1:1}/3'), ('{2:-1}/3', '{1:1}/3'),
	('{1:-1}/3', '{}/3'), ('{}/3', '{4:-1}/4'), ('{3:1}/3', '{3:1,4:-1}/4'), ('{1:1}/3', '{1:1,3:1}/3')) t (a, b);
CREATE TEMP TABLE dup AS SELECT ARRAY[i % 5, 0, i % 2]::sparsevec AS s FROM generate_series(1, 100) i;
SELECT count(*) FROM (SELECT DISTINCT s FROM dup) d;
SET enable_hashagg = off;
SELECT count(*) FROM (SELECT DISTINCT s FROM dup) d;
RESET enable_hashagg;
CREATE INDEX dup_s ON dup (s);
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM dup WHERE s = '{1:3,3:1}/3';
SELECT count(*) FROM dup WHERE s = '{1:3,3:1}/3';
RESET enable_seqscan;

-- large values survive the out-of-line storage, small ones the short header
CREATE TEMP TABLE stored (n int, s sparsevec);
INSERT INTO stored SELECT n, (SELECT array_agg(d % 100 + 1) FROM generate_series(1, n) d)::sparsevec
	FROM unnest(ARRAY[1, 3, 13, 14, 15, 500, 2000, 16000]) n;
INSERT INTO stored VALUES (0, '{}/7');
UPDATE stored SET n = n;
SELECT n, s = (SELECT array_agg(d % 100 + 1) FROM generate_series(1, n) d)::sparsevec AS same FROM stored ORDER BY n;
