# A set comes into posting lists cluster by cluster, after a tenth of it: lists are split
# as it grows, VACUUM makes them anew and measures how many to read.  Searches find as much
# then as those of an index that is built on all of it, for about the same work.

use strict;
use warnings;

use VecxTest;
use Test::More;

my $node = new_node('primary', shared_buffers => '128MB');
my $dim = 32;

make_table($node, 'source', rows => 12000, dim => $dim, clusters => 60, spread => 1.5);
make_table($node, 'queries', rows => 200, dim => $dim, clusters => 60, spread => 1.5, seed => 2);
$node->safe_psql(
	'postgres', qq{
	CREATE TABLE centres AS SELECT row_number() OVER () AS c, v FROM source WHERE id % 300 = 1;
	CREATE TABLE ordered AS SELECT s.id, s.v, (SELECT c FROM centres ORDER BY centres.v <-> s.v LIMIT 1) AS c FROM source s;
	CREATE TABLE items (id int, v vector($dim)) WITH (autovacuum_enabled = off);
	INSERT INTO items SELECT id, v FROM ordered WHERE id % 10 = 0;
	CREATE INDEX items_v_idx ON items USING vecx (v vector_l2_ops) WITH (structure = lists, list_rows = 50);
});

sub figures
{
	my $recall = $node->safe_psql('postgres', q{SELECT vecx_recall('items_v_idx', samples => 200, queries => 'queries', query_column => 'v')});
	my $rows = $node->safe_psql('postgres', q{
		SET enable_seqscan = off;
		DO $$
		DECLARE
			q record;
			n bigint := 0;
		BEGIN
			FOR q IN SELECT v FROM queries LIMIT 100 LOOP
				PERFORM id FROM items ORDER BY v <-> q.v LIMIT 10;
				n := n + (SELECT records FROM vecx_last_scan());
			END LOOP;
			PERFORM set_config('test.records', (n / 100)::text, false);
		END $$;
		SELECT current_setting('test.records')});
	return ($recall, $rows);
}

$node->safe_psql('postgres', 'INSERT INTO items SELECT id, v FROM ordered WHERE id % 10 <> 0 ORDER BY c, id; ANALYZE items');
check_index($node, 'items_v_idx', 'grown');
my ($grown, $grown_rows) = figures();
$node->safe_psql('postgres', 'VACUUM items');
check_index($node, 'items_v_idx', 'vacuumed');
# a transaction, so that VACUUM may remove what rows left where they were; then they are
# in as many lists as the rules say, those included that went from a list where a copy stays
$node->safe_psql('postgres', 'DELETE FROM items WHERE id = 20');
$node->safe_psql('postgres', 'VACUUM items');
check_index($node, 'items_v_idx', 'vacuumed again');
my ($vacuumed, $vacuumed_rows) = figures();
my ($lists, $copies) = split /\|/, $node->safe_psql('postgres', q{SELECT lists, list_replication FROM vecx_info('items_v_idx')});
is($node->safe_psql('postgres', q{SELECT closed_lists FROM vecx_info('items_v_idx')}), 0, 'VACUUM clears closed lists away');
$node->safe_psql('postgres', 'REINDEX INDEX items_v_idx');
my ($built, $built_rows) = figures();

note("recall and rows read: grown $grown, $grown_rows; vacuumed $vacuumed, $vacuumed_rows; built anew $built, $built_rows");
cmp_ok($grown, '>=', $built - 0.03, 'recall of lists that have grown');
cmp_ok($vacuumed, '>=', $built - 0.03, 'the same after VACUUM');
cmp_ok($grown_rows, '<', 6 * $built_rows, 'rows that they read');
cmp_ok($vacuumed_rows, '<', 1.5 * $built_rows, 'the same after VACUUM');
my ($built_lists, $built_copies) = split /\|/, $node->safe_psql('postgres', q{SELECT lists, list_replication FROM vecx_info('items_v_idx')});
note("lists and entries a row: vacuumed $lists, $copies; built anew $built_lists, $built_copies");
cmp_ok($lists, '>', 0.8 * $built_lists, 'lists after VACUUM');
cmp_ok(abs($copies - $built_copies), '<', 0.1, 'lists that a row is in after VACUUM');
$node->stop;

done_testing();
