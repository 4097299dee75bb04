-- The index access method.

CREATE FUNCTION vecx_handler(internal) RETURNS index_am_handler
	AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION vecx_handler(internal) IS 'handler of the index access method vecx';

CREATE ACCESS METHOD vecx TYPE INDEX HANDLER vecx_handler;
COMMENT ON ACCESS METHOD vecx IS 'approximate nearest-neighbour search';

-- What each operator class indexes; the access method alone can call these.
CREATE FUNCTION vecx_support_vector_l2(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vecx_support_vector_ip(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vecx_support_vector_cosine(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vecx_support_vector_l1(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vecx_support_halfvec_l2(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vecx_support_halfvec_ip(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vecx_support_halfvec_cosine(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vecx_support_halfvec_l1(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vecx_support_sparsevec_l2(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vecx_support_sparsevec_ip(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vecx_support_sparsevec_cosine(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vecx_support_sparsevec_l1(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vecx_support_bit_hamming(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
CREATE FUNCTION vecx_support_bit_jaccard(internal) RETURNS internal
	AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION vecx_support_vector_l2(internal) IS 'support of operator class vector_l2_ops';
COMMENT ON FUNCTION vecx_support_vector_ip(internal) IS 'support of operator class vector_ip_ops';
COMMENT ON FUNCTION vecx_support_vector_cosine(internal) IS 'support of operator class vector_cosine_ops';
COMMENT ON FUNCTION vecx_support_vector_l1(internal) IS 'support of operator class vector_l1_ops';
COMMENT ON FUNCTION vecx_support_halfvec_l2(internal) IS 'support of operator class halfvec_l2_ops';
COMMENT ON FUNCTION vecx_support_halfvec_ip(internal) IS 'support of operator class halfvec_ip_ops';
COMMENT ON FUNCTION vecx_support_halfvec_cosine(internal) IS 'support of operator class halfvec_cosine_ops';
COMMENT ON FUNCTION vecx_support_halfvec_l1(internal) IS 'support of operator class halfvec_l1_ops';
COMMENT ON FUNCTION vecx_support_sparsevec_l2(internal) IS 'support of operator class sparsevec_l2_ops';
COMMENT ON FUNCTION vecx_support_sparsevec_ip(internal) IS 'support of operator class sparsevec_ip_ops';
COMMENT ON FUNCTION vecx_support_sparsevec_cosine(internal) IS 'support of operator class sparsevec_cosine_ops';
COMMENT ON FUNCTION vecx_support_sparsevec_l1(internal) IS 'support of operator class sparsevec_l1_ops';
COMMENT ON FUNCTION vecx_support_bit_hamming(internal) IS 'support of operator classes for Hamming distance';
COMMENT ON FUNCTION vecx_support_bit_jaccard(internal) IS 'support of operator classes for Jaccard distance';
