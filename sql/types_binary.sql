-- The binary forms in COPY: values of every type come back the same, and damaged ones are
-- refused with the SQLSTATE that says why.
\getenv abs_builddir PG_ABS_BUILDDIR
\set file :abs_builddir '/results/types_binary.data'
SET binary_test.file = :'file';

-- there and back
CREATE TABLE sent (id int, v vector, h halfvec(3), s sparsevec, b bitvector);
INSERT INTO sent VALUES (1, '[1,-2.5,3e38,1e-45,-0]', '[65504,-6e-8,0]', '{1:1.5,3:-2}/5', '101'), (2, NULL, NULL, NULL, NULL),
	(3, array_fill(0.1, ARRAY[16000])::vector, '[1,2,3]', '{}/1000000000', repeat('10', 32000)::bitvector),
	(4, '[0]', '[0,-0,1]', '{1000000000:-1e-45}/1000000000', '1'),
	(5, '[1]', NULL, array_fill(7, ARRAY[16000])::vector::sparsevec, '11111111'), (6, '[1]', NULL, NULL, '111111111');
COPY sent TO :'file' (FORMAT binary);
CREATE TABLE received (LIKE sent);
COPY received FROM :'file' (FORMAT binary);
SELECT count(*) AS rows, bool_and(ROW(vector_send(s.v), halfvec_send(s.h), sparsevec_send(s.s), bitvector_send(s.b)) IS NOT DISTINCT FROM
	ROW(vector_send(r.v), halfvec_send(r.h), sparsevec_send(r.s), bitvector_send(r.b))) AS same
FROM sent s JOIN received r USING (id);

-- What a column makes of a field of these bytes: the value, or the error.
CREATE FUNCTION receive(type text, field bytea) RETURNS text AS $$
DECLARE
	file text := current_setting('binary_test.file');
	data oid := lo_from_bytea(0, 'PGCOPY\012\377\015\012\000'::bytea || int4send(0) || int4send(0) ||
		int2send(1::int2) || int4send(length(field)) || field || int2send(-1::int2));
	detail text;
	result text;
BEGIN
	PERFORM lo_export(data, file), lo_unlink(data);
	EXECUTE format('CREATE TEMP TABLE one (x %s)', type);
	EXECUTE format('COPY one FROM %L (FORMAT binary)', file);
	SELECT x::text INTO STRICT result FROM one;
	DROP TABLE one;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(' / ', SQLSTATE || ' ' || SQLERRM, nullif(detail, ''));
END $$ LANGUAGE plpgsql;
CREATE FUNCTION int2s(VARIADIC int[]) RETURNS bytea LANGUAGE sql AS $$ SELECT string_agg(int2send(x::int2), '' ORDER BY n) FROM unnest($1) WITH ORDINALITY t (x, n) $$;
CREATE FUNCTION int4s(VARIADIC int[]) RETURNS bytea LANGUAGE sql AS $$ SELECT string_agg(int4send(x), '' ORDER BY n) FROM unnest($1) WITH ORDINALITY t (x, n) $$;
CREATE FUNCTION reals(VARIADIC real[]) RETURNS bytea LANGUAGE sql AS $$ SELECT string_agg(float4send(x), '' ORDER BY n) FROM unnest($1) WITH ORDINALITY t (x, n) $$;

-- vector: dimensions, zero, elements
SELECT what, receive(type, field) FROM (VALUES
	('whole', 'vector', int2s(2, 0) || reals(1, -2)),
	('of as many dimensions', 'vector(2)', int2s(2, 0) || reals(1, -2)),
	('of others', 'vector(3)', int2s(2, 0) || reals(1, -2)),
	('nothing', 'vector', ''),
	('half a head', 'vector', int2s(2)),
	('a head', 'vector', int2s(2, 0)),
	('a byte too few', 'vector', int2s(2, 0) || reals(1) || '\x000000'),
	('a byte too many', 'vector', int2s(2, 0) || reals(1, 2) || '\x00'),
	('an element too many', 'vector', int2s(2, 0) || reals(1, 2, 3)),
	('no dimensions', 'vector', int2s(0, 0)),
	('negative dimensions', 'vector', int2s(-1, 0) || reals(1)),
	('the least number', 'vector', int2s(-32768, 0) || reals(1)),
	('too many dimensions', 'vector', int2s(16001, 0) || reals(1)),
	('something for zero', 'vector', int2s(1, 1) || reals(1)),
	('NaN', 'vector', int2s(2, 0) || reals(1, 'NaN')),
	('infinity', 'vector', int2s(2, 0) || reals('-inf', 1))) t (what, type, field);

-- halfvec: the same in half precision
SELECT what, receive(type, field) FROM (VALUES
	('whole', 'halfvec', int2s(2, 0) || '\x3c00c000'::bytea),
	('of others', 'halfvec(3)', int2s(2, 0) || '\x3c00c000'::bytea),
	('nothing', 'halfvec', ''),
	('a byte too few', 'halfvec', int2s(2, 0) || '\x3c00c0'::bytea),
	('elements of four bytes', 'halfvec', int2s(2, 0) || reals(1, 2)),
	('no dimensions', 'halfvec', int2s(0, 0)),
	('negative dimensions', 'halfvec', int2s(-1, 0)),
	('too many dimensions', 'halfvec', int2s(16001, 0)),
	('something for zero', 'halfvec', int2s(1, -1) || '\x3c00'::bytea),
	('NaN', 'halfvec', int2s(2, 0) || '\x3c007e00'::bytea),
	('infinity', 'halfvec', int2s(2, 0) || '\xfc003c00'::bytea)) t (what, type, field);

-- sparsevec: dimensions, elements, zero, indices from 0, values
SELECT what, receive(type, field) FROM (VALUES
	('whole', 'sparsevec', int4s(5, 2, 0, 0, 4) || reals(1, -2)),
	('without elements', 'sparsevec', int4s(5, 0, 0)),
	('of others', 'sparsevec(4)', int4s(5, 2, 0, 0, 4) || reals(1, -2)),
	('nothing', 'sparsevec', ''),
	('half a head', 'sparsevec', int4s(5, 2)),
	('a head', 'sparsevec', int4s(5, 2, 0)),
	('a byte too few', 'sparsevec', int4s(5, 1, 0, 0) || '\x3f8000'::bytea),
	('a byte too many', 'sparsevec', int4s(5, 1, 0, 0) || reals(1) || '\x00'),
	('no dimensions', 'sparsevec', int4s(0, 0, 0)),
	('negative dimensions', 'sparsevec', int4s(-1, 0, 0)),
	('too many dimensions', 'sparsevec', int4s(1000000001, 0, 0)),
	('fewer than no elements', 'sparsevec', int4s(5, -1, 0)),
	('too many elements', 'sparsevec', int4s(20000, 16001, 0)),
	('more elements than dimensions', 'sparsevec', int4s(1, 2, 0, 0, 1) || reals(1, 2)),
	('something for zero', 'sparsevec', int4s(5, 0, 1)),
	('a negative index', 'sparsevec', int4s(5, 1, 0, -1) || reals(1)),
	('an index too far', 'sparsevec', int4s(5, 1, 0, 5) || reals(1)),
	('out of order', 'sparsevec', int4s(5, 2, 0, 3, 1) || reals(1, 2)),
	('twice', 'sparsevec', int4s(5, 2, 0, 3, 3) || reals(1, 2)),
	('an element of zero', 'sparsevec', int4s(5, 2, 0, 0, 3) || reals(1, 0)),
	('NaN', 'sparsevec', int4s(5, 1, 0, 0) || reals('NaN')),
	('infinity', 'sparsevec', int4s(5, 1, 0, 0) || reals('inf'))) t (what, type, field);

-- bitvector: the number of bits, the bits; those beyond are cleared
SELECT what, receive(type, field) FROM (VALUES
	('whole', 'bitvector', int4s(9) || '\xff80'::bytea),
	('with bits beyond', 'bitvector', int4s(9) || '\xffff'::bytea),
	('of others', 'bitvector(8)', int4s(9) || '\xff80'::bytea),
	('nothing', 'bitvector', ''),
	('a head', 'bitvector', int4s(9)),
	('a byte too few', 'bitvector', int4s(9) || '\xff'::bytea),
	('a byte too many', 'bitvector', int4s(9) || '\xff8000'::bytea),
	('no bits', 'bitvector', int4s(0)),
	('fewer than none', 'bitvector', int4s(-1) || '\xff'::bytea),
	('the least number', 'bitvector', int4s(-2147483648) || '\xff'::bytea),
	('too many', 'bitvector', int4s(64001) || '\xff'::bytea)) t (what, type, field);
SELECT bitvector_send(receive('bitvector', int4s(9) || '\xffff'::bytea)::bitvector);

DROP TABLE sent, received;
DROP FUNCTION receive, int2s, int4s, reals;
