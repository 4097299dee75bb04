-- Operator classes of the access method vecx.

CREATE OPERATOR CLASS vector_l2_ops DEFAULT FOR TYPE vector USING vecx AS
	OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
	OPERATOR 3 <->@ (vector, vector_ball),
	FUNCTION 1 vecx_support_vector_l2(internal);
CREATE OPERATOR CLASS vector_ip_ops FOR TYPE vector USING vecx AS
	OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops,
	OPERATOR 3 <#>@ (vector, vector_ball),
	FUNCTION 1 vecx_support_vector_ip(internal);
CREATE OPERATOR CLASS vector_cosine_ops FOR TYPE vector USING vecx AS
	OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
	OPERATOR 2 <=>^ (vector, vector) FOR ORDER BY float_ops,
	OPERATOR 3 <=>@ (vector, vector_ball),
	OPERATOR 4 <=>@^ (vector, vector_ball),
	FUNCTION 1 vecx_support_vector_cosine(internal);
CREATE OPERATOR CLASS vector_l1_ops FOR TYPE vector USING vecx AS
	OPERATOR 1 <+> (vector, vector) FOR ORDER BY float_ops,
	OPERATOR 3 <+>@ (vector, vector_ball),
	FUNCTION 1 vecx_support_vector_l1(internal);
CREATE OPERATOR CLASS halfvec_l2_ops DEFAULT FOR TYPE halfvec USING vecx AS
	OPERATOR 1 <-> (halfvec, halfvec) FOR ORDER BY float_ops,
	OPERATOR 3 <->@ (halfvec, halfvec_ball),
	FUNCTION 1 vecx_support_halfvec_l2(internal);
CREATE OPERATOR CLASS halfvec_ip_ops FOR TYPE halfvec USING vecx AS
	OPERATOR 1 <#> (halfvec, halfvec) FOR ORDER BY float_ops,
	OPERATOR 3 <#>@ (halfvec, halfvec_ball),
	FUNCTION 1 vecx_support_halfvec_ip(internal);
CREATE OPERATOR CLASS halfvec_cosine_ops FOR TYPE halfvec USING vecx AS
	OPERATOR 1 <=> (halfvec, halfvec) FOR ORDER BY float_ops,
	OPERATOR 2 <=>^ (halfvec, halfvec) FOR ORDER BY float_ops,
	OPERATOR 3 <=>@ (halfvec, halfvec_ball),
	OPERATOR 4 <=>@^ (halfvec, halfvec_ball),
	FUNCTION 1 vecx_support_halfvec_cosine(internal);
CREATE OPERATOR CLASS halfvec_l1_ops FOR TYPE halfvec USING vecx AS
	OPERATOR 1 <+> (halfvec, halfvec) FOR ORDER BY float_ops,
	OPERATOR 3 <+>@ (halfvec, halfvec_ball),
	FUNCTION 1 vecx_support_halfvec_l1(internal);
CREATE OPERATOR CLASS sparsevec_l2_ops DEFAULT FOR TYPE sparsevec USING vecx AS
	OPERATOR 1 <-> (sparsevec, sparsevec) FOR ORDER BY float_ops,
	OPERATOR 3 <->@ (sparsevec, sparsevec_ball),
	FUNCTION 1 vecx_support_sparsevec_l2(internal);
CREATE OPERATOR CLASS sparsevec_ip_ops FOR TYPE sparsevec USING vecx AS
	OPERATOR 1 <#> (sparsevec, sparsevec) FOR ORDER BY float_ops,
	OPERATOR 3 <#>@ (sparsevec, sparsevec_ball),
	FUNCTION 1 vecx_support_sparsevec_ip(internal);
CREATE OPERATOR CLASS sparsevec_cosine_ops FOR TYPE sparsevec USING vecx AS
	OPERATOR 1 <=> (sparsevec, sparsevec) FOR ORDER BY float_ops,
	OPERATOR 2 <=>^ (sparsevec, sparsevec) FOR ORDER BY float_ops,
	OPERATOR 3 <=>@ (sparsevec, sparsevec_ball),
	OPERATOR 4 <=>@^ (sparsevec, sparsevec_ball),
	FUNCTION 1 vecx_support_sparsevec_cosine(internal);
CREATE OPERATOR CLASS sparsevec_l1_ops FOR TYPE sparsevec USING vecx AS
	OPERATOR 1 <+> (sparsevec, sparsevec) FOR ORDER BY float_ops,
	OPERATOR 3 <+>@ (sparsevec, sparsevec_ball),
	FUNCTION 1 vecx_support_sparsevec_l1(internal);
CREATE OPERATOR CLASS bitvector_hamming_ops DEFAULT FOR TYPE bitvector USING vecx AS
	OPERATOR 1 <~> (bitvector, bitvector) FOR ORDER BY float_ops,
	OPERATOR 3 <~>@ (bitvector, bitvector_ball),
	FUNCTION 1 vecx_support_bit_hamming(internal);
CREATE OPERATOR CLASS bitvector_jaccard_ops FOR TYPE bitvector USING vecx AS
	OPERATOR 1 <%> (bitvector, bitvector) FOR ORDER BY float_ops,
	OPERATOR 3 <%>@ (bitvector, bitvector_ball),
	FUNCTION 1 vecx_support_bit_jaccard(internal);
CREATE OPERATOR CLASS bit_hamming_ops DEFAULT FOR TYPE bit USING vecx AS
	OPERATOR 1 <~> (bit, bit) FOR ORDER BY float_ops,
	OPERATOR 3 <~>@ (bit, bit_ball),
	FUNCTION 1 vecx_support_bit_hamming(internal);
CREATE OPERATOR CLASS bit_jaccard_ops FOR TYPE bit USING vecx AS
	OPERATOR 1 <%> (bit, bit) FOR ORDER BY float_ops,
	OPERATOR 3 <%>@ (bit, bit_ball),
	FUNCTION 1 vecx_support_bit_jaccard(internal);

COMMENT ON OPERATOR CLASS vector_l2_ops USING vecx IS 'Euclidean distance, <->';
COMMENT ON OPERATOR CLASS vector_ip_ops USING vecx IS 'negative inner product, <#>';
COMMENT ON OPERATOR CLASS vector_cosine_ops USING vecx IS 'cosine distance, <=>';
COMMENT ON OPERATOR CLASS vector_l1_ops USING vecx IS 'taxicab distance, <+>';
COMMENT ON OPERATOR CLASS halfvec_l2_ops USING vecx IS 'Euclidean distance, <->';
COMMENT ON OPERATOR CLASS halfvec_ip_ops USING vecx IS 'negative inner product, <#>';
COMMENT ON OPERATOR CLASS halfvec_cosine_ops USING vecx IS 'cosine distance, <=>';
COMMENT ON OPERATOR CLASS halfvec_l1_ops USING vecx IS 'taxicab distance, <+>';
COMMENT ON OPERATOR CLASS sparsevec_l2_ops USING vecx IS 'Euclidean distance, <->';
COMMENT ON OPERATOR CLASS sparsevec_ip_ops USING vecx IS 'negative inner product, <#>';
COMMENT ON OPERATOR CLASS sparsevec_cosine_ops USING vecx IS 'cosine distance, <=>';
COMMENT ON OPERATOR CLASS sparsevec_l1_ops USING vecx IS 'taxicab distance, <+>';
COMMENT ON OPERATOR CLASS bitvector_hamming_ops USING vecx IS 'Hamming distance, <~>';
COMMENT ON OPERATOR CLASS bitvector_jaccard_ops USING vecx IS 'Jaccard distance, <%>';
COMMENT ON OPERATOR CLASS bit_hamming_ops USING vecx IS 'Hamming distance, <~>';
COMMENT ON OPERATOR CLASS bit_jaccard_ops USING vecx IS 'Jaccard distance, <%>';
COMMENT ON OPERATOR FAMILY vector_l2_ops USING vecx IS 'Euclidean distance, <->';
COMMENT ON OPERATOR FAMILY vector_ip_ops USING vecx IS 'negative inner product, <#>';
COMMENT ON OPERATOR FAMILY vector_cosine_ops USING vecx IS 'cosine distance, <=>';
COMMENT ON OPERATOR FAMILY vector_l1_ops USING vecx IS 'taxicab distance, <+>';
COMMENT ON OPERATOR FAMILY halfvec_l2_ops USING vecx IS 'Euclidean distance, <->';
COMMENT ON OPERATOR FAMILY halfvec_ip_ops USING vecx IS 'negative inner product, <#>';
COMMENT ON OPERATOR FAMILY halfvec_cosine_ops USING vecx IS 'cosine distance, <=>';
COMMENT ON OPERATOR FAMILY halfvec_l1_ops USING vecx IS 'taxicab distance, <+>';
COMMENT ON OPERATOR FAMILY sparsevec_l2_ops USING vecx IS 'Euclidean distance, <->';
COMMENT ON OPERATOR FAMILY sparsevec_ip_ops USING vecx IS 'negative inner product, <#>';
COMMENT ON OPERATOR FAMILY sparsevec_cosine_ops USING vecx IS 'cosine distance, <=>';
COMMENT ON OPERATOR FAMILY sparsevec_l1_ops USING vecx IS 'taxicab distance, <+>';
COMMENT ON OPERATOR FAMILY bitvector_hamming_ops USING vecx IS 'Hamming distance, <~>';
COMMENT ON OPERATOR FAMILY bitvector_jaccard_ops USING vecx IS 'Jaccard distance, <%>';
COMMENT ON OPERATOR FAMILY bit_hamming_ops USING vecx IS 'Hamming distance, <~>';
COMMENT ON OPERATOR FAMILY bit_jaccard_ops USING vecx IS 'Jaccard distance, <%>';
