-- Functions, aggregates and casts of vector and bitvector.

-- distances

CREATE FUNCTION l2_distance(vector, vector) RETURNS double precision
	AS 'MODULE_PATHNAME', 'vecx_vector_l2_distance'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION l2_distance(vector, vector) IS 'Euclidean distance';

CREATE FUNCTION inner_product(vector, vector) RETURNS double precision
	AS 'MODULE_PATHNAME', 'vecx_vector_inner_product'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION inner_product(vector, vector) IS 'inner product';

CREATE FUNCTION cosine_distance(vector, vector) RETURNS double precision
	AS 'MODULE_PATHNAME', 'vecx_vector_cosine_distance'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION cosine_distance(vector, vector) IS 'cosine distance';

CREATE FUNCTION cosine_distance_nan_first(vector, vector) RETURNS double precision
	AS 'MODULE_PATHNAME', 'vecx_vector_cosine_distance_nan_first'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION cosine_distance_nan_first(vector, vector) IS 'cosine distance, -Infinity for a zero vector';

CREATE FUNCTION l1_distance(vector, vector) RETURNS double precision
	AS 'MODULE_PATHNAME', 'vecx_vector_l1_distance'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION l1_distance(vector, vector) IS 'taxicab distance';

CREATE FUNCTION vector_l2_squared_distance(vector, vector) RETURNS double precision
	AS 'MODULE_PATHNAME', 'vecx_vector_l2_squared_distance'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION vector_l2_squared_distance(vector, vector) IS 'squared Euclidean distance';

CREATE FUNCTION vector_negative_inner_product(vector, vector) RETURNS double precision
	AS 'MODULE_PATHNAME', 'vecx_vector_negative_inner_product'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION vector_negative_inner_product(vector, vector) IS 'inner product times -1';

CREATE FUNCTION hamming_distance(bitvector, bitvector) RETURNS double precision
	AS 'MODULE_PATHNAME', 'vecx_hamming_distance'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION hamming_distance(bitvector, bitvector) IS 'number of bits that differ';

CREATE FUNCTION jaccard_distance(bitvector, bitvector) RETURNS double precision
	AS 'MODULE_PATHNAME', 'vecx_jaccard_distance'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION jaccard_distance(bitvector, bitvector) IS 'one minus the share of common bits among all set bits';

CREATE FUNCTION hamming_distance(bit, bit) RETURNS double precision
	AS 'MODULE_PATHNAME', 'vecx_hamming_distance'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION hamming_distance(bit, bit) IS 'number of bits that differ';

CREATE FUNCTION jaccard_distance(bit, bit) RETURNS double precision
	AS 'MODULE_PATHNAME', 'vecx_jaccard_distance'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 5;
COMMENT ON FUNCTION jaccard_distance(bit, bit) IS 'one minus the share of common bits among all set bits';

-- vector

CREATE FUNCTION vector_dims(vector) RETURNS integer
	AS 'MODULE_PATHNAME', 'vecx_vector_dims'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_dims(vector) IS 'number of dimensions';

CREATE FUNCTION vector_norm(vector) RETURNS double precision
	AS 'MODULE_PATHNAME', 'vecx_vector_norm'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION vector_norm(vector) IS 'Euclidean norm';

CREATE FUNCTION l2_norm(vector) RETURNS double precision
	AS 'MODULE_PATHNAME', 'vecx_vector_norm'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION l2_norm(vector) IS 'Euclidean norm';

CREATE FUNCTION l2_normalize(vector) RETURNS vector
	AS 'MODULE_PATHNAME', 'vecx_vector_l2_normalize'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION l2_normalize(vector) IS 'vector scaled to Euclidean norm 1';

CREATE FUNCTION subvector(vector, integer, integer) RETURNS vector
	AS 'MODULE_PATHNAME', 'vecx_vector_subvector'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION subvector(vector, integer, integer) IS 'elements from a position, counted from 1, in a number';

CREATE FUNCTION binary_quantize(vector) RETURNS bit
	AS 'MODULE_PATHNAME', 'vecx_vector_binary_quantize'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION binary_quantize(vector) IS 'one bit an element, set where it is above zero';

CREATE FUNCTION vector_add(vector, vector) RETURNS vector
	AS 'MODULE_PATHNAME', 'vecx_vector_add'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION vector_add(vector, vector) IS 'implementation of + operator';

CREATE FUNCTION vector_sub(vector, vector) RETURNS vector
	AS 'MODULE_PATHNAME', 'vecx_vector_sub'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION vector_sub(vector, vector) IS 'implementation of - operator';

CREATE FUNCTION vector_mul(vector, vector) RETURNS vector
	AS 'MODULE_PATHNAME', 'vecx_vector_mul'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION vector_mul(vector, vector) IS 'implementation of * operator';

CREATE FUNCTION vector_concat(vector, vector) RETURNS vector
	AS 'MODULE_PATHNAME', 'vecx_vector_concat'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION vector_concat(vector, vector) IS 'implementation of || operator';

CREATE FUNCTION vector_lt(vector, vector) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_vector_lt'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION vector_lt(vector, vector) IS 'implementation of < operator';

CREATE FUNCTION vector_le(vector, vector) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_vector_le'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION vector_le(vector, vector) IS 'implementation of <= operator';

CREATE FUNCTION vector_eq(vector, vector) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_vector_eq'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION vector_eq(vector, vector) IS 'implementation of = operator';

CREATE FUNCTION vector_ne(vector, vector) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_vector_ne'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION vector_ne(vector, vector) IS 'implementation of <> operator';

CREATE FUNCTION vector_ge(vector, vector) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_vector_ge'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION vector_ge(vector, vector) IS 'implementation of >= operator';

CREATE FUNCTION vector_gt(vector, vector) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_vector_gt'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION vector_gt(vector, vector) IS 'implementation of > operator';

CREATE FUNCTION vector_cmp(vector, vector) RETURNS integer
	AS 'MODULE_PATHNAME', 'vecx_vector_cmp'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 2;
COMMENT ON FUNCTION vector_cmp(vector, vector) IS 'less, equal or greater';

CREATE FUNCTION vector_hash(vector) RETURNS integer
	AS 'MODULE_PATHNAME', 'vecx_vector_hash'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION vector_hash(vector) IS 'hash';

CREATE FUNCTION vector_hash_extended(vector, bigint) RETURNS bigint
	AS 'MODULE_PATHNAME', 'vecx_vector_hash_extended'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION vector_hash_extended(vector, bigint) IS 'hash with a seed';

-- bitvector: the server's functions for bit strings of one length

CREATE FUNCTION bitvector_and(bitvector, bitvector) RETURNS bitvector
	AS 'bit_and'
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvector_and(bitvector, bitvector) IS 'implementation of & operator';

CREATE FUNCTION bitvector_or(bitvector, bitvector) RETURNS bitvector
	AS 'bit_or'
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvector_or(bitvector, bitvector) IS 'implementation of | operator';

CREATE FUNCTION bitvector_xor(bitvector, bitvector) RETURNS bitvector
	AS 'bitxor'
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvector_xor(bitvector, bitvector) IS 'implementation of # operator';

CREATE FUNCTION bitvector_not(bitvector) RETURNS bitvector
	AS 'bitnot'
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvector_not(bitvector) IS 'implementation of ~ operator';

CREATE FUNCTION bit_count(bitvector) RETURNS bigint
	AS 'bit_bit_count'
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bit_count(bitvector) IS 'number of set bits';

CREATE FUNCTION get_bit(bitvector, integer) RETURNS integer
	AS 'bitgetbit'
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION get_bit(bitvector, integer) IS 'bit at a position, counted from 0';

CREATE FUNCTION length(bitvector) RETURNS integer
	AS 'bitlength'
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION length(bitvector) IS 'number of bits';

CREATE FUNCTION bitvector_lt(bitvector, bitvector) RETURNS boolean
	AS 'bitlt'
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvector_lt(bitvector, bitvector) IS 'implementation of < operator';

CREATE FUNCTION bitvector_le(bitvector, bitvector) RETURNS boolean
	AS 'bitle'
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvector_le(bitvector, bitvector) IS 'implementation of <= operator';

CREATE FUNCTION bitvector_eq(bitvector, bitvector) RETURNS boolean
	AS 'biteq'
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvector_eq(bitvector, bitvector) IS 'implementation of = operator';

CREATE FUNCTION bitvector_ne(bitvector, bitvector) RETURNS boolean
	AS 'bitne'
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvector_ne(bitvector, bitvector) IS 'implementation of <> operator';

CREATE FUNCTION bitvector_ge(bitvector, bitvector) RETURNS boolean
	AS 'bitge'
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvector_ge(bitvector, bitvector) IS 'implementation of >= operator';

CREATE FUNCTION bitvector_gt(bitvector, bitvector) RETURNS boolean
	AS 'bitgt'
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvector_gt(bitvector, bitvector) IS 'implementation of > operator';

CREATE FUNCTION bitvector_cmp(bitvector, bitvector) RETURNS integer
	AS 'bitcmp'
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvector_cmp(bitvector, bitvector) IS 'less, equal or greater';

CREATE FUNCTION bitvector_hash(bitvector) RETURNS integer
	AS 'MODULE_PATHNAME', 'vecx_bitvector_hash'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvector_hash(bitvector) IS 'hash';

CREATE FUNCTION bitvector_hash_extended(bitvector, bigint) RETURNS bigint
	AS 'MODULE_PATHNAME', 'vecx_bitvector_hash_extended'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvector_hash_extended(bitvector, bigint) IS 'hash with a seed';

-- aggregates

CREATE FUNCTION vector_accum(internal, vector) RETURNS internal
	AS 'MODULE_PATHNAME', 'vecx_vector_accum'
	LANGUAGE C IMMUTABLE PARALLEL SAFE COST 10;
COMMENT ON FUNCTION vector_accum(internal, vector) IS 'transition function of avg and sum';

CREATE FUNCTION vector_combine(internal, internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'vecx_vector_combine'
	LANGUAGE C IMMUTABLE PARALLEL SAFE COST 10;
COMMENT ON FUNCTION vector_combine(internal, internal) IS 'combine function of avg and sum';

CREATE FUNCTION vector_serialize(internal) RETURNS bytea
	AS 'MODULE_PATHNAME', 'vecx_sum_serialize'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_serialize(internal) IS 'serialization function of avg and sum';

CREATE FUNCTION vector_deserialize(bytea, internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'vecx_sum_deserialize'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector_deserialize(bytea, internal) IS 'deserialization function of avg and sum';

CREATE FUNCTION vector_avg(internal) RETURNS vector
	AS 'MODULE_PATHNAME', 'vecx_vector_avg'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION vector_avg(internal) IS 'final function of avg';

CREATE FUNCTION vector_sum(internal) RETURNS vector
	AS 'MODULE_PATHNAME', 'vecx_vector_sum'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION vector_sum(internal) IS 'final function of sum';

CREATE AGGREGATE avg(vector) (
	SFUNC = vector_accum,
	STYPE = internal,
	FINALFUNC = vector_avg,
	COMBINEFUNC = vector_combine,
	SERIALFUNC = vector_serialize,
	DESERIALFUNC = vector_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE avg(vector) IS 'arithmetic mean of all vectors';

CREATE AGGREGATE sum(vector) (
	SFUNC = vector_accum,
	STYPE = internal,
	FINALFUNC = vector_sum,
	COMBINEFUNC = vector_combine,
	SERIALFUNC = vector_serialize,
	DESERIALFUNC = vector_deserialize,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE sum(vector) IS 'sum of all vectors';

-- casts

CREATE FUNCTION vector(vector, integer, boolean) RETURNS vector
	AS 'MODULE_PATHNAME', 'vecx_vector_typmod'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION vector(vector, integer, boolean) IS 'checks the number of dimensions';

CREATE FUNCTION array_to_vector(integer[], integer, boolean) RETURNS vector
	AS 'MODULE_PATHNAME', 'vecx_vector_from_array'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION array_to_vector(integer[], integer, boolean) IS 'converts integer[] to vector';

CREATE FUNCTION array_to_vector(real[], integer, boolean) RETURNS vector
	AS 'MODULE_PATHNAME', 'vecx_vector_from_array'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION array_to_vector(real[], integer, boolean) IS 'converts real[] to vector';

CREATE FUNCTION array_to_vector(double precision[], integer, boolean) RETURNS vector
	AS 'MODULE_PATHNAME', 'vecx_vector_from_array'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION array_to_vector(double precision[], integer, boolean) IS 'converts double precision[] to vector';

CREATE FUNCTION array_to_vector(numeric[], integer, boolean) RETURNS vector
	AS 'MODULE_PATHNAME', 'vecx_vector_from_array'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION array_to_vector(numeric[], integer, boolean) IS 'converts numeric[] to vector';

CREATE FUNCTION vector_to_float4(vector, integer, boolean) RETURNS real[]
	AS 'MODULE_PATHNAME', 'vecx_vector_to_float4'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION vector_to_float4(vector, integer, boolean) IS 'converts vector to real[]';

CREATE FUNCTION vector_to_float8(vector, integer, boolean) RETURNS double precision[]
	AS 'MODULE_PATHNAME', 'vecx_vector_to_float8'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION vector_to_float8(vector, integer, boolean) IS 'converts vector to double precision[]';

CREATE FUNCTION vector_to_int4(vector, integer, boolean) RETURNS integer[]
	AS 'MODULE_PATHNAME', 'vecx_vector_to_int4'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION vector_to_int4(vector, integer, boolean) IS 'converts vector to integer[]';

CREATE FUNCTION vector_to_numeric(vector, integer, boolean) RETURNS numeric[]
	AS 'MODULE_PATHNAME', 'vecx_vector_to_numeric'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION vector_to_numeric(vector, integer, boolean) IS 'converts vector to numeric[]';

CREATE FUNCTION bitvector(bitvector, integer, boolean) RETURNS bitvector
	AS 'MODULE_PATHNAME', 'vecx_bitvector_typmod'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvector(bitvector, integer, boolean) IS 'checks the number of bits';

CREATE FUNCTION bit_to_bitvector(bit, integer, boolean) RETURNS bitvector
	AS 'MODULE_PATHNAME', 'vecx_bitvector_typmod'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bit_to_bitvector(bit, integer, boolean) IS 'converts bit to bitvector';

CREATE FUNCTION bit_to_bitvector(bit varying, integer, boolean) RETURNS bitvector
	AS 'MODULE_PATHNAME', 'vecx_bitvector_typmod'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bit_to_bitvector(bit varying, integer, boolean) IS 'converts bit varying to bitvector';

CREATE FUNCTION bytea_to_bitvector(bytea, integer, boolean) RETURNS bitvector
	AS 'MODULE_PATHNAME', 'vecx_bytea_to_bitvector'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bytea_to_bitvector(bytea, integer, boolean) IS 'converts bytea to bitvector, 8 bits a byte';

CREATE FUNCTION bitvector_to_bytea(bitvector) RETURNS bytea
	AS 'MODULE_PATHNAME', 'vecx_bitvector_to_bytea'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION bitvector_to_bytea(bitvector) IS 'converts bitvector to bytea, filling up the last byte with zeros';

CREATE CAST (vector AS vector)
	WITH FUNCTION vector(vector, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (vector AS vector) IS 'checks the number of dimensions';

CREATE CAST (integer[] AS vector)
	WITH FUNCTION array_to_vector(integer[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (integer[] AS vector) IS 'rounds to single precision';

CREATE CAST (real[] AS vector)
	WITH FUNCTION array_to_vector(real[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (real[] AS vector) IS 'exact';

CREATE CAST (double precision[] AS vector)
	WITH FUNCTION array_to_vector(double precision[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (double precision[] AS vector) IS 'rounds to single precision';

CREATE CAST (numeric[] AS vector)
	WITH FUNCTION array_to_vector(numeric[], integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (numeric[] AS vector) IS 'rounds to single precision';

CREATE CAST (vector AS real[])
	WITH FUNCTION vector_to_float4(vector, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (vector AS real[]) IS 'exact';

CREATE CAST (vector AS double precision[])
	WITH FUNCTION vector_to_float8(vector, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (vector AS double precision[]) IS 'exact';

CREATE CAST (vector AS integer[])
	WITH FUNCTION vector_to_int4(vector, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (vector AS integer[]) IS 'rounds to integers';

CREATE CAST (vector AS numeric[])
	WITH FUNCTION vector_to_numeric(vector, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (vector AS numeric[]) IS 'rounds to 6 digits, as real does';

-- bit to bitvector is implicit, so that a bit string literal (B'101') or
-- binary_quantize() can stand where a bitvector is wanted.  It cannot be for
-- bit varying: varbit & varbit would become ambiguous.
CREATE CAST (bitvector AS bitvector)
	WITH FUNCTION bitvector(bitvector, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (bitvector AS bitvector) IS 'checks the number of bits';

CREATE CAST (bit AS bitvector)
	WITH FUNCTION bit_to_bitvector(bit, integer, boolean) AS IMPLICIT;
COMMENT ON CAST (bit AS bitvector) IS 'checks the number of bits';

CREATE CAST (bit varying AS bitvector)
	WITH FUNCTION bit_to_bitvector(bit varying, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (bit varying AS bitvector) IS 'checks the number of bits';

CREATE CAST (bytea AS bitvector)
	WITH FUNCTION bytea_to_bitvector(bytea, integer, boolean) AS ASSIGNMENT;
COMMENT ON CAST (bytea AS bitvector) IS '8 bits a byte, the highest first';

CREATE CAST (bitvector AS bit)
	WITHOUT FUNCTION AS ASSIGNMENT;
COMMENT ON CAST (bitvector AS bit) IS 'the same bits';

CREATE CAST (bitvector AS bit varying)
	WITHOUT FUNCTION AS ASSIGNMENT;
COMMENT ON CAST (bitvector AS bit varying) IS 'the same bits';

CREATE CAST (bitvector AS bytea)
	WITH FUNCTION bitvector_to_bytea(bitvector);
COMMENT ON CAST (bitvector AS bytea) IS '8 bits a byte, the last byte filled up with zeros';
