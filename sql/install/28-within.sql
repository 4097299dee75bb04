-- Search within a distance: value <->@ (center, radius), and so for each distance.

CREATE FUNCTION within_sel(internal, oid, internal, integer) RETURNS double precision
	AS 'MODULE_PATHNAME', 'vecx_within_sel'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION within_sel(internal, oid, internal, integer) IS 'share of rows that are within a distance, for the planner';

CREATE TYPE vector_ball AS (center vector, radius double precision);
COMMENT ON TYPE vector_ball IS 'all that lies within a radius of a center';

CREATE FUNCTION l2_within(vector, vector_ball) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_vector_l2_within'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION l2_within(vector, vector_ball) IS 'whether the Euclidean distance to the center is at most the radius';
CREATE OPERATOR <->@ (
	LEFTARG = vector, RIGHTARG = vector_ball, FUNCTION = l2_within,
	RESTRICT = within_sel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR <->@ (vector, vector_ball) IS 'Euclidean distance to the center is at most the radius';

CREATE FUNCTION ip_within(vector, vector_ball) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_vector_ip_within'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION ip_within(vector, vector_ball) IS 'whether the negative inner product to the center is at most the radius';
CREATE OPERATOR <#>@ (
	LEFTARG = vector, RIGHTARG = vector_ball, FUNCTION = ip_within,
	RESTRICT = within_sel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR <#>@ (vector, vector_ball) IS 'negative inner product to the center is at most the radius';

CREATE FUNCTION cosine_within(vector, vector_ball) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_vector_cosine_within'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION cosine_within(vector, vector_ball) IS 'whether the cosine distance to the center is at most the radius';
CREATE OPERATOR <=>@ (
	LEFTARG = vector, RIGHTARG = vector_ball, FUNCTION = cosine_within,
	RESTRICT = within_sel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR <=>@ (vector, vector_ball) IS 'cosine distance to the center is at most the radius';

CREATE FUNCTION cosine_within_or_nan(vector, vector_ball) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_vector_cosine_within_or_nan'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION cosine_within_or_nan(vector, vector_ball) IS 'whether the cosine distance to the center is at most the radius, or NaN';
CREATE OPERATOR <=>@^ (
	LEFTARG = vector, RIGHTARG = vector_ball, FUNCTION = cosine_within_or_nan,
	RESTRICT = within_sel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR <=>@^ (vector, vector_ball) IS 'cosine distance to the center is at most the radius, or NaN';

CREATE FUNCTION l1_within(vector, vector_ball) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_vector_l1_within'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION l1_within(vector, vector_ball) IS 'whether the taxicab distance to the center is at most the radius';
CREATE OPERATOR <+>@ (
	LEFTARG = vector, RIGHTARG = vector_ball, FUNCTION = l1_within,
	RESTRICT = within_sel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR <+>@ (vector, vector_ball) IS 'taxicab distance to the center is at most the radius';

CREATE TYPE halfvec_ball AS (center halfvec, radius double precision);
COMMENT ON TYPE halfvec_ball IS 'all that lies within a radius of a center';

CREATE FUNCTION l2_within(halfvec, halfvec_ball) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_halfvec_l2_within'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION l2_within(halfvec, halfvec_ball) IS 'whether the Euclidean distance to the center is at most the radius';
CREATE OPERATOR <->@ (
	LEFTARG = halfvec, RIGHTARG = halfvec_ball, FUNCTION = l2_within,
	RESTRICT = within_sel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR <->@ (halfvec, halfvec_ball) IS 'Euclidean distance to the center is at most the radius';

CREATE FUNCTION ip_within(halfvec, halfvec_ball) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_halfvec_ip_within'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION ip_within(halfvec, halfvec_ball) IS 'whether the negative inner product to the center is at most the radius';
CREATE OPERATOR <#>@ (
	LEFTARG = halfvec, RIGHTARG = halfvec_ball, FUNCTION = ip_within,
	RESTRICT = within_sel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR <#>@ (halfvec, halfvec_ball) IS 'negative inner product to the center is at most the radius';

CREATE FUNCTION cosine_within(halfvec, halfvec_ball) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_halfvec_cosine_within'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION cosine_within(halfvec, halfvec_ball) IS 'whether the cosine distance to the center is at most the radius';
CREATE OPERATOR <=>@ (
	LEFTARG = halfvec, RIGHTARG = halfvec_ball, FUNCTION = cosine_within,
	RESTRICT = within_sel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR <=>@ (halfvec, halfvec_ball) IS 'cosine distance to the center is at most the radius';

CREATE FUNCTION cosine_within_or_nan(halfvec, halfvec_ball) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_halfvec_cosine_within_or_nan'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION cosine_within_or_nan(halfvec, halfvec_ball) IS 'whether the cosine distance to the center is at most the radius, or NaN';
CREATE OPERATOR <=>@^ (
	LEFTARG = halfvec, RIGHTARG = halfvec_ball, FUNCTION = cosine_within_or_nan,
	RESTRICT = within_sel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR <=>@^ (halfvec, halfvec_ball) IS 'cosine distance to the center is at most the radius, or NaN';

CREATE FUNCTION l1_within(halfvec, halfvec_ball) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_halfvec_l1_within'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION l1_within(halfvec, halfvec_ball) IS 'whether the taxicab distance to the center is at most the radius';
CREATE OPERATOR <+>@ (
	LEFTARG = halfvec, RIGHTARG = halfvec_ball, FUNCTION = l1_within,
	RESTRICT = within_sel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR <+>@ (halfvec, halfvec_ball) IS 'taxicab distance to the center is at most the radius';

CREATE TYPE sparsevec_ball AS (center sparsevec, radius double precision);
COMMENT ON TYPE sparsevec_ball IS 'all that lies within a radius of a center';

CREATE FUNCTION l2_within(sparsevec, sparsevec_ball) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_sparsevec_l2_within'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION l2_within(sparsevec, sparsevec_ball) IS 'whether the Euclidean distance to the center is at most the radius';
CREATE OPERATOR <->@ (
	LEFTARG = sparsevec, RIGHTARG = sparsevec_ball, FUNCTION = l2_within,
	RESTRICT = within_sel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR <->@ (sparsevec, sparsevec_ball) IS 'Euclidean distance to the center is at most the radius';

CREATE FUNCTION ip_within(sparsevec, sparsevec_ball) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_sparsevec_ip_within'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION ip_within(sparsevec, sparsevec_ball) IS 'whether the negative inner product to the center is at most the radius';
CREATE OPERATOR <#>@ (
	LEFTARG = sparsevec, RIGHTARG = sparsevec_ball, FUNCTION = ip_within,
	RESTRICT = within_sel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR <#>@ (sparsevec, sparsevec_ball) IS 'negative inner product to the center is at most the radius';

CREATE FUNCTION cosine_within(sparsevec, sparsevec_ball) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_sparsevec_cosine_within'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION cosine_within(sparsevec, sparsevec_ball) IS 'whether the cosine distance to the center is at most the radius';
CREATE OPERATOR <=>@ (
	LEFTARG = sparsevec, RIGHTARG = sparsevec_ball, FUNCTION = cosine_within,
	RESTRICT = within_sel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR <=>@ (sparsevec, sparsevec_ball) IS 'cosine distance to the center is at most the radius';

CREATE FUNCTION cosine_within_or_nan(sparsevec, sparsevec_ball) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_sparsevec_cosine_within_or_nan'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION cosine_within_or_nan(sparsevec, sparsevec_ball) IS 'whether the cosine distance to the center is at most the radius, or NaN';
CREATE OPERATOR <=>@^ (
	LEFTARG = sparsevec, RIGHTARG = sparsevec_ball, FUNCTION = cosine_within_or_nan,
	RESTRICT = within_sel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR <=>@^ (sparsevec, sparsevec_ball) IS 'cosine distance to the center is at most the radius, or NaN';

CREATE FUNCTION l1_within(sparsevec, sparsevec_ball) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_sparsevec_l1_within'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION l1_within(sparsevec, sparsevec_ball) IS 'whether the taxicab distance to the center is at most the radius';
CREATE OPERATOR <+>@ (
	LEFTARG = sparsevec, RIGHTARG = sparsevec_ball, FUNCTION = l1_within,
	RESTRICT = within_sel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR <+>@ (sparsevec, sparsevec_ball) IS 'taxicab distance to the center is at most the radius';

CREATE TYPE bitvector_ball AS (center bitvector, radius double precision);
COMMENT ON TYPE bitvector_ball IS 'all that lies within a radius of a center';

CREATE FUNCTION hamming_within(bitvector, bitvector_ball) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_hamming_within'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION hamming_within(bitvector, bitvector_ball) IS 'whether the Hamming distance to the center is at most the radius';
CREATE OPERATOR <~>@ (
	LEFTARG = bitvector, RIGHTARG = bitvector_ball, FUNCTION = hamming_within,
	RESTRICT = within_sel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR <~>@ (bitvector, bitvector_ball) IS 'Hamming distance to the center is at most the radius';

CREATE FUNCTION jaccard_within(bitvector, bitvector_ball) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_jaccard_within'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION jaccard_within(bitvector, bitvector_ball) IS 'whether the Jaccard distance to the center is at most the radius';
CREATE OPERATOR <%>@ (
	LEFTARG = bitvector, RIGHTARG = bitvector_ball, FUNCTION = jaccard_within,
	RESTRICT = within_sel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR <%>@ (bitvector, bitvector_ball) IS 'Jaccard distance to the center is at most the radius';

CREATE TYPE bit_ball AS (center "bit", radius double precision);
COMMENT ON TYPE bit_ball IS 'all that lies within a radius of a center';

CREATE FUNCTION hamming_within(bit, bit_ball) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_hamming_within'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION hamming_within(bit, bit_ball) IS 'whether the Hamming distance to the center is at most the radius';
CREATE OPERATOR <~>@ (
	LEFTARG = bit, RIGHTARG = bit_ball, FUNCTION = hamming_within,
	RESTRICT = within_sel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR <~>@ (bit, bit_ball) IS 'Hamming distance to the center is at most the radius';

CREATE FUNCTION jaccard_within(bit, bit_ball) RETURNS boolean
	AS 'MODULE_PATHNAME', 'vecx_jaccard_within'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION jaccard_within(bit, bit_ball) IS 'whether the Jaccard distance to the center is at most the radius';
CREATE OPERATOR <%>@ (
	LEFTARG = bit, RIGHTARG = bit_ball, FUNCTION = jaccard_within,
	RESTRICT = within_sel, JOIN = matchingjoinsel
);
COMMENT ON OPERATOR <%>@ (bit, bit_ball) IS 'Jaccard distance to the center is at most the radius';

-- The planner uses it for conditions such as 1 - (a <=> b) > 0.5.
CREATE FUNCTION ball_radius(bound double precision, factor double precision, term double precision, margin double precision)
	RETURNS double precision
	AS 'MODULE_PATHNAME', 'vecx_ball_radius'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION ball_radius(double precision, double precision, double precision, double precision) IS 'the distance at which factor * distance + term reaches a bound, and margin more';
