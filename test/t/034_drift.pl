# Rows of another kind come into an index: VACUUM trains a model that suits them,
# and once only.  vecx_renew does so when asked.

use strict;
use warnings;

use VecxTest;
use Test::More;

my $node = new_node('primary', allows_streaming => 1, shared_buffers => '128MB');
my $dim = 512;

# Vectors that vary in one half of the dimensions, of many small clusters.
$node->safe_psql(
	'postgres', qq{
	SELECT setseed(0.1);
	CREATE TABLE items (id int, v vector($dim));
	CREATE FUNCTION some_vector(c int, half int) RETURNS vector LANGUAGE sql VOLATILE AS \$\$
		SELECT array_agg((CASE WHEN d / 256 = half THEN hashint4(c * $dim + d) / 2147483648.0 + random() - 0.5
			ELSE 0.02 * random() END)::real ORDER BY d)::vector FROM generate_series(0, $dim - 1) d \$\$;
	CREATE INDEX items_v_idx ON items USING vecx (v vector_l2_ops) WITH (sketch_bits = 256);
	INSERT INTO items SELECT i, some_vector(i % 100, 0) FROM generate_series(1, 2000) i;
	REINDEX INDEX items_v_idx;
	VACUUM items;
	CREATE TABLE queries AS SELECT some_vector(i, 1) AS v FROM generate_series(1, 50) i;
});
my $standby = new_standby($node, 'standby');

sub model
{
	return $node->safe_psql('postgres', "SELECT current_model FROM vecx_info('items_v_idx')");
}

sub measure
{
	return recall($node, table => 'items', op => '<->', queries => 'SELECT v FROM queries', set => { 'vecx.ef_search' => 20 });
}

cmp_ok($node->safe_psql('postgres', "SELECT sketch_dims FROM vecx_info('items_v_idx')"), '<', $dim, 'a basis that leaves dimensions out');
my $first = model();
$node->safe_psql('postgres', 'INSERT INTO items SELECT i, some_vector(i % 100, 0) FROM generate_series(2001, 2400) i; VACUUM items');
is(model(), $first, 'more of the same need no new model');
$node->safe_psql('postgres', 'INSERT INTO items SELECT i, some_vector(i % 100, 1) FROM generate_series(2401, 4000) i');
my $before = measure();
$node->safe_psql('postgres', 'VACUUM items');
my $second = model();
isnt($second, $first, 'rows of another kind bring a new model');
my $after = measure();
cmp_ok($after, '>=', $before, "recall $before, then $after");
check_index($node, 'items_v_idx', 'with a new model');
$node->safe_psql('postgres', 'VACUUM items; VACUUM items');
is(model(), $second, 'and no other');

$node->safe_psql('postgres', "SELECT vecx_renew('items_v_idx')");
isnt(model(), $second, 'vecx_renew makes a new model');
is($node->safe_psql('postgres', "SELECT models FROM vecx_info('items_v_idx')"), 1, 'and leaves none but that');
check_index($node, 'items_v_idx', 'renewed');
cmp_ok(measure(), '>=', $before, 'recall');

my (undef, undef, $err) = $node->psql('postgres', "SELECT vecx_renew('items')");
like($err, qr/"items" is not a vecx index/, 'vecx_renew of a table');
$node->wait_for_catchup($standby);
same_answers($node, $standby, 'SET enable_seqscan = off; SELECT id FROM items ORDER BY v <-> (SELECT v FROM queries LIMIT 1) LIMIT 50',
	'the standby answers alike');
(undef, undef, $err) = $standby->psql('postgres', "SELECT vecx_renew('items_v_idx')");
like($err, qr/cannot execute vecx_renew\(\) during recovery/, 'vecx_renew on a standby');
$node->stop;
$standby->stop;

done_testing();
