# Posting lists through crashes: the server is killed while sessions insert, so that
# lists are split, and delete, so that VACUUM merges them.  After each restart the index is whole and
# nothing committed is lost; a standby compares every page, answers alike, and
# can be promoted.  A second index has copies of vectors behind its rows.

use strict;
use warnings;

use Test::More;
use VecxCrash;
use VecxTest;

my $pair = crash_pair(
	dim => 64,
	items => 'WITH (structure = lists, list_rows = 32)',
	volatile => 'WITH (structure = lists, quantizer = pq)');
my ($node, $standby) = @{$pair}{qw(node standby)};
my $writer = writer_script(30, 10);
# many rows at few places, which leave short lists behind when they go
my $merger = <<'END';
INSERT INTO items SELECT -3, some_vector((random() * 4)::int * 601 + 1) FROM generate_series(1, 400);
DELETE FROM items WHERE id = -3;
VACUUM items;
END

$node->safe_psql('postgres',
	'CREATE INDEX items_behind_idx ON items USING vecx (v vector_cosine_ops) WITH (structure = lists, list_rows = 32, rerank = sq8)');
foreach my $round (1 .. 3)
{
	crash_round($pair, $round, 1000 * $round + 137, $writer, $writer, $merger, vacuum_script(200));
	check_index($node, 'items_behind_idx', "with copies, after crash $round");
	every_row($node, '<=>', "crash $round");
	same_answers($node, $standby, index_ids('<=>'), "crash $round: the standby's index with copies returns the same rows");
}
cmp_ok($node->safe_psql('postgres', q{SELECT bytes_behind FROM vecx_info('items_behind_idx')}), '>', 0, 'there are copies');
cmp_ok($node->safe_psql('postgres', q{SELECT lists FROM vecx_info('items_v_idx')}), '>', 20, 'lists were split');

# The standby takes over, and goes on where the primary stopped.
$node->wait_for_catchup($standby);
take_over($pair);

done_testing();
