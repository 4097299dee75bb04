# Posting lists through crashes: the server is killed while sessions insert, so that
# lists are split, delete and vacuum.  After each restart the index is whole and
# nothing committed is lost; a standby compares every page, answers alike, and
# can be promoted.

use strict;
use warnings;

use Test::More;
use VecxCrash;
use VecxTest;

my $pair = crash_pair(
	dim => 64,
	items => 'WITH (structure = lists, list_rows = 32)',
	volatile => 'WITH (structure = lists)');
my ($node, $standby) = @{$pair}{qw(node standby)};
my $writer = writer_script(30, 10);

crash_round($pair, $_, 1000 * $_ + 137, $writer, $writer, vacuum_script(200)) foreach 1 .. 3;
cmp_ok($node->safe_psql('postgres', q{SELECT lists FROM vecx_info('items_v_idx')}), '>', 20, 'lists were split');

# The standby takes over, and goes on where the primary stopped.
$node->wait_for_catchup($standby);
take_over($pair);

done_testing();
