-- What distances cost, for the planner; it alone can call the first three.

CREATE FUNCTION vecx_vector_cost(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vecx_halfvec_cost(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vecx_bit_cost(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION vecx_vector_cost(internal) IS 'planner support of distances between vectors';
COMMENT ON FUNCTION vecx_halfvec_cost(internal) IS 'planner support of distances between halfvecs';
COMMENT ON FUNCTION vecx_bit_cost(internal) IS 'planner support of distances between bit strings';

ALTER FUNCTION l2_distance(vector, vector) SUPPORT vecx_vector_cost;
ALTER FUNCTION inner_product(vector, vector) SUPPORT vecx_vector_cost;
ALTER FUNCTION cosine_distance(vector, vector) SUPPORT vecx_vector_cost;
ALTER FUNCTION cosine_distance_nan_first(vector, vector) SUPPORT vecx_vector_cost;
ALTER FUNCTION l1_distance(vector, vector) SUPPORT vecx_vector_cost;
ALTER FUNCTION vector_l2_squared_distance(vector, vector) SUPPORT vecx_vector_cost;
ALTER FUNCTION vector_negative_inner_product(vector, vector) SUPPORT vecx_vector_cost;
ALTER FUNCTION l2_distance(halfvec, halfvec) SUPPORT vecx_halfvec_cost;
ALTER FUNCTION inner_product(halfvec, halfvec) SUPPORT vecx_halfvec_cost;
ALTER FUNCTION cosine_distance(halfvec, halfvec) SUPPORT vecx_halfvec_cost;
ALTER FUNCTION cosine_distance_nan_first(halfvec, halfvec) SUPPORT vecx_halfvec_cost;
ALTER FUNCTION l1_distance(halfvec, halfvec) SUPPORT vecx_halfvec_cost;
ALTER FUNCTION halfvec_l2_squared_distance(halfvec, halfvec) SUPPORT vecx_halfvec_cost;
ALTER FUNCTION halfvec_negative_inner_product(halfvec, halfvec) SUPPORT vecx_halfvec_cost;
ALTER FUNCTION hamming_distance(bitvector, bitvector) SUPPORT vecx_bit_cost;
ALTER FUNCTION jaccard_distance(bitvector, bitvector) SUPPORT vecx_bit_cost;
ALTER FUNCTION hamming_distance(bit, bit) SUPPORT vecx_bit_cost;
ALTER FUNCTION jaccard_distance(bit, bit) SUPPORT vecx_bit_cost;
