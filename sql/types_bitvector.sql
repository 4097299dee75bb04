-- The type bitvector: text and binary forms, type modifiers, casts to and from
-- bit, bit varying and bytea, distances for bitvector and bit, bitwise
-- operators, order and hash; and that its implicit cast leaves the operators of
-- bit and bit varying unambiguous.

-- text input and output
SELECT '1'::bitvector, '0101'::bitvector, 'b0101'::bitvector, 'B11'::bitvector, 'x1f'::bitvector, 'XaB'::bitvector;
SELECT ''::bitvector;
SELECT 'b'::bitvector;
SELECT 'x'::bitvector;
SELECT '012'::bitvector;
SELECT '01 '::bitvector;
SELECT 'x1g'::bitvector;
SELECT repeat('1', 64001)::bitvector;
SELECT ('x' || repeat('f', 16001))::bitvector;
SELECT length(repeat('1', 64000)::bitvector), length(('x' || repeat('f', 16000))::bitvector);
\set VERBOSITY sqlstate
SELECT ''::bitvector;
SELECT '2'::bitvector;
SELECT '11'::bitvector(3);
SELECT repeat('1', 64001)::bitvector;
\set VERBOSITY default

-- type modifiers
SELECT '101'::bitvector(3), format_type('bitvector'::regtype, 3);
SELECT '101'::bitvector(2);
SELECT '101'::bitvector(4);
SELECT B'101'::bitvector(4);
SELECT '101'::bitvector(0);
SELECT '101'::bitvector(64001);
SELECT '101'::bitvector(1, 2);
CREATE TEMP TABLE eight (b bitvector(8));
INSERT INTO eight VALUES (B'10000001'), (B'10000001'::varbit), ('\x81'::bytea), ('x81');
INSERT INTO eight VALUES (B'101');
INSERT INTO eight VALUES ('\x8181'::bytea);
SELECT b FROM eight;

-- binary form: the number of bits, the bits
SELECT bitvector_send('101'), bitvector_send('111111111');

-- casts
SELECT B'101'::bitvector, B'101'::varbit::bitvector, '\xa5'::bytea::bitvector;
SELECT '101'::bitvector::bit(3), '101'::bitvector::bit(2), '101'::bitvector::varbit, '101'::bitvector::bytea, '111111111'::bitvector::bytea;
SELECT pg_typeof('101'::bitvector::varbit), pg_typeof('101'::bitvector::bit(3));
SELECT ''::varbit::bitvector;
SELECT ''::bytea::bitvector;
SELECT repeat('1', 64001)::varbit::bitvector;
SELECT convert_to(repeat('a', 8001), 'UTF8')::bitvector;
CREATE TEMP TABLE plain (b bit(3), v varbit);
INSERT INTO plain SELECT b, b FROM (VALUES ('101'::bitvector), ('011')) t (b);
SELECT * FROM plain;

-- distances of bitvectors, of bits, of both, and of literals
SELECT hamming_distance('101'::bitvector, '110'), '101'::bitvector <~> '110', jaccard_distance('101'::bitvector, '110'), '101'::bitvector <%> '110';
SELECT hamming_distance(B'101', B'110'), B'101' <~> B'110', jaccard_distance(B'101', B'110'), B'101' <%> B'110';
SELECT '101'::bitvector <~> B'110', B'101' <%> '110'::bitvector, '101' <~> '110', hamming_distance('101', '110'), jaccard_distance('101', '110');
SELECT '000'::bitvector <%> '000', '000'::bitvector <%> '111', '111'::bitvector <%> '111', '000'::bitvector <~> '111';
SELECT '111'::bitvector <~> '11';
SELECT '111'::bitvector <%> '11';
SELECT B'111' <~> B'11';
SELECT B'111' <%> B'11';
SELECT ''::varbit <~> ''::varbit;
SELECT n, a <~> b AS hamming, round((a <%> b)::numeric, 6) AS jaccard, a::bit(9999) <~> b::bit(9999) AS bit_hamming
FROM (SELECT n, string_agg((d % 3 % 2)::text, '')::bitvector AS a, string_agg((d % 2)::text, '')::bitvector AS b
	FROM unnest(ARRAY[1, 7, 8, 9, 63, 64, 65, 511, 513, 1024, 9999]) n, generate_series(1, n) d GROUP BY n) s ORDER BY n;
SELECT binary_quantize('[1,-1,1]'::vector) <~> '100'::bitvector;

-- bitwise functions and operators
SELECT '1100'::bitvector & '1010', '1100'::bitvector | '1010', '1100'::bitvector # '1010', ~ '1100'::bitvector;
SELECT pg_typeof('1100'::bitvector & '1010'), pg_typeof(~ '1100'::bitvector);
SELECT bit_count('1101'::bitvector), get_bit('1101'::bitvector, 2), get_bit('1101'::bitvector, 3), length('1101'::bitvector);
SELECT get_bit('1101'::bitvector, 4);
SELECT '1100'::bitvector & '101';
-- negation leaves the pad bits zero
SELECT bitvector_send(~ '101'::bitvector), (~ '101'::bitvector) <~> '101';

-- bit and bit varying keep their operators
SELECT B'101' & B'110', B'101'::varbit & B'110'::varbit, B'101' = B'101'::varbit, B'101' || B'1'::varbit, bit_count(B'101'::varbit), get_bit(B'101', 0), length(B'101'),
	pg_typeof(B'101' # B'110'), pg_typeof(~ B'101'::varbit), B'101' < '11', substring(B'1011' from 2 for 2);

-- order, equality, hash
SELECT a, b, a < b AS lt, a <= b AS le, a = b AS eq, a <> b AS ne, a >= b AS ge, a > b AS gt,
	sign(bitvector_cmp(a, b)) AS cmp, bitvector_hash(a) = bitvector_hash(b) AS hash
FROM (VALUES ('101'::bitvector, '101'::bitvector), ('101', '1010'), ('101', '110'), ('0', '00')) t (a, b);
SELECT bool_and(bitvector_hash(b) = bitvector_hash_extended(b, 0)::bit(32)::int) AS low_half
FROM (SELECT i::bit(20)::bitvector FROM generate_series(1, 100) i) s (b);
CREATE TEMP TABLE dup AS SELECT (i % 5)::bit(12)::bitvector AS b FROM generate_series(1, 100) i;
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT DISTINCT b FROM dup;
SELECT count(*) FROM (SELECT DISTINCT b FROM dup) s;
SET enable_sort = on; SET enable_hashagg = off;
SELECT count(*) FROM (SELECT DISTINCT b FROM dup) s;
RESET enable_hashagg;
SET enable_mergejoin = off; SET enable_nestloop = off;
SELECT count(*) FROM dup a JOIN dup b ON a.b = b.b;
RESET enable_mergejoin; RESET enable_nestloop;
CREATE INDEX dup_b ON dup (b);
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM dup WHERE b = '000000000011';
SELECT count(*) FROM dup WHERE b = '000000000011';
SELECT count(*) FROM dup WHERE b < B'000000000011';
