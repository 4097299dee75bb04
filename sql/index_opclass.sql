-- Every operator class: it is valid, its ordered scans use the index, and with
-- a wide search they return what a sort returns.

SELECT opcname, opcintype::regtype, opcdefault, amvalidate(c.oid) AS valid
FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod
WHERE amname = 'vecx' ORDER BY 1;

-- what amvalidate says of operator classes that cannot work
CREATE OPERATOR CLASS no_support FOR TYPE vector USING vecx AS
	OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops;
CREATE OPERATOR CLASS no_distance FOR TYPE vector USING vecx AS
	FUNCTION 1 vecx_support_vector_l2(internal);
CREATE OPERATOR CLASS wrong_operator FOR TYPE vector USING vecx AS
	OPERATOR 1 < (vector, vector),
	FUNCTION 1 vecx_support_vector_l2(internal);
CREATE OPERATOR CLASS wrong_strategy FOR TYPE vector USING vecx AS
	OPERATOR 9 <-> (vector, vector) FOR ORDER BY float_ops,
	FUNCTION 1 vecx_support_vector_l2(internal);
SELECT opcname, amvalidate(c.oid) AS valid
FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod
WHERE amname = 'vecx' AND opcname ~ '^(no|wrong)_' ORDER BY 1;
DROP OPERATOR FAMILY no_support USING vecx;
DROP OPERATOR FAMILY no_distance USING vecx;
DROP OPERATOR FAMILY wrong_operator USING vecx;
DROP OPERATOR FAMILY wrong_strategy USING vecx;

-- the support functions are the access method's alone
SELECT vecx_support_vector_l2(NULL);

SELECT amname, pg_indexam_has_property(oid, 'can_order') AS can_order,
	pg_indexam_has_property(oid, 'can_unique') AS can_unique,
	pg_indexam_has_property(oid, 'can_multi_col') AS can_multi_col,
	pg_indexam_has_property(oid, 'can_exclude') AS can_exclude,
	pg_indexam_has_property(oid, 'can_include') AS can_include
FROM pg_am WHERE amname = 'vecx';

-- Numbers between -1 and 1 that depend on nothing but the arguments.
CREATE FUNCTION noise(a int, b int) RETURNS real IMMUTABLE LANGUAGE sql AS
	'SELECT (hashint8(a::bigint * 65536 + b) / 2147483648.0)::real';
CREATE FUNCTION noisy_vector(seed int, dim int) RETURNS vector IMMUTABLE LANGUAGE sql AS
	'SELECT array_agg(noise(seed, d))::vector FROM generate_series(1, dim) d';
CREATE FUNCTION noisy_bits(seed int, dim int) RETURNS text IMMUTABLE LANGUAGE sql AS
	$$SELECT string_agg(CASE WHEN noise(seed, d) < 0 THEN '0' ELSE '1' END, '' ORDER BY d)
	FROM generate_series(1, dim) d$$;

/*
 * How many of the k rows that a scan by index returns are out of place: their
 * distance is not that of the row a sort returns there.
 */
CREATE FUNCTION out_of_place(tbl text, op text, query text, k int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	column_type text := (SELECT format_type(atttypid, atttypmod) FROM pg_attribute
		WHERE attrelid = tbl::regclass AND attname = 'v');
	search text := format('SELECT array_agg(d) FROM (SELECT v %1$s %2$L::%3$s AS d FROM %4$s '
		'ORDER BY v %1$s %2$L::%3$s LIMIT %5$s) s', op, query, column_type, tbl, k);
	line text;
	plan text := '';
	by_sort float8[];
	by_index float8[];
BEGIN
	SET LOCAL enable_seqscan = on;
	SET LOCAL enable_indexscan = off;
	EXECUTE search INTO by_sort;
	SET LOCAL enable_seqscan = off;
	SET LOCAL enable_indexscan = on;
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || search LOOP
		plan := plan || line || E'\n';
	END LOOP;
	IF plan !~ 'Index Scan.*Order By' OR plan ~ 'Sort' THEN
		RAISE EXCEPTION E'not an ordered index scan:\n%', plan;
	END IF;
	EXECUTE search INTO by_index;
	RETURN (SELECT count(*) FROM unnest(by_sort, by_index) u(a, b) WHERE a IS DISTINCT FROM b);
END $$;

CREATE TABLE vectors (id int, v vector(24));
INSERT INTO vectors SELECT i, noisy_vector(i, 24) FROM generate_series(1, 600) i;
CREATE TABLE wide_vectors (id int, v vector(130));
INSERT INTO wide_vectors SELECT i, noisy_vector(i, 130) FROM generate_series(1, 400) i;
CREATE TABLE bitvectors (id int, v bitvector(200));
INSERT INTO bitvectors SELECT i, noisy_bits(i, 200)::bitvector FROM generate_series(1, 600) i;
CREATE TABLE bits (id int, v bit(77));
INSERT INTO bits SELECT i, noisy_bits(i, 77)::bit(77) FROM generate_series(1, 600) i;
CREATE TABLE wide_bits (id int, v bit(3000));
INSERT INTO wide_bits SELECT i, noisy_bits(i, 3000)::bit(3000) FROM generate_series(1, 100) i;

SET vecx.ef_search = 500;

CREATE INDEX ON vectors USING vecx (v);
CREATE INDEX ON vectors USING vecx (v vector_ip_ops);
CREATE INDEX ON vectors USING vecx (v vector_cosine_ops);
CREATE INDEX ON vectors USING vecx (v vector_l1_ops);
SELECT op, sum(out_of_place('vectors', op, noisy_vector(seed, 24)::text, 60))
FROM unnest(ARRAY['<->', '<#>', '<=>', '<+>']) op, generate_series(1001, 1005) seed
GROUP BY op ORDER BY op;

CREATE INDEX ON wide_vectors USING vecx (v);
CREATE INDEX ON wide_vectors USING vecx (v vector_ip_ops);
CREATE INDEX ON wide_vectors USING vecx (v vector_cosine_ops);
CREATE INDEX ON wide_vectors USING vecx (v vector_l1_ops);
SELECT op, sum(out_of_place('wide_vectors', op, noisy_vector(seed, 130)::text, 60))
FROM unnest(ARRAY['<->', '<#>', '<=>', '<+>']) op, generate_series(1001, 1005) seed
GROUP BY op ORDER BY op;

CREATE INDEX ON bitvectors USING vecx (v);
CREATE INDEX ON bitvectors USING vecx (v bitvector_jaccard_ops);
CREATE INDEX ON bits USING vecx (v);
CREATE INDEX ON bits USING vecx (v bit_jaccard_ops);
CREATE INDEX ON wide_bits USING vecx (v bit_hamming_ops);
CREATE INDEX ON wide_bits USING vecx (v bit_jaccard_ops);
SELECT tbl, op, sum(out_of_place(tbl, op, noisy_bits(seed, dim), 60))
FROM (VALUES ('bitvectors', 200), ('bits', 77), ('wide_bits', 3000)) t(tbl, dim),
	unnest(ARRAY['<~>', '<%>']) op, generate_series(1001, 1005) seed
GROUP BY tbl, op ORDER BY tbl, op;

-- the comparison sees what a narrow search gets wrong
SET vecx.ef_search = 1;
SELECT sum(out_of_place('wide_vectors', '<->', noisy_vector(seed, 130)::text, 60)) > 0 AS out_of_place
FROM generate_series(1001, 1005) seed;
RESET vecx.ef_search;

-- each operator has its index, and its operands may change places
CREATE FUNCTION index_for(tbl text, ordering text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE format('EXPLAIN (COSTS OFF) SELECT id FROM %s ORDER BY %s LIMIT 1', tbl, ordering) LOOP
		IF line ~ 'Index Scan' THEN
			RETURN pg_get_indexdef(substring(line FROM 'using (\w+)')::regclass);
		END IF;
	END LOOP;
END $$;
SET enable_seqscan = off;
SELECT index_for('vectors', format('v %s noisy_vector(1, 24)', op))
FROM unnest(ARRAY['<->', '<#>', '<=>', '<+>']) op;
SELECT index_for('vectors', 'noisy_vector(1, 24) <=> v');
SELECT index_for('bits', format('v %s noisy_bits(1, 77)::bit(77)', op))
FROM unnest(ARRAY['<~>', '<%>']) op;
SELECT index_for('bits', 'noisy_bits(1, 77)::bit(77) <%> v');
SELECT index_for('bitvectors', format('v %s noisy_bits(1, 200)::bitvector', op))
FROM unnest(ARRAY['<~>', '<%>']) op;
RESET enable_seqscan;

DROP TABLE vectors, wide_vectors, bitvectors, bits, wide_bits;
DROP FUNCTION index_for, out_of_place, noisy_bits, noisy_vector, noise;
